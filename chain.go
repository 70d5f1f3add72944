package transfer

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// chainState is where a file is in the chains of its rule. It is part of the file's checkpoint, and durable before a task
// begins.
type chainState struct {
	// Phase is PhaseBefore; PhaseData, once the before-tasks are done; PhaseAfter, once the file was delivered; or
	// PhaseErrors added to the phase that failed.
	Phase store.Phase `json:"phase"`
	Task  int         `json:"task,omitempty"`  // the next one of the phase's chain
	Begun string      `json:"begun,omitempty"` // its name, once it may have run

	Source   string       `json:"source,omitempty"`   // the path by now, if a task has changed it
	Target   string       `json:"target,omitempty"`   // likewise
	Identity string       `json:"identity,omitempty"` // of the source that was delivered, as long as it is where it was then
	Content  *taskContent `json:"content,omitempty"`  // of the target, if a task has changed it
	Failed   *chainFailed `json:"failed,omitempty"`   // while error-tasks run

	Enter   *store.LedgerEntry `json:"enter,omitempty"`   // for the ledger, once the file is Done
	Session *SessionInfo       `json:"session,omitempty"` // in which it was delivered, for the audit trail
}

// taskContent is what a task has made of what was delivered.
type taskContent struct {
	Size   int64  `json:"size"`
	SHA256 []byte `json:"sha256"`
}

// chainFailed is why a file fails, and where.
type chainFailed struct {
	Task int `json:"task"`
	store.Failure
}

// delivered reports whether the file is at its target and never moved again.
func (c *chainState) delivered() bool { return c.Phase&^store.PhaseErrors == store.PhaseAfter }

// chainNames are the fields of Rule with the chain of a phase.
var chainNames = map[store.Phase]string{store.PhaseBefore: "Before", store.PhaseAfter: "After"}

func chainName(p store.Phase) string {
	if p&store.PhaseErrors != 0 {
		return "OnError"
	}
	return chainNames[p]
}

// errFailing says that a file failed for good in an earlier attempt, and its error-tasks are not done.
var errFailing = errors.New("transfer: error-tasks are to be done")

// taskError is the failure of a task.
type taskError struct {
	chain string
	index int
	name  string
	final bool  // the task is not tried again
	why   error // what it said
	err   error // with a code
}

func (e *taskError) Error() string {
	return fmt.Sprintf("task %s[%d], %q: %v", e.chain, e.index, e.name, e.why)
}

func (e *taskError) Unwrap() error { return e.err }

// forGood is an error that trying again does not help against, whatever its Code.
type forGood struct{ error }

func (e forGood) Unwrap() error { return e.error }

// isFinal reports whether err is that of a task that is not tried again.
func isFinal(err error) bool {
	var t *taskError
	return errors.As(err, &t) && t.final
}

// perform brings a file to its target, and before and after that through the chains of its rule.
func (e *engine) perform(j *job) error {
	r := j.rule
	if r == nil {
		return e.deliver(j)
	}
	if j.chain.Phase < store.PhaseData && (len(r.Before) > 0 || j.chain.Phase == store.PhaseBefore) { // the rule may have had some
		if err := e.runTasks(j, store.PhaseBefore, r.Before); err != nil {
			return err
		}
		// From here on something may be delivered: if the node dies now, that must not look as if nothing was.
		j.enter(chainState{Phase: store.PhaseData, Source: j.chain.Source})
		if err := e.awaitPosition(j.moving, j); err != nil {
			return err
		}
	}
	if !j.chain.delivered() {
		if isClosed(j.stop) { // while a task ran
			return errStopped
		}
		if err := e.deliver(j); err != nil {
			return err
		}
		if len(r.After) == 0 || j.wasSkipped() {
			return nil
		}
		j.enterAfter()
	}
	return e.runTasks(j, store.PhaseAfter, r.After)
}

// runTasks does what is left of a chain.
func (e *engine) runTasks(j *job, phase store.Phase, tasks []Task) (err error) {
	_, end := j.part(j.ctx, chainPart(phase), "")
	defer func() { end(err) }()
	if j.chain.Phase != phase {
		c := j.chain
		c.Phase, c.Task, c.Begun = phase, 0, ""
		j.enter(c)
	}
	j.setOpen(true) // a task that runs is not cut off when the node stops
	defer j.setOpen(false)
	for j.chain.Task < len(tasks) {
		if isClosed(j.stop) || j.hasLost() {
			return errStopped
		}
		if err := e.runTask(j, tasks[j.chain.Task]); err != nil {
			return err
		}
	}
	return nil
}

// runTask does the task that the chain has come to.
func (e *engine) runTask(j *job, t Task) error {
	before := j.chain
	repeated := before.Begun != ""
	if repeated && (!t.Repeatable() || before.Begun != t.Name()) {
		return j.taskFailed(t, &Error{Op: "run", Code: TaskInterrupted, Err: fmt.Errorf("%q was cut off, and nobody knows whether it has run", before.Begun)}, true)
	}
	if !repeated {
		begun := before
		begun.Begun = t.Name()
		j.enter(begun)
		if err := e.awaitPosition(j.moving, j); err != nil {
			j.enter(before)
			return err
		}
	}
	f := e.newTaskFile(j, t, repeated)
	after, err := j.chain, e.doTask(j, t, f)
	if err == nil {
		err = after.take(f)
	}
	if err != nil {
		return e.taskEnded(j, t, before, err)
	}
	after.Task, after.Begun = after.Task+1, ""
	j.enter(after)
	j.passes()
	e.cfg.Logger.Debug("task done", "file", j.file.ID, "transfer", j.file.TransferID, "rule", j.file.RuleName, "chain", chainName(after.Phase), "task", t.Name())
	return nil
}

// doTask runs t.
func (e *engine) doTask(j *job, t Task, f *TaskFile) (err error) {
	defer f.close()
	ctx, cancel := j.taskContext(t)
	defer cancel()
	ctx, end := j.part(ctx, PartTask, t.Name())
	defer func() { end(err) }()
	err = guarded(func() error { return t.Run(ctx, f) })
	var timeout *Error
	if err != nil && errors.As(context.Cause(j.ctx), &timeout) { // FileTimeout
		return timeout
	}
	return err
}

// taskEnded says what a task's error means.
func (e *engine) taskEnded(j *job, t Task, before chainState, err error) error {
	if t.Repeatable() && isClosed(j.stop) && j.ctx.Err() == nil {
		return errStopped // its failure may come of the node's end, and it runs again anyway
	}
	var final forGood
	var explicit *Error
	var code Code
	known := errors.As(err, &explicit) || errors.As(err, &code)
	if !t.Repeatable() && known && CodeOf(err).Retryable() && j.ctx.Err() == nil {
		j.enter(before) // it says that it may run again
	}
	return j.taskFailed(t, err, errors.As(err, &final) || !t.Repeatable() && !known)
}

// taskFailed makes an error of a task one with a Code.
func (j *job) taskFailed(t Task, err error, final bool) error {
	coded := err
	if c := CodeOf(err); c == UnknownError || c == Cancelled || final && c.Retryable() && !errors.As(err, new(forGood)) {
		coded = &Error{Op: "run", Code: TaskFailed, Err: err}
	}
	return atStep(stepTask, &taskError{chain: chainName(j.chain.Phase), index: j.chain.Task, name: t.Name(), final: final, why: err, err: coded})
}

// take notes what a task has changed.
func (c *chainState) take(f *TaskFile) error {
	j := f.job
	if f.SourcePath != j.sourcePath() {
		c.Source, c.Identity = f.SourcePath, ""
	}
	if f.TargetPath != j.targetPath() {
		if !c.delivered() {
			return forGood{errors.New("it has changed the target's path, where nothing is yet")}
		}
		c.Target = f.TargetPath
	}
	if !validText(f.SourcePath, 1, maxPathLength) || !validText(f.TargetPath, 1, maxPathLength) {
		return forGood{fmt.Errorf("it has made a wrong path (use 1 to %d characters of one line)", maxPathLength)}
	}
	if size, sum := j.content(); c.delivered() && (f.Size != size || !bytes.Equal(f.SHA256, sum)) {
		c.Content = &taskContent{f.Size, slices.Clone(f.SHA256)}
	}
	return nil
}

// fail ends a file for good, after its error-tasks. What they come to changes nothing about that.
func (e *engine) fail(j *job, f store.Failure) {
	if j.chain.Failed != nil {
		f = j.chain.Failed.Failure // what an earlier attempt had failed with
	}
	if j.rule != nil && len(j.rule.OnError) > 0 {
		err := guarded(func() error { return e.runErrorTasks(j, f) })
		if err != nil && interrupted(j, err) {
			j.finish(store.Interrupted, f)
			return
		}
		if CodeOf(err) == OutsideWindow { // its task waits for that
			j.failed(e.again(j, err))
			j.finish(store.Waiting, f)
			return
		}
		if err != nil {
			e.cfg.Logger.Warn("error-tasks ended early", "file", j.file.ID, "transfer", j.file.TransferID, "rule", j.file.RuleName, "error", err)
			f.Message = printable(shorten(f.Message, maxMessage*2/3) + "; then " + reason(err, "", ""))
		}
	}
	j.failedWhere()
	j.finish(store.Failed, f)
}

// runErrorTasks does the error-tasks, each once: the first one that fails ends the chain.
func (e *engine) runErrorTasks(j *job, f store.Failure) error {
	if j.chain.Failed == nil {
		j.renew(j.watched.context(e.cut)) // the attempt's time may be over
		j.enterErrors(f)
	}
	defer e.limitTime(j)()
	return e.runTasks(j, j.chain.Phase, j.rule.OnError)
}

// limitTime ends the work on j after Config.FileTimeout, unless what it returns is called before.
func (e *engine) limitTime(j *job) (stop func()) {
	if e.cfg.FileTimeout <= 0 {
		return func() {}
	}
	cancel := j.cancel
	timer := time.AfterFunc(e.cfg.FileTimeout, func() {
		cancel(&Error{Op: "move", Code: TimeoutError, Err: fmt.Errorf("it took longer than %v (Config.FileTimeout)", e.cfg.FileTimeout)})
	})
	return func() { timer.Stop() }
}

// awaitPosition returns once the Store knows where in its chains the file is.
func (e *engine) awaitPosition(ctx context.Context, j *job) error {
	return e.await(ctx, j, func() bool { return j.placeKnown == j.place })
}

// enter notes where in its chains the file is.
func (j *job) enter(c chainState) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.setChain(c)
}

// setChain is called with mu locked.
func (j *job) setChain(c chainState) {
	j.chain = c
	j.place++
	j.progress.Phase, j.progress.Task = c.Phase, c.Task
}

// enterAfter notes that the file was delivered, and its after-tasks come next.
func (j *job) enterAfter() {
	j.mu.Lock()
	defer j.mu.Unlock()
	identity := j.identity
	if identity == "" && j.last != nil {
		identity = sourceIdentity(j.last.Identity) // of the one that was handed over
	}
	j.setChain(chainState{Phase: store.PhaseAfter, Source: j.chain.Source, Identity: identity, Enter: j.entry, Session: j.session})
	j.progress.Checkpoint, j.sink, j.publish, j.unsure = nil, nil, false, false
	j.passed = true
}

// enterErrors notes that the file fails for good, and its error-tasks come next.
func (j *job) enterErrors(f store.Failure) {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.chain
	c.Failed = &chainFailed{j.progress.Task, f}
	c.Phase, c.Task, c.Begun = store.PhaseErrors|j.progress.Phase, 0, ""
	j.failure = f
	j.setChain(c)
}

// failedWhere has the row say again which phase and which task failed.
func (j *job) failedWhere() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if c := &j.chain; c.Failed != nil {
		j.progress.Phase, j.progress.Task = c.Phase&^store.PhaseErrors, c.Failed.Task
	}
}

// renew lets the file be worked on although its time was over.
func (j *job) renew(cut context.Context) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.lost {
		return
	}
	j.cancel(context.Canceled)
	j.ctx, j.cancel = context.WithCancelCause(cut)
	j.moving, j.halt = context.WithCancelCause(j.ctx)
}

// taskContext ends when the task is to end.
func (j *job) taskContext(t Task) (context.Context, context.CancelFunc) {
	if t.Repeatable() {
		return j.moving, func() {}
	}
	ctx, cancel := context.WithCancel(j.ctx)
	unhook := context.AfterFunc(j.moving, func() {
		if j.isWanted(store.Cancelled) {
			cancel()
		}
	})
	return ctx, func() { unhook(); cancel() }
}

// passes notes that a task was done, which is to come further.
func (j *job) passes() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.passed = true
}

func (j *job) setOpen(is bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.open = is
}

func (j *job) wasSkipped() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.progress.Skipped
}

// sourcePath is where the source is by now; only the goroutine that works on the file asks.
func (j *job) sourcePath() string { return cmp.Or(j.chain.Source, j.file.SourcePath) }

// targetPath is where the target is by now, likewise.
func (j *job) targetPath() string { return cmp.Or(j.chain.Target, j.file.TargetPath) }

// content is the size and the SHA-256 of what is at the target, likewise.
func (j *job) content() (size int64, sum []byte) {
	if c := j.chain.Content; c != nil {
		return c.Size, slices.Clone(c.SHA256)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.progress.Size, slices.Clone(j.progress.SHA256)
}

// lacksTasks reports whether the file's after-tasks are still to be done.
func (j *job) lacksTasks() bool { return j.rule != nil && len(j.rule.After) > 0 }
