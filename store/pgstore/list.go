package pgstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/seed62b9dc43/transfer/store"
)

// ListFiles implements [store.Store].
//
// A page costs the same at any depth, if it is asked for by After, in the orders by id, start and stop without a filter and
// with any of those on partner, rule and states: it reads that page of an index, and all files that run, which are few. With
// a filter on transfer, follow id, local path, its prefix or litter, all files that match are read and sorted. Other
// filters, alone, pass over what does not match in one of those orders until the page is full, which may be all files. The
// order by source path reads and sorts all files that match the other filters. Offset reads what it passes over.
//
// Ids are given before the transfer that they are of is committed. So a file may come up behind a cursor that passed its
// id already, if its transfer took longer to create than one with higher ids; who follows the order by id to see all new
// files must go back by what was created meanwhile.
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

// CountFiles implements [store.Store]. It reads an index entry of each file that it counts, where the filters are those of
// partner, rule, states, transfer, follow id, local path and litter: a million in about a tenth of a second, provided that
// the table was vacuumed, and several times that where it was not. Other filters read all files.
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
