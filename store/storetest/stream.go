package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var streamPromises = []promise{
	{"streams are listed in the order of names, with their kinds", streamList},
	{"opening one again changes its kinds and keeps its events", streamKinds},
	{"closing one removes its events", streamClosed},
	{"a stream that is not open has no events", streamUnknown},
	{"dropped events are gone, and unknown ones left aside", eventDropped},
	{"purging removes what is old enough, the oldest first", eventPurged},
}

func openStream(t tb, s store.Store, name string, kinds ...store.EventKind) {
	t.Helper()
	require.NoError(t, s.OpenStream(t.Context(), store.Stream{Name: name, Kinds: kinds}))
}

func listStreams(t tb, s store.Store) []store.Stream {
	t.Helper()
	streams, err := s.ListStreams(t.Context())
	require.NoError(t, err)
	return streams
}

func streamList(t *testing.T, s store.Store) {
	require.Empty(t, listStreams(t, s))
	openStream(t, s, "b", store.FileFinished, store.FileProgressed, store.FileFinished)
	openStream(t, s, "a")
	openStream(t, s, "B", store.FileProgressed)
	openStream(t, s, "ä", store.FileFinished)
	got := listStreams(t, s)
	for i, want := range []store.Stream{
		{Name: "B", Kinds: []store.EventKind{store.FileProgressed}},
		{Name: "a"},
		{Name: "b", Kinds: []store.EventKind{store.FileProgressed, store.FileFinished}},
		{Name: "ä", Kinds: []store.EventKind{store.FileFinished}},
	} {
		require.Equal(t, want.Name, got[i].Name)
		require.ElementsMatch(t, want.Kinds, got[i].Kinds)
		require.True(t, slices.IsSorted(got[i].Kinds))
	}
	require.Len(t, got, 4)
}

func streamKinds(t *testing.T, s store.Store) {
	openStream(t, s, "acme", store.FileFinished)
	f := fileIn(t, s, store.Done)
	openStream(t, s, "acme")
	fileIn(t, s, store.Done)
	requireFinished(t, s, "acme", f, "")
	require.Len(t, listStreams(t, s), 1)
	require.Empty(t, listStreams(t, s)[0].Kinds)
	openStream(t, s, "acme", store.FileFinished)
	fileIn(t, s, store.Failed)
	require.Len(t, eventsOf(t, s, "acme"), 2)
}

func streamClosed(t *testing.T, s store.Store) {
	openStream(t, s, "gone", store.FileFinished)
	openStream(t, s, "other", store.FileFinished)
	f := fileIn(t, s, store.Done)
	require.NoError(t, s.CloseStream(t.Context(), "gone"))
	require.ErrorIs(t, s.CloseStream(t.Context(), "gone"), store.ErrNotFound)
	require.Empty(t, eventsOf(t, s, "gone"))
	requireFinished(t, s, "other", f, "")
	openStream(t, s, "gone", store.FileFinished)
	require.Empty(t, eventsOf(t, s, "gone"))
	again := fileIn(t, s, store.Failed)
	requireFinished(t, s, "gone", again, "")
}

func streamUnknown(t *testing.T, s store.Store) {
	ctx := t.Context()
	require.ErrorIs(t, s.CloseStream(ctx, "unknown"), store.ErrNotFound)
	require.ErrorIs(t, s.AppendEvents(ctx, "unknown", []store.Event{{Note: []byte("lost")}}), store.ErrNotFound)
	require.Empty(t, eventsOf(t, s, "unknown"))
	require.Zero(t, countEvents(t, s, "unknown"))
	require.NoError(t, s.DropEvents(ctx, "unknown", []int64{1}))
	require.Zero(t, purgeEvents(t, s, "unknown", 0, 10))
	require.Empty(t, listStreams(t, s))
}

func countEvents(t tb, s store.Store, stream string) int64 {
	t.Helper()
	n, err := s.CountEvents(t.Context(), stream)
	require.NoError(t, err)
	return n
}

func eventDropped(t *testing.T, s store.Store) {
	const n = 1205
	openStream(t, s, "acme")
	openStream(t, s, "other")
	note(t, s, "other", "stays")
	require.NoError(t, s.AppendEvents(t.Context(), "acme", make([]store.Event, n)))
	left := seqs(eventsOf(t, s, "acme"))
	drop := func(seqs ...int64) {
		t.Helper()
		require.NoError(t, s.DropEvents(t.Context(), "acme", seqs))
		left = slices.DeleteFunc(left, func(seq int64) bool { return slices.Contains(seqs, seq) })
		require.EqualValues(t, len(left), countEvents(t, s, "acme"))
		require.Equal(t, left, seqsIn(t, s, "acme"))
	}
	drop()
	drop(left[1], left[n-1], left[1], -1, 0, 1<<60, eventsOf(t, s, "other")[0].Seq)
	drop(left[0])
	drop(left[1:1102]...)
	drop(slices.Clone(left)...)
	require.EqualValues(t, 1, countEvents(t, s, "other"))
}

func seqsIn(t tb, s store.Store, stream string) []int64 {
	t.Helper()
	return seqs(eventsOf(t, s, stream))
}

func purgeEvents(t tb, s store.Store, stream string, olderThan time.Duration, limit int) int {
	t.Helper()
	n, err := s.PurgeEvents(t.Context(), stream, olderThan, limit)
	require.NoError(t, err)
	return n
}

func eventPurged(t *testing.T, s store.Store) {
	openStream(t, s, "acme")
	openStream(t, s, "other")
	for _, text := range []string{"1", "2", "3", "4", "5"} {
		note(t, s, "acme", text)
		note(t, s, "other", text)
		letPass(t, s, tick)
	}
	require.NoError(t, s.DropEvents(t.Context(), "acme", seqsIn(t, s, "acme")[1:2]))
	require.Zero(t, purgeEvents(t, s, "acme", long, 10))
	require.Zero(t, purgeEvents(t, s, "acme", 0, 0))
	require.Equal(t, 2, purgeEvents(t, s, "acme", 0, 2))
	require.Equal(t, []string{"4", "5"}, notes(eventsOf(t, s, "acme")))
	require.Equal(t, 1, purgeEvents(t, s, "acme", tick, 1))
	require.Equal(t, []string{"5"}, notes(eventsOf(t, s, "acme")))
	letPass(t, s, short)
	require.Equal(t, 1, purgeEvents(t, s, "acme", short, 10))
	require.EqualValues(t, 5, countEvents(t, s, "other"))
}
