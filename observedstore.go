package transfer

import (
	"context"
	"errors"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// observedStore tells an Observer of each call to a Store that says something or asks for something.
type observedStore struct {
	store.Store
	by Observer
}

// ask makes a call that is answered.
func ask[T any](ctx context.Context, s observedStore, name string, call func(context.Context) (T, error)) (answer T, err error) {
	ctx, end := s.by.Begin(ctx, Activity{Kind: ActivityStore, Name: name})
	defer func() { end(storeTrouble(err)) }()
	return call(ctx)
}

// tell makes a call that is not.
func (s observedStore) tell(ctx context.Context, name string, call func(context.Context) error) error {
	_, err := ask(ctx, s, name, func(ctx context.Context) (struct{}, error) { return struct{}{}, call(ctx) })
	return err
}

// storeTrouble returns err, unless it is an answer like any other, or the caller has given up.
func storeTrouble(err error) error {
	for _, answer := range []error{store.ErrNotFound, store.ErrExists, store.ErrTokenReused, store.ErrState, store.ErrLeaseLost, context.Canceled} {
		if errors.Is(err, answer) {
			return nil
		}
	}
	return err
}

func (s observedStore) CreateTransfer(ctx context.Context, t store.Transfer, files []store.NewFile) (store.Transfer, error) {
	return ask(ctx, s, "create_transfer", func(ctx context.Context) (store.Transfer, error) { return s.Store.CreateTransfer(ctx, t, files) })
}

func (s observedStore) GetTransfer(ctx context.Context, id string) (store.Transfer, error) {
	return ask(ctx, s, "get_transfer", func(ctx context.Context) (store.Transfer, error) { return s.Store.GetTransfer(ctx, id) })
}

func (s observedStore) ListFiles(ctx context.Context, q store.Query) ([]store.File, error) {
	return ask(ctx, s, "list_files", func(ctx context.Context) ([]store.File, error) { return s.Store.ListFiles(ctx, q) })
}

func (s observedStore) CountFiles(ctx context.Context, q store.Query) (map[store.State]int64, error) {
	return ask(ctx, s, "count_files", func(ctx context.Context) (map[store.State]int64, error) { return s.Store.CountFiles(ctx, q) })
}

func (s observedStore) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claimed, error) {
	return ask(ctx, s, "claim", func(ctx context.Context) ([]store.Claimed, error) { return s.Store.Claim(ctx, r) })
}

func (s observedStore) Update(ctx context.Context, changes []store.Change) ([]error, error) {
	return ask(ctx, s, "update", func(ctx context.Context) ([]error, error) { return s.Store.Update(ctx, changes) })
}

func (s observedStore) Control(ctx context.Context, r store.ControlRequest) ([]error, error) {
	return ask(ctx, s, "control", func(ctx context.Context) ([]error, error) { return s.Store.Control(ctx, r) })
}

func (s observedStore) Swept(ctx context.Context, ids []int64) error {
	return s.tell(ctx, "swept", func(ctx context.Context) error { return s.Store.Swept(ctx, ids) })
}

func (s observedStore) Purge(ctx context.Context, r store.PurgeRequest) (int, error) {
	return ask(ctx, s, "purge", func(ctx context.Context) (int, error) { return s.Store.Purge(ctx, r) })
}

func (s observedStore) CreateConnector(ctx context.Context, d store.Connector) (store.Connector, error) {
	return ask(ctx, s, "create_connector", func(ctx context.Context) (store.Connector, error) { return s.Store.CreateConnector(ctx, d) })
}

func (s observedStore) UpdateConnector(ctx context.Context, d store.Connector) (store.Connector, error) {
	return ask(ctx, s, "update_connector", func(ctx context.Context) (store.Connector, error) { return s.Store.UpdateConnector(ctx, d) })
}

func (s observedStore) DeleteConnector(ctx context.Context, id string) error {
	return s.tell(ctx, "delete_connector", func(ctx context.Context) error { return s.Store.DeleteConnector(ctx, id) })
}

func (s observedStore) GetConnector(ctx context.Context, id string) (store.Connector, error) {
	return ask(ctx, s, "get_connector", func(ctx context.Context) (store.Connector, error) { return s.Store.GetConnector(ctx, id) })
}

func (s observedStore) ListConnectors(ctx context.Context, q store.ConnectorQuery) ([]store.Connector, error) {
	return ask(ctx, s, "list_connectors", func(ctx context.Context) ([]store.Connector, error) { return s.Store.ListConnectors(ctx, q) })
}

func (s observedStore) ConnectorsRevision(ctx context.Context) (int64, error) {
	return ask(ctx, s, "connectors_revision", func(ctx context.Context) (int64, error) { return s.Store.ConnectorsRevision(ctx) })
}

func (s observedStore) CreateOperation(ctx context.Context, o store.Operation) (store.Operation, error) {
	return ask(ctx, s, "create_operation", func(ctx context.Context) (store.Operation, error) { return s.Store.CreateOperation(ctx, o) })
}

func (s observedStore) FinishOperation(ctx context.Context, o store.Operation) error {
	return s.tell(ctx, "finish_operation", func(ctx context.Context) error { return s.Store.FinishOperation(ctx, o) })
}

func (s observedStore) GetOperation(ctx context.Context, id string) (store.Operation, error) {
	return ask(ctx, s, "get_operation", func(ctx context.Context) (store.Operation, error) { return s.Store.GetOperation(ctx, id) })
}

func (s observedStore) ListOperations(ctx context.Context, q store.OperationQuery) ([]store.Operation, error) {
	return ask(ctx, s, "list_operations", func(ctx context.Context) ([]store.Operation, error) { return s.Store.ListOperations(ctx, q) })
}

func (s observedStore) PurgeOperations(ctx context.Context, olderThan time.Duration, limit int) (int, error) {
	return ask(ctx, s, "purge_operations", func(ctx context.Context) (int, error) { return s.Store.PurgeOperations(ctx, olderThan, limit) })
}

func (s observedStore) CreateDuty(ctx context.Context, d store.Duty) error {
	return s.tell(ctx, "create_duty", func(ctx context.Context) error { return s.Store.CreateDuty(ctx, d) })
}

func (s observedStore) ClaimDuties(ctx context.Context, r store.DutyRequest) ([]store.Duty, error) {
	return ask(ctx, s, "claim_duties", func(ctx context.Context) ([]store.Duty, error) { return s.Store.ClaimDuties(ctx, r) })
}

func (s observedStore) UpdateDuty(ctx context.Context, d store.Duty, lease time.Duration) error {
	return s.tell(ctx, "update_duty", func(ctx context.Context) error { return s.Store.UpdateDuty(ctx, d, lease) })
}

func (s observedStore) DeleteDuty(ctx context.Context, name string, token int64) error {
	return s.tell(ctx, "delete_duty", func(ctx context.Context) error { return s.Store.DeleteDuty(ctx, name, token) })
}

func (s observedStore) ListDuties(ctx context.Context, q store.DutyQuery) ([]store.Duty, error) {
	return ask(ctx, s, "list_duties", func(ctx context.Context) ([]store.Duty, error) { return s.Store.ListDuties(ctx, q) })
}

func (s observedStore) OpenStream(ctx context.Context, o store.Stream) error {
	return s.tell(ctx, "open_stream", func(ctx context.Context) error { return s.Store.OpenStream(ctx, o) })
}

func (s observedStore) CloseStream(ctx context.Context, name string) error {
	return s.tell(ctx, "close_stream", func(ctx context.Context) error { return s.Store.CloseStream(ctx, name) })
}

func (s observedStore) ListStreams(ctx context.Context) ([]store.Stream, error) {
	return ask(ctx, s, "list_streams", func(ctx context.Context) ([]store.Stream, error) { return s.Store.ListStreams(ctx) })
}

func (s observedStore) AppendEvents(ctx context.Context, stream string, events []store.Event) error {
	return s.tell(ctx, "append_events", func(ctx context.Context) error { return s.Store.AppendEvents(ctx, stream, events) })
}

func (s observedStore) ListEvents(ctx context.Context, q store.EventQuery) ([]store.Event, error) {
	return ask(ctx, s, "list_events", func(ctx context.Context) ([]store.Event, error) { return s.Store.ListEvents(ctx, q) })
}

func (s observedStore) CountEvents(ctx context.Context, stream string) (int64, error) {
	return ask(ctx, s, "count_events", func(ctx context.Context) (int64, error) { return s.Store.CountEvents(ctx, stream) })
}

func (s observedStore) DropEvents(ctx context.Context, stream string, seqs []int64) error {
	return s.tell(ctx, "drop_events", func(ctx context.Context) error { return s.Store.DropEvents(ctx, stream, seqs) })
}

func (s observedStore) PurgeEvents(ctx context.Context, stream string, olderThan time.Duration, limit int) (int, error) {
	return ask(ctx, s, "purge_events", func(ctx context.Context) (int, error) { return s.Store.PurgeEvents(ctx, stream, olderThan, limit) })
}

func (s observedStore) LookUp(ctx context.Context, scope string, paths []string) ([]store.LedgerEntry, error) {
	return ask(ctx, s, "look_up", func(ctx context.Context) ([]store.LedgerEntry, error) { return s.Store.LookUp(ctx, scope, paths) })
}

func (s observedStore) Forget(ctx context.Context, scope string, paths []string) error {
	return s.tell(ctx, "forget", func(ctx context.Context) error { return s.Store.Forget(ctx, scope, paths) })
}

func (s observedStore) PurgeLedger(ctx context.Context, olderThan time.Duration, limit int) (int, error) {
	return ask(ctx, s, "purge_ledger", func(ctx context.Context) (int, error) { return s.Store.PurgeLedger(ctx, olderThan, limit) })
}
