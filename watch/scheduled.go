package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// Delays of what could not be done.
const (
	busyDelay   = time.Second // the watch runs already
	brokenDelay = 30 * time.Second
	shutDelay   = time.Minute // the partner's time window is closed
)

// appointment is when a watch runs: the state of its schedule's duty.
type appointment struct {
	Next  time.Time `json:"next"`            // as the schedule says, without jitter
	Early bool      `json:"early,omitempty"` // a run comes before, because of a failure or of files that wait
}

// outcome is what came of a run.
type outcome struct {
	busy     bool // none: the watch runs already
	err      error
	failures int           // in a row
	soonest  time.Duration // until a file that waits may be ready; 0: none waits for time
}

// register creates the duties of all watches, and reports whether that is done. A schedule that has changed begins anew.
func (w *Watcher) register(ctx context.Context) bool {
	for _, watch := range w.watches {
		if err := w.registerOne(ctx, watch); err != nil {
			if ctx.Err() == nil {
				w.log.Warn("cannot note a watch in the store", "watch", watch.name, "error", err)
			}
			return false
		}
	}
	return true
}

func (w *Watcher) registerOne(ctx context.Context, watch *watched) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := w.store.CreateDuty(ctx, store.Duty{Name: stateName(watch.name)})
	if err != nil && !errors.Is(err, store.ErrExists) {
		return fmt.Errorf("create state: %w", err)
	}
	schedule, err := watch.duty(time.Now())
	if err != nil {
		return err
	}
	err = w.store.CreateDuty(ctx, schedule)
	if !errors.Is(err, store.ErrExists) {
		return err
	}
	before, err := w.find(ctx, schedule.Name)
	if err != nil || before != nil && string(before.Spec) == string(schedule.Spec) {
		return err
	}
	if err := w.remove(ctx, schedule.Name); err != nil {
		return err
	}
	if err := w.store.CreateDuty(ctx, schedule); !errors.Is(err, store.ErrExists) { // by another node
		return err
	}
	return nil
}

// duty is what stands for the schedule of a watch that never ran.
func (w *watched) duty(now time.Time) (store.Duty, error) {
	first := w.timetable.first(now)
	state, err := json.Marshal(appointment{Next: first.UTC()})
	if err != nil {
		return store.Duty{}, fmt.Errorf("encode schedule: %w", err)
	}
	return store.Duty{
		Name: scheduleName(w.name), Spec: []byte(w.timetable.String()), State: state,
		DueAt: first.Add(w.timetable.delay()),
	}, nil
}

// scheduled makes the runs that are due, and the next appointment.
func (w *Watcher) scheduled(ctx context.Context, h *held, watch *watched) {
	var a appointment
	err := decode(h.duty.State, &a)
	paused := false
	if err == nil {
		paused, err = w.paused(ctx, watch.name)
	}
	if err != nil {
		w.log.Warn("cannot run a watch", "watch", watch.name, "error", err)
		w.giveBack(ctx, h, brokenDelay)
		return
	}
	now := time.Now()
	early := a.Early && now.Before(a.Next)
	n := 1
	if !early {
		n = watch.timetable.owed(a.Next, now)
	}
	var o outcome
	if n > 0 && !paused {
		o = w.runWatch(ctx, watch, n)
	}
	switch {
	case ctx.Err() != nil:
		w.giveBack(ctx, h, 0)
		return
	case o.busy:
		w.giveBack(ctx, h, busyDelay)
		return
	}
	next, delay := watch.timetable.appoint(a, early, o, time.Now())
	state, err := json.Marshal(next)
	if err == nil {
		h.set(state)
	}
	w.giveBack(ctx, h, delay)
}

// appoint returns the next appointment after a run, and how long it is until then.
func (t *timetable) appoint(a appointment, early bool, o outcome, now time.Time) (next appointment, delay time.Duration) {
	next.Next = a.Next
	if !early || !a.Next.After(now) {
		next.Next = t.following(a.Next, now).UTC()
	}
	until := max(next.Next.Sub(now), 0)
	switch {
	case isMissing(o.err):
		return next, until + t.delay()
	case isShut(o.err):
		next.Early = shutDelay < until
		return next, min(shutDelay, until)
	case o.err != nil && t.cron == nil:
		wait := t.backoff(o.failures, until)
		return appointment{Next: now.Add(wait).UTC()}, wait + t.delay()
	case o.err != nil:
		wait := t.backoff(o.failures, until)
		next.Early = wait < until
		return next, wait
	case o.soonest > 0 && o.soonest < until:
		next.Early = true
		return next, o.soonest
	}
	return next, until + t.delay()
}

// isMissing reports whether the directory was not there. That is a failure, because a directory may be misspelt or not
// mounted, but no reason to come later: where directories are there while they have files (S3), it is an everyday thing.
func isMissing(err error) bool {
	code := transfer.CodeOf(err)
	return code == transfer.FileNotFound || code == transfer.DirectoryNotFound
}

// isShut reports whether a look was not made because the partner's time window is closed (transfer.Limits.Open). That costs
// nobody anything, so that it is tried often: a window may be short.
func isShut(err error) bool { return transfer.CodeOf(err) == transfer.OutsideWindow }

// triggered makes one run that was asked for.
func (w *Watcher) triggered(ctx context.Context, h *held, watch *watched) {
	o := w.runWatch(ctx, watch, 1)
	switch {
	case ctx.Err() != nil:
		w.giveBack(ctx, h, 0)
	case o.busy:
		w.giveBack(ctx, h, busyDelay)
	case o.err == nil && o.soonest > 0:
		w.giveBack(ctx, h, o.soonest)
	case isShut(o.err):
		w.giveBack(ctx, h, shutDelay)
	default:
		if err := h.drop(ctx); err != nil {
			w.log.Warn("cannot note that a watch has run", "watch", watch.name, "error", err)
		}
	}
}

// runWatch makes n runs one after the other, unless the watch runs elsewhere.
func (w *Watcher) runWatch(ctx context.Context, watch *watched, n int) outcome {
	claimed, err := w.claimNamed(ctx, stateName(watch.name), 1)
	if err != nil {
		return outcome{err: err, failures: 1}
	}
	if len(claimed) == 0 {
		return outcome{busy: true}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h := &held{store: w.store, lease: w.cfg.Lease, duty: claimed[0]}
	defer h.keep(context.WithoutCancel(ctx), cancel)()
	defer w.giveBack(ctx, h, 0)
	log := w.log.With("watch", watch.name)
	s, err := parseState(h.duty.State)
	if err != nil {
		log.Error("a watch cannot run: Forget lets it begin anew", "error", err)
		return outcome{err: err, failures: 1}
	}
	r := &run{flow: &watch.flow, w: w, guard: watch.guard, marker: watch.marker, held: h, state: s, log: log, actor: "watch " + watch.name}
	var last error
	for range n {
		if last = r.finish(ctx, r.do(ctx)); last != nil {
			break
		}
	}
	return outcome{err: last, failures: s.Failures, soonest: r.soonest}
}

// finish notes how a run ended.
func (r *run) finish(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err() // what was saved last is where the next one goes on
	}
	r.state.ended(err)
	switch {
	case err == nil:
	case isShut(err):
		r.log.Debug("run put off", "error", err)
	case isMissing(err) && r.state.Failures > 1:
		r.log.Debug("run failed again", "error", err, "failures", r.state.Failures)
	default:
		r.log.Warn("run failed", "error", err, "failures", r.state.Failures)
	}
	return errors.Join(err, r.state.save(ctx, r.held))
}
