package sqlitestore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/seed62b9dc43/transfer/store"
)

const connectorColumns = `id, revision, url, definition, deleted, created_at, updated_at`

// nextRevision is greater than all there were: nothing is ever removed from the table.
const nextRevision = `(SELECT coalesce(max(revision), 0) + 1 FROM connectors)`

func scanConnector(scan func(into ...any) error) (store.Connector, error) {
	var c store.Connector
	var created, updated micros
	err := scan(&c.ID, &c.Revision, &c.URL, &c.Definition, &c.Deleted, &created, &updated)
	c.CreatedAt, c.UpdatedAt = created.time(), updated.time()
	return c, err
}

// CreateConnector implements [store.Store].
func (s *Store) CreateConnector(ctx context.Context, c store.Connector) (created store.Connector, err error) {
	err = s.write(ctx, "create connector "+c.ID, 1, func(_ context.Context, w *writer, now micros) (err error) {
		var one int
		err = w.row("SELECT 1 FROM connectors WHERE id = ?", []any{c.ID}, &one)
		if !errors.Is(err, sql.ErrNoRows) {
			return cmpError(err, store.ErrExists)
		}
		_, err = w.exec(`INSERT INTO connectors (id, revision, url, definition, created_at, updated_at)
			VALUES (?1, `+nextRevision+`, ?2, ?3, ?4, ?4)`, c.ID, c.URL, c.Definition, int64(now))
		if err != nil {
			return err
		}
		created, err = w.changed(c.ID)
		return err
	})
	return orNone(created, err), plain(err)
}

// UpdateConnector implements [store.Store].
func (s *Store) UpdateConnector(ctx context.Context, c store.Connector) (updated store.Connector, err error) {
	err = s.write(ctx, "update connector "+c.ID, 1, func(_ context.Context, w *writer, now micros) (err error) {
		known, err := w.connector(c.ID)
		switch {
		case err != nil:
			return err
		case known.Deleted:
			return store.ErrNotFound
		case known.Revision != c.Revision:
			return store.ErrRevision
		}
		_, err = w.exec("UPDATE connectors SET revision = "+nextRevision+", url = ?, definition = ?, updated_at = ? WHERE id = ?",
			c.URL, c.Definition, int64(now), c.ID)
		if err != nil {
			return err
		}
		updated, err = w.changed(c.ID)
		return err
	})
	return orNone(updated, err), plain(err)
}

// DeleteConnector implements [store.Store].
func (s *Store) DeleteConnector(ctx context.Context, id string) error {
	return plain(s.write(ctx, "delete connector "+id, 1, func(_ context.Context, w *writer, now micros) error {
		done, err := w.exec("UPDATE connectors SET revision = "+nextRevision+`, url = '', definition = NULL, deleted = 1, updated_at = ?
			WHERE id = ? AND deleted = 0`, int64(now), id)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return cmpError(err, store.ErrNotFound)
		}
		w.effects.hints[store.ConnectorsChanged] = true
		return nil
	}))
}

// changed returns a connector that was just written, and hints at it.
func (w *writer) changed(id string) (store.Connector, error) {
	w.effects.hints[store.ConnectorsChanged] = true
	return w.connector(id)
}

func (w *writer) connector(id string) (store.Connector, error) {
	c, err := scanConnector(func(into ...any) error {
		return w.row("SELECT "+connectorColumns+" FROM connectors WHERE id = ?", []any{id}, into...)
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrNotFound
	}
	return c, err
}

// GetConnector implements [store.Store].
func (s *Store) GetConnector(ctx context.Context, id string) (store.Connector, error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return store.Connector{}, err
	}
	defer leave()
	c, err := scanConnector(s.readers.QueryRowContext(ctx, "SELECT "+connectorColumns+" FROM connectors WHERE id = ? AND deleted = 0", id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Connector{}, store.ErrNotFound
	}
	if err != nil {
		return store.Connector{}, wrap(ctx, "get connector "+id, err)
	}
	return c, nil
}

// ListConnectors implements [store.Store].
func (s *Store) ListConnectors(ctx context.Context, q store.ConnectorQuery) ([]store.Connector, error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var list []store.Connector
	const text = "SELECT " + connectorColumns + " FROM connectors WHERE id > ? AND deleted = ? ORDER BY id LIMIT ?"
	err = s.read(ctx, text, []any{q.After, q.Deleted, orAll(q.Limit)}, func(rows *sql.Rows) error {
		c, err := scanConnector(rows.Scan)
		list = append(list, c)
		return err
	})
	if err != nil {
		return nil, wrap(ctx, "list connectors", err)
	}
	return list, nil
}

// ConnectorsRevision implements [store.Store].
func (s *Store) ConnectorsRevision(ctx context.Context) (revision int64, err error) {
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	err = s.readers.QueryRowContext(ctx, "SELECT coalesce(max(revision), 0) FROM connectors").Scan(&revision)
	if err != nil {
		return 0, wrap(ctx, "read the revision of the connectors", err)
	}
	return revision, nil
}

// plain gives the errors of the contract as they are: they are no failures of ours.
func plain(err error) error {
	for _, known := range []error{store.ErrExists, store.ErrRevision, store.ErrNotFound, store.ErrState, store.ErrLeaseLost} {
		if errors.Is(err, known) {
			return known
		}
	}
	return err
}

// cmpError returns the first that is an error.
func cmpError(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

func orNone[T any](value T, err error) T {
	if err != nil {
		var none T
		return none
	}
	return value
}

// orAll is the LIMIT for a number of rows, of which 0 is all.
func orAll(limit int) int {
	if limit <= 0 {
		return -1
	}
	return limit
}
