package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	giveUpAfter     = 5 * time.Second  // trying to reach the Store, once the node was told to end at once
	largestBatch    = 1000             // changes in one call to the Store
	outcomeDelay    = time.Millisecond // that an outcome waits for others before it is written
)

// Why a running file is ended before its time.
var (
	errLeaseLost = errors.New("transfer: lease lost to another node")
	errCutOff    = errors.New("transfer: node stopped")
	errWanted    = errors.New("transfer: stopped by a user")
)

// engine leases files from the Store, moves them, and writes back how they go: one goroutine claims (dispatch), one
// writes to the Store (record), and each of the others moves one file after the other (work).
type engine struct {
	cfg      Config
	store    store.Store
	buffers  *buffers
	partners *partners

	operations operations
	hub        hub
	outboxes   outboxes

	startTransfer func(context.Context, *StartFileTransferInput) (*StartFileTransferOutput, error) // of the Client

	// Two ends: after stopping, no file is claimed and running ones end at a window's end; after cut, they end at once.
	stopping chan struct{}
	house    context.Context    // of keepHouse and what else ends with stopping
	resting  context.CancelFunc // ends it
	stopOnce sync.Once
	cut      context.Context
	cutOff   context.CancelCauseFunc

	waiting  chan *job     // claimed jobs on their way to a worker that is idle
	outcomes chan *job     // finished jobs on their way to the Store; closed when all are in it
	freed    chan struct{} // hint: jobs ended
	orphaned chan struct{} // hint: there may be files of deleted connectors
	flush    chan struct{} // hint: a job waits for its progress to be written
	ended    chan struct{} // closed: every goroutine has ended
	workers  sync.WaitGroup
	started  int // workers; only dispatch uses it

	away atomic.Bool // outcomes cannot be written just now

	unobserve func() // the Observer's, or nil; called at the end

	bytes, files *rate                 // Config.Limits; nil: no limit
	rules        map[string]ruleLimits // of those rules that have limits

	mu      sync.Mutex // guards running, places
	running map[*job]struct{}
	places  map[string]int // by connector: how many of them
}

func newEngine(cfg Config) *engine {
	e := &engine{
		cfg:      cfg,
		store:    cfg.Store,
		buffers:  newBuffers(cfg.MemoryBudget, cfg.WindowSize),
		stopping: make(chan struct{}),
		waiting:  make(chan *job),
		outcomes: make(chan *job, min(cfg.MaxFiles, largestBatch)),
		freed:    make(chan struct{}, 1),
		orphaned: make(chan struct{}, 1),
		flush:    make(chan struct{}, 1),
		ended:    make(chan struct{}),
		running:  make(map[*job]struct{}),
		places:   make(map[string]int),
		bytes:    newRate(float64(cfg.Limits.BytesPerSecond)),
		files:    newRate(cfg.Limits.FilesPerSecond),
		rules:    newRuleLimits(cfg.Rules),
	}
	e.partners = newPartners(cfg, e.buffers)
	e.hub.init(e)
	e.operations = operations{engine: e, slots: make(chan struct{}, operationsAtOnce)}
	return e
}

func (e *engine) start(ctx context.Context) {
	e.cut, e.cutOff = context.WithCancelCause(context.WithoutCancel(ctx))
	e.house, e.resting = context.WithCancel(e.cut)
	unhook := context.AfterFunc(ctx, e.stop)
	recorded := make(chan struct{})
	go func() {
		defer close(recorded)
		e.record()
	}()
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		e.keepHouse(e.house)
	}()
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		if e.partners.follows() {
			e.followStore(e.house)
		}
	}()
	e.outboxes.start(e.cut, e)
	told := make(chan struct{})
	go func() {
		defer close(told)
		e.hub.followTransfers(e.cut)
	}()
	go func() {
		defer close(e.ended)
		e.dispatch()
		<-kept
		<-followed
		close(e.waiting)
		e.workers.Wait()
		close(e.outcomes)
		<-recorded
		close(e.hub.last)
		e.outboxes.finish()
		e.operations.wait()
		e.partners.shutdown()
		e.buffers.close()
		<-told
		e.hub.close()
		unhook()
		e.cutOff(errCutOff)
		if e.unobserve != nil {
			e.unobserve()
		}
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
	paid := time.NewTimer(0)
	defer paid.Stop()
	for {
		if !e.stopped() && e.claim(ctx) {
			continue
		}
		if first := e.nextPaid(time.Now()); !first.IsZero() {
			paid.Reset(time.Until(first))
		}
		select {
		case <-ready:
		case <-paid.C:
		case <-e.freed:
		case <-e.orphaned:
			e.failOrphans(ctx)
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

// hand gives a job to a worker: one that is idle, or another one, as long as they are not as many as jobs can be.
func (e *engine) hand(j *job) {
	select {
	case e.waiting <- j:
		return
	default:
	}
	if e.started == e.cfg.MaxFiles {
		e.waiting <- j // one has just handed in its last outcome
		return
	}
	e.started++
	e.workers.Go(func() { e.work(j) })
}

// work runs a job and those that come after it. A goroutine that is used again has its stack already.
func (e *engine) work(j *job) {
	for ok := true; ok; j, ok = <-e.waiting {
		e.run(j)
	}
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
		j.partner.breaker.end(j.probe)
	}
	var p *panicError
	if errors.As(err, &p) {
		e.cfg.Logger.ErrorContext(j.ctx, "panic while moving a file", "file", j.file.ID, "transfer", j.file.TransferID, "connector", j.file.ConnectorID,
			"attempt", j.file.Attempts, "panic", p.value, "stack", string(p.stack))
	}
	e.settle(j, err)
	e.report(j, err)
	e.partners.release(j.partner)
	j.ran()
	e.outcomes <- j
}

// attempt moves one file, unless there is a reason not to begin.
func (e *engine) attempt(j *job) error {
	if j.file.Wanted != 0 { // by a user, while the file was with a node that died
		return errStopped
	}
	if err := json.Unmarshal(j.file.Spec, &j.request); err != nil {
		return &Error{Op: "decode request of", Path: j.file.TransferID, Code: InternalError, Err: err}
	}
	rule, err := e.ruleOf(&j.file.File, &j.request)
	if err != nil {
		return err
	}
	j.rule = rule
	if j.chain.Failed != nil {
		return errFailing
	}
	if j.partner.conn == nil && !j.chain.delivered() {
		return j.partner.missing()
	}
	hours := e.hours(j)
	if limit := e.cfg.QueueTimeout; limit > 0 && j.file.Attempts == 1 && hours.openFor(j.file.ReadyAt, j.now()) > limit {
		return stepError{stepQueue, &Error{Op: "queue", Path: j.file.SourcePath, Code: QueueExpired,
			Err: fmt.Errorf("nobody took it up within %v (Config.QueueTimeout)", limit)}}
	}
	if len(hours) > 0 {
		if now := time.Now(); !hours.open(now) {
			return stepError{stepConnect, outsideWindow(j.partner.id, hours, now)}
		}
		defer hours.atClosing(j.giveBack)()
	}
	defer e.limitTime(j)()
	return e.perform(j)
}

// settle decides what becomes of a file after an attempt.
func (e *engine) settle(j *job, err error) {
	if errors.Is(err, errFailing) {
		e.fail(j, store.Failure{})
		return
	}
	if err == nil {
		j.finish(store.Done, store.Failure{})
		return
	}
	if interrupted(j, err) {
		if j.isThere() && j.isWanted(store.Cancelled) && !j.lacksTasks() { // too late: it is with the partner
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
	e.fail(j, failure)
}

// interrupted reports whether an attempt ended before its time through nobody's fault.
func interrupted(j *job, err error) bool {
	cause := context.Cause(j.moving)
	return errors.Is(err, errStopped) || errors.Is(cause, errCutOff) || errors.Is(cause, errWanted) || j.hasLost() ||
		j.isWanted(store.Paused, store.Cancelled)
}
