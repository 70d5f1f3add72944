package storetest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var operationPromises = []promise{
	{"what was created is returned and kept", operationCreated},
	{"an id that is known is ErrExists", operationExists},
	{"it ends once, with its failure and its result", operationEnds},
	{"of concurrent ends one is written", operationEndsOnce},
	{"its time passes on the store's clock", operationExpires},
	{"unknown ones are ErrNotFound", operationUnknown},
	{"lists are of one connector or all, the newest first by id", operationList},
	{"purging removes what began long enough ago and has ended for sure", operationPurged},
}

func createOperation(t tb, s store.Store, limit time.Duration) store.Operation {
	t.Helper()
	o, err := s.CreateOperation(t.Context(), store.Operation{ID: newID(), ConnectorID: "acme", Spec: []byte("spec"), Limit: limit})
	require.NoError(t, err)
	return o
}

func getOperation(t tb, s store.Store, id string) store.Operation {
	t.Helper()
	o, err := s.GetOperation(t.Context(), id)
	require.NoError(t, err)
	return o
}

func operationCreated(t *testing.T, s store.Store) {
	o := createOperation(t, s, long)
	require.Equal(t, store.Operation{
		ID: o.ID, ConnectorID: "acme", Spec: []byte("spec"), CreatedAt: o.CreatedAt, Until: o.CreatedAt.Add(long), Result: o.Result,
	}, o)
	require.Empty(t, o.Result)
	require.WithinDuration(t, create(t, s, "acme", 1)[0].CreatedAt, o.CreatedAt, clockSlack)
	require.Equal(t, o, getOperation(t, s, o.ID))
}

func operationExists(t *testing.T, s store.Store) {
	o := createOperation(t, s, long)
	_, err := s.CreateOperation(t.Context(), store.Operation{ID: o.ID, ConnectorID: "other", Limit: long})
	require.ErrorIs(t, err, store.ErrExists)
	require.Equal(t, o, getOperation(t, s, o.ID))
}

func operationEnds(t *testing.T, s store.Store) {
	o := createOperation(t, s, long)
	end := store.Operation{ID: o.ID, Failure: store.Failure{Code: "c", Detail: "d", Message: "m"}, Result: []byte("result")}
	require.NoError(t, s.FinishOperation(t.Context(), end))
	got := getOperation(t, s, o.ID)
	require.False(t, got.FinishedAt.Before(o.CreatedAt))
	want := o
	want.Finished, want.FinishedAt, want.Failure, want.Result = true, got.FinishedAt, end.Failure, end.Result
	require.Equal(t, want, got)
	require.ErrorIs(t, s.FinishOperation(t.Context(), store.Operation{ID: o.ID}), store.ErrState)
	require.Equal(t, want, getOperation(t, s, o.ID))
}

func operationEndsOnce(t *testing.T, s store.Store) {
	o := createOperation(t, s, long)
	var written atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := s.FinishOperation(t.Context(), store.Operation{ID: o.ID})
			if err == nil {
				written.Add(1)
				return
			}
			assert.ErrorIs(t, err, store.ErrState)
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, written.Load())
}

func operationExpires(t *testing.T, s store.Store) {
	done := createOperation(t, s, 20*tick)
	finished := s.FinishOperation(t.Context(), store.Operation{ID: done.ID})
	late := createOperation(t, s, tick)
	letPass(t, s, 20*tick)
	require.True(t, getOperation(t, s, late.ID).Expired)
	require.False(t, getOperation(t, s, late.ID).Finished)
	require.ErrorIs(t, s.FinishOperation(t.Context(), store.Operation{ID: late.ID}), store.ErrState)
	require.True(t, getOperation(t, s, late.ID).Expired)
	if finished == nil { // a slow machine may have been too late
		require.True(t, getOperation(t, s, done.ID).Finished)
		require.False(t, getOperation(t, s, done.ID).Expired)
	}
}

func operationUnknown(t *testing.T, s store.Store) {
	for _, id := range []string{newID(), ""} {
		_, err := s.GetOperation(t.Context(), id)
		require.ErrorIs(t, err, store.ErrNotFound)
		require.ErrorIs(t, s.FinishOperation(t.Context(), store.Operation{ID: id}), store.ErrNotFound)
	}
}

func operationList(t *testing.T, s store.Store) {
	var all []store.Operation
	for i := range 12 {
		given := store.Operation{ID: fmt.Sprintf("%02d-%s", i, newID()), ConnectorID: []string{"acme", "other", "%"}[i%3], Limit: long}
		if i < 2 {
			given.Limit = tick
		}
		_, err := s.CreateOperation(t.Context(), given)
		require.NoError(t, err)
		if i > 5 {
			require.NoError(t, s.FinishOperation(t.Context(), store.Operation{ID: given.ID, Result: []byte("result")}))
		}
		all = append(all, given)
	}
	letPass(t, s, 2*tick)
	for i := range all {
		all[i] = getOperation(t, s, all[i].ID)
		require.Equal(t, i < 2, all[i].Expired)
	}
	slices.Reverse(all)
	other := slices.DeleteFunc(slices.Clone(all), func(o store.Operation) bool { return o.ConnectorID != "other" })
	listed := func(q store.OperationQuery) []store.Operation {
		found, err := s.ListOperations(t.Context(), q)
		require.NoError(t, err)
		return found
	}
	require.Equal(t, all, listed(store.OperationQuery{}))
	require.Equal(t, all[3:8], listed(store.OperationQuery{Before: all[2].ID, Limit: 5}))
	require.Equal(t, other, listed(store.OperationQuery{ConnectorID: "other"}))
	require.Equal(t, other[2:3], listed(store.OperationQuery{ConnectorID: "other", Before: other[1].ID, Limit: 1}))
	require.Empty(t, listed(store.OperationQuery{Before: all[11].ID}))
	require.Empty(t, listed(store.OperationQuery{ConnectorID: "unknown"}))
}

func operationPurged(t *testing.T, s store.Store) {
	purged := func(olderThan time.Duration, limit int) int {
		t.Helper()
		n, err := s.PurgeOperations(t.Context(), olderThan, limit)
		require.NoError(t, err)
		return n
	}
	open := createOperation(t, s, long)
	for range 5 {
		createOperation(t, s, tick)
	}
	letPass(t, s, 2*tick)
	require.Zero(t, purged(long, 10))
	require.Zero(t, purged(0, 0))
	require.Equal(t, 2, purged(tick, 2))
	require.Equal(t, 3, purged(0, 10))
	require.Zero(t, purged(0, 10))
	require.Equal(t, open, getOperation(t, s, open.ID))
}
