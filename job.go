package transfer

import (
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// job is one leased file on this node.
type job struct {
	file   store.Claimed
	ctx    context.Context // ends when the file must be let go at once
	cancel context.CancelCauseFunc

	mu       sync.Mutex // guards the fields below
	state    store.State
	progress store.Progress
	failure  store.Failure
	leased   time.Time     // when the lease was asked for that is held now
	lost     bool          // the lease is somebody else's
	open     bool          // both sides are there, and what is delivered is worth keeping
	verdict  chan struct{} // closed and replaced when leased or lost has changed
	identity string        // of the pinned source
	at       position
	sink     Sink // asked for its checkpoint
}

func newJob(ctx context.Context, f store.Claimed, leased time.Time) *job {
	j := &job{file: f, state: store.Running, leased: leased, verdict: make(chan struct{})}
	j.ctx, j.cancel = context.WithCancelCause(ctx)
	j.progress = f.Progress
	return j
}

// checkpoint is what a later attempt needs to go on in mid-file.
type checkpoint struct {
	Identity string `json:"identity"` // of the source
	Size     int64  `json:"size"`     // bytes of the source
	Window   int64  `json:"window"`   // bytes
	Rank     int64  `json:"rank"`
	Hash     []byte `json:"hash"` // state of the SHA-256 after Rank windows
	Sink     []byte `json:"sink"` // the Sink's own
}

// lastCheckpoint is the one that an earlier attempt left, or nil.
func (j *job) lastCheckpoint() *checkpoint {
	if len(j.file.Checkpoint) == 0 {
		return nil
	}
	var c checkpoint
	if err := json.Unmarshal(j.file.Checkpoint, &c); err != nil || c.Window < 1 || c.Rank < 0 {
		return nil
	}
	if c.Rank > 0 && sha256.New().(encoding.BinaryUnmarshaler).UnmarshalBinary(c.Hash) != nil {
		return nil // a file of one window keeps no state: it starts again
	}
	return &c
}

func (j *job) enter(p store.Phase) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress.Phase = p
}

// opened notes that both sides are there.
func (j *job) opened() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.open = true
}

// giveBack ends the work on a file that has not begun to move: it may wait for a partner that does not answer.
func (j *job) giveBack() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.open {
		j.cancel(errCutOff)
	}
}

// begin notes what is moved, from where on, once both sides are open.
func (j *job) begin(info FileInfo, window int64, at position, sink Sink) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress.Phase = store.PhaseData
	j.progress.Size, j.progress.BlockSize = info.Size, window
	j.identity, j.sink = info.Identity(), sink
	j.setPosition(at)
}

func (j *job) sized(size int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress.Size = size
}

func (j *job) moved(at position) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.setPosition(at)
}

func (j *job) setPosition(at position) {
	j.at = at
	j.progress.Rank, j.progress.Offset = at.rank, at.offset
}

func (j *job) delivered(sum []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress.SHA256 = sum
}

func (j *job) skipped() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress.Skipped = true
	j.setPosition(position{})
}

// keepCheckpoint takes down what a later attempt needs, while the sink is still there to be asked; with none there is
// nothing to go on with. It reports whether there is.
func (j *job) keepCheckpoint() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.progress.Checkpoint = j.makeCheckpoint()
	return len(j.progress.Checkpoint) > 0
}

// letGo forgets the sink, which is about to be closed.
func (j *job) letGo() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sink = nil
}

func (j *job) makeCheckpoint() []byte {
	switch {
	case j.sink == nil:
		return j.progress.Checkpoint
	case j.at.rank > 0 && j.at.hash == nil:
		return nil // a file of one window
	}
	var state []byte
	_ = guarded(func() error { state = j.sink.Checkpoint(); return nil })
	if state == nil {
		return nil
	}
	c, err := json.Marshal(checkpoint{Identity: j.identity, Size: j.progress.Size, Window: j.progress.BlockSize, Rank: j.at.rank, Hash: j.at.hash, Sink: state})
	if err != nil {
		return nil
	}
	return c
}

func (j *job) finish(s store.State, f store.Failure) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.state, j.failure = s, f
	if s.Final() {
		j.progress.Checkpoint = nil
	}
}

// change is what the Store shall know of the file now.
func (j *job) change(lease time.Duration) store.Change {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.state == store.Running {
		j.progress.Checkpoint = j.makeCheckpoint()
	}
	return store.Change{ID: j.file.ID, Token: j.file.Token, State: j.state, Lease: lease, Progress: j.progress, Failure: j.failure}
}

// renewed notes that the lease runs from asked on.
func (j *job) renewed(asked time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.leased = asked
	close(j.verdict)
	j.verdict = make(chan struct{})
}

// loseLease notes that the file is somebody else's and ends the work on it.
func (j *job) loseLease() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lost = true
	close(j.verdict)
	j.verdict = make(chan struct{})
	j.cancel(errLeaseLost)
}

func (j *job) hasLost() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lost
}

// confirm returns once the lease of j is known to last for at least half its term, which makes it safe to begin, publish or
// remove what is delivered; a file that took less than that costs no call to the Store.
func (e *engine) confirm(ctx context.Context, j *job) error {
	for {
		j.mu.Lock()
		lost, fresh, verdict := j.lost, age(j.leased) < e.cfg.Lease/2, j.verdict
		j.mu.Unlock()
		switch {
		case lost:
			return errLeaseLost
		case ctx.Err() != nil:
			return fmt.Errorf("confirm lease: %w", context.Cause(ctx))
		case fresh:
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
