package storetest

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var claimPromises = []promise{
	{"makes the file Running under a lease", claimSetsLease},
	{"returns the request's spec and metadata", claimReturnsRequest},
	{"returns copies", claimReturnsCopies},
	{"the file that has been ready longest comes first", claimOldestFirst},
	{"files that became ready together come by id", claimTiesByID},
	{"takes up to Max", claimMax},
	{"takes only what is ready to run", claimOnlyReady},
	{"a file given back is claimed again with its progress", claimAgain},
	{"a start ahead is waited for", claimStartAt},
}

func claimSetsLease(t *testing.T, s store.Store) {
	before := create(t, s, "acme", 1)[0]
	claimed := claim(t, s, "worker", "acme", 1, long)
	require.Len(t, claimed, 1)
	f := claimed[0].File
	require.False(t, f.StartedAt.IsZero())
	require.False(t, f.StartedAt.Before(before.CreatedAt))
	require.WithinDuration(t, f.StartedAt, f.UpdatedAt, clockSlack)
	require.WithinDuration(t, f.StartedAt.Add(long), f.LeaseUntil, clockSlack)
	require.Equal(t, before.Token+1, f.Token)

	want := before
	want.State, want.Phase, want.Attempts, want.Worker = store.Running, store.PhaseConnect, 1, "worker"
	want.Token, want.ReadyAt = f.Token, f.ReadyAt
	want.StartedAt, want.UpdatedAt, want.LeaseUntil = f.StartedAt, f.UpdatedAt, f.LeaseUntil
	requireSame(t, want, f)
	requireSame(t, f, row(t, s, f.ID))
}

func claimReturnsRequest(t *testing.T, s store.Store) {
	bySpec := map[string]string{}
	for _, spec := range []string{"one", "two"} {
		given := newTransfer("acme")
		given.Spec, given.Metadata = []byte(spec), map[string]string{"spec": spec}
		created, err := s.CreateTransfer(t.Context(), given, newFiles(2))
		require.NoError(t, err)
		bySpec[created.ID] = spec
	}
	claimed := claim(t, s, "w", "acme", 10, long)
	require.Len(t, claimed, 4)
	for _, c := range claimed {
		require.Equal(t, bySpec[c.TransferID], string(c.Spec))
		require.Equal(t, map[string]string{"spec": bySpec[c.TransferID]}, c.Metadata)
	}
}

func claimReturnsCopies(t *testing.T, s store.Store) {
	f := claimOne(t, s, "acme", long)
	for range 3 {
		c := change(f, store.Waiting)
		c.Checkpoint, c.SHA256 = []byte("checkpoint"), []byte("sum")
		write(t, s, c)
		again := claim(t, s, "w", "acme", 1, long)
		require.Len(t, again, 1)
		require.Equal(t, newTransfer("acme").Spec, again[0].Spec)
		require.Equal(t, newTransfer("acme").Metadata, again[0].Metadata)
		f = again[0].File
		again[0].Spec[0], again[0].Metadata["k"], again[0].Checkpoint[0], again[0].SHA256[0] = 9, "changed", 9, 9
		got := row(t, s, f.ID)
		require.Equal(t, "checkpoint", string(got.Checkpoint))
		require.Equal(t, "sum", string(got.SHA256))
	}
}

func claimOldestFirst(t *testing.T, s store.Store) {
	create(t, s, "acme", 6)
	claimed := claim(t, s, "w", "acme", 4, long)
	require.Len(t, claimed, 4)
	changes := make([]store.Change, len(claimed))
	for i, c := range claimed { // the last is ready first
		changes[i] = change(c.File, store.Waiting)
		changes[i].Delay = time.Duration(len(claimed)-i) * short
	}
	for _, verdict := range update(t, s, changes...) {
		require.NoError(t, verdict)
	}
	letPass(t, s, 6*short)

	want := filesOf(t, s, claimed[0].TransferID)
	require.Len(t, want, 6)
	slices.SortFunc(want, func(a, b store.File) int {
		return cmp.Or(a.ReadyAt.Compare(b.ReadyAt), cmp.Compare(a.ID, b.ID))
	})
	require.NotEqual(t, claimed[0].ID, want[2].ID, "the delays are not kept")
	first := claim(t, s, "w", "acme", 4, long)
	rest := claim(t, s, "w", "acme", 4, long)
	require.Equal(t, fileIDs(want), append(claimedIDs(first), claimedIDs(rest)...))
}

func claimTiesByID(t *testing.T, s store.Store) {
	files := create(t, s, "acme", 30)
	var got []int64
	for range 4 {
		got = append(got, claimedIDs(claim(t, s, "w", "acme", 8, long))...)
	}
	require.Equal(t, fileIDs(files), got)
}

func claimMax(t *testing.T, s store.Store) {
	create(t, s, "acme", 5)
	require.Empty(t, claim(t, s, "w", "acme", 0, long))
	require.Len(t, claim(t, s, "w", "acme", 3, long), 3)
	require.Len(t, claim(t, s, "w", "acme", 3, long), 2)
	require.Empty(t, claim(t, s, "w", "acme", 3, long))
}

func claimOnlyReady(t *testing.T, s store.Store) {
	create(t, s, "acme", 5)
	claimed := claim(t, s, "w", "acme", 5, long)
	require.Len(t, claimed, 5)
	for i, to := range []store.State{store.Done, store.Failed, store.Waiting, store.Interrupted} {
		c := change(claimed[i].File, to)
		c.Delay = long
		write(t, s, c)
	}
	require.Empty(t, claim(t, s, "other", "acme", 10, long))
}

func claimAgain(t *testing.T, s store.Store) {
	for _, state := range []store.State{store.Waiting, store.Interrupted} {
		f := claimOne(t, s, "acme", long)
		c := change(f, state)
		c.Progress = store.Progress{
			Phase: store.PhaseData, Size: 100, Offset: 50, BlockSize: 10, Rank: 5, Checkpoint: []byte("checkpoint"),
			Failures: 4, Task: 2,
		}
		given := write(t, s, c)

		again := claim(t, s, "other", "acme", 1, long)
		require.Len(t, again, 1)
		got := again[0].File
		require.Equal(t, f.ID, got.ID)
		require.Equal(t, store.Running, got.State)
		require.Equal(t, 2, got.Attempts)
		require.Equal(t, "other", got.Worker)
		require.Equal(t, f.Token+1, got.Token)
		require.Equal(t, f.StartedAt, got.StartedAt, "the first claim")
		want := given.Progress
		want.Phase = store.PhaseConnect
		require.Equal(t, normalProgress(want), normalProgress(got.Progress))
		finish(t, s, got)
	}
}

func claimStartAt(t *testing.T, s store.Store) {
	files := newFiles(2)
	files[0].StartAt = time.Now().Add(long)
	files[1].StartAt = time.Now().Add(6 * short)
	created, err := s.CreateTransfer(t.Context(), newTransfer("acme"), files)
	require.NoError(t, err)
	stored := filesOf(t, s, created.ID)
	claimed := eventuallyClaim(t, s, "w", "acme", long)
	require.Equal(t, []int64{stored[1].ID}, claimedIDs(claimed))
	require.False(t, claimed[0].StartedAt.Before(stored[1].StartAt), "claimed before its time")
	require.Empty(t, claim(t, s, "w", "acme", 10, long))
}

var limitPromises = []promise{
	{"a connector that is not named is not claimed", limitNamesConnectors},
	{"counts running files over all workers", limitOverWorkers},
	{"is checked anew in every call", limitPerCall},
	{"files given back or finished do not count", limitFreed},
	{"each connector has its own", limitEach},
	{"connectors take turns in a batch", limitTurns},
	{"what a full connector cannot take goes to the others", limitTurnsPassOn},
	{"Max holds over all connectors together", limitMax},
}

func limitNamesConnectors(t *testing.T, s store.Store) {
	create(t, s, "acme", 2)
	other := create(t, s, "other", 2)
	require.Empty(t, claimLimited(t, s, "w", 10, long, nil))
	require.Empty(t, claimLimited(t, s, "w", 10, long, map[string]int{"acme": 0, "unknown": 5}))
	got := claimLimited(t, s, "w", 10, long, map[string]int{"other": 5})
	require.Equal(t, fileIDs(other), claimedIDs(got))
}

func limitOverWorkers(t *testing.T, s store.Store) {
	create(t, s, "acme", 10)
	limits := map[string]int{"acme": 3}
	require.Len(t, claimLimited(t, s, "a", 2, long, limits), 2)
	require.Len(t, claimLimited(t, s, "b", 10, long, limits), 1)
	require.Empty(t, claimLimited(t, s, "a", 10, long, limits))
	require.Empty(t, claimLimited(t, s, "c", 10, long, limits))
	requireCounts(t, s, store.Query{}, map[store.State]int64{store.Running: 3, store.Queued: 7})
}

func limitPerCall(t *testing.T, s store.Store) {
	create(t, s, "acme", 10)
	require.Len(t, claimLimited(t, s, "w", 10, long, map[string]int{"acme": 4}), 4)
	require.Empty(t, claimLimited(t, s, "w", 10, long, map[string]int{"acme": 2}))
	require.Len(t, claimLimited(t, s, "w", 10, long, map[string]int{"acme": 5}), 1)
}

func limitFreed(t *testing.T, s store.Store) {
	limits := map[string]int{"acme": 1}
	files := create(t, s, "acme", 5)
	for i, to := range []store.State{store.Waiting, store.Interrupted, store.Done, store.Failed} {
		claimed := claimLimited(t, s, "w", 10, long, limits)
		require.Equal(t, []int64{files[i].ID}, claimedIDs(claimed))
		require.Empty(t, claimLimited(t, s, "w", 10, long, limits))
		c := change(claimed[0].File, to)
		c.Delay = long
		write(t, s, c)
	}
	require.Len(t, claimLimited(t, s, "w", 10, long, limits), 1)
}

func limitEach(t *testing.T, s store.Store) {
	for _, connector := range []string{"a", "b", "c"} {
		create(t, s, connector, 5)
	}
	limits := map[string]int{"a": 1, "b": 3, "c": 9}
	claimed := claimLimited(t, s, "w", 100, long, limits)
	require.Equal(t, map[string]int{"a": 1, "b": 3, "c": 5}, perConnector(claimed))
	require.Empty(t, claimLimited(t, s, "w", 100, long, limits))
}

func perConnector(claimed []store.Claimed) map[string]int {
	n := map[string]int{}
	for _, c := range claimed {
		n[c.ConnectorID]++
	}
	return n
}

func limitTurns(t *testing.T, s store.Store) {
	create(t, s, "backlog", 50)
	create(t, s, "few", 2)
	create(t, s, "one", 1)
	limits := map[string]int{"backlog": 100, "few": 100, "one": 100}
	claimed := claimLimited(t, s, "w", 3, long, limits)
	require.Equal(t, map[string]int{"backlog": 1, "few": 1, "one": 1}, perConnector(claimed))
	for _, c := range claimed {
		write(t, s, change(c.File, store.Interrupted))
	}
	claimed = claimLimited(t, s, "w", 7, long, limits)
	require.Equal(t, map[string]int{"backlog": 4, "few": 2, "one": 1}, perConnector(claimed))
}

func limitTurnsPassOn(t *testing.T, s store.Store) {
	create(t, s, "full", 50)
	create(t, s, "free", 50)
	require.Len(t, claimLimited(t, s, "w", 2, long, map[string]int{"full": 2}), 2)
	claimed := claimLimited(t, s, "w", 10, long, map[string]int{"full": 3, "free": 100})
	require.Equal(t, map[string]int{"full": 1, "free": 9}, perConnector(claimed))
}

func limitMax(t *testing.T, s store.Store) {
	limits := map[string]int{"a": 100, "b": 100, "c": 100}
	for connector := range limits {
		create(t, s, connector, 10)
	}
	for _, maximum := range []int{1, 2, 4, 5, 7} {
		require.Len(t, claimLimited(t, s, "w", maximum, long, limits), maximum)
	}
}
