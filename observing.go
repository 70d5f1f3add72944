package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// maxTrace is how many bytes of Observer.Carry are kept.
const maxTrace = 1024

// watched is what a job keeps for its observer.
type watched struct {
	by    AttemptObserver // nil: nobody
	ctx   context.Context // that it made for the attempt
	ended time.Time       // when the work on the file was over

	// Guarded by job.mu.
	moves bool  // windows, from here on:
	from  int64 // the offset at which the attempt began
	told  int64 // bytes that the observer knows of
}

// unobserved ends what nobody observes.
func unobserved(error) {}

// observe tells the Observer, if there is one, that an activity begins.
func (c *Config) observe(ctx context.Context, a Activity) (context.Context, func(error)) {
	if c.Observer == nil {
		return ctx, unobserved
	}
	return c.Observer.Begin(ctx, a)
}

// submission describes a request that is in order.
func submission(in *StartFileTransferInput) Activity {
	a := Activity{Kind: ActivitySubmit, ConnectorID: in.ConnectorID, Direction: store.Send, Files: len(in.SendFilePaths)}
	if a.Files == 0 {
		a.Direction, a.Files = store.Retrieve, len(in.RetrieveFilePaths)
	}
	return a
}

// carried returns what goes with the files of a transfer that is started under ctx.
func (c *Config) carried(ctx context.Context) string {
	if c.Observer == nil {
		return ""
	}
	trace := c.Observer.Carry(ctx)
	if len(trace) > maxTrace {
		return ""
	}
	return trace
}

// claimed tells the Observer, if there is one, that an attempt begins, and returns the context for it.
func (e *engine) claimed(f *store.Claimed, url string) (context.Context, watched) {
	if e.cfg.Observer == nil {
		return e.cut, watched{}
	}
	var request struct {
		Trace string `json:"trace"`
	}
	if bytes.Contains(f.Spec, []byte(`"trace"`)) {
		_ = json.Unmarshal(f.Spec, &request) // what is wrong with it is found out later
	}
	ctx, by := e.cfg.Observer.Claimed(e.cut, Attempt{
		TransferID: f.TransferID, FileID: f.ID, ConnectorID: f.ConnectorID, URL: url, FollowID: f.FollowID, RuleName: f.RuleName,
		Direction: f.Direction, SourcePath: f.SourcePath, TargetPath: f.TargetPath, Number: f.Attempts,
		Waited: max(0, f.UpdatedAt.Sub(f.ReadyAt)), Trace: request.Trace,
	})
	return ctx, watched{by: by, ctx: ctx}
}

// part tells who observes the file that a part of the attempt begins.
func (j *job) part(ctx context.Context, p Part, name string) (context.Context, func(error)) {
	return j.watched.enter(ctx, p, name)
}

func (w *watched) enter(ctx context.Context, p Part, name string) (context.Context, func(error)) {
	if w == nil || w.by == nil {
		return ctx, unobserved
	}
	ctx, end := w.by.Begin(ctx, p, name)
	return ctx, func(err error) {
		if _, is := outstanding(err); is || errors.Is(err, errStopped) || errors.Is(err, errWanted) {
			err = nil // it ended as it was meant to
		}
		end(err)
	}
}

// context is cut as who observes the attempt made it.
func (w *watched) context(cut context.Context) context.Context {
	if w.ctx == nil {
		return cut
	}
	return w.ctx
}

// chainPart is the part that a chain of a rule is.
func chainPart(p store.Phase) Part {
	switch {
	case p&store.PhaseErrors != 0:
		return PartOnError
	case p == store.PhaseBefore:
		return PartBefore
	}
	return PartAfter
}

// movesFrom notes where in the file the attempt begins.
func (j *job) movesFrom(offset int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.watched.moves, j.watched.from = true, offset
}

// ran notes that the work on the file is over.
func (j *job) ran() {
	if j.watched.by != nil {
		j.watched.ended = time.Now()
	}
}

// bytes is called with mu locked and returns how many bytes this attempt has moved.
func (j *job) bytes() int64 {
	if !j.watched.moves {
		return 0
	}
	return max(0, j.progress.Offset-j.watched.from)
}

// observeProgress tells who observes the file how much further it has come.
func (j *job) observeProgress() {
	if j.watched.by == nil {
		return
	}
	j.mu.Lock()
	more := j.bytes() - j.watched.told
	j.watched.told += max(0, more)
	j.mu.Unlock()
	if more > 0 {
		j.watched.by.Moved(more)
	}
}

// observeEnd tells who observes the file how the attempt ended. The Store knows by now, or will not be told.
func (j *job) observeEnd() {
	if j.watched.by == nil {
		return
	}
	j.observeProgress()
	j.watched.by.End(j.attemptResult())
}

func (j *job) attemptResult() AttemptResult {
	ready := j.file.CreatedAt
	if j.file.StartAt.After(ready) {
		ready = j.file.StartAt
	}
	until := j.file.UpdatedAt.Add(j.watched.ended.Sub(j.taken))
	j.mu.Lock()
	defer j.mu.Unlock()
	r := AttemptResult{
		Outcome: j.outcome(), Size: j.progress.Size, Bytes: j.bytes(), Delay: j.delay,
		Ended: j.watched.ended, Since: max(0, until.Sub(ready)),
	}
	if r.Outcome == OutcomeFailed || r.Outcome == OutcomeRetry {
		r.Failure = j.failure
	}
	return r
}

// outcome is called with mu locked.
func (j *job) outcome() Outcome {
	switch {
	case j.lost:
		return OutcomeLost
	case j.state == store.Done && j.progress.Skipped:
		return OutcomeSkipped
	case j.state == store.Done:
		return OutcomeCompleted
	case j.state == store.Failed:
		return OutcomeFailed
	case j.wanted == store.Cancelled:
		return OutcomeCancelled
	case j.wanted == store.Paused:
		return OutcomePaused
	case j.state == store.Waiting && j.failure.Code == "":
		return OutcomeHandedOver
	case j.state == store.Waiting:
		return OutcomeRetry
	}
	return OutcomeInterrupted
}
