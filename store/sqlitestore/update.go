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
	setProgress = `UPDATE files SET phase = ?1, skipped = ?2, size = ?3, acked = ?4, block_size = ?5, rank = ?6, sha256 = ?7,
		checkpoint = ?8, code = ?9, detail = ?10, message = ?11, updated_at = ?12, `
	ifHeld    = ` WHERE id = ?13 AND token = ?14 AND state = 2`
	setLease  = setProgress + `lease_until = ?15` + ifHeld
	setReady  = setProgress + `state = ?15, ready_at = ?16, worker = '', lease_until = NULL` + ifHeld
	setFinish = setProgress + `state = ?15, finished_at = ?12, worker = '', lease_until = NULL` + ifHeld
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
	args := make([]any, 0, 16)
	args = append(args, int64(c.Phase), c.Skipped, c.Size, c.Offset, c.BlockSize, c.Rank, c.SHA256, c.Checkpoint,
		c.Code, c.Detail, c.Message, int64(now), c.ID, c.Token)
	var result sql.Result
	var err error
	switch c.State {
	case store.Running:
		result, err = w.exec(setLease, append(args, now.add(c.Lease))...)
	case store.Waiting, store.Interrupted:
		result, err = w.exec(setReady, append(args, int64(c.State), now.add(max(0, c.Delay)))...)
	case store.Done, store.Failed:
		args[7] = nil // nobody needs the checkpoint any more
		result, err = w.exec(setFinish, append(args, int64(c.State))...)
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
