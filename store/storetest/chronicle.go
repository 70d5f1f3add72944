package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

// chronicled is the stream and the scope of the model.
const chronicled = "model"

// chronicle is what must be in a journal and a ledger.
type chronicle struct {
	events  map[int64][]store.Event // by file, in their order, without what the store assigns
	entries map[string]int64        // by path: the last file that entered it
}

func newChronicle(t tb, s store.Store) chronicle {
	openStream(t, s, chronicled, store.FileProgressed, store.FileFinished)
	return chronicle{events: map[int64][]store.Event{}, entries: map[string]int64{}}
}

// updated notes what c made of a file.
func (ch *chronicle) updated(before, now store.File, c store.Change) {
	if c.State == store.Running && now.Offset > before.Offset {
		ch.add(store.FileProgressed, now, nil)
	}
	ch.changed(before, now, c.Note)
	if now.State == store.Done && c.Enter != nil {
		ch.entries[c.Enter.Path] = now.ID
	}
}

// changed notes that a file has become final, if it has.
func (ch *chronicle) changed(before, now store.File, note []byte) {
	if !before.State.Final() && now.State.Final() {
		ch.add(store.FileFinished, now, note)
	}
}

func (ch *chronicle) add(kind store.EventKind, f store.File, note []byte) {
	ch.events[f.ID] = append(ch.events[f.ID], store.Event{
		Kind: kind, TransferID: f.TransferID, FileID: f.ID, State: f.State, Offset: f.Offset, Size: f.Size, Note: note,
	})
}

// compare requires that the store tells the same.
func (ch *chronicle) compare(t tb, s store.Store) {
	stored := map[int64][]store.Event{}
	for _, e := range eventsOf(t, s, chronicled) {
		stored[e.FileID] = append(stored[e.FileID], e)
	}
	require.Len(t, stored, len(ch.events))
	for id, want := range ch.events {
		got := stored[id]
		require.Len(t, got, len(want), "events of file %d", id)
		for i, e := range want {
			e.Seq, e.Stream, e.At = got[i].Seq, chronicled, got[i].At
			if len(e.Note) == 0 && len(got[i].Note) == 0 {
				e.Note = got[i].Note
			}
			require.Equal(t, e, got[i])
		}
	}
	entered := map[string]int64{}
	for _, e := range lookUp(t, s, chronicled, "/a", "/b") {
		entered[e.Path] = e.FileID
	}
	require.Equal(t, ch.entries, entered)
}

// requireStory requires that a stream tells of each finished file that its Offset grew by one at a time, and then once
// that it finished.
func requireStory(t *testing.T, s store.Store, stream string, files []store.File) {
	t.Helper()
	byFile := map[int64][]store.Event{}
	for _, e := range eventsOf(t, s, stream) {
		byFile[e.FileID] = append(byFile[e.FileID], e)
	}
	for _, f := range files {
		story := byFile[f.ID]
		require.Len(t, story, int(f.Offset)+1, "file %d", f.ID)
		end := story[f.Offset]
		require.Equal(t, store.FileFinished, end.Kind)
		require.Equal(t, f.State, end.State)
		require.Equal(t, f.FinishedAt, end.At)
		for i, e := range story[:f.Offset] {
			require.Equal(t, store.FileProgressed, e.Kind)
			require.EqualValues(t, i+1, e.Offset, "file %d", f.ID)
		}
	}
}

func concurrentOutbox(t *testing.T, s store.Store) {
	const writers, each = 4, 60
	openStream(t, s, "outbox")
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for j := range each {
				text := fmt.Sprintf("%d/%02d", i, j)
				assert.NoError(t, s.AppendEvents(t.Context(), "outbox", []store.Event{{FileID: int64(i), Note: []byte(text)}}))
			}
		})
	}
	var delivered []string
	var err error
	finished := make(chan struct{})
	go func() {
		wg.Wait()
		close(finished)
	}()
	for last := false; !last && err == nil; {
		select {
		case <-finished:
			last = true
		default:
		}
		delivered, err = empty(t.Context(), s, "outbox", delivered)
	}
	<-finished
	require.NoError(t, err)
	require.Len(t, delivered, writers*each)
	slices.Sort(delivered)
	require.Len(t, slices.Compact(delivered), writers*each, "an event came twice")
	require.Zero(t, countEvents(t, s, "outbox"))
}

// empty drops the events of a stream until there are none and adds what was noted to delivered.
func empty(ctx context.Context, s store.Store, stream string, delivered []string) ([]string, error) {
	for {
		found, err := s.ListEvents(ctx, store.EventQuery{Stream: stream, Limit: 25})
		if err != nil || len(found) == 0 {
			return delivered, err
		}
		delivered = append(delivered, notes(found)...)
		if err := s.DropEvents(ctx, stream, seqs(found)); err != nil {
			return delivered, err
		}
	}
}
