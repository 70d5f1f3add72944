package store

import (
	"context"
	"maps"
	"slices"
)

// checkEvery is how many rows are looked at between two looks at the context.
const checkEvery = 1024

// ListFiles implements [Store]. Pages in the order of ids, of one transfer or without other filters, cost what is on
// them; everything else looks at each row of the transfer, or of the store.
func (m *Memory) ListFiles(ctx context.Context, q Query) ([]File, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	q.Metadata, q.States = maps.Clone(q.Metadata), slices.Clone(q.States)
	if q.Order == ByID {
		return m.listByID(ctx, &q)
	}
	return m.listSorted(ctx, &q)
}

func (m *Memory) listByID(ctx context.Context, q *Query) ([]File, error) {
	var files []File
	skip := q.Offset
	err := m.scan(ctx, q, q.After.ID, func(f *File) bool {
		if skip > 0 {
			skip--
			return true
		}
		files = append(files, *f)
		return q.Limit == 0 || len(files) < q.Limit
	})
	return files, err
}

func (m *Memory) listSorted(ctx context.Context, q *Query) ([]File, error) {
	type place struct {
		Cursor
		id int64
	}
	var places []place
	err := m.scan(ctx, q, 0, func(f *File) bool {
		if q.Behind(f) {
			places = append(places, place{q.CursorOf(f), f.ID})
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(places, func(a, b place) int { return q.compare(a.Cursor, b.Cursor) })
	places = places[min(q.Offset, len(places)):]
	if q.Limit > 0 {
		places = places[:min(q.Limit, len(places))]
	}
	files := make([]File, len(places))
	for i, p := range places {
		m.rows.get(p.id).file(&files[i])
	}
	return files, nil
}

// CountFiles implements [Store]. Counting all, or all of one transfer, costs nothing; everything else looks at each row.
func (m *Memory) CountFiles(ctx context.Context, q Query) (map[State]int64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	if q.onlyTransfer() {
		if q.TransferID == "" {
			return m.counts.byState(), nil
		}
		if t := m.transfers[q.TransferID]; t != nil {
			return t.counts.byState(), nil
		}
		return map[State]int64{}, nil
	}
	var n counts
	err := m.scan(ctx, &q, 0, func(f *File) bool {
		n[f.State]++
		return true
	})
	return n.byState(), err
}

// onlyTransfer reports whether nothing but a transfer is selected by.
func (q *Query) onlyTransfer() bool {
	return q.ConnectorID == "" && q.FollowID == "" && q.RuleName == "" && q.Partner == "" && q.SourcePath == "" && q.LocalPath == "" &&
		q.LocalPrefix == "" && q.Direction == 0 && q.States == nil && q.Code == "" && len(q.Metadata) == 0 && q.From.IsZero() &&
		q.To.IsZero() && q.Updated.IsZero() && !q.Litter
}

// scan calls visit for each file that q matches and whose id is greater than after, in the order of ids, until visit
// returns false.
func (m *Memory) scan(ctx context.Context, q *Query, after int64, visit func(*File) bool) error {
	last := m.rows.n
	if q.TransferID != "" {
		t := m.transfers[q.TransferID]
		if t == nil {
			return nil
		}
		after, last = max(after, t.first-1), t.first+int64(t.Files)-1
	}
	for after < last {
		after++
		if after%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		r := m.rows.get(after)
		if r == nil {
			continue
		}
		var f File
		r.file(&f)
		if q.Matches(&f) && !visit(&f) {
			return nil
		}
	}
	return nil
}
