package sqlitestore

import (
	"context"
	"database/sql"

	"github.com/seed62b9dc43/transfer/store"
)

// read calls scan for each row, beside the writer.
func (s *Store) read(ctx context.Context, text string, args []any, scan func(*sql.Rows) error) error {
	rows, err := s.readers.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

// ListFiles implements [store.Store]. What a page costs does not depend on how many files there are in the orders of id,
// start and stop, if it is one of all files, of a partner, of a rule, or of these in some states; but it walks
// over all that run, in an index: there are never many.
//
// The files of a transfer, of a follow id, of a local path or prefix, and litter, are all found and sorted, in any order.
// With a partner and a rule together, and with other filters, SQLite looks at the files of one of them, or at all, in the
// order asked for until the page is full. An order by source path sorts all that match. Offset walks over what it passes.
func (s *Store) ListFiles(ctx context.Context, q store.Query) ([]store.File, error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var files []store.File
	var scan scanner
	text, args := listText(&q)
	if text == "" {
		return nil, nil
	}
	err = s.read(ctx, text, args, func(rows *sql.Rows) error {
		files = append(files, store.File{})
		return scan.file(rows, &files[len(files)-1])
	})
	if err != nil {
		return nil, wrap(ctx, "list files", err)
	}
	return files, nil
}

// CountFiles implements [store.Store]. Counts of all files, and of states, are kept and cost nothing. Otherwise it walks
// over what it counts: in an index for a partner or a rule, and from row to row for other filters.
func (s *Store) CountFiles(ctx context.Context, q store.Query) (map[store.State]int64, error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	counts := make(map[store.State]int64)
	text, args := countText(&q)
	if text == "" {
		return counts, nil
	}
	err = s.read(ctx, text, args, func(rows *sql.Rows) error {
		var state store.State
		var n int64
		err := rows.Scan(&state, &n)
		if n > 0 {
			counts[state] = n
		}
		return err
	})
	if err != nil {
		return nil, wrap(ctx, "count files", err)
	}
	return counts, nil
}
