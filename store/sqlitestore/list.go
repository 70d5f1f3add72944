package sqlitestore

import (
	"context"
	"database/sql"

	"github.com/seed62b9dc43/transfer/store"
)

// reader reads beside the writer.
type reader struct {
	ctx context.Context
	db  *sql.DB
}

func (r reader) row(text string, args []any, into ...any) error {
	return r.db.QueryRowContext(r.ctx, text, args...).Scan(into...)
}

func (r reader) each(text string, args []any, scan func(*sql.Rows) error) error {
	rows, err := r.db.QueryContext(r.ctx, text, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

// ListFiles implements [store.Store].
func (s *Store) ListFiles(ctx context.Context, q store.Query) ([]store.File, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	var files []store.File
	var scan scanner
	text, args := listText(&q)
	if text == "" {
		return nil, nil
	}
	err := reader{ctx, s.readers}.each(text, args, func(rows *sql.Rows) error {
		files = append(files, store.File{})
		return scan.file(rows, &files[len(files)-1])
	})
	if err != nil {
		return nil, wrap(ctx, "list files", err)
	}
	return files, nil
}

// CountFiles implements [store.Store].
func (s *Store) CountFiles(ctx context.Context, q store.Query) (map[store.State]int64, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	counts := make(map[store.State]int64)
	text, args := countText(&q)
	if text == "" {
		return counts, nil
	}
	err := reader{ctx, s.readers}.each(text, args, func(rows *sql.Rows) error {
		var state store.State
		var n int64
		err := rows.Scan(&state, &n)
		counts[state] = n
		return err
	})
	if err != nil {
		return nil, wrap(ctx, "count files", err)
	}
	return counts, nil
}
