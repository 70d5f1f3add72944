package storetest

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var sweptPromises = []promise{
	{"empties the checkpoints of finished files and changes nothing else", sweptFinished},
	{"leaves files alone that are not finished", sweptOthers},
	{"what was swept is no litter", sweptLitter},
	{"takes none, unknown ones, one twice, and more than 1,000", sweptMany},
}

func sweep(t tb, s store.Store, ids ...int64) {
	t.Helper()
	require.NoError(t, s.Swept(t.Context(), ids))
}

// litter returns a finished file in this state that has a checkpoint.
func litter(t tb, s store.Store, state store.State) store.File {
	t.Helper()
	if state == store.Cancelled {
		return bring(t, s, fileIn(t, s, store.Interrupted).ID, store.Cancelled)
	}
	return fileIn(t, s, state)
}

func sweptFinished(t *testing.T, s store.Store) {
	for _, state := range []store.State{store.Failed, store.Cancelled} {
		swept, other := litter(t, s, state), litter(t, s, state)
		require.Equal(t, "checkpoint", string(swept.Checkpoint))
		letPass(t, s, short)
		sweep(t, s, swept.ID)
		want := swept
		want.Checkpoint = nil
		requireSame(t, want, row(t, s, swept.ID))
		requireSame(t, other, row(t, s, other.ID))
	}
}

func sweptOthers(t *testing.T, s store.Store) {
	files := []store.File{
		fileIn(t, s, store.Queued), fileIn(t, s, store.Running), fileIn(t, s, store.Waiting), fileIn(t, s, store.Interrupted),
		pausedAfterRun(t, s), fileIn(t, s, store.Done), runningWanted(t, s, store.Cancelled),
	}
	sweep(t, s, fileIDs(files)...)
	for _, f := range files {
		requireSame(t, f, row(t, s, f.ID))
	}
}

func sweptLitter(t *testing.T, s store.Store) {
	failed, cancelled := litter(t, s, store.Failed), litter(t, s, store.Cancelled)
	for _, state := range store.States() {
		if !state.Final() {
			fileIn(t, s, state)
		}
	}
	fileIn(t, s, store.Done)
	fileIn(t, s, store.Cancelled) // it never ran: no checkpoint
	requireLitter := func(want ...int64) {
		files, err := s.ListFiles(t.Context(), store.Query{Litter: true})
		require.NoError(t, err)
		require.Equal(t, want, fileIDs(files))
	}
	requireLitter(failed.ID, cancelled.ID)
	requireCounts(t, s, store.Query{Litter: true}, map[store.State]int64{store.Failed: 1, store.Cancelled: 1})
	sweep(t, s, failed.ID)
	requireLitter(cancelled.ID)
	sweep(t, s, failed.ID, cancelled.ID)
	requireCounts(t, s, store.Query{Litter: true}, nil)
}

// failMany returns the ids of n files that failed at one time and have checkpoints.
func failMany(t *testing.T, s store.Store, n int) []int64 {
	t.Helper()
	files := create(t, s, "many", n)
	claimed := claimLimited(t, s, "w", n, long, map[string]int{"many": n})
	changes := make([]store.Change, n)
	for i, c := range claimed {
		changes[i] = change(c.File, store.Failed)
		changes[i].Checkpoint = []byte("checkpoint")
	}
	for _, verdict := range update(t, s, changes...) {
		require.NoError(t, verdict)
	}
	return fileIDs(files)
}

func sweptMany(t *testing.T, s store.Store) {
	const n = 1201
	all := failMany(t, s, n)
	sweep(t, s)
	requireCounts(t, s, store.Query{Litter: true}, map[store.State]int64{store.Failed: n})
	sweep(t, s, slices.Concat([]int64{-1, 0, all[n-1] + 1_000_000, all[0]}, all)...)
	requireCounts(t, s, store.Query{Litter: true}, nil)
}
