package store_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store { return store.NewMemory() })
}

var acme = map[string]int{"acme": 1_000_000_000}

// create stores a transfer of n files for the connector acme.
func create(tb testing.TB, m *store.Memory, id string, files ...store.NewFile) {
	tb.Helper()
	_, err := m.CreateTransfer(tb.Context(), store.Transfer{ID: id, ConnectorID: "acme"}, files)
	require.NoError(tb, err)
}

func claim(tb testing.TB, m *store.Memory, limits map[string]int, maximum int, lease time.Duration) []store.Claimed {
	tb.Helper()
	claimed, err := m.Claim(tb.Context(), store.ClaimRequest{Worker: "w", Max: maximum, Lease: lease, Limits: limits})
	require.NoError(tb, err)
	return claimed
}

func TestMemoryKeepsTimeToTheMicrosecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := store.NewMemory()
		create(t, m, "id", store.NewFile{StartAt: time.Now().Add(time.Hour)})
		time.Sleep(time.Hour - time.Microsecond)
		require.Empty(t, claim(t, m, acme, 1, time.Minute))
		time.Sleep(time.Microsecond)
		require.Len(t, claim(t, m, acme, 1, time.Minute), 1)

		time.Sleep(time.Minute - time.Microsecond)
		require.Empty(t, claim(t, m, acme, 1, time.Minute))
		time.Sleep(time.Microsecond)
		claimed := claim(t, m, acme, 1, time.Minute)
		require.Len(t, claimed, 1)

		verdicts, err := m.Update(t.Context(), []store.Change{
			{ID: claimed[0].ID, Token: claimed[0].Token, State: store.Waiting, Delay: time.Second},
		})
		require.NoError(t, err)
		require.Equal(t, []error{nil}, verdicts)
		time.Sleep(time.Second - time.Microsecond)
		require.Empty(t, claim(t, m, acme, 1, time.Minute))
		time.Sleep(time.Microsecond)
		require.Len(t, claim(t, m, acme, 1, time.Minute), 1)
	})
}

// A lease that expired is ready since then: what has been ready longer comes first.
func TestMemoryOrdersExpiredLeasesByTheirEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := store.NewMemory()
		create(t, m, "early", make([]store.NewFile, 2)...)
		require.Len(t, claim(t, m, acme, 1, time.Minute), 1)
		time.Sleep(2 * time.Minute)
		create(t, m, "late", store.NewFile{})
		var ids []int64
		for _, c := range claim(t, m, acme, 10, time.Minute) {
			ids = append(ids, c.ID)
		}
		require.Equal(t, []int64{2, 1, 3}, ids)
	})
}

// With Max 1 the turns go on from call to call.
func TestMemoryTakesTurnsAcrossCalls(t *testing.T) {
	t.Parallel()
	m := store.NewMemory()
	limits := map[string]int{"a": 100, "b": 100, "c": 100}
	for connector := range limits {
		_, err := m.CreateTransfer(t.Context(), store.Transfer{ID: connector, ConnectorID: connector}, make([]store.NewFile, 5))
		require.NoError(t, err)
	}
	turns := ""
	for range 9 {
		turns += claim(t, m, limits, 1, time.Hour)[0].ConnectorID
	}
	require.Equal(t, "abcabcabc", turns)
}

func TestMemoryRefusesStatesThatAreNotAWorkers(t *testing.T) {
	t.Parallel()
	m := store.NewMemory()
	create(t, m, "id", store.NewFile{})
	f := claim(t, m, acme, 1, time.Hour)[0].File
	for _, s := range []store.State{0, store.Queued, store.Paused, store.Cancelled, 99} {
		verdicts, err := m.Update(t.Context(), []store.Change{{ID: f.ID, Token: f.Token, State: s}})
		require.NoError(t, err)
		require.Error(t, verdicts[0])
		require.NotErrorIs(t, verdicts[0], store.ErrLeaseLost)
	}
	files, err := m.ListFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Equal(t, []store.File{f}, files)
}

func TestMemoryListEndsWithContext(t *testing.T) {
	t.Parallel()
	m := store.NewMemory()
	create(t, m, "id", make([]store.NewFile, 5000)...)
	ctx := &endsAfter{Context: t.Context(), calls: 2}
	_, err := m.ListFiles(ctx, store.Query{})
	require.ErrorIs(t, err, context.Canceled)
}

// endsAfter is a context that has ended once Err was called so often.
type endsAfter struct {
	context.Context
	calls int
}

func (c *endsAfter) Err() error {
	if c.calls--; c.calls < 0 {
		return context.Canceled
	}
	return nil
}

func TestMemoryCloseEndsWatches(t *testing.T) {
	t.Parallel()
	m := store.NewMemory()
	early := m.Watch(t.Context(), store.FilesFinished)
	require.NoError(t, m.Close())
	<-early
	<-m.Watch(t.Context(), store.FilesFinished)
}
