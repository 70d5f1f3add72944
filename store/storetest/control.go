package storetest

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var controlPromises = []promise{
	{"pauses what is not finished", controlPause},
	{"cancels what is not finished", controlCancel},
	{"resumes what is not finished", controlResume},
	{"files in final states are ErrState, and it names the state", controlFinal},
	{"what stays as it is is not touched", controlStays},
	{"is an event of the file", controlTimes},
	{"progress and checkpoint are kept", controlKeeps},
	{"unknown files are ErrNotFound and hold up no others", controlUnknown},
	{"a file may be named twice", controlTwice},
	{"takes more than 1,000 files", controlMany},
	{"no files, no verdicts", controlNothing},
	{"another To is refused", controlOtherTo},
	{"paused and cancelled files are not claimed and do not count", controlNotClaimed},
	{"a resumed file has been ready since then", controlReadySince},
	{"a start that lies ahead is waited for after all", controlStartAhead},
	{"the delay of a Waiting file ends", controlEndsDelay},
}

// finals are the states that a file never leaves.
func finals() []store.State { return []store.State{store.Failed, store.Cancelled, store.Done} }

// requireBecomes requires that to makes of f what change makes of it, but for the times.
func requireBecomes(t *testing.T, s store.Store, f store.File, to store.State, change func(want *store.File)) {
	t.Helper()
	got := bring(t, s, f.ID, to)
	requireLegal(t, got)
	want := f
	change(&want)
	want.UpdatedAt, want.ReadyAt, want.LeaseUntil, want.FinishedAt = got.UpdatedAt, got.ReadyAt, got.LeaseUntil, got.FinishedAt
	requireSame(t, want, got)
}

func controlPause(t *testing.T, s store.Store) {
	for _, from := range []store.State{store.Queued, store.Waiting, store.Paused, store.Interrupted} {
		requireBecomes(t, s, fileIn(t, s, from), store.Paused, func(f *store.File) { f.State = store.Paused })
	}
	running := fileIn(t, s, store.Running)
	requireBecomes(t, s, running, store.Paused, func(f *store.File) { f.Wanted = store.Paused })
}

func controlCancel(t *testing.T, s store.Store) {
	open := []store.File{
		fileIn(t, s, store.Queued), fileIn(t, s, store.Waiting), fileIn(t, s, store.Paused), pausedAfterRun(t, s),
		fileIn(t, s, store.Interrupted),
	}
	for _, f := range open {
		requireBecomes(t, s, f, store.Cancelled, func(f *store.File) {
			f.State, f.Failure = store.Cancelled, store.CancelledFailure
		})
	}
	running := fileIn(t, s, store.Running)
	requireBecomes(t, s, running, store.Cancelled, func(f *store.File) { f.Wanted = store.Cancelled })
}

func controlResume(t *testing.T, s store.Store) {
	requireBecomes(t, s, fileIn(t, s, store.Paused), store.Queued, func(f *store.File) { f.State = store.Queued })
	requireBecomes(t, s, pausedAfterRun(t, s), store.Queued, func(f *store.File) { f.State = store.Interrupted })
	requireBecomes(t, s, fileIn(t, s, store.Waiting), store.Queued, func(*store.File) {})
	wanted := bring(t, s, fileIn(t, s, store.Running).ID, store.Paused)
	requireBecomes(t, s, wanted, store.Queued, func(f *store.File) { f.Wanted = 0 })
}

func controlFinal(t *testing.T, s store.Store) {
	for _, final := range finals() {
		f := fileIn(t, s, final)
		for _, to := range []store.State{store.Paused, store.Cancelled, store.Queued} {
			if to == final {
				continue
			}
			err := control(t, s, to, f.ID)[0]
			require.ErrorIs(t, err, store.ErrState, "%v to %v", final, to)
			require.ErrorContains(t, err, final.String(), "to %v", to)
			requireSame(t, f, row(t, s, f.ID))
		}
	}
}

func controlStays(t *testing.T, s store.Store) {
	stays := []struct{ is, to store.State }{
		{store.Paused, store.Paused}, {store.Cancelled, store.Cancelled},
		{store.Queued, store.Queued}, {store.Interrupted, store.Queued}, {store.Running, store.Queued},
	}
	files := make([]store.File, len(stays))
	for i, c := range stays {
		files[i] = fileIn(t, s, c.is)
	}
	letPass(t, s, short)
	for i, c := range stays {
		requireSame(t, files[i], bring(t, s, files[i].ID, c.to))
	}
}

func controlTimes(t *testing.T, s store.Store) {
	changes := []struct {
		file store.File
		to   store.State
	}{
		{fileIn(t, s, store.Queued), store.Paused}, {fileIn(t, s, store.Waiting), store.Paused},
		{fileIn(t, s, store.Queued), store.Cancelled}, {fileIn(t, s, store.Paused), store.Cancelled},
		{fileIn(t, s, store.Running), store.Paused}, {fileIn(t, s, store.Running), store.Cancelled},
		{fileIn(t, s, store.Paused), store.Queued}, {fileIn(t, s, store.Waiting), store.Queued},
	}
	letPass(t, s, short)
	for _, c := range changes {
		got := bring(t, s, c.file.ID, c.to)
		require.False(t, got.UpdatedAt.Before(c.file.UpdatedAt.Add(short)), "%v to %v", c.file.State, c.to)
		requireStoreTime(t, "UpdatedAt", got.UpdatedAt)
		requireStoreTime(t, "FinishedAt", got.FinishedAt)
		if got.State == store.Cancelled {
			require.Equal(t, got.UpdatedAt, got.FinishedAt)
		}
		if c.to == store.Queued {
			require.WithinDuration(t, got.UpdatedAt, got.ReadyAt, clockSlack)
		}
	}
}

func controlKeeps(t *testing.T, s store.Store) {
	f := pausedAfterRun(t, s)
	require.Equal(t, "checkpoint", string(f.Checkpoint))
	bring(t, s, f.ID, store.Queued)
	again := claimOnly(t, s, f, long)
	want := f.Progress
	want.Phase = store.PhaseConnect
	require.Equal(t, want, again.Progress)
	write(t, s, change(again, store.Interrupted))
	cancelled := bring(t, s, f.ID, store.Cancelled)
	require.Equal(t, want, cancelled.Progress)
}

func controlUnknown(t *testing.T, s store.Store) {
	files := create(t, s, "acme", 2)
	unknown := files[1].ID + 1_000_000
	verdicts := control(t, s, store.Paused, unknown, files[1].ID, 0, math.MaxInt64, files[0].ID, -files[0].ID)
	for i, known := range []bool{false, true, false, false, true, false} {
		if known {
			require.NoError(t, verdicts[i], "file %d of the call", i)
		} else {
			require.ErrorIs(t, verdicts[i], store.ErrNotFound, "file %d of the call", i)
		}
	}
	requireCounts(t, s, store.Query{}, map[store.State]int64{store.Paused: 2})
	for _, to := range []store.State{store.Queued, store.Cancelled} {
		require.ErrorIs(t, control(t, s, to, unknown)[0], store.ErrNotFound)
	}
}

func controlTwice(t *testing.T, s store.Store) {
	f, done, running := fileIn(t, s, store.Queued), fileIn(t, s, store.Done), fileIn(t, s, store.Running)
	for _, to := range []store.State{store.Paused, store.Queued, store.Cancelled} {
		verdicts := control(t, s, to, f.ID, done.ID, f.ID, running.ID, done.ID, running.ID)
		for _, i := range []int{0, 2, 3, 5} {
			require.NoError(t, verdicts[i], "to %v", to)
		}
		require.ErrorIs(t, verdicts[1], store.ErrState)
		require.ErrorIs(t, verdicts[4], store.ErrState)
		require.Equal(t, to, row(t, s, f.ID).State)
	}
	require.Equal(t, store.Cancelled, row(t, s, running.ID).Wanted)
}

func controlMany(t *testing.T, s store.Store) {
	const n = 1201
	all := fileIDs(create(t, s, "acme", n))
	for _, step := range []struct{ to, state store.State }{
		{store.Paused, store.Paused}, {store.Queued, store.Queued}, {store.Cancelled, store.Cancelled},
	} {
		for i, verdict := range control(t, s, step.to, all...) {
			require.NoError(t, verdict, "file %d of the call", i)
		}
		requireCounts(t, s, store.Query{}, map[store.State]int64{step.state: n})
	}
	slices.Reverse(all)
	for _, verdict := range control(t, s, store.Paused, all...) {
		require.ErrorIs(t, verdict, store.ErrState)
	}
}

func controlNothing(t *testing.T, s store.Store) {
	for _, to := range []store.State{store.Paused, store.Cancelled, store.Queued} {
		require.Empty(t, control(t, s, to))
	}
}

func controlOtherTo(t *testing.T, s store.Store) {
	f, running := fileIn(t, s, store.Queued), fileIn(t, s, store.Running)
	for _, to := range []store.State{0, store.Running, store.Waiting, store.Interrupted, store.Failed, store.Done, 99} {
		_, err := s.Control(t.Context(), store.ControlRequest{IDs: []int64{f.ID, running.ID}, To: to})
		require.Error(t, err, "to %v", to)
		requireSame(t, f, row(t, s, f.ID))
		requireSame(t, running, row(t, s, running.ID))
	}
}

func controlNotClaimed(t *testing.T, s store.Store) {
	limits := map[string]int{"acme": 1}
	files := create(t, s, "acme", 6)
	for i, to := range []store.State{store.Paused, store.Cancelled} {
		held := claimLimited(t, s, "w", 10, long, limits)
		require.Equal(t, []int64{files[2*i].ID}, claimedIDs(held))
		bring(t, s, held[0].ID, to)
		require.Empty(t, claimLimited(t, s, "w", 10, long, limits), "one that is Wanted %v runs", to)
		write(t, s, change(held[0].File, store.Interrupted))
		bring(t, s, files[2*i+1].ID, to)
	}
	require.Equal(t, fileIDs(files[4:]), claimedIDs(claim(t, s, "w", "acme", 10, long)))
	requireCounts(t, s, store.Query{}, map[store.State]int64{store.Paused: 2, store.Cancelled: 2, store.Running: 2})
}

func controlReadySince(t *testing.T, s store.Store) {
	files := create(t, s, "acme", 2)
	bring(t, s, files[0].ID, store.Paused)
	letPass(t, s, short)
	bring(t, s, files[0].ID, store.Queued)
	require.Equal(t, []int64{files[1].ID, files[0].ID}, claimedIDs(claim(t, s, "w", "acme", 10, long)))
}

func controlStartAhead(t *testing.T, s store.Store) {
	files := newFiles(2)
	files[0].StartAt = time.Now().Add(long)
	files[1].StartAt = time.Now().Add(-long)
	created, err := s.CreateTransfer(t.Context(), newTransfer("acme"), files)
	require.NoError(t, err)
	for _, f := range filesOf(t, s, created.ID) {
		bring(t, s, f.ID, store.Paused)
		got := bring(t, s, f.ID, store.Queued)
		require.Equal(t, store.Queued, got.State)
		if f.StartAt.After(f.CreatedAt) {
			require.Equal(t, f.StartAt, got.ReadyAt)
		}
	}
	claimed := claim(t, s, "w", "acme", 10, long)
	require.Len(t, claimed, 1)
	require.Equal(t, files[1].SourcePath, claimed[0].SourcePath)
}

func controlEndsDelay(t *testing.T, s store.Store) {
	f := fileIn(t, s, store.Waiting)
	require.Empty(t, claim(t, s, "w", f.ConnectorID, 10, long))
	require.Equal(t, store.Waiting, bring(t, s, f.ID, store.Queued).State)
	require.Equal(t, f.Token+1, claimOnly(t, s, f, long).Token)

	interrupted := fileIn(t, s, store.Interrupted)
	bring(t, s, interrupted.ID, store.Queued)
	require.Empty(t, claim(t, s, "w", interrupted.ConnectorID, 10, long), "its delay goes on")
}
