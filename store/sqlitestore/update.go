package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/seed62b9dc43/transfer/store"
)

// Three statements and not one, because SQLite writes every index that has a column which a statement names.
const (
	setProgress = `UPDATE files SET phase = ?, skipped = ?, size = ?, acked = ?, block_size = ?, rank = ?, sha256 = ?, checkpoint = ?,
		task = ?, failures = ?, code = ?, detail = ?, message = ?, updated_at = ?, `
	ifHeld    = ` WHERE id = ? AND token = ? AND state = 2`
	setLease  = setProgress + `lease_until = ?` + ifHeld
	setReady  = setProgress + `state = ?, ready_at = ?, worker = '', lease_until = NULL` + ifHeld
	setFinish = setProgress + `state = ?, finished_at = ?, worker = '', lease_until = NULL` + ifHeld
)

// Update implements [store.Store].
func (s *Store) Update(ctx context.Context, changes []store.Change) ([]error, error) {
	verdicts := make([]error, len(changes))
	err := s.write(ctx, "update files", len(changes), func(ctx context.Context, w *writer, now micros) error {
		wanted, err := w.wanted()
		if err != nil {
			return err
		}
		for i := range changes {
			if err := ctx.Err(); err != nil {
				return err
			}
			if verdicts[i], err = w.apply(&changes[i], wanted[changes[i].ID], now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return verdicts, nil
}

// wanted returns the running files that shall be paused or cancelled; nearly always there are none.
func (w *writer) wanted() (map[int64]store.State, error) {
	var files map[int64]store.State
	err := w.each("SELECT id, wanted FROM files INDEXED BY files_wanted WHERE wanted <> 0", nil, func(rows *sql.Rows) error {
		var id int64
		var state store.State
		if files == nil {
			files = make(map[int64]store.State)
		}
		err := rows.Scan(&id, &state)
		files[id] = state
		return err
	})
	return files, err
}

// apply writes one change, or tells why not. The second result is for failures that concern all changes.
func (w *writer) apply(c *store.Change, wanted store.State, now micros) (verdict, failure error) {
	switch c.State {
	case store.Running, store.Waiting, store.Interrupted, store.Failed, store.Done:
	default:
		return w.refuse(c)
	}
	to, why := c.State, c.Failure
	if wanted != 0 && (to == store.Waiting || to == store.Interrupted) {
		to = wanted
		if wanted == store.Cancelled {
			why = store.CancelledFailure
		}
	}
	err := w.put(c, to, why, now)
	switch {
	case errors.Is(err, store.ErrLeaseLost):
		return store.ErrLeaseLost, nil
	case hasCode(err, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH):
		return fmt.Errorf("sqlitestore: write file %d: %w", c.ID, err), nil
	case err != nil:
		return nil, fmt.Errorf("write file %d: %w", c.ID, err)
	}
	w.effects.move(store.Running, to)
	if wanted == 0 {
		return nil, nil
	}
	return w.answer(c.ID, to, wanted)
}

// bulky is from how many bytes on SQLite may refuse what comes with a change: its own limit is far above.
const bulky = 64 << 10

// put writes a change and what comes with it, all or nothing.
func (w *writer) put(c *store.Change, to store.State, why store.Failure, now micros) (err error) {
	bytes := len(c.Note)
	if c.Enter != nil {
		bytes += len(c.Enter.Scope) + len(c.Enter.Path) + len(c.Enter.Identity) + len(c.Enter.SHA256)
	}
	if bytes < bulky {
		return w.putAll(c, to, why, now)
	}
	if _, err := w.exec("SAVEPOINT change"); err != nil {
		return err
	}
	before := w.effects
	if err = w.putAll(c, to, why, now); err != nil {
		w.effects = before
		if _, undo := w.exec("ROLLBACK TO change"); undo != nil {
			return undo // SQLite has rolled back everything, as it may when the disk is full
		}
	}
	_, release := w.exec("RELEASE change")
	return cmpError(err, release)
}

// putAll writes a change, the events that it is for streams, and its entry of the ledger; ErrLeaseLost says that nothing
// was written.
func (w *writer) putAll(c *store.Change, to store.State, why store.Failure, now micros) error {
	more, err := w.progresses(c)
	if err != nil {
		return err
	}
	done, err := w.change(c, to, why, now)
	if err := written(done, err, store.ErrLeaseLost); err != nil {
		return err
	}
	if more {
		return w.progressed(c.ID, now)
	}
	if to == store.Done && c.Enter != nil {
		if err := w.enter(c.Enter, c.ID, now); err != nil {
			return fmt.Errorf("enter it into the ledger: %w", err)
		}
	}
	if !to.Final() {
		return nil
	}
	return w.finished(c.ID, c.Note, now)
}

// change runs the statement that brings a file to a state.
func (w *writer) change(c *store.Change, to store.State, why store.Failure, now micros) (sql.Result, error) {
	var checkpoint any
	if len(c.Checkpoint) > 0 && to != store.Done { // nobody needs that of a file that is done
		checkpoint = c.Checkpoint
	}
	args := append(make([]any, 0, 18), int64(c.Phase), c.Skipped, c.Size, c.Offset, c.BlockSize, c.Rank, c.SHA256, checkpoint,
		c.Task, c.Failures, why.Code, why.Detail, why.Message, int64(now))
	switch to {
	case store.Running:
		return w.exec(setLease, append(args, now.add(c.Lease), c.ID, c.Token)...)
	case store.Waiting, store.Interrupted, store.Paused:
		return w.exec(setReady, append(args, int64(to), now.add(max(0, c.Delay)), c.ID, c.Token)...)
	}
	return w.exec(setFinish, append(args, int64(to), int64(now), c.ID, c.Token)...)
}

// answer tells the worker of a file what is wanted of it, or forgets that once the file is no longer Running.
func (w *writer) answer(id int64, to, wanted store.State) (verdict, failure error) {
	switch {
	case to != store.Running:
		_, err := w.exec("UPDATE files SET wanted = 0 WHERE id = ?", id)
		return nil, err
	case wanted == store.Cancelled:
		return store.ErrCancelWanted, nil
	}
	return store.ErrPauseWanted, nil
}

// refuse tells what is wrong with a change to a state that is not a worker's to write.
func (w *writer) refuse(c *store.Change) (verdict, failure error) {
	held := false
	err := w.row("SELECT EXISTS (SELECT 1 FROM files WHERE id = ? AND token = ? AND state = 2)", []any{c.ID, c.Token}, &held)
	if err != nil {
		return nil, err
	}
	if !held {
		return store.ErrLeaseLost, nil
	}
	return fmt.Errorf("sqlitestore: a worker cannot make file %d %v (try Waiting, Interrupted, Done or Failed)", c.ID, c.State), nil
}
