package store

import (
	"context"
	"math"
	"slices"
	"time"
)

// Swept implements [Store].
func (m *Memory) Swept(ctx context.Context, ids []int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	for _, id := range ids {
		if r := m.rows.get(id); r != nil && r.litter() {
			m.litter.remove(r.entry(byID))
			r.checkpoint = ""
		}
	}
	return nil
}

// Purge implements [Store].
func (m *Memory) Purge(ctx context.Context, r PurgeRequest) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return 0, err
	}
	until := microsOf(time.Now()).add(-r.OlderThan)
	old := m.finishedUntil(until, r.States, r.Max)
	for _, f := range old {
		m.remove(f)
	}
	return len(old), nil
}

// finishedUntil returns the first files that finished, n at most: for them UpdatedAt is FinishedAt.
func (m *Memory) finishedUntil(until micros, states []State, n int) []*row {
	var sources []source
	for _, s := range []State{Done, Failed, Cancelled} {
		if slices.Contains(states, s) && m.all.lists[s] != nil {
			sources = append(sources, m.all.lists[s][byStop].span(lowest, entry{int64(until), math.MaxInt64}, false))
		}
	}
	var rows []*row
	for old := merge(sources, false); len(rows) < n; {
		e, ok := old.next()
		if !ok {
			break
		}
		rows = append(rows, m.rows.get(e.id))
	}
	return rows
}

// remove forgets a finished file, and its transfer with the last one.
func (m *Memory) remove(r *row) {
	t, partner := r.transfer, r.partner
	m.delist(r)
	m.paths.remove(m.pathOf(r))
	m.rows.remove(r)
	m.partners.dropEmpty(partner)
	m.rules.dropEmpty(t.rule)
	if t.counts == (counts{}) {
		m.removeTransfer(t)
	}
}

func (m *Memory) removeTransfer(t *transfer) {
	delete(m.transfers, t.ID)
	if t.ClientToken != "" {
		delete(m.tokens, t.ClientToken)
	}
	if t.older != nil {
		t.older.newer = t.newer
	}
	switch {
	case t.newer != nil:
		t.newer.older = t.older
	case t.older != nil:
		m.follows[t.FollowID] = t.older
	default:
		delete(m.follows, t.FollowID)
	}
}
