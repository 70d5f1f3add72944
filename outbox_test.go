package transfer_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

func TestSinkOfManyFiles(t *testing.T) {
	t.Parallel()
	const files = 6000 // more than are read at once
	in := &inbox{}
	b := setup(t, sinks(map[string]transfer.EventSink{"in": in}), func(c *transfer.Config) { c.MaxFiles = 200 })
	b.partner = transfertest.NewConnector(b.remote, transfertest.ConnectorOptions{MaxFiles: 200})
	b.put(files)
	id := b.start(sendAll(files))
	require.Eventually(t, func() bool { return in.count() == files+1 }, 5*time.Minute, 10*time.Millisecond)
	requireAllTold(t, b, in.events(), id)
	b.awaitNothingPending()
}

// TestSinkOverACrash cuts nodes off in the middle of deliveries, again and again.
func TestSinkOverACrash(t *testing.T) {
	t.Parallel()
	const files = 40
	in := &inbox{}
	slow := func(ctx context.Context, _ transfer.Event) error {
		select {
		case <-time.After(2 * time.Millisecond):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	in.answer = slow
	withSink := func(c *transfer.Config) {
		c.Sinks, c.Lease, c.ProgressInterval = map[string]transfer.EventSink{"in": in}, time.Second, 5*time.Millisecond
	}
	b := setup(t, withSink)
	b.put(files)
	id := b.start(sendAll(files))
	for round := 1; in.count() < files && round < 20; round++ {
		before := in.count()
		require.Eventually(t, func() bool { return in.count() > before }, 30*time.Second, time.Millisecond)
		cut, cancel := context.WithCancel(t.Context())
		cancel()
		_ = b.client.Shutdown(cut) // what it is delivering is cut off
		b.client = b.newClient(withSink)
		require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
	}
	b.awaitTypes(in, transfer.EventTransferFinished, 1)
	b.awaitNothingPending()
	events := in.events()
	requireEventOrder(t, events)
	told := map[int64]bool{}
	for _, e := range events {
		told[e.FileID] = true
	}
	require.Len(t, told, files+1) // and the transfer, 0
	require.Equal(t, id, events[0].TransferID)
}

// TestTheEndOfATransferSurvivesItsNode has the end refused until another node delivers.
func TestTheEndOfATransferSurvivesItsNode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		refusing := &inbox{answer: func(_ context.Context, e transfer.Event) error {
			if e.Type == transfer.EventTransferFinished {
				return errors.New("not here")
			}
			return nil
		}}
		b := setup(t, sinks(map[string]transfer.EventSink{"in": refusing}))
		b.put(3)
		id := b.start(sendAll(3))
		refusing.awaits(t, 3)
		require.NoError(t, b.client.Shutdown(t.Context()))
		in := &inbox{}
		b.client = b.newClient(sinks(map[string]transfer.EventSink{"in": in}))
		require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
		b.awaitTypes(in, transfer.EventTransferFinished, 1)
		events := in.events()
		require.Equal(t, id, events[len(events)-1].TransferID)
		b.awaitNothingPending()
	})
}

// overtaken hides the first event of a stream until later ones were read, as a store may whose writers overtake each other.
type overtaken struct {
	store.Store

	mu    sync.Mutex // guards hides
	hides int        // reads that do not see it
}

func (l *overtaken) ListEvents(ctx context.Context, q store.EventQuery) ([]store.Event, error) {
	events, err := l.Store.ListEvents(ctx, q)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(events) > 1 && q.After == 0 && l.hides > 0 {
		l.hides--
		return events[1:], err
	}
	return events, err
}

func TestAnEventThatShowsLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t)
		b.put(5)
		in := &inbox{}
		client := b.newClient(sinks(map[string]transfer.EventSink{"in": in}), func(c *transfer.Config) { c.Store = &overtaken{Store: b.store, hides: 1} })
		require.NoError(t, client.EnsureSinks(t.Context()))
		id := b.start(sendAll(5))
		_, err := b.client.Wait(t.Context(), id)
		require.NoError(t, err)
		require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
		require.Equal(t, transfer.EventTransferFinished, in.awaits(t, 6)[5].Type)
		require.NoError(t, client.Shutdown(t.Context()))
	})
}

// TestSinkIsTheDutyOfOneNode has two, and the other one take over when the first one ends.
func TestSinkIsTheDutyOfOneNode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		first, second := &inbox{}, &inbox{}
		b := setup(t, sinks(map[string]transfer.EventSink{"in": first}))
		synctest.Wait()
		other := b.newClient(sinks(map[string]transfer.EventSink{"in": second}))
		require.NoError(t, other.Start(context.WithoutCancel(t.Context())))
		b.put(5)
		b.start(sendAll(5))
		first.awaits(t, 6)
		require.Zero(t, second.count())
		require.NoError(t, b.client.Shutdown(t.Context()))
		b.client = other
		b.start(sendAll(5))
		second.awaits(t, 6)
		require.Equal(t, 6, first.count())
	})
}

func TestShutdownDeliversWhatItCan(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := &inbox{}
		b := setup(t, sinks(map[string]transfer.EventSink{"in": in}))
		b.put(50)
		id := b.start(sendAll(50))
		_, err := b.client.Wait(t.Context(), id)
		require.NoError(t, err)
		require.NoError(t, b.client.Shutdown(t.Context()))
		require.Equal(t, 51, in.count())
		all, err := b.client.SinkStatus(t.Context())
		require.NoError(t, err)
		require.Equal(t, []transfer.SinkStatus{{Name: "in", Configured: true, Delivered: 51, LastTakenAt: all[0].LastTakenAt}}, all)
	})
}

func TestShutdownDoesNotWaitForASinkThatHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := &inbox{answer: func(ctx context.Context, _ transfer.Event) error { <-ctx.Done(); return ctx.Err() }}
		b := setup(t, sinks(map[string]transfer.EventSink{"in": in}))
		b.put(1)
		id := b.start(sendAll(1))
		_, err := b.client.Wait(t.Context(), id)
		require.NoError(t, err)
		began := time.Now()
		require.NoError(t, b.client.Shutdown(t.Context()))
		require.Less(t, time.Since(began), 10*time.Second)
	})
}

// awkward fails calls of the journal.
type awkward struct {
	store.Store
	fail func(call string) error
}

func (a awkward) OpenStream(ctx context.Context, s store.Stream) error {
	if err := a.fail("OpenStream"); err != nil {
		return err
	}
	return a.Store.OpenStream(ctx, s)
}

func (a awkward) ListEvents(ctx context.Context, q store.EventQuery) ([]store.Event, error) {
	if err := a.fail("ListEvents"); err != nil {
		return nil, err
	}
	return a.Store.ListEvents(ctx, q)
}

func (a awkward) DropEvents(ctx context.Context, stream string, seqs []int64) error {
	if err := a.fail("DropEvents"); err != nil {
		return err
	}
	return a.Store.DropEvents(ctx, stream, seqs)
}

func (a awkward) UpdateDuty(ctx context.Context, d store.Duty, lease time.Duration) error {
	if err := a.fail("UpdateDuty"); err != nil {
		return err
	}
	return a.Store.UpdateDuty(ctx, d, lease)
}

func (a awkward) AppendEvents(ctx context.Context, stream string, events []store.Event) error {
	if err := a.fail("AppendEvents"); err != nil {
		return err
	}
	return a.Store.AppendEvents(ctx, stream, events)
}

// TestSinkOverAStoreThatFails loses nothing, and does not deliver twice what was taken on the same node.
func TestSinkOverAStoreThatFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := &inbox{}
		var mu sync.Mutex
		calls := 0
		fail := func(call string) error {
			mu.Lock()
			defer mu.Unlock()
			if calls++; calls%3 != 0 && call != "OpenStream" {
				return errors.New("the store is away")
			}
			return nil
		}
		b := setup(t, sinks(map[string]transfer.EventSink{"in": in}), func(c *transfer.Config) { c.Store = awkward{c.Store, fail} })
		b.put(100)
		id := b.start(sendAll(100))
		in.awaits(t, 101)
		requireAllTold(t, b, in.events(), id)
		require.Eventually(t, func() bool {
			n, err := b.store.CountEvents(t.Context(), "sink/in/")
			return err == nil && n == 0
		}, time.Hour, time.Second)
		require.Equal(t, 101, in.count())
	})
}

func TestStartNeedsTheStreams(t *testing.T) {
	t.Parallel()
	away := errors.New("the store is away")
	client, err := transfer.New(transfer.Config{
		Sinks: map[string]transfer.EventSink{"in": &inbox{}},
		Store: awkward{store.NewMemory(), func(string) error { err := away; away = nil; return err }},
	})
	require.NoError(t, err)
	require.ErrorAs(t, client.Start(t.Context()), new(*transfer.ServiceUnavailableException))
	require.NoError(t, client.Start(t.Context()), "it may be started again")
	require.NoError(t, client.Shutdown(t.Context()))
}
