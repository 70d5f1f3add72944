package sqlitestore

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

const dutyColumns = `name, spec, state, due_at, worker, token, lease_until, created_at, updated_at`

func scanDuty(rows *sql.Rows) (store.Duty, error) {
	var d store.Duty
	var due, created, updated micros
	var lease sql.NullInt64
	err := rows.Scan(&d.Name, &d.Spec, &d.State, &due, &d.Worker, &d.Token, &lease, &created, &updated)
	d.DueAt, d.LeaseUntil, d.CreatedAt, d.UpdatedAt = due.time(), timeOrZero(lease), created.time(), updated.time()
	return d, err
}

// CreateDuty implements [store.Store].
func (s *Store) CreateDuty(ctx context.Context, d store.Duty) error {
	return plain(s.write(ctx, "create duty "+d.Name, 1, func(_ context.Context, w *writer, now micros) error {
		due := now
		if !d.DueAt.IsZero() {
			due = microsOf(d.DueAt)
		}
		done, err := w.exec(`INSERT INTO duties (name, spec, state, due_at, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
			ON CONFLICT (name) DO NOTHING`, d.Name, d.Spec, d.State, int64(due), int64(now))
		if err := written(done, err, store.ErrExists); err != nil {
			return err
		}
		w.effects.hints[store.DutiesChanged] = true
		return nil
	}))
}

// written returns err, or none if the statement wrote no row.
func written(done sql.Result, err, none error) error {
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return cmpError(err, none)
	}
	return nil
}

// claimDuties looks at all duties of a prefix: they are few.
const claimDuties = `UPDATE duties SET worker = ?1, token = token + 1, lease_until = ?2, updated_at = ?3 WHERE name IN (
		SELECT name FROM duties WHERE name >= ?4 AND (?5 = '' OR name < ?5) AND coalesce(lease_until, due_at) <= ?3
		ORDER BY due_at, name LIMIT ?6)
	RETURNING ` + dutyColumns

// ClaimDuties implements [store.Store].
func (s *Store) ClaimDuties(ctx context.Context, r store.DutyRequest) ([]store.Duty, error) {
	var claimed []store.Duty
	err := s.write(ctx, "claim duties", max(0, r.Max), func(_ context.Context, w *writer, now micros) error {
		claimed = nil
		args := []any{r.Worker, now.add(r.Lease), int64(now), r.Prefix, behindPrefix(r.Prefix), max(0, r.Max)}
		return w.each(claimDuties, args, func(rows *sql.Rows) error {
			d, err := scanDuty(rows)
			claimed = append(claimed, d)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(claimed, func(a, b store.Duty) int { return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(a.Name, b.Name)) })
	return claimed, nil
}

const (
	keepDuty   = `UPDATE duties SET state = ?, updated_at = ?, lease_until = ? WHERE name = ? AND token = ? AND lease_until IS NOT NULL`
	giveUpDuty = `UPDATE duties SET state = ?, updated_at = ?, due_at = ?, worker = '', lease_until = NULL
		WHERE name = ? AND token = ? AND lease_until IS NOT NULL`
)

// UpdateDuty implements [store.Store].
func (s *Store) UpdateDuty(ctx context.Context, d store.Duty, lease time.Duration) error {
	return plain(s.write(ctx, "update duty "+d.Name, 1, func(_ context.Context, w *writer, now micros) error {
		text, at := giveUpDuty, now.add(max(0, d.Delay))
		switch {
		case lease > 0:
			text, at = keepDuty, now.add(lease)
		case !d.DueAt.IsZero():
			at = d.DueAt.UnixMicro()
		}
		done, err := w.exec(text, d.State, int64(now), at, d.Name, d.Token)
		if err := written(done, err, store.ErrLeaseLost); err != nil {
			return err
		}
		w.effects.hints[store.DutiesChanged] = w.effects.hints[store.DutiesChanged] || lease <= 0
		return nil
	}))
}

// DeleteDuty implements [store.Store].
func (s *Store) DeleteDuty(ctx context.Context, name string, token int64) error {
	return plain(s.write(ctx, "delete duty "+name, 1, func(_ context.Context, w *writer, _ micros) error {
		known := false
		if err := w.row("SELECT EXISTS (SELECT 1 FROM duties WHERE name = ?)", []any{name}, &known); err != nil {
			return err
		}
		if !known {
			return store.ErrNotFound
		}
		done, err := w.exec("DELETE FROM duties WHERE name = ?1 AND (?2 = 0 OR token = ?2 AND lease_until IS NOT NULL)", name, token)
		return written(done, err, store.ErrLeaseLost)
	}))
}

// ListDuties implements [store.Store].
func (s *Store) ListDuties(ctx context.Context, q store.DutyQuery) ([]store.Duty, error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	const text = "SELECT " + dutyColumns + ` FROM duties WHERE name > ?1 AND name >= ?2 AND (?3 = '' OR name < ?3)
		ORDER BY name LIMIT ?4`
	var duties []store.Duty
	args := []any{q.After, q.Prefix, behindPrefix(q.Prefix), orAll(q.Limit)}
	err = s.read(ctx, text, args, func(rows *sql.Rows) error {
		d, err := scanDuty(rows)
		duties = append(duties, d)
		return err
	})
	if err != nil {
		return nil, wrap(ctx, "list duties", err)
	}
	return duties, nil
}
