package transfer

import (
	"context"
	"fmt"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// renewed notes that the lease runs from asked on.
func (j *job) renewed(asked time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.leased, j.recorded, j.placeKnown = asked, j.offered, j.placeOffered
	j.tell()
}

// tell wakes up who waits for a verdict. It is called with mu locked.
func (j *job) tell() {
	if j.verdict != nil {
		close(j.verdict)
		j.verdict = nil
	}
}

// loseLease notes that the file is somebody else's and ends the work on it.
func (j *job) loseLease() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lost = true
	j.tell()
	j.cancel(errLeaseLost)
}

// runs reports whether the file is not at an end.
func (j *job) runs() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state == store.Running
}

// waits reports whether somebody waits for a verdict.
func (j *job) waits() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.verdict != nil
}

func (j *job) hasLost() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lost
}

// awaitRecord returns once the Store knows where the file is being delivered, so that a crash from then on leaves nothing
// that nobody knows of.
func (e *engine) awaitRecord(ctx context.Context, j *job) error {
	return e.await(ctx, j, func() bool { return j.recorded })
}

// confirm returns once the lease of j is known to last for at least half its term, which makes it safe to begin, publish or
// remove what is delivered; a file that took less than that costs no call to the Store.
func (e *engine) confirm(ctx context.Context, j *job) error {
	return e.await(ctx, j, func() bool { return age(j.leased) < e.cfg.Lease/2 })
}

// await has the file's progress written until enough is true, which is called with mu locked.
func (e *engine) await(ctx context.Context, j *job, enough func() bool) error {
	for {
		j.mu.Lock()
		lost, done := j.lost, enough()
		if !lost && !done && j.verdict == nil {
			j.verdict = make(chan struct{})
		}
		verdict := j.verdict
		j.mu.Unlock()
		switch {
		case lost:
			return errLeaseLost
		case ctx.Err() != nil:
			return fmt.Errorf("confirm lease: %w", context.Cause(ctx))
		case done:
			return nil
		}
		hint(e.flush)
		select {
		case <-verdict:
		case <-ctx.Done():
		}
	}
}

// age is how long ago t was, by the clock that says more: the monotonic one stands still while a machine is suspended.
func age(t time.Time) time.Duration { return max(time.Since(t), time.Since(t.Round(0))) }
