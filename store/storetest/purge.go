package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var purgePromises = []promise{
	{"removes finished files of these states", purgeStates},
	{"removes nothing else, even if asked", purgeOthers},
	{"without states it removes nothing", purgeNoStates},
	{"removes what finished long enough ago", purgeAge},
	{"removes up to Max, those first that finished first", purgeFirst},
	{"a transfer goes with its last file, and its client token with it", purgeTransfer},
	{"a transfer of which files are left stays what it was", purgePart},
	{"ids are not given out again", purgeIDs},
	{"what was removed is unknown", purgeUnknown},
	{"a file outlives the one that it repeats", purgeParent},
	{"lists and counts are of what is left", purgeLists},
	{"removes more than 1,000 files", purgeMany},
}

// purge removes finished files and returns how many.
func purge(t tb, s store.Store, maximum int, olderThan time.Duration, states ...store.State) int {
	t.Helper()
	n, err := s.Purge(t.Context(), store.PurgeRequest{States: states, OlderThan: olderThan, Max: maximum})
	require.NoError(t, err)
	return n
}

func purgeStates(t *testing.T, s store.Store) {
	want := map[store.State]int64{}
	for _, state := range store.States() {
		fileIn(t, s, state)
		want[state]++
	}
	for _, state := range finals() {
		fileIn(t, s, state)
		require.Equal(t, 2, purge(t, s, 100, 0, state, state), "%v", state)
		delete(want, state)
		requireCounts(t, s, store.Query{}, want)
		require.Zero(t, purge(t, s, 100, 0, state))
	}
	for _, state := range finals() {
		fileIn(t, s, state)
	}
	require.Equal(t, 3, purge(t, s, 100, 0, finals()...))
	requireCounts(t, s, store.Query{}, want)
}

func purgeOthers(t *testing.T, s store.Store) {
	want := map[store.State]int64{}
	for _, state := range store.States() {
		fileIn(t, s, state)
		want[state]++
	}
	before := everything(t, s)
	require.Zero(t, purge(t, s, 100, 0, 0, store.Queued, store.Running, store.Waiting, store.Paused, store.Interrupted, 99))
	require.Equal(t, before, everything(t, s))
	require.Equal(t, 1, purge(t, s, 100, 0, store.States()[:6]...))
	delete(want, store.Failed)
	requireCounts(t, s, store.Query{}, want)
}

func purgeNoStates(t *testing.T, s store.Store) {
	for _, state := range finals() {
		fileIn(t, s, state)
	}
	require.Zero(t, purge(t, s, 100, 0))
	require.Zero(t, purge(t, s, 100, 0, []store.State{}...))
	require.Len(t, everything(t, s), 3)
}

func purgeAge(t *testing.T, s store.Store) {
	for _, state := range finals() {
		early := fileIn(t, s, state)
		require.Zero(t, purge(t, s, 100, long, state))
		letPass(t, s, 2*short)
		late := fileIn(t, s, state)
		apart := late.FinishedAt.Sub(early.FinishedAt)
		require.GreaterOrEqual(t, apart, 2*short)
		require.Positive(t, purge(t, s, 100, apart, state))
		left := fileIDs(everything(t, s))
		require.NotContains(t, left, early.ID)
		if now := claimOne(t, s, newID(), long).UpdatedAt; now.Sub(late.FinishedAt) < apart {
			require.Contains(t, left, late.ID)
		}
		require.Equal(t, int(countsOf(everything(t, s), store.Query{})[state]), purge(t, s, 100, 0, state))
	}
}

func purgeFirst(t *testing.T, s store.Store) {
	files := create(t, s, "acme", 6)
	claimed := claim(t, s, "w", "acme", 6, long)
	var finished []store.File
	for _, i := range []int{4, 0, 5, 2, 1, 3} {
		finished = append(finished, write(t, s, change(claimed[i].File, finals()[i%2*2])))
	}
	require.Zero(t, purge(t, s, 0, 0, finals()...))
	require.Len(t, filesOf(t, s, files[0].TransferID), 6)
	for _, n := range []int{2, 1} {
		require.Equal(t, n, purge(t, s, n, 0, finals()...))
		left := filesOf(t, s, files[0].TransferID)
		require.Len(t, left, len(finished)-n)
		finished = finished[n:]
		for _, f := range left {
			require.False(t, f.FinishedAt.Before(finished[0].FinishedAt), "file %d finished before one that was removed", f.ID)
		}
	}
	require.Equal(t, 3, purge(t, s, 100, 0, finals()...))
	require.Empty(t, filesOf(t, s, files[0].TransferID))
}

// withToken stores a transfer of n files under this client token.
func withToken(t *testing.T, s store.Store, token string, n int) store.Transfer {
	t.Helper()
	given := newTransfer("acme")
	given.ClientToken = token
	created, err := s.CreateTransfer(t.Context(), given, newFiles(n))
	require.NoError(t, err)
	return created
}

func purgeTransfer(t *testing.T, s store.Store) {
	first := withToken(t, s, "token", 2)
	other := withToken(t, s, "other", 1)
	for _, f := range filesOf(t, s, first.ID) {
		bring(t, s, f.ID, store.Cancelled)
	}
	require.Equal(t, first.ID, withToken(t, s, "token", 2).ID)
	require.Equal(t, 2, purge(t, s, 100, 0, store.Cancelled))
	requireNotStored(t, s, first.ID, 1)

	second := withToken(t, s, "token", 3)
	require.NotEqual(t, first.ID, second.ID)
	require.Equal(t, second, withToken(t, s, "token", 3))
	require.Equal(t, other, withToken(t, s, "other", 1))
	require.Len(t, filesOf(t, s, second.ID), 3)

	reused := newTransfer("acme")
	reused.ID = first.ID
	_, err := s.CreateTransfer(t.Context(), reused, newFiles(1))
	require.NoError(t, err, "the id of a transfer that is gone")
}

func purgePart(t *testing.T, s store.Store) {
	created := withToken(t, s, "token", 3)
	files := filesOf(t, s, created.ID)
	for _, i := range []int{0, 2} {
		bring(t, s, files[i].ID, store.Cancelled)
		require.Equal(t, 1, purge(t, s, 100, 0, store.Cancelled))
		got, err := s.GetTransfer(t.Context(), created.ID)
		require.NoError(t, err)
		require.Equal(t, created, got)
		require.Equal(t, created, withToken(t, s, "token", 3))
	}
	left := filesOf(t, s, created.ID)
	require.Equal(t, []int64{files[1].ID}, fileIDs(left))
	requireCounts(t, s, store.Query{TransferID: created.ID}, map[store.State]int64{store.Queued: 1})
	claimed := claimOnly(t, s, left[0], long)
	finish(t, s, claimed)
	require.Equal(t, 1, purge(t, s, 100, 0, store.Done))
	requireNotStored(t, s, created.ID, 0)
}

func purgeIDs(t *testing.T, s store.Store) {
	last := int64(0)
	for range 3 {
		files := create(t, s, "acme", 3)
		require.Greater(t, files[0].ID, last)
		last = files[2].ID
		for _, f := range files {
			bring(t, s, f.ID, store.Cancelled)
		}
		require.Equal(t, 3, purge(t, s, 100, 0, store.Cancelled))
		requireCounts(t, s, store.Query{}, nil)
	}
}

func purgeUnknown(t *testing.T, s store.Store) {
	held := claimOne(t, s, "acme", long)
	finish(t, s, held)
	other := fileIn(t, s, store.Queued)
	require.Equal(t, 1, purge(t, s, 100, 0, store.Done))
	for _, to := range []store.State{store.Paused, store.Cancelled, store.Queued} {
		require.ErrorIs(t, control(t, s, to, held.ID)[0], store.ErrNotFound)
	}
	for _, to := range []store.State{store.Running, store.Interrupted, store.Done} {
		require.ErrorIs(t, update(t, s, change(held, to))[0], store.ErrLeaseLost)
	}
	sweep(t, s, held.ID)
	require.Empty(t, claim(t, s, "w", "acme", 10, long))
	require.Equal(t, []store.File{other}, everything(t, s))
}

func purgeParent(t *testing.T, s store.Store) {
	parent := fileIn(t, s, store.Failed)
	files := newFiles(1)
	files[0].Parent = parent.ID
	created, err := s.CreateTransfer(t.Context(), newTransfer("acme"), files)
	require.NoError(t, err)
	require.Equal(t, 1, purge(t, s, 100, 0, store.Failed))
	left := filesOf(t, s, created.ID)
	require.Len(t, left, 1)
	require.Equal(t, parent.ID, left[0].Parent)
	require.Equal(t, parent.ID, claimOnly(t, s, left[0], long).Parent)
}

func purgeLists(t *testing.T, s store.Store) {
	all := mixed(t, s)
	for _, state := range finals() {
		require.Positive(t, purge(t, s, 2, 0, state))
	}
	left := everything(t, s)
	require.Less(t, len(left), len(all))
	for i := 0; i < len(left); i += 19 {
		for _, q := range filtersLike(&left[i]) {
			q.Order = store.ByStopDesc
			requireQuery(t, s, left, q)
		}
	}
	for _, o := range orders() {
		requirePages(t, s, left, store.Query{Order: o, Limit: 20})
	}
	requireCounts(t, s, store.Query{}, countsOf(left, store.Query{}))
}

func purgeMany(t *testing.T, s store.Store) {
	const n = 1201
	failMany(t, s, n)
	require.Equal(t, 1100, purge(t, s, 1100, 0, store.Failed))
	requireCounts(t, s, store.Query{}, map[store.State]int64{store.Failed: n - 1100})
	require.Equal(t, n-1100, purge(t, s, 1_000_000, 0, store.Failed))
	requireCounts(t, s, store.Query{}, nil)
}
