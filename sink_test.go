package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// inbox is a sink that keeps what it takes, and does before what answer says.
type inbox struct {
	progress bool
	answer   func(ctx context.Context, e transfer.Event) error // nil: takes everything

	mu    sync.Mutex // guards the fields below
	taken []transfer.Event
	calls int
}

func (i *inbox) WantsProgress() bool { return i.progress }

func (i *inbox) Deliver(ctx context.Context, e transfer.Event) error {
	i.mu.Lock()
	i.calls++
	i.mu.Unlock()
	if i.answer != nil {
		if err := i.answer(ctx, e); err != nil {
			return err
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.taken = append(i.taken, e)
	return nil
}

func (i *inbox) events() []transfer.Event {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.taken)
}

func (i *inbox) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.taken)
}

func (i *inbox) called() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.calls
}

// awaits returns once the inbox has n events.
func (i *inbox) awaits(t *testing.T, n int) []transfer.Event {
	t.Helper()
	require.Eventually(t, func() bool { return i.count() >= n }, 24*time.Hour, 100*time.Millisecond)
	return i.events()
}

func sinks(s map[string]transfer.EventSink) func(*transfer.Config) {
	return func(c *transfer.Config) { c.Sinks = s }
}

func sendAll(n int) (in transfer.StartFileTransferInput) {
	in.RemoteDirectoryPath = "/in"
	for i := range n {
		in.SendFilePaths = append(in.SendFilePaths, fmt.Sprintf("/out/%04d", i))
	}
	return in
}

func (b *bench) put(n int) {
	for i := range n {
		b.local.WriteFile(fmt.Sprintf("/out/%04d", i), content(uint64(i), 10))
	}
}

func TestSink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := &inbox{}
		b := setup(t, sinks(map[string]transfer.EventSink{"in": in}))
		b.local.WriteFile("/out/0000", content(1, 2500))
		ask := sendAll(2)
		ask.Metadata = map[string]string{"k": "v"}
		id := b.start(ask)
		events := in.awaits(t, 3)
		require.ElementsMatch(t, []transfer.EventType{transfer.EventFileCompleted, transfer.EventFileFailed}, typesOf(events[:2]))
		for _, e := range events[:2] {
			row, err := b.client.GetFile(t.Context(), e.FileID)
			require.NoError(t, err)
			want := row.Event()
			want.Seq = e.Seq
			require.Equal(t, want, e)
			require.Positive(t, e.Seq)
		}
		end := events[2]
		require.Equal(t, transfer.EventTransferFinished, end.Type)
		require.Equal(t, id, end.TransferID)
		require.Equal(t, [3]int{2, 1, 1}, [3]int{end.Files, end.FilesCompleted, end.FilesFailed})
		require.Equal(t, transfer.TransferTableStatusFailed, end.StatusCode)
		require.Equal(t, map[string]string{"k": "v"}, end.Metadata)
		b.awaitNothingPending()
	})
}

// awaitNothingPending returns once nothing waits for a sink.
func (b *bench) awaitNothingPending() {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		all, err := b.client.SinkStatus(b.t.Context())
		require.NoError(b.t, err)
		return !slices.ContainsFunc(all, func(s transfer.SinkStatus) bool { return s.Pending > 0 })
	}, time.Hour, 10*time.Millisecond)
}

// TestSinkThatIsUnreliable has one that fails, hangs, and takes events but does not say so: each comes at least once, in
// order for each file, and the end of a transfer after those of its files.
func TestSinkThatIsUnreliable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		tries := map[string]int{}
		var seen []transfer.Event
		in := &inbox{progress: true}
		in.answer = func(ctx context.Context, e transfer.Event) error {
			mu.Lock()
			tries[e.ID]++
			n := tries[e.ID]
			mu.Unlock()
			switch n {
			case 1:
				return errors.New("not now")
			case 2:
				<-ctx.Done()
				return ctx.Err()
			case 3:
				mu.Lock()
				seen = append(seen, e)
				mu.Unlock()
				return errors.New("the answer is lost")
			}
			mu.Lock()
			seen = append(seen, e)
			mu.Unlock()
			return nil
		}
		b := setup(t, sinks(map[string]transfer.EventSink{"in": in}), func(c *transfer.Config) { c.ProgressInterval = time.Second })
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Delay: 1500 * time.Millisecond})
		const files = 5
		for i := range files {
			b.local.WriteFile(fmt.Sprintf("/out/%04d", i), content(uint64(i), 5000))
		}
		id := b.start(sendAll(files))
		b.awaitTypes(in, transfer.EventTransferFinished, 1)
		b.awaitNothingPending()
		requireEventOrder(t, seen)
		requireAllTold(t, b, in.events(), id)
		for _, e := range in.events() {
			if e.Type != transfer.EventFileProgress {
				require.Equal(t, 4, tries[e.ID])
			}
		}
	})
}

// awaitTypes returns once the inbox has n events of this type.
func (b *bench) awaitTypes(in *inbox, kind transfer.EventType, n int) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		return len(slices.DeleteFunc(in.events(), func(e transfer.Event) bool { return e.Type != kind })) >= n
	}, 24*time.Hour, 10*time.Millisecond)
}

// requireEventOrder checks that events of a file never go back, but for repetitions.
func requireEventOrder(t *testing.T, events []transfer.Event) {
	t.Helper()
	last := map[int64]int64{}
	for _, e := range events {
		if e.FileID != 0 {
			require.GreaterOrEqual(t, e.Seq, last[e.FileID], "file %d", e.FileID)
			last[e.FileID] = e.Seq
		}
	}
}

// requireAllTold checks that the end of each file was told, and then that of the transfer, once.
func requireAllTold(t *testing.T, b *bench, events []transfer.Event, id string) {
	t.Helper()
	told := map[int64]bool{}
	ends := 0
	for _, e := range events {
		if e.TransferID != id {
			continue
		}
		if e.Type == transfer.EventTransferFinished {
			ends++
			require.Len(t, told, e.Files, "it came before its files")
		} else if e.Type != transfer.EventFileProgress {
			told[e.FileID] = true
		}
	}
	require.Equal(t, 1, ends)
	require.Len(t, told, len(b.results(id)))
}

// TestSinkThatRefusesOneFile tells of all others meanwhile, and ends the transfer when that file's event was taken.
func TestSinkThatRefusesOneFile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := &inbox{}
		var refused sync.Map
		since := time.Now()
		in.answer = func(_ context.Context, e transfer.Event) error {
			if e.FilePath == "/out/0000" && time.Since(since) < 20*time.Minute {
				refused.Store(e.FilePath, true)
				return errors.New("never this one")
			}
			return nil
		}
		b := setup(t, sinks(map[string]transfer.EventSink{"in": in}), func(c *transfer.Config) { c.PollInterval = time.Second })
		b.put(20)
		id := b.start(sendAll(20))
		in.awaits(t, 19)
		_, is := refused.Load("/out/0000")
		require.True(t, is)
		require.Less(t, time.Since(since), time.Minute)
		all, err := b.client.SinkStatus(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, all[0].Pending)
		require.False(t, all[0].Oldest.IsZero())
		in.awaits(t, 21)
		require.Less(t, time.Since(since), 26*time.Minute)
		requireAllTold(t, b, in.events(), id)
	})
}

func TestSinkThatWantsToBeLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := &inbox{}
		first := time.Now()
		var again []time.Duration
		in.answer = func(context.Context, transfer.Event) error {
			in.mu.Lock()
			defer in.mu.Unlock()
			if len(again) == 0 {
				again = append(again, 0)
				first = time.Now()
				return &transfer.RetryLaterError{After: 5 * time.Minute, Err: errors.New("full")}
			}
			again = append(again, time.Since(first))
			return nil
		}
		b := setup(t, sinks(map[string]transfer.EventSink{"in": in}), func(c *transfer.Config) { c.PollInterval = time.Second })
		b.put(1)
		b.start(sendAll(1))
		in.awaits(t, 1)
		b.start(sendAll(1))
		in.awaits(t, 4)
		for _, after := range again[1:] {
			require.GreaterOrEqual(t, after, 5*time.Minute)
			require.Less(t, after, 6*time.Minute)
		}
	})
}

// TestSinkThatIsDown is called by one at a time, less and less often.
func TestSinkThatIsDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := &inbox{answer: func(context.Context, transfer.Event) error { panic("broken") }}
		b := setup(t, sinks(map[string]transfer.EventSink{"in": in}), func(c *transfer.Config) { c.PollInterval = time.Second })
		b.put(10)
		b.start(sendAll(10))
		time.Sleep(2 * time.Hour)
		require.Less(t, in.called(), 10*(10+2*60/2)) // a dozen while the delay grows, then one in 2.5 to 5 minutes for each file
		require.Greater(t, in.called(), 10*(5+2*60/5-5))
		all, err := b.client.SinkStatus(t.Context())
		require.NoError(t, err)
		require.Contains(t, all[0].LastError, "broken")
		require.WithinDuration(t, time.Now(), all[0].LastErrorAt, 6*time.Minute)
		require.EqualValues(t, 10, all[0].Pending)
		require.Zero(t, all[0].Delivered)
	})
}

func TestSinkOfAPurgedFile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		open := make(chan struct{})
		in := &inbox{answer: func(context.Context, transfer.Event) error {
			select {
			case <-open:
				return nil
			default:
				return errors.New("not yet")
			}
		}}
		b := setup(t, sinks(map[string]transfer.EventSink{"in": in}))
		b.put(1)
		id := b.start(sendAll(1))
		_, err := b.client.Wait(t.Context(), id)
		require.NoError(t, err)
		row := b.row(id)
		require.NoError(t, b.client.Shutdown(t.Context()))
		time.Sleep(time.Minute)
		removed, err := b.client.Purge(t.Context(), transfer.Retention{Done: time.Second})
		require.NoError(t, err)
		require.EqualValues(t, 1, removed)
		close(open)
		b.client = b.newClient(sinks(map[string]transfer.EventSink{"in": in}))
		require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
		events := in.awaits(t, 2)
		file, end := events[0], events[1]
		require.True(t, file.Purged)
		whole := row.Event()
		require.Equal(t, whole.ID, file.ID)
		require.Equal(t, whole.SHA256, file.SHA256)
		require.Equal(t, [4]string{whole.FilePath, whole.TargetPath, whole.ConnectorID, whole.Operation}, [4]string{file.FilePath, file.TargetPath, file.ConnectorID, file.Operation})
		require.Equal(t, whole.Size, file.Size)
		require.Equal(t, transfer.TransferTableStatusCompleted, file.StatusCode)
		require.True(t, end.Purged)
		require.Equal(t, id, end.TransferID)
		require.False(t, end.Time.IsZero())
	})
}

func TestEnsureAndRemoveSinks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t)
		b.put(1)
		submitter := b.newClient(sinks(map[string]transfer.EventSink{"in": &inbox{}}))
		require.NoError(t, submitter.EnsureSinks(t.Context()))
		id := b.start(sendAll(1))
		_, err := b.client.Wait(t.Context(), id)
		require.NoError(t, err)
		all, err := b.client.SinkStatus(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.Equal(t, "in", all[0].Name)
		require.EqualValues(t, 1, all[0].Pending)
		require.False(t, all[0].Configured)
		require.ErrorAs(t, submitter.RemoveSink(t.Context(), "in"), new(*transfer.InvalidRequestException))
		require.NoError(t, b.client.RemoveSink(t.Context(), "in"))
		require.ErrorAs(t, b.client.RemoveSink(t.Context(), "in"), new(*transfer.ResourceNotFoundException))
		all, err = b.client.SinkStatus(t.Context())
		require.NoError(t, err)
		require.Empty(t, all)
	})
}

func TestSinksAreChecked(t *testing.T) {
	t.Parallel()
	_, err := transfer.New(transfer.Config{Sinks: map[string]transfer.EventSink{"a/b": &inbox{}, "ok": nil}})
	require.ErrorContains(t, err, `Sinks has the name "a/b"`)
	require.ErrorContains(t, err, `Sinks["ok"] is nil`)
}
