package storetest

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var concurrentPromises = []promise{
	{"each file is done once and the limit holds", concurrentClaims},
	{"of many claimers one gets the file", concurrentOneFile},
	{"users pause, resume and cancel while workers go on", concurrentUsers},
	{"many who purge remove each file and each transfer once", concurrentPurge},
	{"reading, creating and working go on together", concurrentMix},
	{"a stream that is read and emptied meanwhile loses no event", concurrentOutbox},
}

// crew is workers that share a backlog.
type crew struct {
	store  store.Store
	limit  int
	files  int64
	active atomic.Int64 // no more than what the store thinks is running

	mu   sync.Mutex // guards done
	done map[int64]int
	sum  atomic.Int64
}

func concurrentClaims(t *testing.T, s store.Store) {
	c := &crew{store: s, limit: 7, files: 500, done: map[int64]int{}}
	files := create(t, s, "acme", int(c.files))
	timeout, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	ctx, cancel := context.WithCancelCause(timeout)
	defer cancel(nil)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			if err := c.work(ctx, fmt.Sprint("worker-", i)); err != nil {
				cancel(err) // the first one ends the others
			}
		})
	}
	wg.Wait()
	require.NoError(t, context.Cause(ctx))
	require.Len(t, c.done, len(files))
	for _, f := range files {
		require.Equal(t, 1, c.done[f.ID], "file %d", f.ID)
	}
	requireCounts(t, s, store.Query{}, map[store.State]int64{store.Done: c.files})
	for _, f := range filesOf(t, s, files[0].TransferID) {
		require.Equal(t, 1, f.Attempts)
	}
}

// work claims and finishes files until all are done.
func (c *crew) work(ctx context.Context, worker string) error {
	request := store.ClaimRequest{Worker: worker, Max: 3, Lease: long, Limits: map[string]int{"acme": c.limit}}
	for c.sum.Load() < c.files {
		claimed, err := c.store.Claim(ctx, request)
		if err != nil {
			return err
		}
		if len(claimed) == 0 {
			runtime.Gosched()
			continue
		}
		if n := c.active.Add(int64(len(claimed))); n > int64(c.limit) {
			return fmt.Errorf("%d files run, the limit is %d", n, c.limit)
		}
		counts, err := c.store.CountFiles(ctx, store.Query{})
		if err != nil {
			return err
		}
		if counts[store.Running] > int64(c.limit) {
			return fmt.Errorf("%d files are Running, the limit is %d", counts[store.Running], c.limit)
		}
		if err := c.finish(ctx, claimed); err != nil {
			return err
		}
	}
	return nil
}

func (c *crew) finish(ctx context.Context, claimed []store.Claimed) error {
	changes := make([]store.Change, len(claimed))
	c.mu.Lock()
	for i, f := range claimed {
		c.done[f.ID]++
		changes[i] = change(f.File, store.Done)
	}
	c.mu.Unlock()
	c.active.Add(-int64(len(claimed)))
	verdicts, err := c.store.Update(ctx, changes)
	if err != nil {
		return err
	}
	for i, verdict := range verdicts {
		if verdict != nil {
			return fmt.Errorf("finish file %d: %w", changes[i].ID, verdict)
		}
	}
	c.sum.Add(int64(len(claimed)))
	return nil
}

func concurrentOneFile(t *testing.T, s store.Store) {
	for range 10 {
		f := create(t, s, "acme", 1)[0]
		claimed := claimTogether(t, s, 8, "acme")
		require.Equal(t, []int64{f.ID}, claimedIDs(claimed))
	}
}

// claimTogether lets n workers claim at the same time and returns what they got.
func claimTogether(t *testing.T, s store.Store, n int, connectorID string) []store.Claimed {
	t.Helper()
	var wg sync.WaitGroup
	got := make([][]store.Claimed, n)
	for i := range n {
		wg.Go(func() {
			var err error
			got[i], err = s.Claim(t.Context(), store.ClaimRequest{
				Worker: fmt.Sprint("worker-", i), Max: 10, Lease: long, Limits: map[string]int{connectorID: 1000},
			})
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	var all []store.Claimed
	for _, claimed := range got {
		all = append(all, claimed...)
	}
	return all
}

func concurrentPurge(t *testing.T, s store.Store) {
	const transfers, files, purgers = 8, 6, 4
	for range 5 {
		var gone []string
		for range transfers {
			created := create(t, s, "acme", files)
			control(t, s, store.Cancelled, fileIDs(created)...)
			gone = append(gone, created[0].TransferID)
		}
		var wg sync.WaitGroup
		var removed atomic.Int64
		for range purgers {
			wg.Go(func() {
				for n := 1; n > 0; {
					var err error
					n, err = s.Purge(t.Context(), store.PurgeRequest{States: []store.State{store.Cancelled}, Max: 5})
					assert.NoError(t, err)
					removed.Add(int64(n))
				}
			})
		}
		wg.Wait()
		require.Equal(t, transfers*files, int(removed.Load())+purge(t, s, transfers*files, 0, store.Cancelled))
		for _, id := range gone {
			requireNotStored(t, s, id, 0)
		}
	}
}

func concurrentMix(t *testing.T, s store.Store) {
	const rounds = 10
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range 3 {
		connector := fmt.Sprint("connector-", i)
		wg.Go(func() {
			for range rounds {
				_, err := s.CreateTransfer(t.Context(), newTransfer(connector), newFiles(5))
				assert.NoError(t, err)
			}
		})
		wg.Go(func() {
			for range rounds {
				claimed, err := s.Claim(t.Context(), store.ClaimRequest{
					Worker: connector, Max: 5, Lease: long, Limits: map[string]int{connector: 100},
				})
				assert.NoError(t, err)
				for _, c := range claimed {
					verdicts, err := s.Update(t.Context(), []store.Change{change(c.File, store.Interrupted)})
					assert.NoError(t, err)
					assert.Equal(t, []error{nil}, verdicts)
				}
			}
		})
		wg.Go(func() {
			for range rounds {
				files, err := s.ListFiles(t.Context(), store.Query{Limit: 50})
				assert.NoError(t, err)
				counts, err := s.CountFiles(t.Context(), store.Query{})
				assert.NoError(t, err)
				sum := int64(0)
				for _, n := range counts {
					sum += n
				}
				assert.GreaterOrEqual(t, sum, int64(len(files)), "counted after listing")
			}
		})
	}
}
