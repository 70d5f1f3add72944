package storetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var journalPromises = []promise{
	{"FileFinished when Update makes a file final, with the Note", eventUpdateFinished},
	{"FileFinished when Control cancels a file", eventControlCancelled},
	{"FileFinished when a file that is to be cancelled is given back", eventWantedCancelled},
	{"no FileFinished when nothing is final", eventNotFinished},
	{"FileProgressed when the Offset grows, and only then", eventProgressed},
	{"what is refused or lost is no event", eventLost},
	{"each stream gets its kinds, from when it was opened", eventKinds},
	{"events of many files in one call", eventMany},
	{"AppendEvents appends what was noted", eventNoted},
	{"events have growing Seq, over all streams", eventSeq},
	{"ListEvents selects by transfer, file and time", eventQuery},
	{"pages by Seq lose no event and repeat none", eventPages},
	{"events outlive their files", eventOutlives},
	{"keeps no Note that it was given and returns copies", eventCopies},
	{"EventsAppended when a stream has more", eventWatch},
}

func events(t tb, s store.Store, q store.EventQuery) []store.Event {
	t.Helper()
	found, err := s.ListEvents(t.Context(), q)
	require.NoError(t, err)
	for i, e := range found {
		requireStoreTime(t, "At", e.At)
		require.Equal(t, q.Stream, e.Stream)
		require.Positive(t, e.Seq)
		require.True(t, i == 0 || e.Seq > found[i-1].Seq, "events out of order")
	}
	return found
}

func eventsOf(t tb, s store.Store, stream string) []store.Event {
	t.Helper()
	return events(t, s, store.EventQuery{Stream: stream})
}

func seqs(events []store.Event) []int64 {
	return ids(events, func(e store.Event) int64 { return e.Seq })
}

// note appends an event of this text to a stream.
func note(t tb, s store.Store, stream, text string) {
	t.Helper()
	require.NoError(t, s.AppendEvents(t.Context(), stream, []store.Event{{Note: []byte(text)}}))
}

// notes returns what was noted in a stream.
func notes(events []store.Event) []string {
	var texts []string
	for _, e := range events {
		texts = append(texts, string(e.Note))
	}
	return texts
}

// fresh opens a stream of this kind that has no events yet and returns its name.
func fresh(t tb, s store.Store, kind store.EventKind) string {
	t.Helper()
	name := newID()
	openStream(t, s, name, kind)
	require.Empty(t, eventsOf(t, s, name))
	return name
}

// requireFinished requires that a stream has one event, that f finished, with this Note.
func requireFinished(t tb, s store.Store, stream string, f store.File, note string) {
	t.Helper()
	found := eventsOf(t, s, stream)
	require.Len(t, found, 1)
	require.Equal(t, note, string(found[0].Note))
	require.Equal(t, store.Event{
		Seq: found[0].Seq, Stream: stream, Kind: store.FileFinished, At: f.FinishedAt, TransferID: f.TransferID, FileID: f.ID,
		State: f.State, Offset: f.Offset, Size: f.Size, Note: found[0].Note,
	}, found[0])
}

func eventUpdateFinished(t *testing.T, s store.Store) {
	for _, to := range []store.State{store.Done, store.Failed} {
		stream := fresh(t, s, store.FileFinished)
		c := change(fileIn(t, s, store.Running), to)
		c.Size, c.Offset, c.Note = 1<<50, 1<<50-1, []byte("what became of it")
		requireFinished(t, s, stream, write(t, s, c), "what became of it")
	}
	stream := fresh(t, s, store.FileFinished)
	requireFinished(t, s, stream, finish(t, s, claimOne(t, s, "acme", long)), "")
	require.Equal(t, int64(-1), eventsOf(t, s, stream)[0].Size)
}

func eventControlCancelled(t *testing.T, s store.Store) {
	for _, f := range []store.File{
		fileIn(t, s, store.Queued), fileIn(t, s, store.Waiting), fileIn(t, s, store.Paused), fileIn(t, s, store.Interrupted),
		expiredWanted(t, s, 0),
	} {
		stream := fresh(t, s, store.FileFinished)
		cancelled := bring(t, s, f.ID, store.Cancelled)
		requireFinished(t, s, stream, cancelled, "")
		bring(t, s, f.ID, store.Cancelled)
		requireFinished(t, s, stream, cancelled, "")
	}
}

func eventWantedCancelled(t *testing.T, s store.Store) {
	for _, written := range []store.State{store.Waiting, store.Interrupted} {
		f := fileIn(t, s, store.Running)
		stream := fresh(t, s, store.FileFinished)
		bring(t, s, f.ID, store.Cancelled)
		require.Empty(t, eventsOf(t, s, stream))
		c := change(f, written)
		c.Note, c.Offset = []byte("cancelled"), 8
		requireFinished(t, s, stream, write(t, s, c), "cancelled")
	}
}

func eventNotFinished(t *testing.T, s store.Store) {
	stream := fresh(t, s, store.FileFinished)
	for _, to := range []store.State{store.Running, store.Waiting, store.Interrupted} {
		c := change(fileIn(t, s, store.Running), to)
		c.Lease, c.Delay, c.Note, c.Offset = long, long, []byte("note"), 9
		write(t, s, c)
	}
	for _, from := range []store.State{store.Queued, store.Running, store.Waiting, store.Interrupted} {
		f := fileIn(t, s, from)
		bring(t, s, f.ID, store.Paused)
		bring(t, s, f.ID, store.Queued)
	}
	write(t, s, change(runningWanted(t, s, store.Paused), store.Interrupted))
	require.Empty(t, eventsOf(t, s, stream))
}

func eventProgressed(t *testing.T, s store.Store) {
	f := claimOne(t, s, "acme", long)
	stream := fresh(t, s, store.FileProgressed)
	for _, offset := range []int64{5, 5, 3, 0, 4} {
		c := change(f, store.Running)
		c.Lease, c.Size, c.Offset, c.Note = long, 1<<50, offset, []byte("note")
		f = write(t, s, c)
	}
	bring(t, s, f.ID, store.Paused)
	c := change(f, store.Running)
	c.Lease, c.Offset = long, 6
	require.ErrorIs(t, update(t, s, c)[0], store.ErrPauseWanted)
	c.State, c.Offset = store.Interrupted, 100
	write(t, s, c)

	found := eventsOf(t, s, stream)
	require.Equal(t, []int64{5, 4, 6}, ids(found, func(e store.Event) int64 { return e.Offset }))
	require.Empty(t, found[1].Note)
	require.Equal(t, store.Event{
		Seq: found[1].Seq, Stream: stream, Kind: store.FileProgressed, At: f.UpdatedAt, TransferID: f.TransferID, FileID: f.ID,
		State: store.Running, Offset: 4, Size: 1 << 50, Note: found[1].Note,
	}, found[1])
}

func eventLost(t *testing.T, s store.Store) {
	f, done := fileIn(t, s, store.Running), fileIn(t, s, store.Done)
	openStream(t, s, "acme", store.FileProgressed, store.FileFinished)
	for _, to := range []store.State{store.Running, store.Done, store.Failed} {
		c := change(f, to)
		c.Token++
		c.Lease, c.Offset, c.Note = long, 100, []byte("lost")
		require.ErrorIs(t, update(t, s, c)[0], store.ErrLeaseLost)
		again := change(done, to)
		again.Offset = 100
		require.ErrorIs(t, update(t, s, again)[0], store.ErrLeaseLost)
	}
	refused := change(f, store.Cancelled)
	refused.Offset = 100
	require.Error(t, update(t, s, refused)[0])
	require.ErrorIs(t, control(t, s, store.Cancelled, done.ID)[0], store.ErrState)
	require.ErrorIs(t, control(t, s, store.Cancelled, 1<<50)[0], store.ErrNotFound)
	require.Empty(t, eventsOf(t, s, "acme"))
}

func eventKinds(t *testing.T, s store.Store) {
	before := fileIn(t, s, store.Running)
	write(t, s, change(before, store.Done))
	f := claimOne(t, s, "acme", long)
	openStream(t, s, "none")
	openStream(t, s, "progress", store.FileProgressed)
	openStream(t, s, "finish", store.FileFinished)
	openStream(t, s, "both", store.FileFinished, store.FileProgressed)
	c := change(f, store.Running)
	c.Lease, c.Offset = long, 1
	write(t, s, c)
	finish(t, s, f)
	for stream, want := range map[string][]store.EventKind{
		"none": nil, "progress": {store.FileProgressed}, "finish": {store.FileFinished},
		"both": {store.FileProgressed, store.FileFinished},
	} {
		note(t, s, stream, "noted")
		var kinds []store.EventKind
		for _, e := range eventsOf(t, s, stream) {
			kinds = append(kinds, e.Kind)
		}
		require.Equal(t, append(want, store.Noted), kinds, stream)
	}
}

func eventMany(t *testing.T, s store.Store) {
	const n = 1201
	openStream(t, s, "acme", store.FileFinished)
	failed := failMany(t, s, n)
	found := eventsOf(t, s, "acme")
	got := ids(found, func(e store.Event) int64 { return e.FileID })
	require.ElementsMatch(t, failed, got)

	cancelled := fileIDs(create(t, s, "acme", n))
	control(t, s, store.Cancelled, cancelled...)
	found = events(t, s, store.EventQuery{Stream: "acme", After: found[n-1].Seq})
	require.ElementsMatch(t, cancelled, ids(found, func(e store.Event) int64 { return e.FileID }))
	require.EqualValues(t, 2*n, countEvents(t, s, "acme"))
}

func eventNoted(t *testing.T, s store.Store) {
	openStream(t, s, "acme", store.FileFinished)
	openStream(t, s, "other")
	given := make([]store.Event, 1201)
	for i := range given {
		given[i] = store.Event{
			Seq: 7, Stream: "other", Kind: store.FileFinished, At: time.Now().Add(long), TransferID: "transfer", FileID: int64(i),
			State: store.Done, Offset: 5, Size: 6, Note: []byte{0, 255, byte(i)},
		}
	}
	require.NoError(t, s.AppendEvents(t.Context(), "acme", given))
	require.NoError(t, s.AppendEvents(t.Context(), "acme", nil))
	found := eventsOf(t, s, "acme")
	require.Len(t, found, len(given))
	for i, e := range found {
		require.Equal(t, store.Event{
			Seq: e.Seq, Stream: "acme", Kind: store.Noted, At: e.At, TransferID: "transfer", FileID: int64(i), Note: []byte{0, 255, byte(i)},
		}, e)
	}
	require.WithinDuration(t, create(t, s, "acme", 1)[0].CreatedAt, found[0].At, clockSlack)
	require.Empty(t, eventsOf(t, s, "other"))
}

func eventSeq(t *testing.T, s store.Store) {
	last := int64(0)
	openStream(t, s, "a", store.FileFinished)
	openStream(t, s, "b", store.FileFinished)
	for i := range 6 {
		stream := []string{"a", "b"}[i%2]
		note(t, s, stream, "noted")
		found := events(t, s, store.EventQuery{Stream: stream, After: last})
		require.Len(t, found, 1)
		last = found[0].Seq
	}
	require.NoError(t, s.CloseStream(t.Context(), "a"))
	openStream(t, s, "a")
	note(t, s, "a", "noted")
	require.Greater(t, eventsOf(t, s, "a")[0].Seq, last, "one that was closed")

	first := eventsOf(t, s, "b")
	require.NoError(t, s.DropEvents(t.Context(), "b", seqs(first)))
	note(t, s, "b", "noted")
	require.Greater(t, eventsOf(t, s, "b")[0].Seq, first[len(first)-1].Seq, "one that was emptied")
}

func eventQuery(t *testing.T, s store.Store) {
	openStream(t, s, "acme", store.FileFinished)
	openStream(t, s, "other", store.FileFinished)
	files := create(t, s, "acme", 2)
	create(t, s, "acme", 2)
	for _, c := range claim(t, s, "w", "acme", 10, long) {
		finish(t, s, c.File)
		letPass(t, s, tick)
	}
	note(t, s, "acme", "noted")
	all := eventsOf(t, s, "acme")
	require.Len(t, all, 5)
	for name, c := range map[string]struct {
		q    store.EventQuery
		want []store.Event
	}{
		"transfer":       {store.EventQuery{TransferID: files[0].TransferID}, all[:2]},
		"file":           {store.EventQuery{FileID: files[1].ID}, all[1:2]},
		"both":           {store.EventQuery{TransferID: all[2].TransferID, FileID: files[1].ID}, nil},
		"from":           {store.EventQuery{From: all[2].At}, all[2:]},
		"from later":     {store.EventQuery{From: all[2].At.Add(time.Nanosecond)}, all[3:]},
		"to":             {store.EventQuery{To: all[2].At}, all[:3]},
		"to earlier":     {store.EventQuery{To: all[2].At.Add(-time.Nanosecond)}, all[:2]},
		"from, to":       {store.EventQuery{From: all[1].At, To: all[1].At}, all[1:2]},
		"after":          {store.EventQuery{After: all[1].Seq}, all[2:]},
		"after transfer": {store.EventQuery{After: all[0].Seq, TransferID: files[0].TransferID, Limit: 7}, all[1:2]},
		"limit":          {store.EventQuery{Limit: 3}, all[:3]},
		"nothing":        {store.EventQuery{TransferID: "%"}, nil},
	} {
		c.q.Stream = "acme"
		require.Equal(t, seqs(c.want), seqs(events(t, s, c.q)), name)
	}
}

func eventPages(t *testing.T, s store.Store) {
	openStream(t, s, "acme")
	require.NoError(t, s.AppendEvents(t.Context(), "acme", make([]store.Event, 100)))
	want := seqs(eventsOf(t, s, "acme"))
	for _, limit := range []int{1, 7, 50, 100, 101} {
		var got []int64
		for q := (store.EventQuery{Stream: "acme", Limit: limit}); ; q.After = got[len(got)-1] {
			page := seqs(events(t, s, q))
			require.LessOrEqual(t, len(page), limit)
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
		}
		require.Equal(t, want, got, "limit %d", limit)
	}
}

func eventOutlives(t *testing.T, s store.Store) {
	openStream(t, s, "acme", store.FileFinished)
	f := fileIn(t, s, store.Done)
	require.Equal(t, 1, purge(t, s, 10, 0, store.Done))
	requireFinished(t, s, "acme", f, "")
}

func eventCopies(t *testing.T, s store.Store) {
	openStream(t, s, "acme", store.FileFinished)
	given := []store.Event{{Note: []byte("noted")}}
	require.NoError(t, s.AppendEvents(t.Context(), "acme", given))
	c := change(fileIn(t, s, store.Running), store.Done)
	c.Note = []byte("finished")
	write(t, s, c)
	given[0].Note[0], c.Note[0] = 'x', 'x'
	for range 2 {
		found := eventsOf(t, s, "acme")
		require.Equal(t, []string{"noted", "finished"}, notes(found))
		found[0].Note[0], found[1].Note[0] = 'x', 'x'
	}
	kinds := []store.EventKind{store.FileFinished}
	openStream(t, s, "other", kinds...)
	kinds[0] = store.FileProgressed
	listStreams(t, s)[1].Kinds[0] = store.FileProgressed
	require.Equal(t, []store.EventKind{store.FileFinished}, listStreams(t, s)[1].Kinds)
}

func eventWatch(t *testing.T, s store.Store) {
	openStream(t, s, "acme", store.FileProgressed, store.FileFinished)
	requireHint(t, s.Watch(t.Context(), store.EventsAppended), func() { note(t, s, "acme", "noted") })
	requireHint(t, s.Watch(t.Context(), store.EventsAppended), func() { fileIn(t, s, store.Done) })
	requireHint(t, s.Watch(t.Context(), store.EventsAppended), func() { fileIn(t, s, store.Cancelled) })
	f, offset := claimOne(t, s, "acme", long), int64(0)
	requireHint(t, s.Watch(t.Context(), store.EventsAppended), func() {
		offset++
		c := change(f, store.Running)
		c.Lease, c.Offset = long, offset
		write(t, s, c)
	})
}
