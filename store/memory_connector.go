package store

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"
)

// CreateConnector implements [Store].
func (m *Memory) CreateConnector(ctx context.Context, c Connector) (Connector, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return Connector{}, err
	}
	if m.connectors[c.ID] != nil {
		return Connector{}, ErrExists
	}
	now := microsOf(time.Now())
	created := Connector{ID: c.ID, CreatedAt: now.time()}
	m.connectors[c.ID] = &created
	return m.changeConnector(&created, c.URL, c.Definition, now), nil
}

// UpdateConnector implements [Store].
func (m *Memory) UpdateConnector(ctx context.Context, c Connector) (Connector, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, err := m.connector(ctx, c.ID)
	if err != nil {
		return Connector{}, err
	}
	if known.Revision != c.Revision {
		return Connector{}, ErrRevision
	}
	return m.changeConnector(known, c.URL, c.Definition, microsOf(time.Now())), nil
}

// DeleteConnector implements [Store].
func (m *Memory) DeleteConnector(ctx context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, err := m.connector(ctx, id)
	if err != nil {
		return err
	}
	known.Deleted = true
	m.changeConnector(known, "", nil, microsOf(time.Now()))
	return nil
}

// changeConnector gives a connector its next revision. It is called with mu locked.
func (m *Memory) changeConnector(c *Connector, url string, definition []byte, now micros) Connector {
	m.revision++
	c.Revision, c.URL, c.Definition, c.UpdatedAt = m.revision, url, bytes.Clone(definition), now.time()
	m.hint(ConnectorsChanged)
	return c.clone()
}

// connector returns the one with this id. It is called with mu locked.
func (m *Memory) connector(ctx context.Context, id string) (*Connector, error) {
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	c := m.connectors[id]
	if c == nil || c.Deleted {
		return nil, ErrNotFound
	}
	return c, nil
}

func (c *Connector) clone() Connector {
	copied := *c
	copied.Definition = bytes.Clone(c.Definition)
	return copied
}

// GetConnector implements [Store].
func (m *Memory) GetConnector(ctx context.Context, id string) (Connector, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c, err := m.connector(ctx, id)
	if err != nil {
		return Connector{}, err
	}
	return c.clone(), nil
}

// ListConnectors implements [Store]. It looks at all connectors.
func (m *Memory) ListConnectors(ctx context.Context, q ConnectorQuery) ([]Connector, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	var found []*Connector
	for id, c := range m.connectors {
		if c.Deleted == q.Deleted && id > q.After {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b *Connector) int { return cmp.Compare(a.ID, b.ID) })
	found = upTo(found, q.Limit)
	list := make([]Connector, len(found))
	for i, c := range found {
		list[i] = c.clone()
	}
	return list, nil
}

// ConnectorsRevision implements [Store].
func (m *Memory) ConnectorsRevision(ctx context.Context) (int64, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.revision, m.usable(ctx)
}
