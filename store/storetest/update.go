package storetest

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var updatePromises = []promise{
	{"replaces progress and failure as a whole", updateReplaces},
	{"Running keeps the lease", updateRunning},
	{"Waiting and Interrupted give the file back after Delay", updateGivesBack},
	{"no Delay gives the file back at once", updateNoDelay},
	{"Done and Failed are final; Done has no checkpoint", updateFinal},
	{"a finished file is not written again", updateFinished},
	{"a file given back is not written until it is claimed", updateGivenBack},
	{"a token of another time is lost", updateToken},
	{"another state is refused and holds up no others", updateRefused},
	{"verdicts are per change and in order", updateVerdicts},
	{"no changes, no verdicts", updateNothing},
}

func updateReplaces(t *testing.T, s store.Store) {
	f := claimOne(t, s, "acme", long)
	full := change(f, store.Running)
	full.Lease = long
	full.Progress = store.Progress{
		Phase: store.PhaseFinalize, Size: 1 << 50, Offset: 1<<50 - 1, BlockSize: 8 << 20, Rank: 1 << 27,
		Checkpoint: []byte("checkpoint"), SHA256: []byte("0123456789abcdef0123456789abcdef"), Skipped: true,
		Failures: 3, Task: 7,
	}
	full.Failure = store.Failure{Code: "CONNECTION_ERROR", Detail: "CONNECTION_LOST", Message: "gone"}
	got := write(t, s, full)
	require.Equal(t, full.Progress, got.Progress)
	require.Equal(t, full.Failure, got.Failure)

	bare := store.Change{ID: f.ID, Token: f.Token, State: store.Running, Lease: long}
	bare.Size = 7
	got = write(t, s, bare)
	require.Equal(t, bare.Progress, normalProgress(got.Progress))
	require.Equal(t, store.Failure{}, got.Failure)

	again := write(t, s, full)
	require.Equal(t, full.Progress, again.Progress)
	want := f
	want.Progress, want.Failure = full.Progress, full.Failure
	want.UpdatedAt, want.LeaseUntil = again.UpdatedAt, again.LeaseUntil
	requireSame(t, want, again)
}

func updateRunning(t *testing.T, s store.Store) {
	f := claimOne(t, s, "acme", long)
	c := change(f, store.Running)
	c.Lease = 3 * long
	got := write(t, s, c)
	require.False(t, got.UpdatedAt.Before(f.UpdatedAt))
	require.WithinDuration(t, got.UpdatedAt.Add(3*long), got.LeaseUntil, clockSlack)
	want := f
	want.UpdatedAt, want.LeaseUntil = got.UpdatedAt, got.LeaseUntil
	requireSame(t, want, got)
}

func updateGivesBack(t *testing.T, s store.Store) {
	for _, to := range []store.State{store.Waiting, store.Interrupted} {
		f := claimOne(t, s, "acme", long)
		c := change(f, to)
		c.Delay, c.Offset, c.Checkpoint = 4*short, 5, []byte("checkpoint")
		c.Failure = store.Failure{Code: "CONNECTION_ERROR", Detail: "CONNECTION_LOST", Message: "gone"}
		got := write(t, s, c)
		want := f
		want.State, want.Progress, want.Failure = to, c.Progress, c.Failure
		want.Worker, want.LeaseUntil = "", got.LeaseUntil
		want.UpdatedAt, want.ReadyAt = got.UpdatedAt, got.ReadyAt
		requireSame(t, want, got)
		require.True(t, got.LeaseUntil.IsZero())
		require.True(t, got.FinishedAt.IsZero())
		require.WithinDuration(t, got.UpdatedAt.Add(4*short), got.ReadyAt, clockSlack)
		require.False(t, got.ReadyAt.Before(f.UpdatedAt.Add(4*short)))

		claimed := eventuallyClaim(t, s, "other", "acme", long)
		require.Equal(t, []int64{f.ID}, claimedIDs(claimed))
		require.False(t, claimed[0].UpdatedAt.Before(got.ReadyAt), "claimed before the delay ended")
		finish(t, s, claimed[0].File)
	}
}

func updateNoDelay(t *testing.T, s store.Store) {
	for _, to := range []store.State{store.Waiting, store.Interrupted} {
		f := claimOne(t, s, "acme", long)
		write(t, s, change(f, to))
		claimed := claim(t, s, "other", "acme", 10, long)
		require.Equal(t, []int64{f.ID}, claimedIDs(claimed))
		finish(t, s, claimed[0].File)
	}
}

func updateFinal(t *testing.T, s store.Store) {
	for _, to := range []store.State{store.Done, store.Failed} {
		f := claimOne(t, s, "acme", long)
		c := change(f, to)
		c.Progress = store.Progress{
			Phase: store.PhaseFinalize, Size: 9, Offset: 9, BlockSize: 4, Rank: 3, Checkpoint: []byte("checkpoint"),
			SHA256: []byte("sum"), Skipped: true, Failures: 2, Task: 1,
		}
		c.Failure = store.Failure{Code: "RENAME_ERROR", Detail: "FILE_EXISTS", Message: "there"}
		got := write(t, s, c)
		want := f
		want.State, want.Progress, want.Failure = to, c.Progress, c.Failure
		if to == store.Done {
			want.Checkpoint = nil
		}
		want.Worker, want.LeaseUntil = "", got.LeaseUntil
		want.UpdatedAt, want.FinishedAt = got.UpdatedAt, got.FinishedAt
		requireSame(t, want, got)
		require.True(t, got.LeaseUntil.IsZero())
		require.False(t, got.FinishedAt.Before(f.StartedAt))
		require.WithinDuration(t, got.UpdatedAt, got.FinishedAt, clockSlack)
	}
}

func updateFinished(t *testing.T, s store.Store) {
	for _, final := range []store.State{store.Done, store.Failed} {
		f := claimOne(t, s, "acme", long)
		want := write(t, s, change(f, final))
		requireLost(t, s, f, want)
	}
}

func updateGivenBack(t *testing.T, s store.Store) {
	for _, to := range []store.State{store.Waiting, store.Interrupted} {
		f := claimOne(t, s, "acme", long)
		c := change(f, to)
		c.Delay = long
		want := write(t, s, c)
		requireLost(t, s, f, want)
	}
}

// requireLost requires that nobody can write with f's token, and that the row stays as want says.
func requireLost(t *testing.T, s store.Store, f, want store.File) {
	t.Helper()
	for _, to := range []store.State{store.Running, store.Waiting, store.Interrupted, store.Done, store.Failed} {
		c := change(f, to)
		c.Lease, c.Offset = long, 99
		require.ErrorIs(t, update(t, s, c)[0], store.ErrLeaseLost, "%v", to)
		requireSame(t, want, row(t, s, f.ID))
	}
}

func updateToken(t *testing.T, s store.Store) {
	queued := create(t, s, "other", 1)[0]
	requireLost(t, s, queued, queued)

	f := claimOne(t, s, "acme", long)
	for _, token := range []int64{f.Token - 1, f.Token + 1, -f.Token, math.MaxInt64} {
		wrong := f
		wrong.Token = token
		requireLost(t, s, wrong, f)
	}
	finish(t, s, f)
}

func updateRefused(t *testing.T, s store.Store) {
	f, other := claimOne(t, s, "acme", long), claimOne(t, s, "acme", long)
	for i, to := range []store.State{0, store.Queued, store.Paused, store.Cancelled, 99} {
		c := change(other, store.Running)
		c.Lease, c.Offset = long, int64(100+i)
		verdicts := update(t, s, change(f, to), c)
		require.Error(t, verdicts[0], "%v", to)
		require.NotErrorIs(t, verdicts[0], store.ErrLeaseLost, "%v", to)
		requireSame(t, f, row(t, s, f.ID))
		require.NoError(t, verdicts[1])
		require.Equal(t, c.Offset, row(t, s, other.ID).Offset)
	}
}

func updateVerdicts(t *testing.T, s store.Store) {
	create(t, s, "acme", 5)
	claimed := claim(t, s, "w", "acme", 5, long)
	require.Len(t, claimed, 5)
	finished := finish(t, s, claimed[1].File)

	changes := make([]store.Change, len(claimed), len(claimed)+1)
	for i, c := range claimed {
		changes[i] = change(c.File, store.Running)
		changes[i].Lease, changes[i].Offset = long, int64(100+i)
	}
	changes[4].Token++
	unknown := changes[0]
	unknown.ID = claimed[4].ID + 1_000_000
	verdicts := update(t, s, append(changes, unknown)...)

	for _, i := range []int{0, 2, 3} {
		require.NoError(t, verdicts[i], "change %d", i)
		require.Equal(t, int64(100+i), row(t, s, claimed[i].ID).Offset)
	}
	for _, i := range []int{1, 4, 5} {
		require.ErrorIs(t, verdicts[i], store.ErrLeaseLost, "change %d", i)
	}
	requireSame(t, finished, row(t, s, finished.ID))
	requireSame(t, claimed[4].File, row(t, s, claimed[4].ID))
}

func updateNothing(t *testing.T, s store.Store) {
	require.Empty(t, update(t, s))
}
