package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/seed62b9dc43/transfer/store"
)

const dutyColumns = `name, spec, state, due_at, worker, token, lease_until, created_at, updated_at`

// Duties are few: each of these that names a prefix looks at all. Rows that another node is claiming just now are passed
// over.
const (
	createDutySQL = `
INSERT INTO @.duties (name, spec, state, due_at, created_at, updated_at)
VALUES ($1, $2, $3, coalesce($4::timestamptz, statement_timestamp()), statement_timestamp(), statement_timestamp())
ON CONFLICT DO NOTHING`
	claimDutiesSQL = `
WITH due AS (
	SELECT name FROM @.duties
	WHERE starts_with(name, $2) AND coalesce(lease_until, due_at) <= statement_timestamp()
	ORDER BY due_at, name LIMIT $3 FOR UPDATE SKIP LOCKED
), claimed AS (
	UPDATE @.duties d SET worker = $1, token = token + 1, lease_until = statement_timestamp() + $4::interval,
		updated_at = statement_timestamp()
	FROM due WHERE d.name = due.name
	RETURNING d.*
)
SELECT ` + dutyColumns + ` FROM claimed ORDER BY due_at, name`
	keepDutySQL = `
UPDATE @.duties SET state = $3, updated_at = statement_timestamp(), lease_until = statement_timestamp() + $4::interval
WHERE name = $1 AND token = $2 AND lease_until IS NOT NULL`
	giveUpDutySQL = `
UPDATE @.duties SET state = $3, updated_at = statement_timestamp(), worker = '', lease_until = NULL,
	due_at = coalesce($5::timestamptz, statement_timestamp() + $4::interval)
WHERE name = $1 AND token = $2 AND lease_until IS NOT NULL`
	deleteDutySQL = `
WITH known AS MATERIALIZED (
	SELECT name, token, lease_until FROM @.duties WHERE name = $1 FOR UPDATE
), gone AS (
	DELETE FROM @.duties d USING known k WHERE d.name = k.name AND ($2 = 0 OR k.token = $2 AND k.lease_until IS NOT NULL)
	RETURNING 1
)
SELECT (SELECT count(*) FROM known), (SELECT count(*) FROM gone)`
	listDutiesSQL = `SELECT ` + dutyColumns + ` FROM @.duties WHERE starts_with(name, $1) AND name > $2 ORDER BY name LIMIT $3`
)

// timeOrNull is null for the zero time.
func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	whole := t.Truncate(time.Microsecond)
	return &whole
}

// CreateDuty implements [store.Store].
func (s *Store) CreateDuty(ctx context.Context, d store.Duty) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	done, err := s.pool.Exec(ctx, qualify(s.schema, createDutySQL), d.Name, d.Spec, d.State, timeOrNull(d.DueAt))
	switch {
	case err != nil:
		return fmt.Errorf("pgstore: create duty %s: %w", d.Name, err)
	case done.RowsAffected() == 0:
		return store.ErrExists
	}
	s.announce(store.DutiesChanged)
	return nil
}

// ClaimDuties implements [store.Store].
func (s *Store) ClaimDuties(ctx context.Context, r store.DutyRequest) ([]store.Duty, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var claimed []store.Duty
	err := retry(func() (err error) {
		claimed, err = s.duties(ctx, claimDutiesSQL, r.Worker, r.Prefix, max(0, r.Max), r.Lease)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("pgstore: claim duties: %w", err)
	}
	return claimed, nil
}

// duties runs a statement that returns dutyColumns.
func (s *Store) duties(ctx context.Context, sql string, args ...any) ([]store.Duty, error) {
	rows, err := s.pool.Query(ctx, qualify(s.schema, sql), args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanDuty)
}

func scanDuty(row pgx.CollectableRow) (store.Duty, error) {
	var d store.Duty
	var due, lease, created, updated pgtype.Timestamptz
	err := row.Scan(&d.Name, &d.Spec, &d.State, &due, &d.Worker, &d.Token, &lease, &created, &updated)
	d.DueAt, d.LeaseUntil, d.CreatedAt, d.UpdatedAt = utc(due), utc(lease), utc(created), utc(updated)
	return d, err
}

// UpdateDuty implements [store.Store].
func (s *Store) UpdateDuty(ctx context.Context, d store.Duty, lease time.Duration) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	sql, args := keepDutySQL, []any{d.Name, d.Token, d.State, lease}
	if lease <= 0 {
		sql, args = giveUpDutySQL, []any{d.Name, d.Token, d.State, max(0, d.Delay), timeOrNull(d.DueAt)}
	}
	if !storable(d.Name) {
		return store.ErrLeaseLost
	}
	done, err := s.pool.Exec(ctx, qualify(s.schema, sql), args...)
	switch {
	case err != nil:
		return fmt.Errorf("pgstore: update duty %s: %w", d.Name, err)
	case done.RowsAffected() == 0:
		return store.ErrLeaseLost
	case lease <= 0:
		s.announce(store.DutiesChanged)
	}
	return nil
}

// DeleteDuty implements [store.Store].
func (s *Store) DeleteDuty(ctx context.Context, name string, token int64) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if !storable(name) {
		return store.ErrNotFound
	}
	var known, gone int
	err := s.pool.QueryRow(ctx, qualify(s.schema, deleteDutySQL), name, token).Scan(&known, &gone)
	switch {
	case err != nil:
		return fmt.Errorf("pgstore: delete duty %s: %w", name, err)
	case known == 0:
		return store.ErrNotFound
	case gone == 0:
		return store.ErrLeaseLost
	}
	return nil
}

// ListDuties implements [store.Store].
func (s *Store) ListDuties(ctx context.Context, q store.DutyQuery) ([]store.Duty, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	duties, err := s.duties(ctx, listDutiesSQL, q.Prefix, q.After, orAll(q.Limit))
	if err != nil {
		return nil, fmt.Errorf("pgstore: list duties: %w", err)
	}
	return duties, nil
}
