package transfertest

import (
	"context"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// CreateConnector calls the store behind, if the rules let it.
func (s *Store) CreateConnector(ctx context.Context, c store.Connector) (created store.Connector, err error) {
	err = s.run(ctx, OpConnectors, func() (err error) { created, err = s.Store.CreateConnector(ctx, c); return err })
	return orZero(created, err), err
}

// UpdateConnector calls the store behind, if the rules let it.
func (s *Store) UpdateConnector(ctx context.Context, c store.Connector) (updated store.Connector, err error) {
	err = s.run(ctx, OpConnectors, func() (err error) { updated, err = s.Store.UpdateConnector(ctx, c); return err })
	return orZero(updated, err), err
}

// DeleteConnector calls the store behind, if the rules let it.
func (s *Store) DeleteConnector(ctx context.Context, id string) error {
	return s.run(ctx, OpConnectors, func() error { return s.Store.DeleteConnector(ctx, id) })
}

// GetConnector calls the store behind, if the rules let it.
func (s *Store) GetConnector(ctx context.Context, id string) (c store.Connector, err error) {
	err = s.run(ctx, OpConnectors, func() (err error) { c, err = s.Store.GetConnector(ctx, id); return err })
	return orZero(c, err), err
}

// ListConnectors calls the store behind, if the rules let it.
func (s *Store) ListConnectors(ctx context.Context, q store.ConnectorQuery) (list []store.Connector, err error) {
	err = s.run(ctx, OpConnectors, func() (err error) { list, err = s.Store.ListConnectors(ctx, q); return err })
	return orZero(list, err), err
}

// ConnectorsRevision calls the store behind, if the rules let it.
func (s *Store) ConnectorsRevision(ctx context.Context) (revision int64, err error) {
	err = s.run(ctx, OpConnectors, func() (err error) { revision, err = s.Store.ConnectorsRevision(ctx); return err })
	return orZero(revision, err), err
}

// CreateOperation calls the store behind, if the rules let it.
func (s *Store) CreateOperation(ctx context.Context, o store.Operation) (created store.Operation, err error) {
	err = s.run(ctx, OpOperations, func() (err error) { created, err = s.Store.CreateOperation(ctx, o); return err })
	return orZero(created, err), err
}

// FinishOperation calls the store behind, if the rules let it.
func (s *Store) FinishOperation(ctx context.Context, o store.Operation) error {
	return s.run(ctx, OpOperations, func() error { return s.Store.FinishOperation(ctx, o) })
}

// GetOperation calls the store behind, if the rules let it.
func (s *Store) GetOperation(ctx context.Context, id string) (o store.Operation, err error) {
	err = s.run(ctx, OpOperations, func() (err error) { o, err = s.Store.GetOperation(ctx, id); return err })
	return orZero(o, err), err
}

// PurgeOperations calls the store behind, if the rules let it.
func (s *Store) PurgeOperations(ctx context.Context, olderThan time.Duration, limit int) (n int, err error) {
	err = s.run(ctx, OpOperations, func() (err error) { n, err = s.Store.PurgeOperations(ctx, olderThan, limit); return err })
	return orZero(n, err), err
}

// ListOperations calls the store behind, if the rules let it.
func (s *Store) ListOperations(ctx context.Context, q store.OperationQuery) (list []store.Operation, err error) {
	err = s.run(ctx, OpOperations, func() (err error) { list, err = s.Store.ListOperations(ctx, q); return err })
	return orZero(list, err), err
}
