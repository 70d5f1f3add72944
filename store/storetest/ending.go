package storetest

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var contextPromises = []promise{
	{"an ended context gives its error and changes nothing", contextEnded},
	{"a deadline that has passed gives its error", contextDeadline},
}

var closePromises = []promise{
	{"every later call is ErrClosed", closeCalls},
	{"closing twice is allowed", closeTwice},
	{"a watch neither panics nor is closed", closeWatch},
}

// calls returns one call of each method that takes a context and returns an error; those that write would succeed.
func calls(s store.Store, held, failed store.File) map[string]func(context.Context) error {
	tr := newTransfer("acme")
	tr.ClientToken = "token"
	all := map[string]func(context.Context) error{
		"CreateTransfer": func(ctx context.Context) error {
			_, err := s.CreateTransfer(ctx, tr, newFiles(3))
			return err
		},
		"GetTransfer": func(ctx context.Context) error {
			_, err := s.GetTransfer(ctx, held.TransferID)
			return err
		},
		"ListFiles": func(ctx context.Context) error {
			_, err := s.ListFiles(ctx, store.Query{})
			return err
		},
		"CountFiles": func(ctx context.Context) error {
			_, err := s.CountFiles(ctx, store.Query{})
			return err
		},
		"Claim": func(ctx context.Context) error {
			_, err := s.Claim(ctx, store.ClaimRequest{
				Worker: "late", Max: 10, Lease: long, Limits: map[string]int{"acme": 10},
			})
			return err
		},
		"Update": func(ctx context.Context) error {
			_, err := s.Update(ctx, []store.Change{change(held, store.Done)})
			return err
		},
		"Control": func(ctx context.Context) error {
			_, err := s.Control(ctx, store.ControlRequest{IDs: []int64{held.ID}, To: store.Paused})
			return err
		},
		"Swept": func(ctx context.Context) error { return s.Swept(ctx, []int64{failed.ID}) },
		"Purge": func(ctx context.Context) error {
			_, err := s.Purge(ctx, store.PurgeRequest{States: finals(), Max: 10})
			return err
		},
		"CreateConnector": func(ctx context.Context) error {
			_, err := s.CreateConnector(ctx, store.Connector{ID: newID()})
			return err
		},
		"UpdateConnector": func(ctx context.Context) error { return orNil(updateConnector(ctx, s, "c-"+held.TransferID)) },
		"DeleteConnector": func(ctx context.Context) error { return orNil(s.DeleteConnector(ctx, "c-"+held.TransferID)) },
		"GetConnector": func(ctx context.Context) error {
			_, err := s.GetConnector(ctx, newID())
			return orNil(err)
		},
		"ListConnectors": func(ctx context.Context) error {
			_, err := s.ListConnectors(ctx, store.ConnectorQuery{})
			return err
		},
		"ConnectorsRevision": func(ctx context.Context) error {
			_, err := s.ConnectorsRevision(ctx)
			return err
		},
		"CreateOperation": func(ctx context.Context) error {
			_, err := s.CreateOperation(ctx, store.Operation{ID: newID(), Limit: long})
			return err
		},
		"FinishOperation": func(ctx context.Context) error { return orNil(s.FinishOperation(ctx, store.Operation{ID: newID()})) },
		"GetOperation": func(ctx context.Context) error {
			_, err := s.GetOperation(ctx, newID())
			return orNil(err)
		},
		"ListOperations": func(ctx context.Context) error {
			_, err := s.ListOperations(ctx, store.OperationQuery{})
			return err
		},
		"PurgeOperations": func(ctx context.Context) error {
			_, err := s.PurgeOperations(ctx, 0, 10)
			return err
		},
	}
	maps.Copy(all, dutyCalls(s))
	maps.Copy(all, journalCalls(s))
	return all
}

// dutyCalls are those of store.Duties.
func dutyCalls(s store.Store) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"CreateDuty": func(ctx context.Context) error { return s.CreateDuty(ctx, store.Duty{Name: newID()}) },
		"ClaimDuties": func(ctx context.Context) error {
			_, err := s.ClaimDuties(ctx, store.DutyRequest{Worker: "late", Max: 10, Lease: long})
			return err
		},
		"UpdateDuty": func(ctx context.Context) error {
			if err := s.UpdateDuty(ctx, store.Duty{Name: "unknown", Token: 1}, long); !errors.Is(err, store.ErrLeaseLost) {
				return err
			}
			return nil
		},
		"DeleteDuty": func(ctx context.Context) error { return orNil(s.DeleteDuty(ctx, "unknown", 0)) },
		"ListDuties": func(ctx context.Context) error {
			_, err := s.ListDuties(ctx, store.DutyQuery{})
			return err
		},
	}
}

// journalCalls are those of store.Journal and store.Ledger.
func journalCalls(s store.Store) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"OpenStream":  func(ctx context.Context) error { return s.OpenStream(ctx, store.Stream{Name: newID()}) },
		"CloseStream": func(ctx context.Context) error { return orNil(s.CloseStream(ctx, "unknown")) },
		"ListStreams": func(ctx context.Context) error {
			_, err := s.ListStreams(ctx)
			return err
		},
		"AppendEvents": func(ctx context.Context) error {
			return orNil(s.AppendEvents(ctx, "unknown", []store.Event{{Note: []byte("note")}}))
		},
		"ListEvents": func(ctx context.Context) error {
			_, err := s.ListEvents(ctx, store.EventQuery{Stream: "acme"})
			return err
		},
		"CountEvents": func(ctx context.Context) error {
			_, err := s.CountEvents(ctx, "acme")
			return err
		},
		"DropEvents": func(ctx context.Context) error { return s.DropEvents(ctx, "acme", []int64{1}) },
		"PurgeEvents": func(ctx context.Context) error {
			_, err := s.PurgeEvents(ctx, "acme", 0, 10)
			return err
		},
		"LookUp": func(ctx context.Context) error {
			_, err := s.LookUp(ctx, "acme", []string{"/a"})
			return err
		},
		"Forget": func(ctx context.Context) error { return s.Forget(ctx, "acme", []string{"/a"}) },
		"PurgeLedger": func(ctx context.Context) error {
			_, err := s.PurgeLedger(ctx, 0, 10)
			return err
		},
	}
}

func updateConnector(ctx context.Context, s store.Store, id string) error {
	_, err := s.UpdateConnector(ctx, store.Connector{ID: id, Revision: 1})
	return err
}

// orNil is the error of a call about what is not there, which is fine where the call is made at all.
func orNil(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// oneOfEach creates a file that is claimed, one that failed and left a checkpoint, and one that is queued.
func oneOfEach(t *testing.T, s store.Store) (held, failed store.File) {
	t.Helper()
	create(t, s, "acme", 2)
	claimed := claim(t, s, "w", "acme", 1, long)
	require.Len(t, claimed, 1)
	return claimed[0].File, fileIn(t, s, store.Failed)
}

func contextEnded(t *testing.T, s store.Store) {
	held, failed := oneOfEach(t, s)
	before, err := s.ListFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	all := calls(s, held, failed)
	for name, call := range all {
		require.ErrorIs(t, call(ctx), context.Canceled, name)
	}
	after, err := s.ListFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Equal(t, before, after)
	for name, call := range all {
		require.NoError(t, call(t.Context()), name)
	}
}

func contextDeadline(t *testing.T, s store.Store) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	held, failed := oneOfEach(t, s)
	for name, call := range calls(s, held, failed) {
		require.ErrorIs(t, call(ctx), context.DeadlineExceeded, name)
	}
}

func closeCalls(t *testing.T, s store.Store) {
	held, failed := oneOfEach(t, s)
	require.NoError(t, s.Close())
	for name, call := range calls(s, held, failed) {
		require.ErrorIs(t, call(t.Context()), store.ErrClosed, name)
	}
}

func closeTwice(t *testing.T, s store.Store) {
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
}

func closeWatch(t *testing.T, s store.Store) {
	early := s.Watch(t.Context(), store.FilesReady)
	require.NoError(t, s.Close())
	late := s.Watch(t.Context(), store.FilesReady)
	requireNotClosed(t, early)
	requireNotClosed(t, late)
}
