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

// terms are what a query asks of a row. @ stands for a value.
type terms struct {
	dollar string
	texts  []string
	args   []any
}

func (t *terms) add(term string, values ...any) {
	for _, value := range values {
		t.args = append(t.args, value)
		term = strings.Replace(term, "@", fmt.Sprint(t.dollar, len(t.args)), 1)
	}
	t.texts = append(t.texts, term)
}

// where translates the filters that are measured, and the cursor.
func (p *plainSQL) where(q *store.Query) (string, []any) {
	t := &terms{dollar: p.dollar}
	for _, f := range [...]struct{ column, want string }{
		{"transfer_id", q.TransferID}, {"connector_id", q.ConnectorID}, {"follow_id", q.FollowID}, {"rule_name", q.RuleName},
		{"partner", q.Partner}, {"local_path", q.LocalPath}, {"code", q.Code},
	} {
		if f.want != "" {
			t.add(f.column+" = @", f.want)
		}
	}
	if q.LocalPrefix != "" {
		t.add(fmt.Sprintf("substr(local_path, 1, %d) = @", len(q.LocalPrefix)), q.LocalPrefix) // its paths are ASCII
	}
	for key, value := range q.Metadata {
		t.add("metadata->>CAST(@ AS text) = @", key, value)
	}
	t.states(q)
	t.behind(q)
	if len(t.texts) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(t.texts, " AND "), t.args
}

func (t *terms) states(q *store.Query) {
	if q.States != nil {
		numbers := make([]string, len(q.States))
		for i, s := range q.States {
			numbers[i] = fmt.Sprint(int(s))
		}
		t.add("state IN (" + strings.Join(numbers, ", ") + ")")
	}
	if q.Litter {
		t.add("state IN (6, 7, 8) AND checkpoint <> ''")
	}
}

func (t *terms) behind(q *store.Query) {
	if q.After == (store.Cursor{}) {
		return
	}
	column, after, direction := plainOrder(q)
	than := ">"
	if direction != "" {
		than = "<"
	}
	t.add("("+column+", id) "+than+" (@, @)", after, q.After.ID)
}
