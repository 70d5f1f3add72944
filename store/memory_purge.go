package store

import (
	"cmp"
	"context"
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
		if r := m.rows.get(id); r != nil && r.state.Final() {
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
	var old []*row
	for id := int64(1); id <= m.rows.n; id++ {
		f := m.rows.get(id)
		if f != nil && f.state.Final() && slices.Contains(r.States, f.state) && f.finishedAt <= until {
			old = append(old, f)
		}
	}
	slices.SortFunc(old, func(a, b *row) int {
		return cmp.Or(cmp.Compare(a.finishedAt, b.finishedAt), cmp.Compare(a.id, b.id))
	})
	old = old[:min(len(old), max(0, r.Max))]
	for _, f := range old {
		m.remove(f)
	}
	return len(old), nil
}

// remove forgets a finished file, and its transfer with the last one.
func (m *Memory) remove(r *row) {
	t := r.transfer
	m.counts[r.state]--
	t.counts[r.state]--
	m.rows.remove(r)
	if t.counts != (counts{}) {
		return
	}
	delete(m.transfers, t.ID)
	if t.ClientToken != "" {
		delete(m.tokens, t.ClientToken)
	}
}
