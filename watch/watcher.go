package watch

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// Watcher runs watches and selections: between Start and Shutdown those that are due and that no other Watcher over the same
// Store has. All methods are safe for concurrent use, and those that ask work on one that was never started, too.
type Watcher struct {
	cfg     Config
	client  *transfer.Client
	store   store.Store
	lister  lister
	log     *slog.Logger
	watches map[string]*watched
	freed   chan struct{} // hint: a run has ended

	mu   sync.Mutex // guards the fields below
	stop context.CancelFunc
	over bool // it does not start any more
	idle chan struct{}
	runs int
	// choosy is until when only the duties of watches that this node has are claimed.
	choosy time.Time
}

// New returns a Watcher, or one error that names every wrong field. It starts no goroutine.
func New(cfg Config) (*Watcher, error) {
	cfg = cfg.withDefaults()
	watches, err := cfg.read()
	if err != nil {
		return nil, err
	}
	return &Watcher{
		cfg: cfg, client: cfg.Client, store: cfg.Client.Store(), lister: clientLister{cfg.Client}, log: cfg.Logger, watches: watches,
		freed: make(chan struct{}, 1),
	}, nil
}

// Start begins to run what is due, and returns at once. When ctx ends, the Watcher stops as Shutdown does; call that all the
// same, to wait for it. A Watcher starts once.
func (w *Watcher) Start(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return errors.New("watch: Watcher was started or shut down before (make another with New)")
	}
	ctx, w.stop = context.WithCancel(ctx)
	w.over, w.idle = true, make(chan struct{})
	go func() {
		defer close(w.idle)
		w.work(ctx)
	}()
	return nil
}

// Shutdown ends runs where they are and gives them back: another Watcher goes on with what they had planned. It returns when
// every goroutine of the Watcher has ended, or with ctx's error when ctx ends first. Shut down the Watcher before its
// Client.
func (w *Watcher) Shutdown(ctx context.Context) error {
	w.mu.Lock()
	stop, idle := w.stop, w.idle
	w.over = true
	w.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// work claims what is due until ctx ends, and returns when all runs have ended.
func (w *Watcher) work(ctx context.Context) {
	var runs sync.WaitGroup
	defer runs.Wait()
	hints := w.store.Watch(ctx, store.DutiesChanged)
	poll := time.NewTicker(w.cfg.PollInterval)
	defer poll.Stop()
	known := false
	for {
		if !known {
			known = w.register(ctx)
		}
		for _, d := range w.claim(ctx) {
			runs.Go(func() { w.serve(ctx, d) })
		}
		select {
		case <-hints:
		case <-w.freed:
		case <-poll.C:
		case <-ctx.Done():
			return
		}
	}
}

// claim takes as many duties as there is room for.
func (w *Watcher) claim(ctx context.Context) []store.Duty {
	w.mu.Lock()
	defer w.mu.Unlock()
	room := w.cfg.MaxRuns - w.runs
	if room == 0 || ctx.Err() != nil {
		return nil
	}
	var due []store.Duty
	for _, prefix := range w.prefixes() {
		some, err := w.claimNamed(ctx, prefix, room-len(due))
		if err != nil && ctx.Err() == nil {
			w.log.Warn("cannot ask the store what is due", "error", err)
		}
		if due = append(due, some...); len(due) == room || err != nil {
			break
		}
	}
	w.runs += len(due)
	return due
}

// prefixes are those of the duties to claim: all of them, or, since some were not for this node, those of its watches; w.mu is
// held.
func (w *Watcher) prefixes() []string {
	if time.Now().After(w.choosy) {
		return []string{dutyPrefix}
	}
	own := []string{selectionPrefix}
	for name := range w.watches {
		own = append(own, scheduleName(name), triggerName(name))
	}
	return own
}

// notOurs gives back a duty that this node cannot do, and leaves such ones to others for a while.
func (w *Watcher) notOurs(ctx context.Context, h *held) {
	w.log.Warn("a watch is due that this node cannot run (Config.Watches must be the same on all nodes; Forget removes one)", "duty", h.duty.Name)
	w.mu.Lock()
	w.choosy = time.Now().Add(choosyFor)
	w.mu.Unlock()
	w.giveBack(ctx, h, 0)
}

// choosyFor is how long a node asks for its own watches only, one by one, after it met another one.
const choosyFor = 10 * time.Minute

func (w *Watcher) claimNamed(ctx context.Context, prefix string, most int) ([]store.Duty, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return w.store.ClaimDuties(ctx, store.DutyRequest{Worker: w.cfg.Name, Prefix: prefix, Max: most, Lease: w.cfg.Lease})
}

// serve does what a duty asks for.
func (w *Watcher) serve(ctx context.Context, d store.Duty) {
	defer w.served()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h := &held{store: w.store, lease: w.cfg.Lease, duty: d}
	defer h.keep(context.WithoutCancel(ctx), cancel)()
	switch {
	case w.watches[watchOf(d.Name, schedulePrefix)] != nil:
		w.scheduled(ctx, h, w.watches[watchOf(d.Name, schedulePrefix)])
	case w.watches[watchOf(d.Name, triggerPrefix)] != nil:
		w.triggered(ctx, h, w.watches[watchOf(d.Name, triggerPrefix)])
	case strings.HasPrefix(d.Name, selectionPrefix):
		w.selection(ctx, h, strings.TrimPrefix(d.Name, selectionPrefix))
	default:
		w.notOurs(ctx, h)
	}
}

func (w *Watcher) served() {
	w.mu.Lock()
	w.runs--
	w.mu.Unlock()
	select {
	case w.freed <- struct{}{}:
	default:
	}
}

// giveBack ends the work on a duty; what is not written expires.
func (w *Watcher) giveBack(ctx context.Context, h *held, delay time.Duration) {
	if err := h.release(context.WithoutCancel(ctx), delay); err != nil {
		w.log.Warn("cannot give back a duty", "duty", h.duty.Name, "error", err)
	}
}
