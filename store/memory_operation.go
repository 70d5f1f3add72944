package store

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"
)

// CreateOperation implements [Store].
func (m *Memory) CreateOperation(ctx context.Context, o Operation) (Operation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return Operation{}, err
	}
	if m.operations[o.ID] != nil {
		return Operation{}, ErrExists
	}
	now := microsOf(time.Now())
	created := Operation{
		ID: o.ID, ConnectorID: o.ConnectorID, Spec: bytes.Clone(o.Spec), CreatedAt: now.time(), Until: now.add(o.Limit).time(),
	}
	m.operations[o.ID] = &created
	return created.clone(now), nil
}

// FinishOperation implements [Store].
func (m *Memory) FinishOperation(ctx context.Context, o Operation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	known, now := m.operations[o.ID], microsOf(time.Now())
	switch {
	case known == nil:
		return ErrNotFound
	case known.Finished || known.over(now):
		return ErrState
	}
	known.Finished, known.FinishedAt = true, now.time()
	known.Failure, known.Result = o.Failure, bytes.Clone(o.Result)
	return nil
}

// over reports whether the operation's time is over.
func (o *Operation) over(now micros) bool { return microsOf(o.Until) <= now }

func (o *Operation) clone(now micros) Operation {
	copied := *o
	copied.Spec, copied.Result = bytes.Clone(o.Spec), bytes.Clone(o.Result)
	copied.Expired = !o.Finished && o.over(now)
	return copied
}

// GetOperation implements [Store].
func (m *Memory) GetOperation(ctx context.Context, id string) (Operation, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return Operation{}, err
	}
	o := m.operations[id]
	if o == nil {
		return Operation{}, ErrNotFound
	}
	return o.clone(microsOf(time.Now())), nil
}

// ListOperations implements [Store].
func (m *Memory) ListOperations(ctx context.Context, q OperationQuery) ([]Operation, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	var found []*Operation
	for id, o := range m.operations {
		if (q.ConnectorID == "" || o.ConnectorID == q.ConnectorID) && (q.Before == "" || id < q.Before) {
			found = append(found, o)
		}
	}
	slices.SortFunc(found, func(a, b *Operation) int { return cmp.Compare(b.ID, a.ID) })
	found = upTo(found, q.Limit)
	listed, now := make([]Operation, len(found)), microsOf(time.Now())
	for i, o := range found {
		listed[i] = o.clone(now)
	}
	return listed, nil
}

// upTo returns the first items, no more than limit; 0 is no limit.
func upTo[T any](items []T, limit int) []T {
	if limit <= 0 {
		return items
	}
	return items[:min(len(items), limit)]
}

// PurgeOperations implements [Store]. It looks at all operations.
func (m *Memory) PurgeOperations(ctx context.Context, olderThan time.Duration, limit int) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return 0, err
	}
	removed, now := 0, microsOf(time.Now())
	for id, o := range m.operations {
		if removed < limit && o.over(now) && microsOf(o.CreatedAt) <= now.add(-olderThan) {
			delete(m.operations, id)
			removed++
		}
	}
	return removed, nil
}
