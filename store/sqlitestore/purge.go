package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/seed62b9dc43/transfer/store"
)

// Swept implements [store.Store].
func (s *Store) Swept(ctx context.Context, ids []int64) error {
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	return s.write(ctx, "empty checkpoints", len(ids), func(_ context.Context, w *writer, _ micros) error {
		_, err := w.exec(`UPDATE files SET checkpoint = NULL WHERE id IN (SELECT value FROM json_each(?)) AND state IN (6, 7)
			AND checkpoint IS NOT NULL`, string(list))
		return err
	})
}

// Purge implements [store.Store]. The room of what it removes is used again for new rows; the file does not shrink.
func (s *Store) Purge(ctx context.Context, r store.PurgeRequest) (int, error) {
	n := 0
	err := s.write(ctx, "purge files", r.Max, func(_ context.Context, w *writer, now micros) error {
		old, err := w.oldest(r, now.add(-r.OlderThan))
		if err != nil {
			return err
		}
		n = len(old.files)
		return w.remove(old)
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// removal is files to remove, and the transfers that they are of.
type removal struct {
	files, transfers []int64
	states           []store.State // of the files
}

// oldest returns what finished first, until until. SQLite merges one range of files_by_stop for each state.
func (w *writer) oldest(r store.PurgeRequest, until int64) (removal, error) {
	var old removal
	var selects []string
	var args []any
	for _, state := range []store.State{store.Failed, store.Cancelled, store.Done} {
		if slices.Contains(r.States, state) {
			selects = append(selects, fmt.Sprintf(`SELECT id, updated_at, transfer, state FROM files WHERE state = %d AND state <> 2
				AND updated_at <= ?`, state))
			args = append(args, until)
		}
	}
	if len(selects) == 0 || r.Max <= 0 {
		return old, nil
	}
	text := strings.Join(selects, " UNION ALL ") + " ORDER BY updated_at, id LIMIT ?"
	err := w.each(text, append(args, r.Max), func(rows *sql.Rows) error {
		var id, at, transfer int64
		var state store.State
		if err := rows.Scan(&id, &at, &transfer, &state); err != nil {
			return err
		}
		old.files, old.states = append(old.files, id), append(old.states, state)
		if n := len(old.transfers); n == 0 || old.transfers[n-1] != transfer {
			old.transfers = append(old.transfers, transfer)
		}
		return nil
	})
	return old, err
}

// remove removes the files, and the transfers that have no other.
func (w *writer) remove(old removal) error {
	if len(old.files) == 0 {
		return nil
	}
	files, err := json.Marshal(old.files)
	if err != nil {
		return err
	}
	transfers, err := json.Marshal(old.transfers)
	if err != nil {
		return err
	}
	for _, state := range old.states {
		w.effects.files[state]--
	}
	if _, err := w.exec("DELETE FROM files WHERE id IN (SELECT value FROM json_each(?))", string(files)); err != nil {
		return err
	}
	_, err = w.exec(`DELETE FROM transfers WHERE seq IN (SELECT value FROM json_each(?)) AND NOT EXISTS
		(SELECT 1 FROM files WHERE id BETWEEN first_file AND first_file + transfers.files - 1)`, string(transfers))
	return err
}
