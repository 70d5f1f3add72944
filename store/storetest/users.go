package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

// traffic is workers that move files while users steer them.
type traffic struct {
	store store.Store
	files []int64
	calm  atomic.Bool // users no longer steer, and workers finish what they get

	mu   sync.Mutex       // guards held
	held map[int64]string // by file: the worker that has it under a live lease
}

func concurrentUsers(t *testing.T, s store.Store) {
	const workers, users, rounds = 4, 3, 60
	tr := &traffic{store: s, files: fileIDs(create(t, s, "acme", 80)), held: map[int64]string{}}
	openStream(t, s, "acme", store.FileProgressed, store.FileFinished)
	timeout, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	ctx, cancel := context.WithCancelCause(timeout)
	defer cancel(nil)
	var working, steering sync.WaitGroup
	for i := range workers {
		working.Go(func() { cancelOn(cancel, tr.work(ctx, fmt.Sprint("worker-", i), random(i))) })
	}
	for i := range users {
		steering.Go(func() { cancelOn(cancel, tr.steer(ctx, rounds, random(100+i))) })
	}
	steering.Wait()
	control(t, s, store.Queued, tr.files...)
	tr.calm.Store(true)
	working.Wait()
	require.NoError(t, context.Cause(ctx))

	files := everything(t, s)
	require.Equal(t, tr.files, fileIDs(files))
	for _, f := range files {
		requireLegal(t, f)
		require.True(t, f.State.Final(), "file %d is %v", f.ID, f.State)
	}
	requireCounts(t, s, store.Query{}, countsOf(files, store.Query{}))
	requireStory(t, s, "acme", files)
}

func random(seed int) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 1)) }

// cancelOn ends the others at the first error.
func cancelOn(cancel context.CancelCauseFunc, err error) {
	if err != nil {
		cancel(err)
	}
}

// steer pauses, resumes and cancels files at random; cancelling is rare.
func (tr *traffic) steer(ctx context.Context, rounds int, r *rand.Rand) error {
	for range rounds {
		to := []store.State{store.Paused, store.Paused, store.Queued, store.Queued, store.Queued, store.Cancelled}[r.IntN(6)]
		ids := make([]int64, 1+r.IntN(6))
		if to == store.Cancelled {
			ids = ids[:1]
		}
		for i := range ids {
			ids[i] = tr.files[r.IntN(len(tr.files))]
		}
		verdicts, err := tr.store.Control(ctx, store.ControlRequest{IDs: ids, To: to})
		if err != nil {
			return err
		}
		for _, verdict := range verdicts {
			if verdict != nil && !errors.Is(verdict, store.ErrState) {
				return fmt.Errorf("bring a file to %v: %w", to, verdict)
			}
		}
	}
	return nil
}

// work claims files and writes about them until none is left to claim after users have stopped.
func (tr *traffic) work(ctx context.Context, worker string, r *rand.Rand) error {
	request := store.ClaimRequest{Worker: worker, Max: 4, Lease: long, Limits: map[string]int{"acme": 10}}
	for {
		calm := tr.calm.Load()
		claimed, err := tr.store.Claim(ctx, request)
		if err != nil {
			return err
		}
		if err := tr.move(ctx, claimed, worker, calm, r); err != nil {
			return err
		}
		if len(claimed) == 0 && calm {
			return nil
		}
		runtime.Gosched()
	}
}

// move renews the leases of claimed files and gives them up then.
func (tr *traffic) move(ctx context.Context, claimed []store.Claimed, worker string, calm bool, r *rand.Rand) error {
	changes := make([]store.Change, len(claimed))
	for i, c := range claimed {
		if err := tr.take(c.File, worker); err != nil {
			return err
		}
		changes[i] = change(c.File, store.Running)
		changes[i].Lease = long
		changes[i].Offset++
	}
	r.Shuffle(len(changes), func(i, j int) { changes[i], changes[j] = changes[j], changes[i] })
	verdicts, err := tr.store.Update(ctx, changes)
	if err != nil {
		return err
	}
	for i, verdict := range verdicts {
		if changes[i].State, err = next(verdict, calm, r); err != nil {
			return fmt.Errorf("renew file %d: %w", changes[i].ID, err)
		}
	}
	tr.drop(changes)
	verdicts, err = tr.store.Update(ctx, changes)
	return errors.Join(append(verdicts, err)...)
}

// next is what a worker writes after it was told verdict.
func next(verdict error, calm bool, r *rand.Rand) (store.State, error) {
	switch {
	case errors.Is(verdict, store.ErrPauseWanted), errors.Is(verdict, store.ErrCancelWanted):
		return store.Interrupted, nil
	case verdict == nil && calm:
		return store.Done, nil
	}
	return []store.State{store.Done, store.Failed, store.Waiting, store.Interrupted, store.Interrupted}[r.IntN(5)], verdict
}

// take notes who has the file; two at once are an error.
func (tr *traffic) take(f store.File, worker string) error {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if other := tr.held[f.ID]; other != "" {
		return fmt.Errorf("file %d was claimed by %s while %s held it", f.ID, worker, other)
	}
	tr.held[f.ID] = worker
	return nil
}

// drop notes that nobody has these files.
func (tr *traffic) drop(changes []store.Change) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, c := range changes {
		delete(tr.held, c.ID)
	}
}
