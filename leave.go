package transfer

import (
	"context"
	"errors"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// explain makes an error say why the file was cut off, where that was the cause.
func (d *delivery) explain(err error) error {
	var timeout *Error
	if err == nil || !errors.As(context.Cause(d.job.moving), &timeout) {
		return err
	}
	switch CodeOf(err) {
	case Cancelled, TimeoutError, OperationTimeout, ConnectTimeout, Stalled, ConnectionLost, UnknownError:
	default:
		return err
	}
	at := stepError{step: stepRead}
	errors.As(err, &at)
	return stepError{at.step, timeout}
}

// goesOn reports whether a later attempt, here or elsewhere, goes on with the file.
func (d *delivery) goesOn(err error) bool {
	j := d.job
	switch {
	case j.hasLost():
		return true
	case err == nil, d.held(err):
		return false
	case interrupted(j, err):
		return !j.isWanted(store.Cancelled)
	}
	return d.engine.again(j, err).again
}

// keeps reports whether what was delivered so far stays: for the next attempt, or because it is another node's by now.
func (d *delivery) keeps(err error) bool {
	switch {
	case d.job.hasLost():
		return true
	case !d.goesOn(err):
		return false
	}
	switch CodeOf(err) {
	case SizeMismatch, SourceChanged, IntegrityError, NoSpace: // it would fail in the same way again, or is in the way
		return false
	}
	if d.streams() && !d.job.isWithPartner() {
		return d.keepsStream()
	}
	return d.job.keepCheckpoint()
}

// cancelTimeout bounds what a cancellation waits for, and what whoever stops a file waits for that does not go on in
// mid-file; what is not removed by then is swept, or removed by the next attempt.
const cancelTimeout = time.Second

// cleanup returns a context for removing what is left.
func (d *delivery) cleanup() (context.Context, context.CancelFunc) {
	limit := cleanupTimeout
	if d.job.isWanted(store.Cancelled) || d.streams() && isClosed(d.job.stop) {
		limit = cancelTimeout
	}
	return context.WithTimeout(context.WithoutCancel(d.job.ctx), limit)
}

// abort removes what was delivered so far, unless the lease may have run out: the node that has the file now works
// under the same temporary name. What cannot be removed is swept later.
func (d *delivery) abort(dst Sink) {
	j, e := d.job, d.engine
	ctx, cancel := d.cleanup()
	defer cancel()
	err := e.confirm(ctx, j)
	if err == nil {
		err = dst.Abort(ctx)
	}
	if err == nil {
		j.forget()
		return
	}
	j.keepLitter()
	e.cfg.Logger.WarnContext(j.ctx, "could not clean up after a failed attempt", d.attrs("target", j.file.TargetPath, "error", err)...)
}

// discardLast removes what an earlier attempt delivered of a file that ends before this one has begun to. A partner that
// cannot be reached is not asked again: what is left is swept later.
func (d *delivery) discardLast() {
	if d.job.last == nil || d.to == Storage(d.remote) && d.remote.failed {
		return
	}
	ctx, cancel := d.cleanup()
	defer cancel()
	if d.engine.confirm(ctx, d.job) == nil && d.discard(ctx, d.job.last) == nil {
		d.job.forget()
	}
}

// discardStale tries once more to remove what was delivered of an older version of the source.
func (d *delivery) discardStale() {
	if d.stale == nil {
		return
	}
	ctx, cancel := d.cleanup()
	defer cancel()
	if err := d.discard(ctx, d.stale); err != nil {
		d.engine.cfg.Logger.WarnContext(d.job.ctx, "could not remove what was delivered of an older version", d.attrs("target", d.job.file.TargetPath, "error", err)...)
	}
}

// discardRest removes what may be left beside a file that turned out to be published.
func (d *delivery) discardRest(ctx context.Context) {
	left := checkpoint{Identity: d.identity, Size: d.size(), Window: d.engine.cfg.WindowSize}
	if last := d.job.last; last != nil {
		left = *last
	}
	_ = d.discard(ctx, &left)
}

// discard removes what an attempt left.
func (d *delivery) discard(ctx context.Context, last *checkpoint) error {
	return discard(ctx, d.to, &d.job.file.File, last)
}

// discard removes from to what an attempt at f left.
func discard(ctx context.Context, to Storage, f *store.File, last *checkpoint) error {
	err := to.Discard(ctx, f.TargetPath, CreateOptions{
		Size: last.Size, WindowSize: last.Window, Key: deliveryKey(f, last.Identity), Checkpoint: last.Sink,
	})
	switch CodeOf(err) {
	case FileNotFound, DirectoryNotFound, PathNotFound:
		return nil
	}
	return err
}
