package storetest

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var listPromises = []promise{
	{"pages by cursor lose no file and repeat none", listPages},
	{"selects one transfer's files", listTransfer},
	{"no limit means all", listAll},
	{"no match is an empty result", listNothing},
	{"returns copies", listCopies},
}

func listPages(t *testing.T, s store.Store) {
	var all, middle []int64
	var transferID string
	for i, n := range []int{70, 250, 30} {
		files := create(t, s, "acme", n)
		all = append(all, fileIDs(files)...)
		if i == 1 {
			middle, transferID = fileIDs(files), files[0].TransferID
		}
	}
	for _, limit := range []int{1, 7, 50, 100, 249, 250, 251} {
		require.Equal(t, middle, pages(t, s, store.Query{TransferID: transferID, Limit: limit}), "limit %d", limit)
	}
	for _, limit := range []int{33, 100, 350} {
		require.Equal(t, all, pages(t, s, store.Query{Limit: limit}), "limit %d", limit)
	}
}

// pages returns the ids of all pages of q.
func pages(t *testing.T, s store.Store, q store.Query) []int64 {
	t.Helper()
	var got []int64
	for {
		files, err := s.ListFiles(t.Context(), q)
		require.NoError(t, err)
		require.LessOrEqual(t, len(files), q.Limit)
		if len(files) == 0 {
			return got
		}
		got = append(got, fileIDs(files)...)
		q.After.ID = files[len(files)-1].ID
		require.Less(t, len(got), 1000, "pages without end")
	}
}

func listTransfer(t *testing.T, s store.Store) {
	create(t, s, "acme", 3)
	files := create(t, s, "acme", 4)
	create(t, s, "acme", 2)
	require.Len(t, files, 4)
	for _, f := range files {
		require.Equal(t, files[0].TransferID, f.TransferID)
	}

	some, err := s.ListFiles(t.Context(), store.Query{TransferID: files[0].TransferID, After: store.Cursor{ID: files[1].ID}, Limit: 1})
	require.NoError(t, err)
	require.Equal(t, []int64{files[2].ID}, fileIDs(some))
}

func listAll(t *testing.T, s store.Store) {
	create(t, s, "acme", 150)
	create(t, s, "other", 150)
	files, err := s.ListFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Len(t, files, 300)
	for i := range files[1:] {
		require.Greater(t, files[i+1].ID, files[i].ID)
	}
}

func listNothing(t *testing.T, s store.Store) {
	none := func(q store.Query) {
		files, err := s.ListFiles(t.Context(), q)
		require.NoError(t, err)
		require.Empty(t, files)
	}
	none(store.Query{})
	files := create(t, s, "acme", 2)
	none(store.Query{TransferID: newID()})
	none(store.Query{After: store.Cursor{ID: files[1].ID}})
	none(store.Query{After: store.Cursor{ID: math.MaxInt64}})
	none(store.Query{TransferID: files[0].TransferID, After: store.Cursor{ID: files[1].ID}, Limit: 5})
}

func listCopies(t *testing.T, s store.Store) {
	f := claimOne(t, s, "acme", long)
	c := change(f, store.Running)
	c.Lease, c.Checkpoint, c.SHA256 = long, []byte("checkpoint"), []byte("sum")
	want := write(t, s, c)
	require.Equal(t, c.Checkpoint, want.Checkpoint)

	c.Checkpoint[0], c.SHA256[0] = 'X', 'X' // given
	got := row(t, s, f.ID)
	requireSame(t, want, got)
	got.Checkpoint[0], got.SHA256[0] = 'X', 'X' // returned
	requireSame(t, want, row(t, s, f.ID))
}

var countPromises = []promise{
	{"counts by state, of one transfer and of all", countStates},
	{"leaves cursor and limit aside", countWholeQuery},
	{"states without a file are absent", countAbsent},
}

func countStates(t *testing.T, s store.Store) {
	create(t, s, "other", 4)
	files := create(t, s, "acme", 7)
	claimed := claim(t, s, "w", "acme", 6, long)
	require.Len(t, claimed, 6)
	for i, to := range []store.State{store.Waiting, store.Interrupted, store.Failed, store.Done, store.Done} {
		c := change(claimed[i].File, to)
		c.Delay = long
		write(t, s, c)
	}
	want := map[store.State]int64{
		store.Queued: 1, store.Running: 1, store.Waiting: 1, store.Interrupted: 1, store.Failed: 1, store.Done: 2,
	}
	requireCounts(t, s, store.Query{TransferID: files[0].TransferID}, want)
	want[store.Queued] += 4
	requireCounts(t, s, store.Query{}, want)
}

func countWholeQuery(t *testing.T, s store.Store) {
	files := create(t, s, "acme", 5)
	want := map[store.State]int64{store.Queued: 5}
	requireCounts(t, s, store.Query{After: store.Cursor{ID: files[3].ID}, Limit: 1}, want)
	requireCounts(t, s, store.Query{TransferID: files[0].TransferID, After: store.Cursor{ID: files[4].ID}, Limit: 2}, want)
}

func countAbsent(t *testing.T, s store.Store) {
	none := map[store.State]int64{}
	requireCounts(t, s, store.Query{}, none)
	f := claimOne(t, s, "acme", long)
	requireCounts(t, s, store.Query{}, map[store.State]int64{store.Running: 1})
	finish(t, s, f)
	requireCounts(t, s, store.Query{}, map[store.State]int64{store.Done: 1})
	requireCounts(t, s, store.Query{TransferID: newID()}, none)
}

func requireCounts(t tb, s store.Store, q store.Query, want map[store.State]int64) {
	t.Helper()
	got, err := s.CountFiles(t.Context(), q)
	require.NoError(t, err)
	if len(want) == 0 {
		require.Empty(t, got)
		return
	}
	require.Equal(t, want, got)
}
