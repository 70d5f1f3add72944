package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// chance is a source of random decisions.
type chance struct {
	mu     sync.Mutex // guards random
	random *rand.Rand
}

func (c *chance) upTo(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(n)
}

func (c *chance) oneIn(n int) bool { return c.upTo(n) == 0 }

// TestEventsOverRandomTrouble has nodes that come and go, a store and a sink that fail now and then, cancelled files and purged
// rows: whatever happens, the end of each file is told, and then that of each transfer.
func TestEventsOverRandomTrouble(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) { randomTrouble(t, &chance{random: rand.New(rand.NewPCG(seed, 7))}) })
		})
	}
}

func randomTrouble(t *testing.T, c *chance) {
	calm := make(chan struct{})
	in := &inbox{progress: true, answer: func(ctx context.Context, _ transfer.Event) error {
		switch {
		case isClosed(calm):
		case c.oneIn(5):
			return errors.New("not now")
		case c.oneIn(20):
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}}
	fail := func(call string) error {
		switch {
		case isClosed(calm) || call == "OpenStream":
		case call == "DropEvents" && c.oneIn(2), c.oneIn(10):
			return errors.New("the store is away")
		}
		return nil
	}
	b := setup(t)
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Delay: 700 * time.Millisecond})
	const files, transfers, nodes = 12, 8, 3
	for i, name := range sendAll(files).SendFilePaths {
		b.local.WriteFile(name, content(uint64(i), 1000*(1+i%4)))
	}
	node := func() *transfer.Client {
		client := b.newClient(sinks(map[string]transfer.EventSink{"in": in}), func(cfg *transfer.Config) {
			cfg.Store, cfg.Lease, cfg.ProgressInterval, cfg.PollInterval = awkward{b.store, fail}, 3*time.Second, 300*time.Millisecond, time.Second
		})
		require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
		return client
	}
	running := make([]*transfer.Client, nodes)
	for i := range running {
		running[i] = node()
	}
	want := map[string]int{}
	for range transfers {
		id := b.start(sendAll(files))
		want[id] = files
		if c.oneIn(2) {
			_, err := b.client.CancelTransfer(t.Context(), &transfer.ControlInput{TransferID: id})
			require.NoError(t, err)
		}
		i := c.upTo(nodes)
		cut, cancel := context.WithCancel(t.Context())
		if c.oneIn(2) {
			cancel()
		}
		_ = running[i].Shutdown(cut)
		cancel()
		running[i] = node()
		time.Sleep(time.Duration(c.upTo(5000)) * time.Millisecond)
		if c.oneIn(4) {
			_, err := b.client.Purge(t.Context(), transfer.Retention{Done: time.Second, InError: time.Second})
			require.NoError(t, err)
		}
	}
	for id := range want {
		_, err := b.client.Wait(t.Context(), id)
		if !errors.As(err, new(*transfer.ResourceNotFoundException)) {
			require.NoError(t, err)
		}
	}
	close(calm)
	require.Eventually(t, func() bool {
		n, err := b.store.CountEvents(t.Context(), "sink/in/")
		return err == nil && n == 0
	}, 24*time.Hour, time.Second)
	for _, client := range running {
		require.NoError(t, client.Shutdown(t.Context()))
	}
	events := in.events()
	requireEventOrder(t, events)
	told := map[int64]bool{}
	for _, e := range events {
		if e.Type == transfer.EventTransferFinished {
			require.LessOrEqual(t, want[e.TransferID], 0, "the end of a transfer came before those of its files")
			want[e.TransferID] = -1
		} else if e.Type != transfer.EventFileProgress && !told[e.FileID] {
			told[e.FileID] = true
			want[e.TransferID]--
		}
	}
	for id, left := range want {
		require.Equal(t, -1, left, id)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
