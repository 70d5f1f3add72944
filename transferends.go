package transfer

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed62b9dc43/transfer/store"
)

// transferEnds finds out whether all files of a transfer have ended. It remembers the first one that had not, so that
// all of its answers for one transfer together look at each file once. It is not safe for concurrent use.
type transferEnds struct {
	store store.Store
	first map[string]int64 // by transfer: files with lower ids have ended; allEnded: all have
}

const (
	maxTransferEnds = 10_000 // how many transfers are remembered
	allEnded        = -1
)

// ended reports whether all files of the transfer have ended.
func (t *transferEnds) ended(ctx context.Context, id string) (bool, error) {
	if t.first[id] == allEnded {
		return true, nil
	}
	q := store.Query{TransferID: id, States: unfinished, Limit: 1}
	if first := t.first[id]; first > 0 {
		q.After = store.Cursor{ID: first - 1}
	}
	files, err := t.store.ListFiles(ctx, q)
	if err != nil {
		return false, fmt.Errorf("look for files of transfer %s that have not ended: %w", id, err)
	}
	if len(t.first) >= maxTransferEnds || t.first == nil {
		t.first = make(map[string]int64)
	}
	t.first[id] = allEnded
	if len(files) > 0 {
		t.first[id] = files[0].ID
	}
	return len(files) == 0, nil
}

// unfinished are the states that are not final.
var unfinished = func() (states []store.State) {
	for _, s := range store.States() {
		if !s.Final() {
			states = append(states, s)
		}
	}
	return states
}()

// transferEvent is the end of a transfer. One that was purged is known by its id alone.
func transferEvent(ctx context.Context, s store.Store, id string) (Event, error) {
	e := Event{ID: eventID(id), Type: EventTransferFinished, TransferID: id, Size: -1}
	t, err := s.GetTransfer(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		e.Purged = true
		return e, nil
	}
	if err != nil {
		return e, fmt.Errorf("get transfer %s: %w", id, err)
	}
	counts, err := s.CountFiles(ctx, store.Query{TransferID: id})
	if err != nil {
		return e, fmt.Errorf("count files of transfer %s: %w", id, err)
	}
	newest, err := s.ListFiles(ctx, store.Query{TransferID: id, Order: store.ByStopDesc, Limit: 1})
	if err != nil {
		return e, fmt.Errorf("list files of transfer %s: %w", id, err)
	}
	sum := summarize(counts)
	e.ConnectorID, e.FollowID, e.RuleName, e.Metadata, e.CreatedAt = t.ConnectorID, t.FollowID, t.RuleName, t.Metadata, t.CreatedAt
	e.Files, e.FilesCompleted, e.FilesFailed = t.Files, sum.Completed, sum.Failed
	switch {
	case sum.Failed > 0:
		e.StatusCode = TransferTableStatusFailed
	case sum.Completed == t.Files:
		e.StatusCode = TransferTableStatusCompleted
	}
	if len(newest) > 0 {
		e.Time = newest[0].FinishedAt
		e.FinishedAt, e.Partner, e.Operation = e.Time, newest[0].Partner, operationOf(newest[0].Direction)
	}
	return e, nil
}

func operationOf(d store.Direction) string {
	if d == store.Send {
		return operationSend
	}
	return operationRetrieve
}
