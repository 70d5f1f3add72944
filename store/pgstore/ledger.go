package pgstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed62b9dc43/transfer/store"
)

const (
	lookUpSQL = `SELECT scope, path, identity, size, sha256, file_id, at FROM @.ledger
WHERE key = ANY($1::bytea[]) AND scope = $2 ORDER BY path`
	// The rows are locked in the order of their keys, so that two of these never wait for each other.
	forgetSQL = `
WITH held AS MATERIALIZED (SELECT key FROM @.ledger WHERE key = ANY($1::bytea[]) ORDER BY key FOR UPDATE)
DELETE FROM @.ledger l USING held WHERE l.key = held.key`
	purgeLedgerSQL = `
WITH old AS MATERIALIZED (
	SELECT key FROM @.ledger WHERE at <= statement_timestamp() - $1::interval ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED
)
DELETE FROM @.ledger l USING old WHERE l.key = old.key`
)

// ledgerKey is the primary key of an entry. Paths come from the other side, so the hash is one in which nobody finds two
// with the same.
func ledgerKey(scope, path string) []byte {
	text := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(scope)+len(path)), uint64(len(scope)))
	sum := sha256.Sum256(append(append(text, scope...), path...))
	return sum[:]
}

func ledgerKeys(scope string, paths []string) [][]byte {
	keys := make([][]byte, len(paths))
	for i, path := range paths {
		keys[i] = ledgerKey(scope, path)
	}
	return keys
}

// LookUp implements [store.Store]. It takes one statement, and a look into an index for each path.
func (s *Store) LookUp(ctx context.Context, scope string, paths []string) ([]store.LedgerEntry, error) {
	if err := s.usable(ctx); err != nil || len(paths) == 0 || !storable(scope) {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, qualify(s.schema, lookUpSQL), ledgerKeys(scope, paths), scope)
	if err != nil {
		return nil, fmt.Errorf("pgstore: look up %d paths in the ledger: %w", len(paths), err)
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e store.LedgerEntry, err error) {
		err = row.Scan(&e.Scope, &e.Path, &e.Identity, &e.Size, &e.SHA256, &e.FileID, &e.At)
		e.At = e.At.UTC()
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("pgstore: look up %d paths in the ledger: %w", len(paths), err)
	}
	return entries, nil
}

// Forget implements [store.Store].
func (s *Store) Forget(ctx context.Context, scope string, paths []string) error {
	if err := s.usable(ctx); err != nil || len(paths) == 0 {
		return err
	}
	err := retry(func() error {
		_, err := s.pool.Exec(ctx, qualify(s.schema, forgetSQL), ledgerKeys(scope, paths))
		return err
	})
	if err != nil {
		return fmt.Errorf("pgstore: forget %d paths of the ledger: %w", len(paths), err)
	}
	return nil
}

// PurgeLedger implements [store.Store].
func (s *Store) PurgeLedger(ctx context.Context, olderThan time.Duration, limit int) (int, error) {
	return s.remove(ctx, "purge the ledger", purgeLedgerSQL, olderThan, max(0, limit))
}

// remove runs a statement that removes rows, and returns how many it removed.
func (s *Store) remove(ctx context.Context, doing, sql string, args ...any) (int, error) {
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	removed := 0
	err := retry(func() error {
		done, err := s.pool.Exec(ctx, qualify(s.schema, sql), args...)
		removed = int(done.RowsAffected())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("pgstore: %s: %w", doing, err)
	}
	return removed, nil
}

// entries are what the changes of an update enter into the ledger, as one array for each column.
type entries struct {
	files                     []int64
	keys, sums                [][]byte
	scopes, paths, identities []string
	sizes                     []int64
}

func (e *entries) add(file int64, entry *store.LedgerEntry) {
	e.files = append(e.files, file)
	e.keys = append(e.keys, ledgerKey(entry.Scope, entry.Path))
	e.scopes, e.paths = append(e.scopes, entry.Scope), append(e.paths, entry.Path)
	e.identities = append(e.identities, entry.Identity)
	e.sizes, e.sums = append(e.sizes, entry.Size), append(e.sums, entry.SHA256)
}

func (e *entries) arguments() []any {
	return []any{e.files, e.keys, e.scopes, e.paths, e.identities, e.sizes, e.sums}
}
