package pgstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/seed62b9dc43/transfer/store"
)

// ListFiles implements [store.Store]. Pages in the order of ids, of start and of the last event, of one transfer or follow
// id, of one path in our storage and of what failed read an index (the migrations say which, and why so few); other filters
// walk one until the page is full, and an order by source path sorts.
func (s *Store) ListFiles(ctx context.Context, q store.Query) ([]store.File, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	sql, args := listSQL(&q)
	if sql == "" {
		return nil, nil
	}
	var files []store.File
	err := s.query(ctx, sql, args, repeats(&q), func(rows pgx.Rows) error {
		in := newReader()
		for rows.Next() {
			f, err := in.read(rows)
			if err != nil {
				return err
			}
			files = append(files, f)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("pgstore: list files: %w", err)
	}
	return files, nil
}

// CountFiles implements [store.Store].
func (s *Store) CountFiles(ctx context.Context, q store.Query) (map[store.State]int64, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	counts := make(map[store.State]int64)
	sql, args := countSQL(&q)
	if sql == "" {
		return counts, nil
	}
	err := s.query(ctx, sql, args, repeats(&q), func(rows pgx.Rows) error {
		for rows.Next() {
			var state store.State
			var n int64
			if err := rows.Scan(&state, &n); err != nil {
				return err
			}
			if n > 0 {
				counts[state] = n
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("pgstore: count files: %w", err)
	}
	return counts, nil
}

// query runs a statement that was put together for one call. One that repeats is prepared, where the pool does that, and
// planned once for all after some calls.
func (s *Store) query(ctx context.Context, sql string, args []any, repeats bool, read func(pgx.Rows) error) error {
	if s.replan && !repeats {
		args = append([]any{pgx.QueryExecModeCacheDescribe}, args...)
	}
	rows, err := s.pool.Query(ctx, qualify(s.schema, sql), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if err := read(rows); err != nil {
		return err
	}
	return rows.Err()
}
