package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/seed62b9dc43/transfer/store"
)

const (
	setWanted    = `UPDATE files SET wanted = ?, updated_at = ? WHERE id = ?`
	setPaused    = `UPDATE files SET state = 4, updated_at = ?, wanted = 0, worker = '', lease_until = NULL WHERE id = ?`
	setCancelled = `UPDATE files SET state = 7, updated_at = ?1, finished_at = ?1, wanted = 0, worker = '', lease_until = NULL,
		code = ?2, detail = ?3, message = ?4 WHERE id = ?5`
	setResumed = `UPDATE files SET state = ?, ready_at = ?, updated_at = ? WHERE id = ?`
)

// Control implements [store.Store].
func (s *Store) Control(ctx context.Context, r store.ControlRequest) ([]error, error) {
	steer := steering(r.To)
	if steer == nil {
		return nil, fmt.Errorf("sqlitestore: ControlRequest.To is %v (try Paused, Cancelled or Queued)", r.To)
	}
	verdicts := make([]error, len(r.IDs))
	err := s.write(ctx, "control files", len(r.IDs), func(ctx context.Context, w *writer, now micros) (err error) {
		for i, id := range r.IDs {
			if err := ctx.Err(); err != nil {
				return err
			}
			f := steered{id: id}
			verdicts[i] = nil
			switch err = w.read(&f); {
			case errors.Is(err, sql.ErrNoRows):
				verdicts[i] = store.ErrNotFound
			case err != nil:
				return err
			default:
				if verdicts[i], err = steer(w, &f, now); err != nil {
					return fmt.Errorf("write file %d: %w", id, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return verdicts, nil
}

// steered is what there is to know of a file that a user steers.
type steered struct {
	id             int64
	state, wanted  store.State
	readyAt        int64
	startAt, lease sql.NullInt64
	started        bool
}

func (w *writer) read(f *steered) error {
	return w.row("SELECT state, wanted, ready_at, start_at, lease_until, started_at IS NOT NULL FROM files WHERE id = ?", []any{f.id},
		&f.state, &f.wanted, &f.readyAt, &f.startAt, &f.lease, &f.started)
}

// held tells whether a worker has the file under a lease that has not expired.
func (f *steered) held(now micros) bool {
	return f.state == store.Running && f.lease.Int64 > int64(now)
}

func (f *steered) stateError() error {
	if f.wanted != 0 {
		return fmt.Errorf("sqlitestore: file %d is %v and shall be %v: %w", f.id, f.state, f.wanted, store.ErrState)
	}
	return fmt.Errorf("sqlitestore: file %d is %v: %w", f.id, f.state, store.ErrState)
}

// steering returns what brings a file to a state, or tells why not; nil if a user cannot ask for it. What it returns
// second is a failure that concerns all files.
func steering(to store.State) func(w *writer, f *steered, now micros) (verdict, failure error) {
	switch to {
	case store.Paused:
		return (*writer).pause
	case store.Cancelled:
		return (*writer).cancel
	case store.Queued:
		return (*writer).resume
	}
	return nil
}

func (w *writer) pause(f *steered, now micros) (verdict, failure error) {
	switch {
	case f.state == store.Paused:
		return nil, nil
	case f.state.Final() || f.wanted == store.Cancelled:
		return f.stateError(), nil
	case f.held(now):
		return nil, w.want(f, store.Paused, now)
	}
	w.effects.move(f.state, store.Paused)
	_, err := w.exec(setPaused, int64(now), f.id)
	return nil, err
}

func (w *writer) cancel(f *steered, now micros) (verdict, failure error) {
	switch {
	case f.state == store.Cancelled:
		return nil, nil
	case f.state.Final():
		return f.stateError(), nil
	case f.held(now):
		return nil, w.want(f, store.Cancelled, now)
	}
	w.effects.move(f.state, store.Cancelled)
	why := store.CancelledFailure
	if _, err := w.exec(setCancelled, int64(now), why.Code, why.Detail, why.Message, f.id); err != nil {
		return nil, err
	}
	return nil, w.finished(f.id, nil, now)
}

func (w *writer) resume(f *steered, now micros) (verdict, failure error) {
	switch {
	case f.state.Final() || f.wanted == store.Cancelled:
		return f.stateError(), nil
	case f.wanted == store.Paused:
		return nil, w.want(f, 0, now)
	case f.state == store.Waiting && f.readyAt > int64(now):
		return nil, w.giveBack(f, store.Waiting, int64(now), now)
	case f.state == store.Paused && !f.started:
		return nil, w.giveBack(f, store.Queued, max(f.startAt.Int64, int64(now)), now)
	case f.state == store.Paused:
		return nil, w.giveBack(f, store.Interrupted, int64(now), now)
	}
	return nil, nil
}

// want notes what the worker that holds the file shall learn at its next Update; 0: that it may go on.
func (w *writer) want(f *steered, state store.State, now micros) error {
	if f.wanted == state {
		return nil
	}
	w.effects.hints[store.FilesWanted] = w.effects.hints[store.FilesWanted] || state != 0
	_, err := w.exec(setWanted, int64(state), int64(now), f.id)
	return err
}

// giveBack makes a file ready from ready on.
func (w *writer) giveBack(f *steered, state store.State, ready int64, now micros) error {
	w.effects.move(f.state, state)
	w.effects.hint(state)
	_, err := w.exec(setResumed, int64(state), ready, int64(now), f.id)
	return err
}
