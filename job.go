package transfer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// job is one leased file on this node.
type job struct {
	file    *store.Claimed
	partner *partner        // the file's connector, as it was when the file was claimed
	last    *checkpoint     // of an earlier attempt, or nil
	past    history         // what earlier attempts have left to be known
	request spec            // what was asked for; decoded by the attempt
	rule    *Rule           // that the file is moved by, or nil
	probe   int             // the number of the probe that this is: it finds out whether the partner can be reached again
	taken   time.Time       // when the file was claimed, by our clock
	session *SessionInfo    // with the partner, once the delivery has ended
	told    int64           // the Offset that subscriptions know; only record uses it
	ctx     context.Context // ends when the file must be let go at once
	cancel  context.CancelCauseFunc
	moving  context.Context // ends with ctx, and when a user wants the file stopped; publishing does not end with it
	halt    context.CancelCauseFunc
	stop    chan struct{} // closed: end at a window's end

	watched watched // for who observes the attempt

	mu       sync.Mutex // guards the fields below
	state    store.State
	wanted   store.State // Paused or Cancelled, once a user wants that
	delay    time.Duration
	progress store.Progress
	failure  store.Failure
	unsure   bool          // an earlier attempt may have published the file without anybody noting it
	publish  bool          // it is being published, or an attempt at that failed
	there    bool          // it was published
	leased   time.Time     // when the lease was asked for that is held now
	lost     bool          // the lease is somebody else's
	open     bool          // both sides are there, and what is delivered is worth keeping
	verdict  chan struct{} // nil, or closed once leased or lost has changed: somebody waits for that
	identity string        // of the pinned source
	name     string        // identity under which it is delivered
	promised int64         // the size that the sink was told
	at       position
	awaits   bool               // the whole file is with the partner, whose word on it is to come
	best     int64              // the greatest rank of this attempt
	entry    *store.LedgerEntry // for the ledger, once the file is Done; or nil
	sink     Sink               // asked for its checkpoint
	offered  bool               // a change has that checkpoint
	recorded bool               // and was written

	chain        chainState // where in its rule's chains the file is; written by its worker alone
	place        int        // grows with each change of chain
	placeOffered int        // what a change has of it
	placeKnown   int        // and was written
	passed       bool       // this attempt has done a task, or delivered a file that has tasks after that
}

func newJob(ctx context.Context, f *store.Claimed, leased time.Time) *job {
	j := &job{file: f, state: store.Running, leased: leased, told: f.Offset, stop: make(chan struct{})}
	j.ctx, j.cancel = context.WithCancelCause(ctx)
	j.moving, j.halt = context.WithCancelCause(j.ctx)
	j.progress, j.failure, j.wanted = f.Progress, f.Failure, f.Wanted
	j.progress.Skipped = false // an attempt that died at its end may have written that
	c := parseCheckpoint(f.Checkpoint)
	j.taken, j.past, j.entry = leased, c.history, c.Enter
	crashed := f.Attempts > 1 && c.Ended != f.Attempts-1
	if crashed && c.Crashed == 0 {
		j.past.Crashed = c.Ended + 1
	}
	j.unsure = crashed || c.Published
	if c.Chain != nil {
		j.chain = *c.Chain
		j.chain.Task = max(0, j.chain.Task)
		j.entry, j.session = cmp.Or(j.chain.Enter, j.entry), j.chain.Session
		j.progress.Phase, j.progress.Task = j.chain.Phase, j.chain.Task
		j.unsure = j.unsure && j.chain.Phase != store.PhaseBefore // nothing was moved yet
	}
	if c.usable() {
		j.last = &c
	}
	return j
}

// checkpoint is what a later attempt needs to know of an earlier one: how to go on in mid-file, or, with Rank 0, what to
// remove.
type checkpoint struct {
	Identity string `json:"identity,omitempty"` // of the source, or of the attempt where Transforms change it
	Size     int64  `json:"size,omitempty"`     // bytes of the source, or UnknownSize where they are transformed
	Window   int64  `json:"window,omitempty"`   // bytes
	Rank     int64  `json:"rank,omitempty"`
	Hash     []byte `json:"hash,omitempty"`   // state of the SHA-256 after Rank windows
	Sink     []byte `json:"sink,omitempty"`   // the Sink's own
	Awaits   bool   `json:"awaits,omitempty"` // the file was handed over, and Sink tells how to ask for the receipt

	Enter *store.LedgerEntry `json:"enter,omitempty"` // for the ledger, of a file that was handed over

	Chain *chainState `json:"chain,omitempty"` // of files of a rule, once they are in its chains

	history
}

// history is what is known of earlier attempts at a file that is not at its end.
type history struct {
	Ended        int      `json:"ended,omitempty"`     // the attempt that wrote this as the last it did; of one that crashed there is none
	Crashed      int      `json:"crashed,omitempty"`   // the first attempt that crashed and was not cleaned up after; 0: none
	Published    bool     `json:"published,omitempty"` // it may have published the file
	FirstFailure int64    `json:"first,omitempty"`     // when the file failed first, in seconds since 1970 on the Store's clock
	NextAttempt  int64    `json:"next,omitempty"`      // when it is to go on, likewise
	Best         int64    `json:"best,omitempty"`      // the greatest Rank that an attempt came to
	Product      *product `json:"product,omitempty"`   // what an attempt that may have published the file has made of its source
}

func parseCheckpoint(text []byte) (c checkpoint) {
	if len(text) > 0 && json.Unmarshal(text, &c) != nil {
		return checkpoint{}
	}
	return c
}

// usable reports whether there is something to go on with, or to remove.
func (c *checkpoint) usable() bool {
	if c.Window < 1 || c.Size < UnknownSize || c.Rank < 0 || c.Identity == "" {
		return false
	}
	return c.Rank == 0 || sha256.New().(encoding.BinaryUnmarshaler).UnmarshalBinary(c.Hash) == nil
}

func (c checkpoint) text() []byte {
	if c.Identity == "" && c.Ended == 0 && c.Chain == nil {
		return nil
	}
	text, _ := json.Marshal(c) // numbers, bytes and valid UTF-8
	return text
}

// opened notes that both sides are there.
func (j *job) opened() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.open = true
}

// giveBack ends the work on a file because the node stops: at a window's end, or at once if it has not begun to move,
// because it may wait for a partner that does not answer.
func (j *job) giveBack() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.endWindow()
	if !j.open {
		j.cancel(errCutOff)
	}
}

// endWindow is called with mu locked.
func (j *job) endWindow() {
	if !isClosed(j.stop) {
		close(j.stop)
	}
}

// haltAfter is how long a file that a user wants stopped may take to come to a window's end. Cutting a window off costs
// the connection, and other files on it with it.
const haltAfter = 500 * time.Millisecond

// want ends the work on a file because a user wants it paused or cancelled. What is being published already stays
// unharmed.
func (j *job) want(s store.State) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.wanted == s {
		return
	}
	j.wanted = s
	j.endWindow()
	if !j.open {
		j.halt(errWanted)
		return
	}
	halt := j.halt
	time.AfterFunc(haltAfter, func() { halt(errWanted) })
}

func (j *job) isWanted(states ...store.State) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Contains(states, j.wanted)
}

// finalize notes that everything has arrived and the file is about to be published, unless a user wants it cancelled.
func (j *job) finalize() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.wanted == store.Cancelled {
		return false
	}
	j.progress.Phase, j.publish = store.PhaseFinalize, true
	return true
}

// begin notes what is moved, from where on, once both sides are open.
func (j *job) begin(size int64, name string, window int64, at position, sink Sink) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress.Phase = store.PhaseData
	j.progress.Size, j.progress.BlockSize = size, window
	j.name, j.promised, j.sink = name, size, sink
	j.setPosition(at)
}

// pinned notes which version of the source it is.
func (j *job) pinned(size int64, identity string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress.Size, j.identity = size, identity
}

func (j *job) moved(at position) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.setPosition(at)
}

func (j *job) setPosition(at position) {
	j.at = at
	j.best = max(j.best, at.rank)
	j.progress.Rank, j.progress.Offset = at.rank, at.offset
}

func (j *job) delivered(sum []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress.SHA256, j.there = sum, true
}

// found notes that an earlier attempt had delivered the file.
func (j *job) found(sum []byte, size, window int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress.SHA256, j.progress.Phase = sum, store.PhaseFinalize
	j.progress.Size, j.progress.Offset = size, size
	j.progress.BlockSize, j.progress.Rank = window, (size+window-1)/window
}

func (j *job) skipped() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress.Skipped = true
	j.setPosition(position{})
}

// keepCheckpoint takes down what a later attempt needs, while the sink is still there to be asked. It reports whether
// there is something to go on with.
func (j *job) keepCheckpoint() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.makeCheckpoint()
	j.progress.Checkpoint = c.text()
	return (c.Rank > 0 || c.Awaits) && c.Sink != nil
}

// keepLitter takes down what was left behind.
func (j *job) keepLitter() {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.makeCheckpoint()
	c.Rank, c.Hash = 0, nil
	j.progress.Checkpoint = c.text()
}

// mayHaveBegun takes down that there may be something at the target, under the name of this version of the source.
func (j *job) mayHaveBegun(identity string, size, window int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress.Checkpoint = checkpoint{Identity: identity, Size: size, Window: window}.text()
}

// forget notes that nothing is left of what was delivered so far.
func (j *job) forget() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress.Checkpoint, j.sink = nil, nil
}

// letGo forgets the sink, which is about to be closed.
func (j *job) letGo() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sink = nil
}

// makeCheckpoint is called with mu locked.
func (j *job) makeCheckpoint() checkpoint {
	if j.sink == nil {
		return parseCheckpoint(j.progress.Checkpoint)
	}
	c := checkpoint{Identity: j.name, Size: j.promised, Window: j.progress.BlockSize, Awaits: j.awaits}
	c.Product = j.past.Product
	if j.awaits {
		c.Enter = j.entry
	}
	_ = guarded(func() error { c.Sink = j.sink.Checkpoint(); return nil })
	if c.Sink != nil && j.at.hash != nil { // a file of one window starts again
		c.Rank, c.Hash = j.at.rank, j.at.hash
	}
	return c
}

// chainLocked is where in its chains the file is, or nil where it is in none. It is called with mu locked.
func (j *job) chainLocked() *chainState {
	if j.chain.Phase == store.PhaseNone {
		return nil
	}
	c := j.chain
	return &c
}

// finish sets the outcome. A file that is not at its end takes down that this attempt is.
func (j *job) finish(s store.State, f store.Failure) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.state, j.failure = s, f
	c := parseCheckpoint(j.progress.Checkpoint)
	switch {
	case s == store.Done:
		c = checkpoint{}
		j.progress.Task = 0
	case s.Final():
		c.history, c.Chain, c.Enter = history{}, nil, nil
	default:
		c.history, c.Chain = j.past, j.chainLocked()
		c.Ended, c.Published, c.Best = j.file.Attempts, j.publish || j.unsure, max(j.past.Best, j.best)
	}
	j.progress.Checkpoint = c.text()
}

// failed notes what becomes of a file that failed.
func (j *job) failed(v verdict) {
	now := j.now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.delay, j.progress.Failures = v.delay, v.failures
	j.past.FirstFailure, j.past.NextAttempt = v.first.Unix(), now.Add(v.delay).Unix()
}

// now is what the Store's clock shows, nearly: claiming has set UpdatedAt.
func (j *job) now() time.Time { return j.file.UpdatedAt.Add(time.Since(j.taken)) }

// cameFurther reports whether this attempt acknowledged more windows than all before, or has done a task.
func (j *job) cameFurther() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.passed || j.best > j.past.Best
}

// doubts reports whether an earlier attempt may have published the file.
func (j *job) doubts() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.unsure
}

// isSure notes that no earlier attempt has published the file.
func (j *job) isSure() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.unsure, j.past.Product = false, nil
}

// isThere reports whether this attempt has published the file.
func (j *job) isThere() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.there
}

// interrupt sets the outcome of an attempt that did not come to its end; why the one before failed stays.
func (j *job) interrupt() { j.finish(store.Interrupted, j.file.Failure) }

// change is what the Store shall know of the file now.
func (j *job) change(lease time.Duration) store.Change {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.state == store.Running {
		c := j.makeCheckpoint()
		c.Chain = j.chainLocked()
		j.progress.Checkpoint = c.text()
		j.offered, j.placeOffered = j.sink != nil, j.place
	}
	return store.Change{
		ID: j.file.ID, Token: j.file.Token, State: j.state, Lease: lease, Delay: j.delay, Progress: j.progress, Failure: j.failure,
		Enter: j.entry,
	}
}
