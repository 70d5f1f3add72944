package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

// A single hint may be late or missing, so each check repeats the event until a hint comes.
var watchPromises = []promise{
	{"FilesReady when files are created", watchCreated},
	{"FilesReady when a file is given back", watchGivenBack},
	{"FilesFinished when a file is done or has failed", watchFinished},
	{"FilesReady when a file is resumed", watchResumed},
	{"FilesFinished when a file is cancelled, at once or by its worker", watchCancelled},
	{"FilesWanted when a running file is to be paused or cancelled", watchWanted},
	{"the channel is not closed when ctx ends", watchEnds},
}

func watchCreated(t *testing.T, s store.Store) {
	first, second := s.Watch(t.Context(), store.FilesReady), s.Watch(t.Context(), store.FilesReady)
	event := func() { create(t, s, "acme", 1) }
	requireHint(t, first, event)
	requireHint(t, second, event)
}

func watchGivenBack(t *testing.T, s store.Store) {
	for _, to := range []store.State{store.Waiting, store.Interrupted} {
		f := claimOne(t, s, "acme", long)
		requireHint(t, s.Watch(t.Context(), store.FilesReady), func() {
			write(t, s, change(f, to))
			claimed := claim(t, s, "w", "acme", 1, long)
			require.Len(t, claimed, 1)
			f = claimed[0].File
		})
	}
}

func watchFinished(t *testing.T, s store.Store) {
	for _, to := range []store.State{store.Done, store.Failed} {
		ch := s.Watch(t.Context(), store.FilesFinished)
		requireHint(t, ch, func() { write(t, s, change(claimOne(t, s, "acme", long), to)) })
	}
}

func watchResumed(t *testing.T, s store.Store) {
	for _, from := range []store.State{store.Queued, store.Interrupted} {
		f := fileIn(t, s, from)
		requireHint(t, s.Watch(t.Context(), store.FilesReady), func() {
			bring(t, s, f.ID, store.Paused)
			bring(t, s, f.ID, store.Queued)
		})
	}
	var waiting []store.File
	for range 10 {
		waiting = append(waiting, fileIn(t, s, store.Waiting))
	}
	n := 0
	requireHint(t, s.Watch(t.Context(), store.FilesReady), func() {
		bring(t, s, waiting[n%len(waiting)].ID, store.Queued)
		n++
	})
}

func watchCancelled(t *testing.T, s store.Store) {
	requireHint(t, s.Watch(t.Context(), store.FilesFinished), func() { fileIn(t, s, store.Cancelled) })
	requireHint(t, s.Watch(t.Context(), store.FilesFinished), func() {
		write(t, s, change(runningWanted(t, s, store.Cancelled), store.Interrupted))
	})
}

func watchWanted(t *testing.T, s store.Store) {
	for to := range wanted() {
		requireHint(t, s.Watch(t.Context(), store.FilesWanted), func() { runningWanted(t, s, to) })
	}
}

// requireHint requires that a hint comes when event happens, if need be again and again.
func requireHint(t *testing.T, hints <-chan struct{}, event func()) {
	t.Helper()
	deadline := time.After(patience)
	for {
		event()
		select {
		case _, open := <-hints:
			require.True(t, open, "the channel was closed")
			return
		case <-time.After(10 * tick): // late, or missing
		case <-deadline:
			require.Fail(t, "no hint came")
		}
	}
}

func watchEnds(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := s.Watch(ctx, store.FilesReady)
	cancel()
	live := s.Watch(t.Context(), store.FilesReady)
	requireHint(t, live, func() { create(t, s, "acme", 1) })
	requireNotClosed(t, ended)
}

// requireNotClosed gives the store a moment to close the channel wrongly.
func requireNotClosed(t *testing.T, hints <-chan struct{}) {
	t.Helper()
	require.NotNil(t, hints)
	require.Never(t, func() bool {
		select {
		case _, open := <-hints:
			return !open
		default:
			return false
		}
	}, 2*short, tick, "the channel was closed")
}
