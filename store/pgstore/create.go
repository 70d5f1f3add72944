package pgstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed62b9dc43/transfer/store"
)

// chunk is how many files one statement inserts at most: a bound on the memory that both sides need for it.
const chunk = 10_000

// The transfer and its first chunk of files. No row comes back if the id or the client token is known.
const createSQL = `
WITH t AS (
	INSERT INTO @.transfers (id, connector_id, client_token, request_hash, follow_id, rule_name, metadata, spec, files, created_at)
	VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9, statement_timestamp())
	ON CONFLICT DO NOTHING
	RETURNING *
), f AS (
	INSERT INTO @.files (transfer_id, connector_id, follow_id, rule_name, direction, partner, source_path, target_path,
		start_at, parent, priority, ready_at, created_at, updated_at)
	SELECT t.id, t.connector_id, t.follow_id, t.rule_name, n.direction, n.partner, n.source_path, n.target_path,
		n.start_at, n.parent, n.priority, greatest(n.start_at, t.created_at), t.created_at, t.created_at
	FROM t, unnest($10::smallint[], $11::text[], $12::text[], $13::text[], $14::timestamptz[], $15::bigint[], $16::smallint[])
		WITH ORDINALITY AS n (direction, partner, source_path, target_path, start_at, parent, priority, position)
	ORDER BY n.position
)
SELECT created_at FROM t`

// A further chunk of files of a transfer that is stored.
const appendSQL = `
INSERT INTO @.files (transfer_id, connector_id, follow_id, rule_name, direction, partner, source_path, target_path,
	start_at, parent, priority, ready_at, created_at, updated_at)
SELECT t.id, t.connector_id, t.follow_id, t.rule_name, n.direction, n.partner, n.source_path, n.target_path,
	n.start_at, n.parent, n.priority, greatest(n.start_at, t.created_at), t.created_at, t.created_at
FROM @.transfers t, unnest($2::smallint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::bigint[], $8::smallint[])
	WITH ORDINALITY AS n (direction, partner, source_path, target_path, start_at, parent, priority, position)
WHERE t.id = $1
ORDER BY n.position`

const transferColumns = `id, connector_id, coalesce(client_token, ''), request_hash, follow_id, rule_name, metadata, spec, files, created_at`

const (
	getTransferSQL = `SELECT ` + transferColumns + ` FROM @.transfers WHERE id = $1`
	getTokenSQL    = `SELECT ` + transferColumns + ` FROM @.transfers WHERE client_token = $1`
)

// CreateTransfer implements [store.Store].
func (s *Store) CreateTransfer(ctx context.Context, t store.Transfer, files []store.NewFile) (store.Transfer, error) {
	if err := s.usable(ctx); err != nil {
		return store.Transfer{}, err
	}
	t.Files = len(files)
	err := retry(func() (err error) {
		t.CreatedAt, err = s.insert(ctx, t, files)
		return err
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return s.known(ctx, t)
	case err != nil:
		return store.Transfer{}, fmt.Errorf("pgstore: create transfer %s: %w", t.ID, err)
	}
	if len(files) > 0 {
		s.announce(store.FilesReady)
	}
	t.RequestHash, t.Spec, t.Metadata = bytes.Clone(t.RequestHash), bytes.Clone(t.Spec), maps.Clone(t.Metadata)
	return t, nil
}

// insert stores all or nothing; pgx.ErrNoRows says that the id or the client token is known.
func (s *Store) insert(ctx context.Context, t store.Transfer, files []store.NewFile) (time.Time, error) {
	if len(files) <= chunk {
		return s.insertFirst(ctx, s.pool, t, files)
	}
	var created time.Time
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) (err error) {
		created, err = s.insertFirst(ctx, tx, t, files[:chunk])
		for rest := files[chunk:]; err == nil && len(rest) > 0; rest = rest[min(chunk, len(rest)):] {
			args := append([]any{t.ID}, fileArguments(rest[:min(chunk, len(rest))])...)
			_, err = tx.Exec(ctx, s.sql.append, args...)
		}
		return err
	})
	return created, err
}

func (s *Store) insertFirst(ctx context.Context, db querier, t store.Transfer, files []store.NewFile) (time.Time, error) {
	var token *string
	if t.ClientToken != "" {
		token = &t.ClientToken
	}
	metadata, err := object(t.Metadata)
	if err != nil {
		return time.Time{}, err
	}
	args := []any{
		t.ID, t.ConnectorID, token, t.RequestHash, t.FollowID, t.RuleName, metadata, t.Spec, t.Files,
	}
	var created time.Time
	err = db.QueryRow(ctx, s.sql.create, append(args, fileArguments(files)...)...).Scan(&created)
	return created.UTC(), err
}

// object returns m as JSON, nil for nil. It is a text, because without prepared statements pgx does not know that it is
// for a column of JSON.
func object(m map[string]string) (*string, error) {
	if m == nil {
		return nil, nil
	}
	encoded, err := json.Marshal(m)
	text := string(encoded)
	return &text, err
}

// fileArguments returns the files as one array for each column.
func fileArguments(files []store.NewFile) []any {
	directions := make([]int16, len(files))
	partners, sources, targets := make([]string, len(files)), make([]string, len(files)), make([]string, len(files))
	starts, parents, priorities := make([]*time.Time, len(files)), make([]int64, len(files)), make([]int16, len(files))
	for i := range files {
		f := &files[i]
		directions[i], partners[i], sources[i], targets[i] = int16(f.Direction), f.Partner, f.SourcePath, f.TargetPath
		parents[i], priorities[i] = f.Parent, int16(min(max(f.Priority, store.Low), store.High))
		if !f.StartAt.IsZero() {
			starts[i] = &f.StartAt
		}
	}
	return []any{directions, partners, sources, targets, starts, parents, priorities}
}

// known is what CreateTransfer returns where something of t is stored already.
func (s *Store) known(ctx context.Context, t store.Transfer) (store.Transfer, error) {
	earlier, err := s.get(ctx, s.sql.getToken, t.ClientToken)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return store.Transfer{}, fmt.Errorf("pgstore: transfer %s exists already (give each transfer a new id)", t.ID)
	case err != nil:
		return store.Transfer{}, fmt.Errorf("pgstore: get the transfer of a client token: %w", err)
	case !bytes.Equal(earlier.RequestHash, t.RequestHash):
		return store.Transfer{}, store.ErrTokenReused
	}
	return earlier, nil
}

// GetTransfer implements [store.Store].
func (s *Store) GetTransfer(ctx context.Context, id string) (store.Transfer, error) {
	if err := s.usable(ctx); err != nil {
		return store.Transfer{}, err
	}
	if !storable(id) {
		return store.Transfer{}, store.ErrNotFound
	}
	t, err := s.get(ctx, s.sql.getTransfer, id)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return store.Transfer{}, store.ErrNotFound
	case err != nil:
		return store.Transfer{}, fmt.Errorf("pgstore: get transfer %s: %w", id, err)
	}
	return t, nil
}

func (s *Store) get(ctx context.Context, sql, key string) (store.Transfer, error) {
	var t store.Transfer
	err := s.pool.QueryRow(ctx, sql, key).Scan(&t.ID, &t.ConnectorID, &t.ClientToken, &t.RequestHash, &t.FollowID,
		&t.RuleName, &t.Metadata, &t.Spec, &t.Files, &t.CreatedAt)
	t.CreatedAt = t.CreatedAt.UTC()
	return t, err
}
