package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var wantedPromises = []promise{
	{"the worker is told, and what it wrote is written", wantedTold},
	{"a file that is given back becomes what is wanted", wantedGivenBack},
	{"Done and Failed are final all the same", wantedFinished},
	{"cancelling comes before pausing", wantedCancelFirst},
	{"resuming takes back a pause", wantedResumed},
	{"an expired lease is nobody's", wantedExpired},
	{"an expired file that is Wanted is claimed with that", wantedClaimed},
	{"what is settled at once is lost for its worker", wantedZombie},
}

// wanted are the states that can be wanted of a running file, with what its worker is told.
func wanted() map[store.State]error {
	return map[store.State]error{store.Paused: store.ErrPauseWanted, store.Cancelled: store.ErrCancelWanted}
}

// runningWanted returns a file that runs and is to be paused or cancelled.
func runningWanted(t *testing.T, s store.Store, to store.State) store.File {
	t.Helper()
	return bring(t, s, fileIn(t, s, store.Running).ID, to)
}

func wantedTold(t *testing.T, s store.Store) {
	for to, told := range wanted() {
		f := runningWanted(t, s, to)
		for offset := range int64(2) {
			c := change(f, store.Running)
			c.Lease, c.Offset, c.Checkpoint = 3*long, 100+offset, []byte("more")
			c.Failure = store.Failure{Code: "CONNECTION_ERROR", Message: "gone"}
			require.ErrorIs(t, update(t, s, c)[0], told)
			got := row(t, s, f.ID)
			require.WithinDuration(t, got.UpdatedAt.Add(3*long), got.LeaseUntil, clockSlack)
			want := f
			want.Progress, want.Failure, want.UpdatedAt, want.LeaseUntil = c.Progress, c.Failure, got.UpdatedAt, got.LeaseUntil
			requireSame(t, want, got)
		}
	}
}

func wantedGivenBack(t *testing.T, s store.Store) {
	for to := range wanted() {
		for _, written := range []store.State{store.Waiting, store.Interrupted} {
			f := runningWanted(t, s, to)
			c := change(f, written)
			c.Offset, c.Checkpoint = 7, []byte("at the end")
			c.Failure = store.Failure{Code: "CONNECTION_ERROR", Message: "gone"}
			got := write(t, s, c)
			requireLegal(t, got)
			want := f
			want.State, want.Wanted, want.Progress, want.Failure = to, 0, c.Progress, c.Failure
			if to == store.Cancelled {
				want.Failure = store.CancelledFailure
			}
			want.Worker, want.LeaseUntil = "", got.LeaseUntil
			want.UpdatedAt, want.ReadyAt, want.FinishedAt = got.UpdatedAt, got.ReadyAt, got.FinishedAt
			requireSame(t, want, got)
			require.Empty(t, claim(t, s, "w", f.ConnectorID, 10, long))
			requireLost(t, s, f, got)
		}
	}
}

func wantedFinished(t *testing.T, s store.Store) {
	for to := range wanted() {
		for _, final := range []store.State{store.Done, store.Failed} {
			c := change(runningWanted(t, s, to), final)
			c.Failure = store.Failure{Code: "RENAME_ERROR", Message: "there"}
			got := write(t, s, c)
			requireLegal(t, got)
			require.Equal(t, final, got.State, "Wanted %v", to)
			require.Equal(t, c.Failure, got.Failure)
		}
	}
}

func wantedCancelFirst(t *testing.T, s store.Store) {
	f := runningWanted(t, s, store.Paused)
	require.Equal(t, store.Paused, bring(t, s, f.ID, store.Paused).Wanted)
	require.Equal(t, store.Cancelled, bring(t, s, f.ID, store.Cancelled).Wanted)
	require.Equal(t, store.Cancelled, bring(t, s, f.ID, store.Cancelled).Wanted)
	for _, f := range []store.File{row(t, s, f.ID), expiredWanted(t, s, store.Cancelled)} {
		for _, to := range []store.State{store.Paused, store.Queued} {
			err := control(t, s, to, f.ID)[0]
			require.ErrorIs(t, err, store.ErrState)
			require.ErrorContains(t, err, store.Running.String())
			requireSame(t, f, row(t, s, f.ID))
		}
		require.Equal(t, store.Cancelled, write(t, s, change(f, store.Interrupted)).State)
	}
}

func wantedResumed(t *testing.T, s store.Store) {
	f := runningWanted(t, s, store.Paused)
	require.Zero(t, bring(t, s, f.ID, store.Queued).Wanted)
	c := change(f, store.Running)
	c.Lease = long
	write(t, s, c)
	require.Equal(t, store.Interrupted, write(t, s, change(f, store.Interrupted)).State)
	claimOnly(t, s, f, long)
}

// expiredWanted returns a file whose lease has expired; its worker was to write what is wanted, unless that is 0.
func expiredWanted(t *testing.T, s store.Store, to store.State) store.File {
	t.Helper()
	f := fileIn(t, s, store.Running)
	if to != 0 {
		bring(t, s, f.ID, to)
	}
	c := change(f, store.Running)
	c.Lease = short
	require.ErrorIs(t, update(t, s, c)[0], wanted()[to])
	letPass(t, s, 2*short)
	return row(t, s, f.ID)
}

func wantedExpired(t *testing.T, s store.Store) {
	for to := range wanted() {
		for _, before := range []store.State{0, store.Paused, to} {
			f := expiredWanted(t, s, before)
			requireBecomes(t, s, f, to, func(f *store.File) {
				f.State, f.Wanted, f.Worker = to, 0, ""
				if to == store.Cancelled {
					f.Failure = store.CancelledFailure
				}
			})
			require.Empty(t, claim(t, s, "w", f.ConnectorID, 10, long))
		}
	}
}

func wantedClaimed(t *testing.T, s store.Store) {
	for to, told := range wanted() {
		f := expiredWanted(t, s, to)
		got := claimOnly(t, s, f, long)
		require.Equal(t, to, got.Wanted)
		requireSame(t, got, row(t, s, f.ID))
		c := change(got, store.Running)
		c.Lease = long
		require.ErrorIs(t, update(t, s, c)[0], told)
		require.Equal(t, to, write(t, s, change(got, store.Interrupted)).State)
	}
}

func wantedZombie(t *testing.T, s store.Store) {
	for to := range wanted() {
		f := expiredWanted(t, s, 0)
		requireLost(t, s, f, bring(t, s, f.ID, to))
	}
	f := expiredWanted(t, s, store.Paused)
	bring(t, s, f.ID, store.Paused)
	require.Equal(t, store.Interrupted, bring(t, s, f.ID, store.Queued).State)
	requireLost(t, s, f, claimOnly(t, s, f, long))
}
