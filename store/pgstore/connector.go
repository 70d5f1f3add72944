package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/seed62b9dc43/transfer/store"
)

const connectorColumns = `id, revision, url, definition, deleted, created_at, updated_at`

// The row of connectors_revision is locked until the commit. Where nothing is written in the end, a revision is left out.
const (
	nextRevisionSQL    = `WITH next AS (UPDATE @.connectors_revision SET revision = revision + 1 RETURNING revision) `
	createConnectorSQL = nextRevisionSQL + `
INSERT INTO @.connectors (id, revision, url, definition, created_at, updated_at)
SELECT $1, next.revision, $2, $3, statement_timestamp(), statement_timestamp() FROM next
ON CONFLICT DO NOTHING
RETURNING ` + connectorColumns
	updateConnectorSQL = nextRevisionSQL + `
UPDATE @.connectors c SET revision = next.revision, url = $3, definition = $4, updated_at = statement_timestamp()
FROM next WHERE c.id = $1 AND c.revision = $2 AND NOT c.deleted
RETURNING c.id, c.revision, c.url, c.definition, c.deleted, c.created_at, c.updated_at`
	deleteConnectorSQL = nextRevisionSQL + `
UPDATE @.connectors c SET revision = next.revision, url = '', definition = NULL, deleted = true, updated_at = statement_timestamp()
FROM next WHERE c.id = $1 AND NOT c.deleted
RETURNING c.id, c.revision, c.url, c.definition, c.deleted, c.created_at, c.updated_at`
	getConnectorSQL   = `SELECT ` + connectorColumns + ` FROM @.connectors WHERE id = $1 AND NOT deleted`
	listConnectorsSQL = `SELECT ` + connectorColumns + ` FROM @.connectors WHERE id > $1 AND deleted = $2 ORDER BY id LIMIT $3`
	revisionSQL       = `SELECT revision FROM @.connectors_revision`
)

func scanConnector(row pgx.Row) (store.Connector, error) {
	var c store.Connector
	err := row.Scan(&c.ID, &c.Revision, &c.URL, &c.Definition, &c.Deleted, &c.CreatedAt, &c.UpdatedAt)
	c.CreatedAt, c.UpdatedAt = c.CreatedAt.UTC(), c.UpdatedAt.UTC()
	return c, err
}

// change runs a statement that changes one connector; none is what it means if it changes none.
func (s *Store) change(ctx context.Context, doing, sql string, none error, args ...any) (store.Connector, error) {
	if err := s.usable(ctx); err != nil {
		return store.Connector{}, err
	}
	var c store.Connector
	err := retry(func() (err error) {
		c, err = scanConnector(s.pool.QueryRow(ctx, qualify(s.schema, sql), args...))
		return err
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return store.Connector{}, none
	case err != nil:
		return store.Connector{}, fmt.Errorf("pgstore: %s: %w", doing, err)
	}
	s.announce(store.ConnectorsChanged)
	return c, nil
}

// CreateConnector implements [store.Store].
func (s *Store) CreateConnector(ctx context.Context, c store.Connector) (store.Connector, error) {
	return s.change(ctx, "create connector "+c.ID, createConnectorSQL, store.ErrExists, c.ID, c.URL, c.Definition)
}

// UpdateConnector implements [store.Store].
func (s *Store) UpdateConnector(ctx context.Context, c store.Connector) (store.Connector, error) {
	updated, err := s.change(ctx, "update connector "+c.ID, updateConnectorSQL, store.ErrRevision, c.ID, c.Revision, c.URL, c.Definition)
	if errors.Is(err, store.ErrRevision) {
		if _, err := s.GetConnector(ctx, c.ID); err != nil {
			return store.Connector{}, err
		}
	}
	return updated, err
}

// DeleteConnector implements [store.Store].
func (s *Store) DeleteConnector(ctx context.Context, id string) error {
	_, err := s.change(ctx, "delete connector "+id, deleteConnectorSQL, store.ErrNotFound, id)
	return err
}

// GetConnector implements [store.Store].
func (s *Store) GetConnector(ctx context.Context, id string) (store.Connector, error) {
	if err := s.usable(ctx); err != nil {
		return store.Connector{}, err
	}
	if !storable(id) {
		return store.Connector{}, store.ErrNotFound
	}
	c, err := scanConnector(s.pool.QueryRow(ctx, qualify(s.schema, getConnectorSQL), id))
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return store.Connector{}, store.ErrNotFound
	case err != nil:
		return store.Connector{}, fmt.Errorf("pgstore: get connector %s: %w", id, err)
	}
	return c, nil
}

// ListConnectors implements [store.Store].
func (s *Store) ListConnectors(ctx context.Context, q store.ConnectorQuery) ([]store.Connector, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, qualify(s.schema, listConnectorsSQL), q.After, q.Deleted, orAll(q.Limit))
	if err != nil {
		return nil, fmt.Errorf("pgstore: list connectors: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (store.Connector, error) { return scanConnector(row) })
	if err != nil {
		return nil, fmt.Errorf("pgstore: list connectors: %w", err)
	}
	return list, nil
}

// ConnectorsRevision implements [store.Store].
func (s *Store) ConnectorsRevision(ctx context.Context) (revision int64, err error) {
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	if err := s.pool.QueryRow(ctx, qualify(s.schema, revisionSQL)).Scan(&revision); err != nil {
		return 0, fmt.Errorf("pgstore: read the revision of the connectors: %w", err)
	}
	return revision, nil
}

// orAll is the LIMIT for a number of rows, of which 0 is all.
func orAll(limit int) *int {
	if limit <= 0 {
		return nil
	}
	return &limit
}
