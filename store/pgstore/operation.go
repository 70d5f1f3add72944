package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed62b9dc43/transfer/store"
)

const operationColumns = `id, connector_id, spec, created_at, until, finished_at, finished_at IS NULL AND until <= statement_timestamp(),
	code, detail, message, result`

const (
	createOperationSQL = `
INSERT INTO @.operations (id, connector_id, spec, created_at, until)
VALUES ($1, $2, $3, statement_timestamp(), statement_timestamp() + $4::interval)
ON CONFLICT DO NOTHING
RETURNING ` + operationColumns
	finishOperationSQL = `
UPDATE @.operations SET finished_at = statement_timestamp(), code = $2, detail = $3, message = $4, result = $5
WHERE id = $1 AND finished_at IS NULL AND until > statement_timestamp()`
	getOperationSQL    = `SELECT ` + operationColumns + ` FROM @.operations WHERE id = $1`
	purgeOperationsSQL = `
DELETE FROM @.operations WHERE id IN (
	SELECT id FROM @.operations WHERE created_at <= statement_timestamp() - $1::interval AND until <= statement_timestamp()
	ORDER BY created_at LIMIT $2
)`
)

func scanOperation(row pgx.Row) (store.Operation, error) {
	var o store.Operation
	var finished *time.Time
	err := row.Scan(&o.ID, &o.ConnectorID, &o.Spec, &o.CreatedAt, &o.Until, &finished, &o.Expired, &o.Code, &o.Detail, &o.Message, &o.Result)
	o.CreatedAt, o.Until, o.Finished = o.CreatedAt.UTC(), o.Until.UTC(), finished != nil
	if o.Finished {
		o.FinishedAt = finished.UTC()
	}
	return o, err
}

// CreateOperation implements [store.Store].
func (s *Store) CreateOperation(ctx context.Context, o store.Operation) (store.Operation, error) {
	if err := s.usable(ctx); err != nil {
		return store.Operation{}, err
	}
	created, err := scanOperation(s.pool.QueryRow(ctx, qualify(s.schema, createOperationSQL), o.ID, o.ConnectorID, o.Spec, o.Limit))
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return store.Operation{}, store.ErrExists
	case err != nil:
		return store.Operation{}, fmt.Errorf("pgstore: create operation %s: %w", o.ID, err)
	}
	return created, nil
}

// FinishOperation implements [store.Store].
func (s *Store) FinishOperation(ctx context.Context, o store.Operation) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	done, err := s.pool.Exec(ctx, qualify(s.schema, finishOperationSQL), o.ID, o.Code, o.Detail, o.Message, o.Result)
	switch {
	case err != nil:
		return fmt.Errorf("pgstore: finish operation %s: %w", o.ID, err)
	case done.RowsAffected() == 1:
		return nil
	}
	if _, err := s.GetOperation(ctx, o.ID); err != nil {
		return err
	}
	return store.ErrState
}

// GetOperation implements [store.Store].
func (s *Store) GetOperation(ctx context.Context, id string) (store.Operation, error) {
	if err := s.usable(ctx); err != nil {
		return store.Operation{}, err
	}
	if !storable(id) {
		return store.Operation{}, store.ErrNotFound
	}
	o, err := scanOperation(s.pool.QueryRow(ctx, qualify(s.schema, getOperationSQL), id))
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return store.Operation{}, store.ErrNotFound
	case err != nil:
		return store.Operation{}, fmt.Errorf("pgstore: get operation %s: %w", id, err)
	}
	return o, nil
}

// ListOperations implements [store.Store].
func (s *Store) ListOperations(ctx context.Context, q store.OperationQuery) ([]store.Operation, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	c := &conditions{}
	c.text("connector_id = ?", q.ConnectorID)
	c.text("id < ?", q.Before)
	if c.nothing {
		return nil, nil
	}
	sql := "SELECT " + operationColumns + " FROM @.operations" + c.where("true") + " ORDER BY id DESC" + limit(q.Limit, 0)
	var list []store.Operation
	err := s.query(ctx, sql, c.args, true, func(rows pgx.Rows) (err error) {
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.Operation, error) { return scanOperation(row) })
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("pgstore: list operations: %w", err)
	}
	return list, nil
}

// PurgeOperations implements [store.Store].
func (s *Store) PurgeOperations(ctx context.Context, olderThan time.Duration, limit int) (int, error) {
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	done, err := s.pool.Exec(ctx, qualify(s.schema, purgeOperationsSQL), olderThan, max(0, limit))
	if err != nil {
		return 0, fmt.Errorf("pgstore: purge operations: %w", err)
	}
	return int(done.RowsAffected()), nil
}
