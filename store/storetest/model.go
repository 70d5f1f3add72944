package storetest

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// life is one file as the contract says that it must be. Times come from the store; what follows from them does not.
type life struct {
	store.File
	due     bool // its ReadyAt has come
	expired bool // its lease has run out
	touched bool // since it was last compared: the store may have given it new times
}

func (l *life) ready() bool {
	switch l.State {
	case store.Queued, store.Waiting, store.Interrupted:
		return l.due
	case store.Running:
		return l.expired
	}
	return false
}

func (l *life) held() bool { return l.State == store.Running && !l.expired }

// readySince is since when it can be claimed.
func (l *life) readySince() time.Time {
	if l.State == store.Running {
		return l.LeaseUntil
	}
	return l.ReadyAt
}

func (l *life) claim(worker string) {
	l.State, l.Phase, l.Worker = store.Running, store.PhaseConnect, worker
	l.Attempts++
	l.Token++
	l.expired, l.touched = false, true
}

// update is what becomes of a change that is not lost.
func (l *life) update(c store.Change) error {
	l.Progress, l.Failure, l.expired, l.touched = c.Progress, c.Failure, false, true
	switch {
	case c.State == store.Running:
		return wanted()[l.Wanted]
	case c.State.Final() || l.Wanted == 0:
		l.leave(c.State)
	default:
		l.leave(l.Wanted)
	}
	l.due = c.Delay == 0
	return nil
}

// leave gives up the lease, if there is one, for another state.
func (l *life) leave(to store.State) {
	l.State, l.Wanted, l.Worker, l.expired, l.touched = to, 0, "", false, true
	switch to {
	case store.Cancelled:
		l.Failure = store.CancelledFailure
	case store.Done:
		l.Checkpoint = nil
	}
}

func (l *life) control(to store.State) error {
	switch {
	case l.State == to && to != store.Queued:
	case l.State.Final(), l.Wanted == store.Cancelled && to != store.Cancelled:
		return store.ErrState
	case to == store.Queued:
		l.resume()
	case !l.held():
		l.leave(to)
	case l.Wanted != to:
		l.Wanted, l.touched = to, true
	}
	return nil
}

func (l *life) resume() {
	switch {
	case l.State == store.Paused && l.Attempts == 0:
		l.leave(store.Queued)
		l.due = l.StartAt.IsZero()
	case l.State == store.Paused:
		l.leave(store.Interrupted)
		l.due = true
	case l.State == store.Waiting:
		l.due, l.touched = true, true
	case l.Wanted == store.Paused:
		l.Wanted, l.touched = 0, true
	}
}

func (l *life) sweep() {
	if l.State.Final() {
		l.Checkpoint = nil
	}
}

// claimable returns the files of one connector that a claim gets, in their order.
func claimable(lives []*life, maximum, limit int) []*life {
	var ready []*life
	for _, l := range lives {
		if l.held() {
			limit--
		} else if l.ready() {
			ready = append(ready, l)
		}
	}
	slices.SortFunc(ready, func(a, b *life) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), a.readySince().Compare(b.readySince()), cmp.Compare(a.ID, b.ID))
	})
	return ready[:max(0, min(maximum, limit, len(ready)))]
}

// purgeable returns the files in one of these states, the one that finished first at the front.
func purgeable(lives []*life, states []store.State) []*life {
	var files []*life
	for _, l := range lives {
		if l.State.Final() && slices.Contains(states, l.State) {
			files = append(files, l)
		}
	}
	slices.SortStableFunc(files, func(a, b *life) int { return a.FinishedAt.Compare(b.FinishedAt) })
	return files
}
