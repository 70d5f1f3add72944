package transfer_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// flaky is a Store that its node cannot reach while it is down.
type flaky struct {
	store.Store
	down atomic.Bool
}

func (f *flaky) Update(ctx context.Context, changes []store.Change) ([]error, error) {
	if f.down.Load() {
		return nil, errors.New("store is down")
	}
	return f.Store.Update(ctx, changes)
}

func (f *flaky) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claimed, error) {
	if f.down.Load() {
		return nil, errors.New("store is down")
	}
	return f.Store.Claim(ctx, r)
}

func TestALostLeaseDeliversNothing(t *testing.T) {
	t.Parallel()
	unreliable := &flaky{Store: store.NewMemory()}
	b := setup(t, func(c *transfer.Config) { c.Store, c.Lease = unreliable, time.Second })
	b.store = unreliable
	b.local.WriteFile("a.bin", content(1, 3000))
	gate := make(chan struct{})
	third := b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 3, Hold: gate})
	id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
	<-third.Hit()

	unreliable.down.Store(true)
	var stolen []store.Claimed
	require.Eventually(t, func() (done bool) {
		var err error
		stolen, err = unreliable.Store.Claim(t.Context(), store.ClaimRequest{Worker: "thief", Max: 1, Lease: time.Minute, Limits: map[string]int{"acme": 1}})
		return err == nil && len(stolen) == 1
	}, 10*time.Second, 10*time.Millisecond, "the lease runs out while it cannot be extended")
	close(gate)
	require.Never(t, func() bool { return len(b.remote.Paths()) > 0 }, 50*time.Millisecond, 5*time.Millisecond)
	unreliable.down.Store(false)

	require.Eventually(t, func() bool { return b.partner.OpenSinks() == 0 }, 10*time.Second, time.Millisecond)
	require.NotContains(t, b.remote.Paths(), "a.bin", "a node that lost its lease publishes nothing")
	files, err := b.store.ListFiles(t.Context(), store.Query{TransferID: id})
	require.NoError(t, err)
	require.Equal(t, "thief", files[0].Worker)
	require.Equal(t, stolen[0].Token, files[0].Token)
}

func TestTheStoreMayGoAwayForAWhile(t *testing.T) {
	t.Parallel()
	unreliable := &flaky{Store: store.NewMemory()}
	b := setup(t, func(c *transfer.Config) { c.Store = unreliable })
	b.store = unreliable
	b.local.WriteFile("a.bin", content(1, 3000))
	gate := make(chan struct{})
	first := b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Hold: gate})
	id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
	<-first.Hit()
	unreliable.down.Store(true)
	close(gate)
	require.Eventually(t, func() bool { return len(b.remote.Paths()) == 1 }, 10*time.Second, time.Millisecond)
	unreliable.down.Store(false)
	summary, err := b.client.Wait(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, transfer.TransferSummary{Files: 1, Completed: 1}, summary)
	require.Equal(t, 1, b.results(id)[0].Attempts)
}

// A file fails on a node that has lost its lease: what it delivered is the other node's by now.
func TestALostLeaseRemovesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		unreliable := &flaky{Store: store.NewMemory()}
		b := ordered(t, seconds, func(c *transfer.Config) {
			c.Store, c.Lease, c.ProgressInterval = unreliable, 4*time.Second, time.Second
		})
		b.store = unreliable
		gate := make(chan struct{})
		third := b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 3, Hold: gate, Err: transfer.PermissionDenied})
		b.send(5000)
		<-third.Hit()
		unreliable.down.Store(true)
		time.Sleep(10 * time.Second)
		stolen, err := unreliable.Store.Claim(t.Context(), store.ClaimRequest{Worker: "thief", Max: 1, Lease: time.Hour, Limits: map[string]int{"acme": 1}})
		require.NoError(t, err)
		require.Len(t, stolen, 1)
		close(gate)
		time.Sleep(time.Second)
		require.Len(t, b.remote.Partials(), 1, "while it cannot know")
		unreliable.down.Store(false)
		time.Sleep(time.Minute)
		require.Len(t, b.remote.Partials(), 1, "when it knows")
		require.Zero(t, b.partner.Calls(transfertest.OpAbort))
	})
}
