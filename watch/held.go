package watch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// storeTimeout bounds a call of the Store.
const storeTimeout = 30 * time.Second

// held is a duty that this node has.
type held struct {
	store store.Store
	lease time.Duration

	mu   sync.Mutex // guards the fields below; one write at a time
	duty store.Duty
	over bool // it was given up, or lost
}

// save writes a state, which extends the lease too. store.ErrLeaseLost means that somebody else has the duty by now.
func (h *held) save(ctx context.Context, state []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return store.ErrLeaseLost
	}
	d := h.duty
	d.State = state
	err := h.update(ctx, d, h.lease)
	if err == nil {
		h.duty.State = state
	}
	return err
}

// extend keeps the duty, with the state that was saved last.
func (h *held) extend(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return nil
	}
	return h.update(ctx, h.duty, h.lease)
}

// release gives the duty up, with the state that was saved last; it is due again after the delay.
func (h *held) release(ctx context.Context, delay time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return nil
	}
	d := h.duty
	d.DueAt, d.Delay = time.Time{}, max(delay, 0)
	err := h.update(ctx, d, 0)
	h.over = true
	return err
}

// drop removes the duty.
func (h *held) drop(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return store.ErrLeaseLost
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	h.over = true
	return h.store.DeleteDuty(ctx, h.duty.Name, h.duty.Token)
}

// set has the next write write this state.
func (h *held) set(state []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.duty.State = state
}

// update writes; h.mu is held.
func (h *held) update(ctx context.Context, d store.Duty, lease time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := h.store.UpdateDuty(ctx, d, lease)
	h.over = h.over || errors.Is(err, store.ErrLeaseLost)
	return err
}

// keep extends the lease until the returned function is called, which waits for the last write. When the duty is lost, or
// may be because the Store did not answer for as long as the lease, it calls lost.
func (h *held) keep(ctx context.Context, lost func()) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.extendAgain(ctx, lost)
	}()
	return func() { cancel(); <-done }
}

func (h *held) extendAgain(ctx context.Context, lost func()) {
	again := time.NewTicker(h.lease / 3)
	defer again.Stop()
	last := time.Now()
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		begun := time.Now()
		err := h.extend(ctx)
		switch {
		case err == nil:
			last = begun
		case errors.Is(err, store.ErrLeaseLost) || time.Since(last) >= h.lease:
			lost()
			return
		}
	}
}
