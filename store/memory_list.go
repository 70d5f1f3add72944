package store

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// checkEvery is how many rows are looked at between two looks at the context.
const checkEvery = 1024

// ListFiles implements [Store]. What it costs is told at [Memory].
func (m *Memory) ListFiles(ctx context.Context, q Query) ([]File, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	ordered, small := m.plans(&q)
	if ordered == nil {
		return m.gather(ctx, &q, small)
	}
	budget := -1
	if small != nil {
		budget = small.size()
	}
	files, enough, err := m.walk(ctx, &q, ordered, budget)
	if err != nil || enough {
		return files, err
	}
	return m.gather(ctx, &q, small)
}

// walk goes through the candidates of an ordered plan until the page is full. It gives up, and returns false, once it has
// looked at budget of them; never if that is negative.
func (m *Memory) walk(ctx context.Context, q *Query, p *plan, budget int) ([]File, bool, error) {
	var files []File
	candidates, skip := merge(p.sources, q.Order.descending()), q.Offset
	for n := 0; ; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return nil, false, ctx.Err()
		}
		e, ok := candidates.next()
		if !ok {
			return files, true, nil
		}
		if n == budget {
			return nil, false, nil
		}
		if skip > 0 && !p.check { // without a look at the row
			skip--
			continue
		}
		r := m.rows.get(e.id)
		if !p.matches(q, r) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		files = append(files, File{})
		r.file(&files[len(files)-1])
		if len(files) == q.Limit {
			return files, true, nil
		}
	}
}

// gather looks at all candidates of a plan and keeps those that are on the page.
func (m *Memory) gather(ctx context.Context, q *Query, p *plan) ([]File, error) {
	var rows []*row
	var end *row // rows behind this one are not needed
	page := 0    // how many are; 0: all
	if q.Limit > 0 {
		page = q.Offset + q.Limit
	}
	err := m.each(ctx, q, p, func(r *row) {
		if q.After != (Cursor{}) && !q.isBehind(r) || end != nil && q.compareRows(end, r) < 0 {
			return
		}
		rows = append(rows, r)
		if page > 0 && len(rows) >= 2*page+checkEvery {
			rows = q.first(rows, page)
			end = rows[page-1]
		}
	})
	if err != nil {
		return nil, err
	}
	rows = q.first(rows, page)
	rows = rows[min(q.Offset, len(rows)):]
	files := make([]File, len(rows))
	for i, r := range rows {
		r.file(&files[i])
	}
	return files, nil
}

// isBehind is Behind for a row.
func (q *Query) isBehind(r *row) bool {
	var f File
	r.share(&f)
	return q.Behind(&f)
}

// first puts rows in q's order and returns the first n of them; all if n is 0.
func (q *Query) first(rows []*row, n int) []*row {
	slices.SortFunc(rows, q.compareRows)
	if n > 0 && len(rows) > n {
		rows = rows[:n]
	}
	return rows
}

// compareRows is Compare for rows.
func (q *Query) compareRows(a, b *row) int {
	if q.Order.descending() {
		a, b = b, a
	}
	if x, ok := axisOf(q.Order); ok {
		return a.entry(x).compare(b.entry(x))
	}
	return cmp.Or(strings.Compare(a.sourcePath, b.sourcePath), cmp.Compare(a.id, b.id))
}

// each calls visit for each row of p's sources that matches.
func (m *Memory) each(ctx context.Context, q *Query, p *plan, visit func(*row)) error {
	n := 0
	for _, s := range p.sources {
		for e, ok := s.next(); ok; e, ok = s.next() {
			if n++; n%checkEvery == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			if r := m.rows.get(e.id); p.matches(q, r) {
				visit(r)
			}
		}
	}
	return nil
}

// CountFiles implements [Store]. What it costs is told at [Memory].
func (m *Memory) CountFiles(ctx context.Context, q Query) (map[State]int64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	q.Order, q.After = ByID, Cursor{}
	var n counts
	if m.addCounters(&q, &n) {
		return n.byState(), nil
	}
	p, small := m.plans(&q)
	if small != nil {
		p = small
	}
	if p.states != nil && !p.check {
		for i, s := range p.sources {
			n[p.states[i]] += int64(s.size())
		}
		return n.byState(), nil
	}
	err := m.each(ctx, &q, p, func(r *row) { n[r.state]++ })
	return n.byState(), err
}

// addCounters adds the counters of all files, or of one transfer, follow id, rule or partner, in q's states; false if q has
// other filters or more of these.
func (m *Memory) addCounters(q *Query, n *counts) bool {
	rest, names := *q, 0
	rest.States, rest.TransferID, rest.FollowID, rest.RuleName, rest.Partner = nil, "", "", "", ""
	for _, name := range [...]string{q.TransferID, q.FollowID, q.RuleName, q.Partner} {
		if name != "" {
			names++
		}
	}
	if names > 1 || rest.filters() {
		return false
	}
	if q.TransferID == "" && q.FollowID == "" {
		if g := m.groupOf(q); g != nil {
			n.add(&g.counts, q)
		}
	}
	if t := m.transfers[q.TransferID]; t != nil {
		n.add(&t.counts, q)
	}
	for t := m.follows[q.FollowID]; t != nil; t = t.older {
		n.add(&t.counts, q)
	}
	return true
}
