package transfer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// Bounds of what the engine does on its own account.
const (
	cleanupTimeout  = 15 * time.Second // removing what a failed file left behind
	storeTimeout    = 10 * time.Second // one call to the Store
	storeRetryFirst = 100 * time.Millisecond
	storeRetryLast  = 5 * time.Second
	giveUpAfter     = 5 * time.Second // trying to reach the Store, once the node was told to end at once
	largestBatch    = 1000            // changes in one call to the Store
)

// Why a running file is ended before its time.
var (
	errLeaseLost = errors.New("transfer: lease lost to another node")
	errCutOff    = errors.New("transfer: node stopped")
	errWanted    = errors.New("transfer: stopped by a user")
)

// engine leases files from the Store, moves them, and writes back how they go: one goroutine claims (dispatch), one
// writes to the Store (record), and one moves each file (run).
type engine struct {
	cfg     Config
	store   store.Store
	limits  map[string]int // files at once, by connector
	buffers *buffers
	shares  map[string]*buffers // of buffers, by connector

	breakers map[string]*breaker // by connector

	// Two ends: after stopping, no file is claimed and running ones end at a window's end; after cut, they end at once.
	stopping chan struct{}
	resting  context.CancelFunc // ends what keepHouse does
	stopOnce sync.Once
	cut      context.Context
	cutOff   context.CancelCauseFunc

	outcomes  chan *job     // finished jobs on their way to the Store
	freed     chan struct{} // hint: jobs ended
	flush     chan struct{} // hint: write progress now
	jobsEnded chan struct{} // closed: every job has handed in its outcome
	ended     chan struct{} // closed: every goroutine has ended
	jobs      sync.WaitGroup

	away atomic.Bool // outcomes cannot be written just now

	mu      sync.Mutex // guards running
	running map[*job]struct{}
}

func newEngine(cfg Config) *engine {
	e := &engine{
		cfg:       cfg,
		store:     cfg.Store,
		limits:    make(map[string]int, len(cfg.Connectors)),
		buffers:   newBuffers(cfg.MemoryBudget, cfg.WindowSize),
		stopping:  make(chan struct{}),
		outcomes:  make(chan *job),
		freed:     make(chan struct{}, 1),
		flush:     make(chan struct{}, 1),
		jobsEnded: make(chan struct{}),
		ended:     make(chan struct{}),
		running:   make(map[*job]struct{}),
		shares:    make(map[string]*buffers, len(cfg.Connectors)),
		breakers:  make(map[string]*breaker, len(cfg.Connectors)),
	}
	most := cfg.MemoryBudget
	if len(cfg.Connectors) > 1 {
		most = max(cfg.WindowSize, most/2)
	}
	for id, c := range cfg.Connectors {
		e.shares[id] = e.buffers.share(most)
		e.limits[id] = c.Info().MaxFiles
		e.breakers[id] = &breaker{}
	}
	return e
}

func (e *engine) start(ctx context.Context) {
	e.cut, e.cutOff = context.WithCancelCause(context.WithoutCancel(ctx))
	house, resting := context.WithCancel(e.cut)
	e.resting = resting
	unhook := context.AfterFunc(ctx, e.stop)
	recorded := make(chan struct{})
	go func() {
		defer close(recorded)
		e.record()
	}()
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		e.keepHouse(house)
	}()
	go func() {
		defer close(e.ended)
		e.dispatch()
		<-kept
		e.jobs.Wait()
		close(e.jobsEnded)
		<-recorded
		unhook()
		e.cutOff(errCutOff)
	}()
}

// stop lets files that move reach the end of their window, and gives back those that do not move yet.
func (e *engine) stop() {
	e.stopOnce.Do(func() { close(e.stopping) })
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.resting != nil {
		e.resting()
	}
	for j := range e.running {
		j.giveBack()
	}
}

func (e *engine) shutdown(ctx context.Context) error {
	e.stop()
	select {
	case <-e.ended:
		return nil
	case <-ctx.Done():
	}
	busy := e.count() > 0
	e.cutOff(errCutOff)
	<-e.ended
	if !busy {
		return nil
	}
	return fmt.Errorf("transfer: shutdown cut running files off: %w", ctx.Err())
}

func hint(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// dispatch claims files as long as there is room, until the node stops.
func (e *engine) dispatch() {
	ctx, cancel := context.WithCancel(e.cut)
	defer cancel()
	ready := e.store.Watch(ctx, store.FilesReady)
	poll := time.NewTicker(e.cfg.PollInterval)
	defer poll.Stop()
	for {
		if !e.stopped() && e.claim(ctx) {
			continue
		}
		select {
		case <-ready:
		case <-e.freed:
		case <-poll.C:
		case <-e.stopping:
			return
		}
	}
}

func (e *engine) stopped() bool { return isClosed(e.stopping) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// claim takes as many files as there is room for and reports whether there may be more and room for them.
func (e *engine) claim(ctx context.Context) bool {
	room := e.cfg.MaxFiles - e.count()
	if room <= 0 || len(e.limits) == 0 || ctx.Err() != nil || e.away.Load() {
		return false
	}
	limits, probes := e.gates()
	for _, id := range probes { // first: the others may never leave room
		if room > 0 {
			room -= e.take(ctx, 1, map[string]int{id: e.limits[id]}, true)
		}
	}
	return room > 0 && len(limits) > 0 && e.take(ctx, room, limits, false) == room
}

// gates returns the limits of those connectors whose files may be claimed freely, and those of which one may be, to find
// out whether the partner can be reached.
func (e *engine) gates() (limits map[string]int, probes []string) {
	now := time.Now()
	limits = e.limits
	for id, b := range e.breakers {
		g := b.gate(now)
		if g == gateOpen {
			continue
		}
		if len(limits) == len(e.limits) {
			limits = maps.Clone(limits)
		}
		delete(limits, id)
		if g == gateProbe {
			probes = append(probes, id)
		}
	}
	return limits, probes
}

// take claims up to n files, starts to move them, and returns how many they are.
func (e *engine) take(ctx context.Context, n int, limits map[string]int, probe bool) int {
	asked := time.Now()
	call, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	claimed, err := e.store.Claim(call, store.ClaimRequest{Worker: e.cfg.Name, Max: n, Lease: e.cfg.Lease, Limits: limits})
	if err != nil {
		if ctx.Err() == nil {
			e.cfg.Logger.Error("cannot claim files", "error", err)
		}
		return 0
	}
	for _, c := range claimed {
		j := newJob(e.cut, c, asked)
		if probe {
			j.probe = e.breakers[c.ConnectorID].begin()
		}
		e.mu.Lock()
		e.running[j] = struct{}{}
		e.mu.Unlock()
		if e.stopped() {
			j.giveBack()
		}
		e.jobs.Go(func() { e.run(j) })
	}
	return len(claimed)
}

func (e *engine) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.running)
}

// run moves one file and hands in its outcome.
func (e *engine) run(j *job) {
	err := guarded(func() error { return e.attempt(j) })
	if j.probe != 0 {
		e.breakers[j.file.ConnectorID].end(j.probe)
	}
	var p *panicError
	if errors.As(err, &p) {
		e.cfg.Logger.Error("panic while moving a file", "file", j.file.ID, "panic", p.value, "stack", string(p.stack))
	}
	e.settle(j, err)
	e.report(j, err)
	e.outcomes <- j
}

// attempt moves one file, unless there is a reason not to begin.
func (e *engine) attempt(j *job) error {
	if j.file.Wanted != 0 { // by a user, while the file was with a node that died
		return errStopped
	}
	if limit := e.cfg.QueueTimeout; limit > 0 && j.file.Attempts == 1 && j.now().Sub(j.file.ReadyAt) > limit {
		return stepError{stepQueue, &Error{Op: "queue", Path: j.file.SourcePath, Code: QueueExpired,
			Err: fmt.Errorf("nobody took it up within %v (Config.QueueTimeout)", limit)}}
	}
	if e.cfg.FileTimeout > 0 {
		late := &Error{Op: "move", Code: TimeoutError, Err: fmt.Errorf("it took longer than %v (Config.FileTimeout)", e.cfg.FileTimeout)}
		timer := time.AfterFunc(e.cfg.FileTimeout, func() { j.cancel(late) })
		defer timer.Stop()
	}
	return e.deliver(j)
}

// settle decides what becomes of a file after an attempt.
func (e *engine) settle(j *job, err error) {
	if err == nil {
		j.finish(store.Done, store.Failure{})
		return
	}
	if interrupted(j, err) {
		if j.isThere() && j.isWanted(store.Cancelled) { // too late: it is with the partner
			j.finish(store.Done, store.Failure{})
			return
		}
		j.interrupt()
		return
	}
	var failure store.Failure
	if bad := guarded(func() error { failure = e.describe(&j.file.File, err); return nil }); bad != nil {
		failure = store.Failure{Code: string(InternalError), Message: bad.Error()}
	}
	if _, is := outstanding(err); is {
		failure = store.Failure{}
	}
	v := e.again(j, err)
	j.failed(v)
	if v.again {
		j.finish(store.Waiting, failure)
		return
	}
	j.finish(store.Failed, failure)
}

// interrupted reports whether an attempt ended before its time through nobody's fault.
func interrupted(j *job, err error) bool {
	cause := context.Cause(j.moving)
	return errors.Is(err, errStopped) || errors.Is(cause, errCutOff) || errors.Is(cause, errWanted) || j.hasLost() ||
		j.isWanted(store.Paused, store.Cancelled)
}
