package store_test

import (
	"context"
	"fmt"
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
	t := store.Transfer{ID: id, ConnectorID: "acme", RuleName: "rule", FollowID: id}
	_, err := m.CreateTransfer(tb.Context(), t, files)
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

func control(t *testing.T, m *store.Memory, to store.State, ids ...int64) []error {
	t.Helper()
	verdicts, err := m.Control(t.Context(), store.ControlRequest{IDs: ids, To: to})
	require.NoError(t, err)
	require.Len(t, verdicts, len(ids))
	return verdicts
}

func list(t *testing.T, m *store.Memory, q store.Query) []store.File {
	t.Helper()
	files, err := m.ListFiles(t.Context(), q)
	require.NoError(t, err)
	return files
}

func TestMemoryCancelsWhatIsRunningThroughItsWorker(t *testing.T) {
	t.Parallel()
	m := store.NewMemory()
	create(t, m, "id", store.NewFile{Parent: 7})
	f := claim(t, m, acme, 1, time.Hour)[0].File
	require.Equal(t, int64(7), f.Parent)
	require.Equal(t, []error{nil}, control(t, m, store.Paused, f.ID))
	require.Equal(t, []error{nil}, control(t, m, store.Cancelled, f.ID))
	require.ErrorIs(t, control(t, m, store.Queued, f.ID)[0], store.ErrState)
	c := store.Change{ID: f.ID, Token: f.Token, State: store.Running, Lease: time.Hour}
	verdicts, err := m.Update(t.Context(), []store.Change{c})
	require.NoError(t, err)
	require.ErrorIs(t, verdicts[0], store.ErrCancelWanted)
	c.State, c.Checkpoint, c.Failures = store.Interrupted, []byte("part"), 3
	verdicts, err = m.Update(t.Context(), []store.Change{c, c})
	require.NoError(t, err)
	require.Equal(t, []error{nil, store.ErrLeaseLost}, verdicts)

	got := list(t, m, store.Query{Litter: true})
	require.Len(t, got, 1)
	require.Equal(t, store.Cancelled, got[0].State)
	require.Equal(t, store.CancelledFailure, got[0].Failure)
	require.Equal(t, got[0].UpdatedAt, got[0].FinishedAt)
	require.Equal(t, 3, got[0].Failures)
	require.Zero(t, got[0].Wanted)
	require.NoError(t, m.Swept(t.Context(), []int64{f.ID, 99}))
	require.Empty(t, list(t, m, store.Query{Litter: true}))
	require.ErrorContains(t, control(t, m, store.Queued, f.ID)[0], "Cancelled")
}

func TestMemoryPausesAnExpiredLeaseAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := store.NewMemory()
		create(t, m, "id", store.NewFile{}, store.NewFile{StartAt: time.Now().Add(time.Hour)})
		f := claim(t, m, acme, 1, time.Second)[0].File
		time.Sleep(time.Second)
		require.Equal(t, []error{nil, nil, store.ErrNotFound}, control(t, m, store.Paused, 1, 2, 3))
		require.Empty(t, claim(t, m, acme, 9, time.Minute))
		verdicts, err := m.Update(t.Context(), []store.Change{{ID: f.ID, Token: f.Token, State: store.Running}})
		require.NoError(t, err)
		require.ErrorIs(t, verdicts[0], store.ErrLeaseLost)

		require.Equal(t, []error{nil, nil}, control(t, m, store.Queued, 1, 2))
		got := list(t, m, store.Query{})
		require.Equal(t, store.Interrupted, got[0].State)
		require.Equal(t, store.Queued, got[1].State)
		require.Len(t, claim(t, m, acme, 9, time.Minute), 1)
		time.Sleep(time.Hour)
		require.Len(t, claim(t, m, acme, 9, 2*time.Hour), 2)
	})
}

func TestMemoryRefusesStatesThatAreNotAUsers(t *testing.T) {
	t.Parallel()
	m := store.NewMemory()
	create(t, m, "id", store.NewFile{})
	for _, to := range []store.State{0, store.Running, store.Waiting, store.Interrupted, store.Failed, store.Done, 99} {
		_, err := m.Control(t.Context(), store.ControlRequest{IDs: []int64{1}, To: to})
		require.ErrorContains(t, err, "ControlRequest.To")
	}
}

func TestMemoryPurgesTheOldestAndThenTheTransfer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := store.NewMemory()
		token := store.Transfer{ID: "id", ConnectorID: "acme", ClientToken: "token"}
		_, err := m.CreateTransfer(t.Context(), token, make([]store.NewFile, 3))
		require.NoError(t, err)
		for id := range int64(3) {
			require.Equal(t, []error{nil}, control(t, m, store.Cancelled, 3-id))
			time.Sleep(time.Second)
		}
		purge := func(r store.PurgeRequest) int {
			n, err := m.Purge(t.Context(), r)
			require.NoError(t, err)
			return n
		}
		require.Zero(t, purge(store.PurgeRequest{States: []store.State{store.Done, store.Failed}, Max: 9}))
		require.Zero(t, purge(store.PurgeRequest{States: []store.State{store.Cancelled}}))
		cancelled := store.PurgeRequest{States: []store.State{store.Cancelled}, OlderThan: time.Second, Max: 2}
		require.Equal(t, 2, purge(cancelled))
		require.Equal(t, int64(1), list(t, m, store.Query{})[0].ID)
		got, err := m.GetTransfer(t.Context(), "id")
		require.NoError(t, err)
		require.Equal(t, 3, got.Files)
		require.Equal(t, 1, purge(cancelled))
		_, err = m.GetTransfer(t.Context(), "id")
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = m.CreateTransfer(t.Context(), token, make([]store.NewFile, 1))
		require.NoError(t, err)
		require.Equal(t, int64(4), list(t, m, store.Query{})[0].ID)
	})
}

// Lists and counts that are made for it look at few files: they never get as far as a second look at the context.
func TestMemoryLooksAtFewFiles(t *testing.T) {
	t.Parallel()
	m := store.NewMemory()
	for i := range 50 {
		files := newFiles(100)
		for j := range files {
			files[j].SourcePath, files[j].Partner = fmt.Sprint(i, "/", j), []string{"a", "b"}[j%2]
		}
		create(t, m, fmt.Sprint(i), files...)
	}
	claimed := claim(t, m, acme, 2500, time.Hour)
	update(t, m, claimed, store.Change{State: store.Done})
	middle := claimed[1200].File
	done := []store.State{store.Done}
	for _, q := range []store.Query{
		{}, {Partner: "a"}, {RuleName: "rule"}, {States: done}, {States: []store.State{store.Done, store.Queued}},
		{Partner: "a", States: done}, {RuleName: "rule", States: done}, {FollowID: "7"}, {TransferID: "7"},
		{LocalPath: "7/7"}, {From: middle.CreatedAt}, {Partner: "a", To: time.Now()}, {Updated: middle.CreatedAt, RuleName: "rule"},
	} {
		_, err := m.CountFiles(&endsAfter{Context: t.Context(), calls: 1}, q)
		require.NoError(t, err, "%+v", q)
		q.Limit = 50
		for order := store.ByID; order <= store.ByStopDesc; order++ {
			if order == store.BySource || order == store.BySourceDesc {
				continue
			}
			q.Order = order
			q.After = q.CursorOf(&middle)
			_, err := m.ListFiles(&endsAfter{Context: t.Context(), calls: 2}, q)
			require.NoError(t, err, "%+v", q)
		}
	}
}
