package store

import (
	"context"
	"fmt"
	"time"
)

// Control implements [Store].
func (m *Memory) Control(ctx context.Context, r ControlRequest) ([]error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	steer := m.steering(r.To)
	if steer == nil {
		return nil, fmt.Errorf("store: ControlRequest.To is %v (try Paused, Cancelled or Queued)", r.To)
	}
	now := microsOf(time.Now())
	var happened topics
	verdicts := make([]error, len(r.IDs))
	for i, id := range r.IDs {
		row := m.rows.get(id)
		if row == nil {
			verdicts[i] = ErrNotFound
			continue
		}
		var topic Topic
		topic, verdicts[i] = steer(row, now)
		happened[topic] = true
	}
	m.hintAll(happened)
	return verdicts, nil
}

// steering returns what brings a file to a state and tells what happened by that; nil if a user cannot ask for it.
func (m *Memory) steering(to State) func(*row, micros) (Topic, error) {
	switch to {
	case Paused:
		return m.pause
	case Cancelled:
		return m.cancel
	case Queued:
		return m.resume
	}
	return nil
}

func (m *Memory) pause(r *row, now micros) (Topic, error) {
	switch {
	case r.state == Paused:
		return 0, nil
	case r.state.Final() || r.wanted == Cancelled:
		return 0, r.stateError()
	case r.held(now):
		return r.want(Paused, now), nil
	}
	return m.become(r, Paused, never, now), nil
}

func (m *Memory) cancel(r *row, now micros) (Topic, error) {
	switch {
	case r.state == Cancelled:
		return 0, nil
	case r.state.Final():
		return 0, r.stateError()
	case r.held(now):
		return r.want(Cancelled, now), nil
	}
	topic := m.become(r, Cancelled, never, now)
	m.record(FileFinished, r, nil)
	return topic, nil
}

func (m *Memory) resume(r *row, now micros) (Topic, error) {
	switch {
	case r.state.Final() || r.wanted == Cancelled:
		return 0, r.stateError()
	case r.state == Running && r.wanted == Paused:
		r.wanted, r.updatedAt = 0, now
	case r.state == Waiting && r.readyAt > now:
		return m.become(r, Waiting, now, now), nil
	case r.state == Paused && r.startedAt == never:
		return m.become(r, Queued, max(r.startAt, now), now), nil
	case r.state == Paused:
		return m.become(r, Interrupted, now, now), nil
	}
	return 0, nil
}

// held reports whether a worker has the file under a lease that has not expired.
func (r *row) held(now micros) bool { return r.state == Running && r.leaseUntil > now }

// want notes what the worker that holds the file shall learn at its next Update.
func (r *row) want(s State, now micros) Topic {
	if r.wanted == s {
		return 0
	}
	r.wanted, r.updatedAt = s, now
	return FilesWanted
}

func (r *row) stateError() error {
	if r.wanted != 0 {
		return fmt.Errorf("store: file %d is %v and shall be %v: %w", r.id, r.state, r.wanted, ErrState)
	}
	return fmt.Errorf("store: file %d is %v: %w", r.id, r.state, ErrState)
}
