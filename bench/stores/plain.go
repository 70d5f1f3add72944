package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed62b9dc43/transfer/store"
)

// plain holds the same rows as a store without any index, so that each answer takes a full scan. It knows the filters
// that are measured, not all.
type plain interface {
	// add appends rows.
	add(ctx context.Context, files []store.File) error
	// page returns the ids of the files that q selects.
	page(ctx context.Context, q *store.Query) ([]int64, error)
	// count returns how many files q selects.
	count(ctx context.Context, q *store.Query) (int64, error)
	close() error
}

// copyRows fills p with what s has.
func copyRows(ctx context.Context, s store.Store, p plain) error {
	q := store.Query{Limit: 10_000}
	for {
		files, err := s.ListFiles(ctx, q)
		if err != nil || len(files) == 0 {
			return err
		}
		q.After = q.CursorOf(&files[len(files)-1])
		if err := p.add(ctx, files); err != nil {
			return err
		}
	}
}

// plainMemory is a slice of rows.
type plainMemory struct {
	files    []store.File
	metadata map[string]map[string]string // one for each transfer, not for each file
}

func (p *plainMemory) add(_ context.Context, files []store.File) error {
	if p.metadata == nil {
		p.metadata = make(map[string]map[string]string)
	}
	for i := range files {
		f := &files[i]
		if len(f.Metadata) > 0 {
			if p.metadata[f.TransferID] == nil {
				p.metadata[f.TransferID] = f.Metadata
			}
			f.Metadata = p.metadata[f.TransferID]
		}
	}
	p.files = append(p.files, files...)
	return nil
}

// page keeps the best q.Limit files of those that match, as a database does.
func (p *plainMemory) page(_ context.Context, q *store.Query) ([]int64, error) {
	best := make([]*store.File, 0, q.Limit+1)
	for i := range p.files {
		f := &p.files[i]
		if !q.Matches(f) || !q.Behind(f) {
			continue
		}
		if len(best) == q.Limit && q.Compare(f, best[len(best)-1]) > 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, f, q.Compare)
		best = slices.Insert(best, at, f)
		best = best[:min(len(best), q.Limit)]
	}
	ids := make([]int64, len(best))
	for i, f := range best {
		ids[i] = f.ID
	}
	return ids, nil
}

func (p *plainMemory) count(_ context.Context, q *store.Query) (int64, error) {
	n := int64(0)
	for i := range p.files {
		if q.Matches(&p.files[i]) {
			n++
		}
	}
	return n, nil
}

func (p *plainMemory) close() error { return nil }

// plainSQL is a table of a database, with all that a row of a list has.
type plainSQL struct {
	db       *sql.DB
	dollar   string // what stands before the number of a parameter
	together int    // rows of one statement
}

// plainColumns are those of the table. Texts and numbers of both databases.
var plainColumns = []string{
	"id bigint", "transfer_id text", "connector_id text", "follow_id text", "rule_name text", "partner text", "source_path text",
	"target_path text", "local_path text", "direction int", "state int", "code text", "message text", "metadata jsonb",
	"checkpoint text", "sha256 text", "start_time bigint", "updated_time bigint", "created_time bigint", "size bigint",
	"acknowledged bigint", "attempts bigint", "worker text",
}

// create makes the table.
func (p *plainSQL) create(ctx context.Context) (*plainSQL, error) {
	if _, err := p.db.ExecContext(ctx, "CREATE TABLE plain ("+strings.Join(plainColumns, ", ")+")"); err != nil {
		return nil, errors.Join(fmt.Errorf("create the table without indexes: %w", err), p.db.Close())
	}
	return p, nil
}

// add inserts rows, some with each statement, in one transaction.
func (p *plainSQL) add(ctx context.Context, files []store.File) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("fill the table without indexes: %w", err)
		}
	}()
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing once it is committed
	insert, err := tx.PrepareContext(ctx, p.insertText(p.together))
	if err != nil {
		return err
	}
	for part := range slices.Chunk(files, p.together) {
		args, err := plainArgs(part)
		if err != nil {
			return err
		}
		if len(part) == p.together {
			_, err = insert.ExecContext(ctx, args...)
		} else {
			_, err = tx.ExecContext(ctx, p.insertText(len(part)), args...)
		}
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

// insertText is the statement that inserts n rows.
func (p *plainSQL) insertText(n int) string {
	rows, number := make([]string, n), 0
	for i := range rows {
		values := make([]string, len(plainColumns))
		for k := range values {
			number++
			values[k] = fmt.Sprint(p.dollar, number)
		}
		rows[i] = "(" + strings.Join(values, ", ") + ")"
	}
	return "INSERT INTO plain VALUES " + strings.Join(rows, ", ")
}

func plainArgs(files []store.File) ([]any, error) {
	args := make([]any, 0, len(files)*len(plainColumns))
	for i := range files {
		row, err := plainRow(&files[i])
		if err != nil {
			return nil, err
		}
		args = append(args, row...)
	}
	return args, nil
}

func plainRow(f *store.File) ([]any, error) {
	metadata, err := json.Marshal(f.Metadata)
	return []any{
		f.ID, f.TransferID, f.ConnectorID, f.FollowID, f.RuleName, f.Partner, f.SourcePath,
		f.TargetPath, f.LocalPath(), int64(f.Direction), int64(f.State), f.Code, f.Message, string(metadata),
		string(f.Checkpoint), fmt.Sprintf("%x", f.SHA256), f.Start().UnixMicro(), f.UpdatedAt.UnixMicro(), f.CreatedAt.UnixMicro(), f.Size,
		f.Offset, int64(f.Attempts), f.Worker,
	}, err
}

func (p *plainSQL) page(ctx context.Context, q *store.Query) ([]int64, error) {
	where, args := p.where(q)
	order, _, direction := plainOrder(q)
	text := fmt.Sprintf("SELECT * FROM plain%s ORDER BY %s%s, id%s LIMIT %d", where, order, direction, direction, q.Limit)
	rows, err := p.db.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var ids []int64
	row := make([]any, len(plainColumns))
	for i := range row {
		row[i] = new(any)
	}
	var id int64
	row[0] = &id
	for rows.Next() {
		if err := rows.Scan(row...); err != nil {
			return nil, fmt.Errorf("scan: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

func (p *plainSQL) count(ctx context.Context, q *store.Query) (int64, error) {
	where, args := p.where(q)
	var n int64
	err := p.db.QueryRowContext(ctx, "SELECT count(*) FROM plain"+where, args...).Scan(&n)
	return n, err
}

func (p *plainSQL) close() error { return p.db.Close() }

// plainOrder returns the column of q's order, its place in a cursor, and its direction.
func plainOrder(q *store.Query) (column string, after any, direction string) {
	if q.Order == store.ByIDDesc || q.Order == store.ByStartDesc || q.Order == store.ByStopDesc || q.Order == store.BySourceDesc {
		direction = " DESC"
	}
	switch q.Order {
	case store.ByStart, store.ByStartDesc:
		return "start_time", q.After.Time.UnixMicro(), direction
	case store.ByStop, store.ByStopDesc:
		return "updated_time", q.After.Time.UnixMicro(), direction
	case store.BySource, store.BySourceDesc:
		return "source_path", q.After.Text, direction
	}
	return "id", q.After.ID, direction
}

// where translates the filters that are measured. @ stands for a value.
func (p *plainSQL) where(q *store.Query) (string, []any) {
	var terms []string
	var args []any
	add := func(term string, values ...any) {
		for _, value := range values {
			args = append(args, value)
			term = strings.Replace(term, "@", fmt.Sprint(p.dollar, len(args)), 1)
		}
		terms = append(terms, term)
	}
	for _, f := range [...]struct{ column, want string }{
		{"transfer_id", q.TransferID}, {"connector_id", q.ConnectorID}, {"follow_id", q.FollowID}, {"rule_name", q.RuleName},
		{"partner", q.Partner}, {"source_path", q.SourcePath}, {"local_path", q.LocalPath}, {"code", q.Code},
	} {
		if f.want != "" {
			add(f.column+" = @", f.want)
		}
	}
	if q.LocalPrefix != "" {
		add(fmt.Sprintf("substr(local_path, 1, %d) = @", len(q.LocalPrefix)), q.LocalPrefix) // its paths are ASCII
	}
	for key, value := range q.Metadata {
		add("metadata->>CAST(@ AS text) = @", key, value)
	}
	if q.States != nil {
		states := fmt.Sprint(toInts(q.States)) // [1 3]
		terms = append(terms, "state IN ("+strings.ReplaceAll(strings.Trim(states, "[]"), " ", ", ")+")")
	}
	if q.Litter {
		terms = append(terms, "state IN (6, 7, 8) AND checkpoint <> ''")
	}
	if q.After != (store.Cursor{}) {
		column, after, direction := plainOrder(q)
		than := ">"
		if direction != "" {
			than = "<"
		}
		add("("+column+", id) "+than+" (@, @)", after, q.After.ID)
	}
	if len(terms) == 0 {
		return "", args
	}
	return " WHERE " + strings.Join(terms, " AND "), args
}

func toInts(states []store.State) []int {
	numbers := make([]int, len(states))
	for i, s := range states {
		numbers[i] = int(s)
	}
	return numbers
}
