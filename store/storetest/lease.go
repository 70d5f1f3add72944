package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var leasePromises = []promise{
	{"a live lease is not claimed by another", leaseLive},
	{"an expired lease is claimed by another under a larger token", leaseExpired},
	{"an expired lease frees its place under the limit", leaseExpiredFreesLimit},
	{"a zombie's update is lost and changes nothing", leaseZombie},
	{"an expired lease that nobody claimed can still be written", leaseExpiredUnclaimed},
	{"an expired lease that nobody claimed can be renewed", leaseExpiredRenewed},
	{"renewing extends it", leaseRenewed},
	{"of many claimers one gets the expired file", leaseExpiredOnce},
}

func leaseLive(t *testing.T, s store.Store) {
	f := claimOne(t, s, "acme", long)
	letPass(t, s, short)
	require.Empty(t, claim(t, s, "other", "acme", 10, long))
	requireSame(t, f, row(t, s, f.ID))
}

func leaseExpired(t *testing.T, s store.Store) {
	f := claimOne(t, s, "acme", short)
	c := change(f, store.Running)
	c.Lease = short
	c.Progress = store.Progress{Phase: store.PhaseData, Size: 9, Offset: 4, BlockSize: 2, Rank: 2, Checkpoint: []byte("c")}
	first := write(t, s, c)

	claimed := eventuallyClaim(t, s, "other", "acme", long)
	require.Len(t, claimed, 1)
	got := claimed[0].File
	require.False(t, got.UpdatedAt.Before(first.LeaseUntil), "claimed before the lease ended")
	require.Equal(t, f.ID, got.ID)
	require.Equal(t, store.Running, got.State)
	require.Equal(t, "other", got.Worker)
	require.Greater(t, got.Token, f.Token)
	require.Equal(t, 2, got.Attempts)
	require.Equal(t, f.StartedAt, got.StartedAt)
	require.True(t, got.LeaseUntil.After(first.LeaseUntil))
	want := c.Progress
	want.Phase = store.PhaseConnect
	require.Equal(t, normalProgress(want), normalProgress(got.Progress))
	requireSame(t, got, row(t, s, f.ID))
	require.Empty(t, claim(t, s, "third", "acme", 10, long))
}

func leaseExpiredFreesLimit(t *testing.T, s store.Store) {
	create(t, s, "acme", 3)
	limits := map[string]int{"acme": 1}
	require.Len(t, claimLimited(t, s, "w", 10, short, limits), 1)
	letPass(t, s, 2*short)
	require.Len(t, claimLimited(t, s, "other", 10, long, limits), 1)
	require.Empty(t, claimLimited(t, s, "other", 10, long, limits))
	require.Len(t, claim(t, s, "other", "acme", 10, long), 2, "the expired file and those queued")
}

func leaseZombie(t *testing.T, s store.Store) {
	zombie := claimOne(t, s, "acme", short)
	claimed := eventuallyClaim(t, s, "other", "acme", long)
	require.Equal(t, []int64{zombie.ID}, claimedIDs(claimed))
	for _, to := range []store.State{store.Running, store.Waiting, store.Interrupted, store.Done, store.Failed} {
		c := change(zombie, to)
		c.Lease, c.Offset, c.Checkpoint = 2*long, 77, []byte("zombie")
		c.Code = "ZOMBIE"
		require.ErrorIs(t, update(t, s, c)[0], store.ErrLeaseLost, "%v", to)
		requireSame(t, claimed[0].File, row(t, s, zombie.ID))
	}
	requireCounts(t, s, store.Query{TransferID: zombie.TransferID}, map[store.State]int64{store.Running: 1})
	finish(t, s, claimed[0].File)
}

func leaseExpiredUnclaimed(t *testing.T, s store.Store) {
	for _, to := range []store.State{store.Waiting, store.Interrupted, store.Done, store.Failed} {
		f := claimOne(t, s, "acme", short)
		letPass(t, s, 2*short)
		c := change(f, to)
		c.Offset, c.Delay = 5, long
		got := write(t, s, c)
		require.Equal(t, to, got.State)
		require.Equal(t, int64(5), got.Offset)
		require.False(t, got.UpdatedAt.Before(f.LeaseUntil), "written before the lease ended")
	}
}

func leaseExpiredRenewed(t *testing.T, s store.Store) {
	f := claimOne(t, s, "acme", short)
	letPass(t, s, 2*short)
	require.Empty(t, claimLimited(t, s, "other", 10, long, map[string]int{"acme": 0}), "a look that claims nothing")
	c := change(f, store.Running)
	c.Lease = long
	got := write(t, s, c)
	require.Equal(t, f.Worker, got.Worker)
	require.Equal(t, f.Token, got.Token)
	require.Empty(t, claim(t, s, "other", "acme", 10, long))
	finish(t, s, got)
}

func leaseRenewed(t *testing.T, s store.Store) {
	f := claimOne(t, s, "acme", short)
	c := change(f, store.Running)
	c.Lease = long
	got := write(t, s, c)
	require.WithinDuration(t, got.UpdatedAt.Add(long), got.LeaseUntil, clockSlack)
	require.Equal(t, f.Token, got.Token)
	require.Equal(t, f.Worker, got.Worker)
	require.Equal(t, 1, got.Attempts)
	letPass(t, s, 2*short)
	require.Empty(t, claim(t, s, "other", "acme", 10, long))
	finish(t, s, got)
}

func leaseExpiredOnce(t *testing.T, s store.Store) {
	f := claimOne(t, s, "acme", short)
	letPass(t, s, 2*short)
	got := claimTogether(t, s, 8, "acme")
	require.Equal(t, []int64{f.ID}, claimedIDs(got))
	require.Equal(t, f.Token+1, got[0].Token)
}
