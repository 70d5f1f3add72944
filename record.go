package transfer

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// entry is what the Store shall know of a job.
type entry struct {
	job    *job
	change store.Change
}

// record writes outcomes as they come and progress at intervals, each time all that there is in one call, until every
// job has ended.
func (e *engine) record() {
	tick := time.NewTicker(e.cfg.ProgressInterval)
	defer tick.Stop()
	watch, unwatch := context.WithCancel(e.cut)
	defer unwatch()
	wanted := e.store.Watch(watch, store.FilesWanted)
	for {
		var batch []entry
		select {
		case j, ok := <-e.outcomes:
			if !ok {
				return
			}
			batch = e.gather(j)
		case <-tick.C:
			batch = e.snapshot((*job).runs)
		case <-e.flush:
			batch = e.snapshot((*job).waits)
		case <-wanted:
			batch = e.snapshot((*job).runs)
		}
		for len(batch) > 0 {
			n := min(len(batch), largestBatch)
			e.write(batch[:n])
			batch = batch[n:]
		}
	}
}

// gather collects j's outcome and those of others, leaving out files that are lost anyway.
func (e *engine) gather(j *job) (batch []entry) {
	var lost []*job
	for ; j != nil; j = e.nextOutcome(len(batch)) {
		if j.hasLost() {
			lost = append(lost, j)
		} else {
			c := j.change(e.cfg.Lease)
			c.Note = e.cfg.note(&j.file.File, &c, j.session)
			batch = append(batch, entry{j, c})
		}
	}
	e.remove(lost)
	return batch
}

// nextOutcome returns the next one for a batch of n, or nil if the batch shall be written now. Each call costs the Store
// something of its own, and so does the claim that follows it: where many files run, a few outcomes wait for each other,
// but not for long.
func (e *engine) nextOutcome(n int) *job {
	if n == largestBatch {
		return nil
	}
	select {
	case j := <-e.outcomes:
		return j
	default:
	}
	if n == 0 || n >= e.count()/8 {
		return nil
	}
	late := time.NewTimer(outcomeDelay)
	defer late.Stop()
	select {
	case j := <-e.outcomes:
		return j
	case <-late.C:
	case <-e.flush:
		hint(e.flush)
	}
	return nil
}

// snapshot collects the progress of the running jobs that are meant; it extends their leases too.
func (e *engine) snapshot(meant func(*job) bool) (batch []entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for j := range e.running {
		if !meant(j) {
			continue
		}
		if c := j.change(e.cfg.Lease); c.State == store.Running {
			batch = append(batch, entry{j, c})
		}
	}
	return batch
}

// write brings the changes of jobs to the Store, trying again while the Store is away, and acts on the verdicts. While
// it waits, jobs go on; those that finish wait for it.
func (e *engine) write(batch []entry) {
	changes := make([]store.Change, len(batch))
	for i, b := range batch {
		changes[i] = b.change
	}
	asked := time.Now()
	verdicts, err := e.update(changes)
	var ended []*job
	for i, b := range batch {
		b.job.observeProgress()
		switch {
		case err != nil:
			// The Store is gone for good; the lease runs out and the file goes on elsewhere or later.
			b.job.loseLease()
		case b.change.State == store.Running && errors.Is(verdicts[i], store.ErrPauseWanted):
			b.job.renewed(asked)
			b.job.want(store.Paused)
		case b.change.State == store.Running && errors.Is(verdicts[i], store.ErrCancelWanted):
			b.job.renewed(asked)
			b.job.want(store.Cancelled)
		case verdicts[i] != nil:
			e.cfg.Logger.Warn("lost a file to another node", "file", b.job.file.ID, "transfer", b.job.file.TransferID,
				"connector", b.job.file.ConnectorID, "attempt", b.job.file.Attempts, "error", verdicts[i])
			b.job.loseLease()
		case b.change.State == store.Running:
			b.job.renewed(asked)
			e.hub.recorded(b.job, &batch[i].change)
		default:
			e.logOutcome(b.job, b.change)
			e.hub.recorded(b.job, &batch[i].change)
		}
		if b.change.State != store.Running {
			ended = append(ended, b.job)
		}
	}
	e.remove(ended)
}

// remove forgets jobs, all at once: so many can be claimed in one call.
func (e *engine) remove(jobs []*job) {
	if len(jobs) == 0 {
		return
	}
	for _, j := range jobs {
		j.observeEnd()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, j := range jobs {
		j.cancel(context.Canceled)
		e.leave(j)
	}
	hint(e.freed)
}

func (e *engine) update(changes []store.Change) ([]error, error) {
	var givenUp <-chan time.Time
	cut := e.cut.Done()
	for wait := storeRetryFirst; ; wait = min(2*wait, storeRetryLast) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(e.cut), storeTimeout)
		verdicts, err := e.store.Update(ctx, changes)
		cancel()
		e.away.Store(err != nil)
		if err == nil {
			return verdicts, nil
		}
		e.cfg.Logger.Error("cannot write to the store", "changes", len(changes), "error", err)
		if errors.Is(err, store.ErrClosed) {
			return nil, err
		}
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-cut: // the node is told to end now: a little longer, then give up
			cut, givenUp = nil, time.After(giveUpAfter)
		case <-givenUp:
			pause.Stop()
			return nil, err
		}
		pause.Stop()
	}
}

func (e *engine) logOutcome(j *job, c store.Change) {
	level := slog.LevelInfo
	if c.State == store.Failed || c.State == store.Waiting {
		level = slog.LevelWarn
	}
	if !e.cfg.Logger.Enabled(j.ctx, level) {
		return // without making up what it would say
	}
	attrs := []any{"file", j.file.ID, "transfer", j.file.TransferID, "connector", j.file.ConnectorID, "source", j.file.SourcePath,
		"target", j.file.TargetPath, "bytes", c.Offset, "attempt", j.file.Attempts}
	switch c.State {
	case store.Done:
		e.cfg.Logger.InfoContext(j.ctx, "file delivered", append(attrs, "skipped", c.Skipped)...)
	case store.Failed:
		e.cfg.Logger.WarnContext(j.ctx, "file failed", append(attrs, "code", c.Code, "detail", c.Detail, "message", c.Message)...)
	case store.Waiting:
		if c.Code == "" {
			e.cfg.Logger.InfoContext(j.ctx, "file was handed over, and its receipt is awaited", append(attrs, "delay", c.Delay)...)
			return
		}
		e.cfg.Logger.WarnContext(j.ctx, "file waits for its next attempt", append(attrs, "delay", c.Delay, "code", c.Code, "detail", c.Detail, "message", c.Message)...)
	default:
		e.cfg.Logger.InfoContext(j.ctx, "file interrupted", attrs...)
	}
}
