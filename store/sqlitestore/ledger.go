package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// enter writes the entry of a file that has become Done.
func (w *writer) enter(e *store.LedgerEntry, file int64, now micros) error {
	_, err := w.exec(`INSERT INTO ledger (scope, path, identity, size, sha256, file, at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (scope, path) DO UPDATE SET identity = excluded.identity, size = excluded.size, sha256 = excluded.sha256,
		file = excluded.file, at = excluded.at`, e.Scope, e.Path, e.Identity, e.Size, e.SHA256, file, int64(now))
	return err
}

const lookUpText = `SELECT scope, path, identity, size, sha256, file, at FROM ledger
	WHERE scope = ? AND path IN (SELECT value FROM json_each(?)) ORDER BY path`

// LookUp implements [store.Store]. It takes one statement, and a look into an index for each path.
func (s *Store) LookUp(ctx context.Context, scope string, paths []string) ([]store.LedgerEntry, error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	list, err := json.Marshal(paths)
	if err != nil {
		return nil, err
	}
	var entries []store.LedgerEntry
	err = s.read(ctx, lookUpText, []any{scope, string(list)}, func(rows *sql.Rows) error {
		var e store.LedgerEntry
		var at micros
		err := rows.Scan(&e.Scope, &e.Path, &e.Identity, &e.Size, &e.SHA256, &e.FileID, &at)
		e.At = at.time()
		entries = append(entries, e)
		return err
	})
	if err != nil {
		return nil, wrap(ctx, "look up paths in the ledger", err)
	}
	return entries, nil
}

const forgetText = "DELETE FROM ledger WHERE scope = ? AND path IN (SELECT value FROM json_each(?))"

// Forget implements [store.Store].
func (s *Store) Forget(ctx context.Context, scope string, paths []string) error {
	list, err := json.Marshal(paths)
	if err != nil {
		return err
	}
	return s.write(ctx, "forget paths of the ledger", len(paths), func(_ context.Context, w *writer, _ micros) error {
		_, err := w.exec(forgetText, scope, string(list))
		return err
	})
}

const purgeLedgerText = `DELETE FROM ledger WHERE (scope, path) IN (SELECT scope, path FROM ledger INDEXED BY ledger_at
	WHERE at <= ? ORDER BY at LIMIT ?)`

// PurgeLedger implements [store.Store].
func (s *Store) PurgeLedger(ctx context.Context, olderThan time.Duration, limit int) (removed int, err error) {
	err = s.write(ctx, "purge the ledger", limit, func(_ context.Context, w *writer, now micros) (err error) {
		removed, err = w.purge(purgeLedgerText, now.add(-olderThan), max(0, limit))
		return err
	})
	return orNone(removed, err), err
}

// purge runs a statement that removes rows, and returns how many it removed.
func (w *writer) purge(text string, args ...any) (int, error) {
	done, err := w.exec(text, args...)
	if err != nil {
		return 0, err
	}
	n, err := done.RowsAffected()
	return int(n), err
}
