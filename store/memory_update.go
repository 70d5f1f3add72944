package store

import (
	"context"
	"fmt"
	"time"
)

// Update implements [Store].
func (m *Memory) Update(ctx context.Context, changes []Change) ([]error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	now := microsOf(time.Now())
	var happened topics
	verdicts := make([]error, len(changes))
	for i := range changes {
		var topic Topic
		topic, verdicts[i] = m.apply(&changes[i], now)
		happened[topic] = true
	}
	m.hintAll(happened)
	return verdicts, nil
}

// apply writes one change and tells what happened by it, or why it was not written.
func (m *Memory) apply(c *Change, now micros) (Topic, error) {
	r := m.rows.get(c.ID)
	if r == nil || r.state != Running || r.token != c.Token {
		return 0, ErrLeaseLost
	}
	switch c.State {
	case Running, Waiting, Interrupted, Done, Failed:
	default:
		return 0, fmt.Errorf("store: a worker cannot make file %d %v (try Waiting, Interrupted, Done or Failed)", c.ID, c.State)
	}
	before := r.offset
	r.setProgress(c.Progress)
	r.setFailure(c.Failure)
	if c.State == Running {
		err := m.renew(r, c.Lease, now)
		if r.offset > before {
			m.record(FileProgressed, r, nil)
		}
		return 0, err
	}
	return m.giveUp(r, c, now), nil
}

// giveUp ends the lease on a file as its worker says, unless a user wants it otherwise, and tells what happened by that.
func (m *Memory) giveUp(r *row, c *Change, now micros) Topic {
	to := c.State
	if r.wanted != 0 && !to.Final() {
		to = r.wanted
	}
	topic := m.become(r, to, now.add(max(0, c.Delay)), now)
	if to.Final() {
		m.record(FileFinished, r, c.Note)
	}
	if to == Done && c.Enter != nil {
		m.ledger.enter(*c.Enter, r)
	}
	return topic
}

// renew extends the lease of a running file and tells what is wanted of it instead.
func (m *Memory) renew(r *row, lease time.Duration, now micros) error {
	q := r.transfer.queue
	q.remove(r)
	r.updatedAt = now
	r.leaseUntil = now.add(lease)
	q.lease(r)
	switch r.wanted {
	case Paused:
		return ErrPauseWanted
	case Cancelled:
		return ErrCancelWanted
	}
	return nil
}

// become gives a file another state than Running and tells what happened by that. A lease on it ends; if it can be
// claimed in its new state, then from ready on.
func (m *Memory) become(r *row, to State, ready, now micros) Topic {
	q := r.transfer.queue
	if r.state != Paused {
		q.remove(r)
	}
	m.delist(r)
	r.state, r.updatedAt = to, now
	r.wanted, r.worker, r.leaseUntil = 0, "", never
	if to.Final() {
		r.finish()
	}
	m.enlist(r)
	if to.Final() {
		return FilesFinished
	}
	if to == Paused {
		return 0
	}
	r.readyAt = ready
	q.give(r)
	return FilesReady
}

// finish completes a file whose state has become a final one.
func (r *row) finish() {
	r.finishedAt = r.updatedAt
	switch r.state {
	case Done:
		r.checkpoint = ""
	case Cancelled:
		r.setFailure(CancelledFailure)
	}
}
