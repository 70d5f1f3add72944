package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// CreateOperation implements [store.Store].
func (s *Store) CreateOperation(ctx context.Context, o store.Operation) (created store.Operation, err error) {
	err = s.write(ctx, "create operation "+o.ID, 1, func(_ context.Context, w *writer, now micros) error {
		done, err := w.exec(`INSERT INTO operations (id, connector, spec, created_at, until) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (id) DO NOTHING`, o.ID, o.ConnectorID, o.Spec, int64(now), now.add(o.Limit))
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return cmpError(err, store.ErrExists)
		}
		created, err = scanOperation(now, func(into ...any) error {
			return w.row(getOperation, []any{o.ID}, into...)
		})
		return err
	})
	return orNone(created, err), plain(err)
}

// FinishOperation implements [store.Store].
func (s *Store) FinishOperation(ctx context.Context, o store.Operation) error {
	return plain(s.write(ctx, "finish operation "+o.ID, 1, func(_ context.Context, w *writer, now micros) error {
		var open bool
		err := w.row("SELECT finished_at IS NULL AND until > ? FROM operations WHERE id = ?", []any{int64(now), o.ID}, &open)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return store.ErrNotFound
		case err != nil:
			return err
		case !open:
			return store.ErrState
		}
		_, err = w.exec("UPDATE operations SET finished_at = ?, code = ?, detail = ?, message = ?, result = ? WHERE id = ?",
			int64(now), o.Code, o.Detail, o.Message, o.Result, o.ID)
		return err
	}))
}

const operationColumns = `id, connector, spec, created_at, until, finished_at, code, detail, message, result`

const getOperation = `SELECT ` + operationColumns + ` FROM operations WHERE id = ?`

func scanOperation(now micros, scan func(into ...any) error) (store.Operation, error) {
	var o store.Operation
	var created, until micros
	var finished sql.NullInt64
	err := scan(&o.ID, &o.ConnectorID, &o.Spec, &created, &until, &finished, &o.Code, &o.Detail, &o.Message, &o.Result)
	o.CreatedAt, o.Until = created.time(), until.time()
	o.Finished, o.FinishedAt = finished.Valid, timeOrZero(finished)
	o.Expired = !o.Finished && until <= now
	return o, err
}

// GetOperation implements [store.Store].
func (s *Store) GetOperation(ctx context.Context, id string) (store.Operation, error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return store.Operation{}, err
	}
	defer leave()
	o, err := scanOperation(microsOf(time.Now()), s.readers.QueryRowContext(ctx, getOperation, id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Operation{}, store.ErrNotFound
	}
	if err != nil {
		return store.Operation{}, wrap(ctx, "get operation "+id, err)
	}
	return o, nil
}

// operationsText returns the statement that lists what q selects.
func operationsText(q *store.OperationQuery) (string, []any) {
	c := conditions{}
	if q.ConnectorID != "" {
		c.add("connector = ?", q.ConnectorID)
	}
	if q.Before != "" {
		c.add("id < ?", q.Before)
	}
	return "SELECT " + operationColumns + c.source(&store.Query{}, " FROM operations") + " ORDER BY id DESC LIMIT ?",
		append(c.args, orAll(q.Limit))
}

// ListOperations implements [store.Store].
func (s *Store) ListOperations(ctx context.Context, q store.OperationQuery) ([]store.Operation, error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var list []store.Operation
	now := microsOf(time.Now())
	text, args := operationsText(&q)
	err = s.read(ctx, text, args, func(rows *sql.Rows) error {
		o, err := scanOperation(now, rows.Scan)
		list = append(list, o)
		return err
	})
	if err != nil {
		return nil, wrap(ctx, "list operations", err)
	}
	return list, nil
}

// PurgeOperations implements [store.Store].
func (s *Store) PurgeOperations(ctx context.Context, olderThan time.Duration, limit int) (removed int, err error) {
	err = s.write(ctx, "purge operations", limit, func(_ context.Context, w *writer, now micros) error {
		done, err := w.exec(`DELETE FROM operations WHERE id IN (
			SELECT id FROM operations WHERE created_at <= ? AND until <= ? ORDER BY created_at LIMIT ?)`,
			now.add(-olderThan), int64(now), max(0, limit))
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		removed = int(n)
		return err
	})
	return orNone(removed, err), err
}
