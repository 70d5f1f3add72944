package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// session is a partner's Remote as a Storage that connects when it is first needed: a file that is missing on our side
// does not bother the partner.
type session struct {
	connector Connector
	remote    Remote
}

func (s *session) Open(ctx context.Context, path string) (Source, error) {
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	return s.remote.Open(ctx, path)
}

func (s *session) Create(ctx context.Context, path string, o CreateOptions) (Sink, error) {
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	return s.remote.Create(ctx, path, o)
}

func (s *session) connect(ctx context.Context) (err error) {
	if s.remote != nil {
		return nil
	}
	if s.remote, err = s.connector.Connect(ctx); err != nil {
		s.remote = nil
		return stepError{stepConnect, err}
	}
	return nil
}

func (s *session) close() error {
	if s.remote == nil {
		return nil
	}
	return s.remote.Close()
}

// deliver moves one file from its source to its target: pin the source, prepare the target, move the windows, publish.
func (e *engine) deliver(j *job) (err error) {
	ctx := j.ctx
	f := &j.file.File
	var request spec
	if err := json.Unmarshal(j.file.Spec, &request); err != nil {
		return &Error{Op: "decode request of", Path: f.TransferID, Code: InternalError, Err: err}
	}
	remote := &session{connector: e.cfg.Connectors[f.ConnectorID]}
	defer func() { _ = remote.close() }()
	from, to := e.cfg.Storage, Storage(remote)
	if f.Direction == store.Retrieve {
		from, to = to, from
	}

	d := &delivery{engine: e, job: j, to: to, overwrite: request.Overwrite}
	defer func() {
		if !d.created && !d.goesOn(ctx, err) {
			d.discardLast(ctx)
		}
	}()

	src, err := from.Open(ctx, f.SourcePath)
	if err != nil {
		return atStep(stepOpen, err)
	}
	defer func() { _ = src.Close() }() // what failed before says more, and after a delivery it no longer matters
	j.sized(src.Info().Size)

	d.src = src
	if err := remote.connect(ctx); err != nil {
		return err
	}
	j.opened()
	err = d.run(ctx)
	if CodeOf(err) == FileExists && request.Overwrite == OverwriteSkip {
		j.skipped()
		return nil
	}
	return err
}

// delivery is one attempt to bring a pinned source to its target.
type delivery struct {
	engine    *engine
	job       *job
	src       Source
	to        Storage
	overwrite Overwrite
	window    int64
	at        position
	created   bool
}

// run brings the source to its target.
func (d *delivery) run(ctx context.Context) error {
	// Whoever creates begins the temporary file anew: a node that lost its lease meanwhile must not.
	if err := d.engine.confirm(ctx, d.job); err != nil {
		return err
	}
	dst, err := d.create(ctx)
	if err != nil {
		return atStep(stepCreate, err)
	}
	d.created = true
	return d.move(ctx, dst)
}

// create opens the target, going on where an earlier attempt ended if the source is still the same.
func (d *delivery) create(ctx context.Context) (Sink, error) {
	info := d.src.Info()
	if info.Size < 0 {
		return nil, &Error{Op: "open", Path: d.job.file.SourcePath, Code: ReadFileError, Err: fmt.Errorf("the size is %d", info.Size)}
	}
	if last := d.job.lastCheckpoint(); last != nil {
		if info.versioned() && last.Identity == info.Identity() {
			dst, err := d.resume(ctx, last)
			if CodeOf(err) != CheckpointLost {
				return dst, err
			}
		} else {
			d.discard(ctx, last)
		}
	}
	d.window, d.at = windowFor(info.Size, d.engine.cfg.WindowSize), position{}
	if d.window > d.engine.cfg.MemoryBudget {
		return nil, &Error{Op: "move", Path: d.job.file.SourcePath, Code: UnsupportedOperationError,
			Err: fmt.Errorf("%d bytes need windows of %d bytes, more than Config.MemoryBudget, %d (raise it)", info.Size, d.window, d.engine.cfg.MemoryBudget)}
	}
	return d.to.Create(ctx, d.job.file.TargetPath, d.options(info.Size, info.Identity(), d.window, nil))
}

func (d *delivery) resume(ctx context.Context, last *checkpoint) (Sink, error) {
	size := d.src.Info().Size
	if last.Rank > (size+last.Window-1)/last.Window || d.engine.buffers.class(last.Window) > d.engine.cfg.MemoryBudget {
		d.discard(ctx, last)
		return nil, CheckpointLost
	}
	d.window = last.Window
	d.at = position{rank: last.Rank, offset: min(last.Rank*last.Window, size), hash: last.Hash}
	return d.to.Create(ctx, d.job.file.TargetPath, d.options(size, last.Identity, last.Window, last.Sink))
}

// discard removes what was delivered of another version of the source. What cannot be removed does no harm: its name
// is its own.
func (d *delivery) discard(ctx context.Context, last *checkpoint) {
	o := d.options(last.Size, last.Identity, last.Window, last.Sink)
	o.Overwrite = OverwriteReplace
	dst, err := d.to.Create(ctx, d.job.file.TargetPath, o)
	if err != nil {
		return
	}
	_ = dst.Abort(ctx)
	_ = dst.Close()
}

func (d *delivery) options(size int64, identity string, window int64, state []byte) CreateOptions {
	f := &d.job.file
	key := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%s", f.TransferID, f.ID, identity))
	return CreateOptions{
		Size:       size,
		WindowSize: window,
		Overwrite:  d.overwrite,
		Key:        hex.EncodeToString(key[:16]),
		Checkpoint: state,
		ModTime:    d.modTime(),
	}
}

// modTime is the source's; files are also discarded that have none any more.
func (d *delivery) modTime() time.Time {
	if d.src == nil {
		return time.Time{}
	}
	return d.src.Info().ModTime
}

// move brings the windows over and publishes the file.
func (d *delivery) move(ctx context.Context, dst Sink) (err error) {
	j, e := d.job, d.engine
	c := &copier{
		src: d.src, dst: dst, size: d.src.Info().Size, window: d.window, inFlight: e.cfg.WindowsPerFile,
		buffers: e.shares[j.file.ConnectorID], stop: e.stopping, at: d.at, moved: j.moved,
	}
	defer func() {
		if err != nil && !d.keeps(ctx, err) {
			d.abort(ctx, dst)
		}
		j.letGo()
		_ = dst.Close()
		c.release()
	}()
	j.begin(d.src.Info(), d.window, d.at, dst)
	if c.windows() > 1 {
		hint(e.flush) // so that a crash from now on leaves a checkpoint behind
	}
	return guarded(func() error { return d.finish(ctx, c) })
}

// finish brings the windows over and publishes the file.
func (d *delivery) finish(ctx context.Context, c *copier) error {
	j, dst := d.job, c.dst
	sum, err := c.run(ctx)
	if err != nil {
		return err
	}
	j.enter(store.PhaseFinalize)
	if err := d.engine.confirm(ctx, j); err != nil {
		return err
	}
	if err := dst.Commit(ctx, sum); err != nil {
		return atStep(stepCommit, err)
	}
	j.delivered(sum[:])
	return nil
}

// discardLast removes what an earlier attempt delivered of a file that ends before this one has begun to.
func (d *delivery) discardLast(ctx context.Context) {
	last := d.job.lastCheckpoint()
	if last == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if d.engine.confirm(ctx, d.job) == nil {
		d.discard(ctx, last)
	}
}

// goesOn reports whether a later attempt, here or elsewhere, goes on with the file.
func (d *delivery) goesOn(ctx context.Context, err error) bool {
	return d.job.hasLost() || err != nil && (errors.Is(err, errStopped) || errors.Is(context.Cause(ctx), errCutOff))
}

// keeps reports whether what was delivered so far stays: for the next attempt after an interruption, or because it is
// another node's by now.
func (d *delivery) keeps(ctx context.Context, err error) bool {
	if d.job.hasLost() {
		return true
	}
	return (errors.Is(err, errStopped) || errors.Is(context.Cause(ctx), errCutOff)) && d.job.keepCheckpoint()
}

// abort removes what was delivered so far, unless the lease may have run out: the node that has the file now works
// under the same temporary name.
func (d *delivery) abort(ctx context.Context, dst Sink) {
	j, e := d.job, d.engine
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	err := e.confirm(cleanup, j)
	if err == nil {
		err = dst.Abort(cleanup)
	}
	if err != nil {
		e.cfg.Logger.Warn("could not clean up after a failed file", "file", j.file.ID, "target", j.file.TargetPath, "error", err)
	}
}
