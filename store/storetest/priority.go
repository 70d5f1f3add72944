package storetest

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var priorityPromises = []promise{
	{"files of higher priority come first, then as without priorities", priorityOrder},
	{"one that is not ready hides none that is", priorityNotReady},
	{"a file keeps its priority when it is given back, or its lease expires", priorityKept},
	{"it counts within a connector only", priorityWithin},
	{"no connector comes last each time", priorityTurns},
	{"Most bounds what a call claims of a connector", mostBounds},
	{"what Most leaves goes to the others", mostPassesOn},
	{"Most raises no limit", mostRaisesNothing},
}

// createWith stores a transfer with a file of each of these priorities and returns them.
func createWith(t tb, s store.Store, connectorID string, priorities ...store.Priority) []store.File {
	t.Helper()
	files := newFiles(len(priorities))
	for i, p := range priorities {
		files[i].Priority = p
	}
	created, err := s.CreateTransfer(t.Context(), newTransfer(connectorID), files)
	require.NoError(t, err)
	stored := filesOf(t, s, created.ID)
	for i, p := range priorities {
		require.Equal(t, p, stored[i].Priority)
	}
	return stored
}

func priorityOrder(t *testing.T, s store.Store) {
	files := createWith(t, s, "acme", store.Low, store.Normal, store.High, store.Normal, store.High, store.Low, store.Normal)
	letPass(t, s, tick)
	files = append(files, createWith(t, s, "acme", store.Normal, store.High, store.Low)...)
	want := slices.Clone(files)
	slices.SortStableFunc(want, func(a, b store.File) int { return cmp.Compare(b.Priority, a.Priority) })
	var got []store.Claimed
	for range 4 {
		got = append(got, claim(t, s, "w", "acme", 3, long)...)
	}
	require.Equal(t, fileIDs(want), claimedIDs(got))
	for i, c := range got {
		require.Equal(t, want[i].Priority, c.Priority)
	}
}

func priorityNotReady(t *testing.T, s store.Store) {
	given := newFiles(1)
	given[0].Priority, given[0].StartAt = store.High, time.Now().Add(long)
	_, err := s.CreateTransfer(t.Context(), newTransfer("acme"), given)
	require.NoError(t, err)
	delayed := createWith(t, s, "acme", store.High)[0]
	c := change(claimOnly(t, s, delayed, long), store.Waiting)
	c.Delay = long
	write(t, s, c)

	ready := createWith(t, s, "acme", store.Low, store.Normal)
	require.Equal(t, []int64{ready[1].ID, ready[0].ID}, claimedIDs(claim(t, s, "w", "acme", 10, long)))
	bring(t, s, delayed.ID, store.Queued)
	claimOnly(t, s, delayed, long)
}

func priorityKept(t *testing.T, s store.Store) {
	files := createWith(t, s, "acme", store.High, store.High, store.Normal, store.Normal)
	claimed := claim(t, s, "w", "acme", 2, short)
	require.Equal(t, fileIDs(files[:2]), claimedIDs(claimed))
	write(t, s, change(claimed[0].File, store.Interrupted))
	letPass(t, s, 2*short)
	again := claim(t, s, "w", "acme", 3, long)
	require.Len(t, again, 3)
	require.ElementsMatch(t, fileIDs(files[:2]), claimedIDs(again[:2]))
	require.Equal(t, files[2].ID, again[2].ID)
}

func priorityWithin(t *testing.T, s store.Store) {
	createWith(t, s, "high", store.High, store.High, store.High, store.High)
	createWith(t, s, "low", store.Low, store.Low)
	claimed := claimLimited(t, s, "w", 4, long, map[string]int{"high": 100, "low": 100})
	require.Equal(t, map[string]int{"high": 2, "low": 2}, perConnector(claimed))
}

func priorityTurns(t *testing.T, s store.Store) {
	limits := map[string]int{"a": 100, "b": 100, "c": 100}
	for connector := range limits {
		create(t, s, connector, 3)
	}
	first := map[string]bool{}
	for range 200 {
		claimed := claimLimited(t, s, "w", 1, long, limits)
		require.Len(t, claimed, 1)
		first[claimed[0].ConnectorID] = true
		write(t, s, change(claimed[0].File, store.Interrupted))
		if len(first) == len(limits) {
			return
		}
	}
	require.Fail(t, "a connector never had its turn", "there were %v", first)
}

// claimMost claims up to maximum files of the connectors a, b and c.
func claimMost(t *testing.T, s store.Store, maximum int, most map[string]int) map[string]int {
	t.Helper()
	claimed, err := s.Claim(t.Context(), store.ClaimRequest{
		Worker: "w", Max: maximum, Lease: long, Limits: map[string]int{"a": 12, "b": 12, "c": 12}, Most: most,
	})
	require.NoError(t, err)
	return perConnector(claimed)
}

func mostBounds(t *testing.T, s store.Store) {
	for _, connector := range []string{"a", "b", "c"} {
		create(t, s, connector, 8)
	}
	most := map[string]int{"a": 3, "b": 0, "unknown": 7}
	require.Equal(t, map[string]int{"a": 3, "c": 8}, claimMost(t, s, 100, most))
	require.Equal(t, map[string]int{"a": 3}, claimMost(t, s, 100, most), "in each call anew")
	require.Equal(t, map[string]int{"b": 1}, claimMost(t, s, 100, map[string]int{"a": -1, "b": 1}))
	require.Equal(t, map[string]int{"a": 2, "b": 7}, claimMost(t, s, 100, nil))
}

func mostPassesOn(t *testing.T, s store.Store) {
	for _, connector := range []string{"a", "b", "c"} {
		create(t, s, connector, 50)
	}
	require.Equal(t, map[string]int{"a": 1, "b": 2, "c": 7}, claimMost(t, s, 10, map[string]int{"a": 1, "b": 2}))
}

func mostRaisesNothing(t *testing.T, s store.Store) {
	create(t, s, "a", 20)
	require.Equal(t, map[string]int{"a": 10}, claimMost(t, s, 10, map[string]int{"a": 100}))
	require.Equal(t, map[string]int{"a": 2}, claimMost(t, s, 10, map[string]int{"a": 100}))
}
