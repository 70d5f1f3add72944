package transfer_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// TestSinkWhoseErrorsAreBroken has one that returns no error of its type, and one that ends its goroutine.
func TestSinkWhoseErrorsAreBroken(t *testing.T) {
	for name, broken := range map[string]func() error{
		"nil pointer": func() error { return (*transfer.RetryLaterError)(nil) },
		"goexit":      func() error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var calls atomic.Int32
				in := &inbox{answer: func(context.Context, transfer.Event) error {
					if calls.Add(1) == 1 {
						return broken()
					}
					return nil
				}}
				b := setup(t, sinks(map[string]transfer.EventSink{"in": in}), func(c *transfer.Config) { c.Lease = 3 * time.Second })
				b.put(1)
				b.start(sendAll(1))
				in.awaits(t, 2)
				time.Sleep(time.Minute)
				all, err := b.client.SinkStatus(t.Context())
				require.NoError(t, err)
				require.NotEmpty(t, all[0].LastError)
				require.EqualValues(t, 2, all[0].Delivered)
			})
		})
	}
}

// TestStoreThatDropsNothing is asked again now and then, not all the time.
func TestStoreThatDropsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := &inbox{answer: func(_ context.Context, e transfer.Event) error {
			if e.FilePath == "/out/0000" {
				return errors.New("not this one")
			}
			return nil
		}}
		var calls atomic.Int32
		fail := func(call string) error {
			if call != "DropEvents" {
				return nil
			}
			calls.Add(1)
			return errors.New("the store is away")
		}
		b := setup(t, sinks(map[string]transfer.EventSink{"in": in}), func(c *transfer.Config) {
			c.Store, c.PollInterval = awkward{c.Store, fail}, time.Second
		})
		b.put(2)
		b.start(sendAll(2))
		in.awaits(t, 1)
		time.Sleep(time.Minute)
		require.Less(t, calls.Load(), int32(2*60))
		require.Greater(t, calls.Load(), int32(10))
	})
}

// heir is a store that is slow, and knows how long a duty is surely held.
type heir struct {
	store.Store
	slow time.Duration // that it takes to list events

	mu   sync.Mutex // guards held
	held time.Time  // until then
}

func (h *heir) hold(until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = until
}

func (h *heir) holds() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Before(h.held)
}

func (h *heir) ClaimDuties(ctx context.Context, r store.DutyRequest) ([]store.Duty, error) {
	asked := time.Now()
	duties, err := h.Store.ClaimDuties(ctx, r)
	if len(duties) > 0 {
		h.hold(asked.Add(r.Lease))
	}
	return duties, err
}

func (h *heir) UpdateDuty(ctx context.Context, d store.Duty, lease time.Duration) error {
	asked := time.Now()
	err := h.Store.UpdateDuty(ctx, d, lease)
	if err == nil {
		h.hold(asked.Add(lease))
	}
	return err
}

func (h *heir) ListEvents(ctx context.Context, q store.EventQuery) ([]store.Event, error) {
	time.Sleep(h.slow)
	return h.Store.ListEvents(ctx, q)
}

// TestNothingIsDeliveredWithoutTheDuty has a store that takes longer than the lease: another node may deliver by then.
func TestNothingIsDeliveredWithoutTheDuty(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t)
		b.put(5)
		h := &heir{Store: b.store, slow: 9 * time.Second}
		var strays atomic.Int32
		in := &inbox{answer: func(context.Context, transfer.Event) error {
			if !h.holds() {
				strays.Add(1)
			}
			return nil
		}}
		client := b.newClient(sinks(map[string]transfer.EventSink{"in": in}), func(c *transfer.Config) { c.Store, c.Lease = h, 3*time.Second })
		require.NoError(t, client.EnsureSinks(t.Context()))
		id := b.start(sendAll(5))
		_, err := b.client.Wait(t.Context(), id)
		require.NoError(t, err)
		require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
		in.awaits(t, 6)
		require.NoError(t, client.Shutdown(t.Context()))
		require.Zero(t, strays.Load())
	})
}

// TestProgressForASinkThatHangs leaves no more in the store than is still to be told.
func TestProgressForASinkThatHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := &inbox{progress: true, answer: func(ctx context.Context, _ transfer.Event) error { <-ctx.Done(); return ctx.Err() }}
		b := setup(t, sinks(map[string]transfer.EventSink{"in": in}), func(c *transfer.Config) {
			c.ProgressInterval, c.PollInterval = time.Second, time.Second
		})
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Delay: 4 * time.Second})
		const files = 4
		for _, name := range sendAll(files).SendFilePaths {
			b.local.WriteFile(name, content(1, 1_000_000))
		}
		b.start(sendAll(files))
		time.Sleep(15 * time.Minute)
		n, err := b.store.CountEvents(t.Context(), "sink/in/")
		require.NoError(t, err)
		require.LessOrEqual(t, n, int64(3*files))
		require.GreaterOrEqual(t, n, int64(files))
	})
}
