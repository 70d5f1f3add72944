package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/seed62b9dc43/transfer/store"
)

// Three statements and not one, because SQLite writes every index that has a column which a statement names.
const (
	setProgress = `UPDATE files SET phase = ?, skipped = ?, size = ?, acked = ?, block_size = ?, rank = ?, sha256 = ?, checkpoint = ?,
		code = ?, detail = ?, message = ?, updated_at = ?, `
	ifHeld    = ` WHERE id = ? AND token = ? AND state = 2`
	setLease  = setProgress + `lease_until = ?` + ifHeld
	setReady  = setProgress + `state = ?, ready_at = ?, worker = '', lease_until = NULL` + ifHeld
	setFinish = setProgress + `state = ?, finished_at = ?, worker = '', lease_until = NULL` + ifHeld
)

// Update implements [store.Store].
func (s *Store) Update(ctx context.Context, changes []store.Change) ([]error, error) {
	verdicts := make([]error, len(changes))
	err := s.write(ctx, "update files", func(w *writer, now micros) (err error) {
		for i := range changes {
			if err := ctx.Err(); err != nil {
				return err
			}
			if verdicts[i], err = w.apply(&changes[i], now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.hintChanges(changes, verdicts)
	return verdicts, nil
}

func (s *Store) hintChanges(changes []store.Change, verdicts []error) {
	ready, finished := false, false
	for i, verdict := range verdicts {
		state := changes[i].State
		ready = ready || verdict == nil && (state == store.Waiting || state == store.Interrupted)
		finished = finished || verdict == nil && state.Final()
	}
	if ready {
		s.watchers.hint(store.FilesReady)
	}
	if finished {
		s.watchers.hint(store.FilesFinished)
	}
}

// apply writes one change, or tells why not. The second result is for failures that concern all changes.
func (w *writer) apply(c *store.Change, now micros) (verdict, failure error) {
	checkpoint := c.Checkpoint
	if c.State.Final() {
		checkpoint = nil // nobody needs it any more
	}
	args := append(make([]any, 0, 16), int64(c.Phase), c.Skipped, c.Size, c.Offset, c.BlockSize, c.Rank, c.SHA256, checkpoint,
		c.Code, c.Detail, c.Message, int64(now))
	var result sql.Result
	var err error
	switch c.State {
	case store.Running:
		result, err = w.exec(setLease, append(args, now.add(c.Lease), c.ID, c.Token)...)
	case store.Waiting, store.Interrupted:
		result, err = w.exec(setReady, append(args, int64(c.State), now.add(max(0, c.Delay)), c.ID, c.Token)...)
	case store.Done, store.Failed:
		result, err = w.exec(setFinish, append(args, int64(c.State), int64(now), c.ID, c.Token)...)
	default:
		return w.refuse(c)
	}
	if hasCode(err, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH) {
		return fmt.Errorf("sqlitestore: write file %d: %w", c.ID, err), nil
	}
	if err != nil {
		return nil, fmt.Errorf("write file %d: %w", c.ID, err)
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		verdict = store.ErrLeaseLost
	}
	return verdict, err
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
