package sqlitestore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/seed62b9dc43/transfer/store"
)

const transferColumns = `id, connector, coalesce(client_token, ''), request_hash, follow_id, rule, metadata, spec, files, created_at`

// CreateTransfer implements [store.Store].
func (s *Store) CreateTransfer(ctx context.Context, t store.Transfer, files []store.NewFile) (store.Transfer, error) {
	var stored store.Transfer
	err := s.write(ctx, "create transfer "+t.ID, len(files), func(ctx context.Context, w *writer, now micros) (err error) {
		var known bool
		if stored, known, err = w.knownTransfer(&t); known || err != nil {
			return err
		}
		stored, err = w.create(ctx, t, files, now)
		return err
	})
	if err != nil {
		return store.Transfer{}, unwrapToken(err)
	}
	return stored, nil
}

// unwrapToken gives ErrTokenReused as it is: it is no failure of ours.
func unwrapToken(err error) error {
	if errors.Is(err, store.ErrTokenReused) {
		return store.ErrTokenReused
	}
	return err
}

// knownTransfer returns the transfer that was created with t's client token, and refuses an id that is known.
func (w *writer) knownTransfer(t *store.Transfer) (store.Transfer, bool, error) {
	if t.ClientToken != "" {
		earlier, err := scanTransfer(func(into ...any) error {
			return w.row("SELECT "+transferColumns+" FROM transfers WHERE client_token = ?", []any{t.ClientToken}, into...)
		})
		if err == nil && !bytes.Equal(earlier.RequestHash, t.RequestHash) {
			err = store.ErrTokenReused
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return earlier, err == nil, err
		}
	}
	var one int
	err := w.row("SELECT 1 FROM transfers WHERE id = ?", []any{t.ID}, &one)
	if err == nil {
		return store.Transfer{}, false, errors.New("the id exists already (give each transfer a new id)")
	}
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return store.Transfer{}, false, err
}

// scanTransfer reads transferColumns.
func scanTransfer(scan func(into ...any) error) (store.Transfer, error) {
	var t store.Transfer
	var metadata []byte
	var created micros
	err := scan(&t.ID, &t.ConnectorID, &t.ClientToken, &t.RequestHash, &t.FollowID, &t.RuleName, &metadata, &t.Spec, &t.Files, &created)
	if err != nil {
		return store.Transfer{}, err
	}
	t.CreatedAt = created.time()
	return t, decodeMetadata(metadata, &t.Metadata)
}

// create inserts the transfer and its files.
func (w *writer) create(ctx context.Context, t store.Transfer, files []store.NewFile, now micros) (store.Transfer, error) {
	t.RequestHash, t.Spec, t.Metadata = bytes.Clone(t.RequestHash), bytes.Clone(t.Spec), maps.Clone(t.Metadata)
	t.Files, t.CreatedAt = len(files), now.time()
	metadata, err := encodeMetadata(t.Metadata)
	if err != nil {
		return t, err
	}
	var token any
	if t.ClientToken != "" {
		token = t.ClientToken
	}
	first := int64(1)
	err = w.row("SELECT seq + 1 FROM sqlite_sequence WHERE name = 'files'", nil, &first)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return t, err
	}
	created, err := w.exec(`INSERT INTO transfers (id, connector, client_token, request_hash, follow_id, rule, metadata, spec,
		first_file, files, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		t.ID, t.ConnectorID, token, t.RequestHash, t.FollowID, t.RuleName, metadata, t.Spec, first, t.Files, int64(now))
	if err != nil {
		return t, err
	}
	seq, err := created.LastInsertId()
	if err != nil {
		return t, err
	}
	return t, w.insertFiles(ctx, newRows{first, seq, t.ConnectorID, t.RuleName, now}, files)
}

// newRows is what the rows of a new transfer have in common.
type newRows struct {
	first     int64
	transfer  int64
	connector string
	rule      string
	now       micros
}

const (
	insertBatch = 25 // rows of one INSERT; more gain little
	insertRow   = "(?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

var (
	insertOne  = insertText(1)
	insertMany = insertText(insertBatch)
)

// insertText says OR FAIL for the reason that lease does.
func insertText(rows int) string {
	return `INSERT OR FAIL INTO files (id, transfer, connector, direction, state, start, ready_at, updated_at, start_at, partner,
		source_path, target_path, parent, rule, priority) VALUES ` + strings.Repeat(insertRow+",", rows-1) + insertRow
}

func (w *writer) insertFiles(ctx context.Context, common newRows, files []store.NewFile) error {
	args := make([]any, 0, insertBatch*14)
	for i := 0; i < len(files); {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, text := 1, insertOne
		if len(files)-i >= insertBatch {
			n, text = insertBatch, insertMany
		}
		args = args[:0]
		for k := range n {
			args = common.appendArgs(args, i+k, &files[i+k])
		}
		if _, err := w.exec(text, args...); err != nil {
			return fmt.Errorf("insert file %d: %w", i, err)
		}
		i += n
	}
	w.effects.add(store.Queued, len(files))
	return nil
}

func (r *newRows) appendArgs(args []any, i int, f *store.NewFile) []any {
	start := max(int64(r.now), f.StartAt.UnixMicro())
	return append(args, r.first+int64(i), r.transfer, r.connector, int64(f.Direction), start, start, int64(r.now),
		microsOrNull(f.StartAt), f.Partner, f.SourcePath, f.TargetPath, f.Parent, r.rule, int64(min(max(f.Priority, store.Low), store.High)))
}

// GetTransfer implements [store.Store].
func (s *Store) GetTransfer(ctx context.Context, id string) (store.Transfer, error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return store.Transfer{}, err
	}
	defer leave()
	t, err := scanTransfer(s.readers.QueryRowContext(ctx, "SELECT "+transferColumns+" FROM transfers WHERE id = ?", id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Transfer{}, store.ErrNotFound
	}
	if err != nil {
		return store.Transfer{}, wrap(ctx, "get transfer "+id, err)
	}
	return t, nil
}
