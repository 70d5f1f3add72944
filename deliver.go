package transfer

import (
	"bytes"
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
	connected func(ctx context.Context, err error) // called after each attempt to connect
	remote    Remote
	failed    bool // to connect
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
	s.remote, err = s.connector.Connect(ctx)
	s.connected(ctx, err)
	if err != nil {
		s.remote, s.failed = nil, true
		return stepError{stepConnect, err}
	}
	return nil
}

func (s *session) features() Features {
	if s.remote == nil {
		return Features{}
	}
	return s.remote.Features()
}

func (s *session) close() error {
	if s.remote == nil {
		return nil
	}
	return s.remote.Close()
}

func (e *engine) session(connectorID string) *session {
	return &session{connector: e.cfg.Connectors[connectorID], connected: func(ctx context.Context, err error) {
		e.noteConnection(ctx, connectorID, err)
	}}
}

// noteConnection keeps the connector's breaker up to date. A connection that was given up on says nothing.
func (e *engine) noteConnection(ctx context.Context, connectorID string, err error) {
	b := e.breakers[connectorID]
	switch {
	case err == nil:
		if b.reached() {
			e.cfg.Logger.Info("partner can be reached again", "connector", connectorID)
		}
	case ctx.Err() == nil:
		if pause := b.missed(time.Now()); pause > 0 {
			e.cfg.Logger.Warn("partner cannot be reached and is left alone", "connector", connectorID, "pause", pause, "error", err)
		}
	}
}

// deliver moves one file from its source to its target: pin the source, prepare the target, move the windows, publish.
func (e *engine) deliver(j *job) (err error) {
	ctx := j.moving
	f := &j.file.File
	var request spec
	if err := json.Unmarshal(j.file.Spec, &request); err != nil {
		return &Error{Op: "decode request of", Path: f.TransferID, Code: InternalError, Err: err}
	}
	remote := e.session(f.ConnectorID)
	defer func() { _ = remote.close() }()
	from, to := e.cfg.Storage, Storage(remote)
	if f.Direction == store.Retrieve {
		from, to = to, from
	}

	d := &delivery{engine: e, job: j, remote: remote, to: to, overwrite: request.Overwrite, verify: request.Verify}
	defer func() {
		err = d.explain(err)
		if !d.created && !d.goesOn(err) {
			d.discardLast(j.ctx)
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
	err = d.run()
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
	remote    *session
	src       Source
	to        Storage
	overwrite Overwrite
	verify    Verify
	window    int64
	at        position
	created   bool
}

// run brings the source to its target.
func (d *delivery) run() error {
	j := d.job
	// Whoever creates begins the temporary file anew: a node that lost its lease meanwhile must not.
	if err := d.engine.confirm(j.moving, j); err != nil {
		return err
	}
	dst, err := d.resume(j.moving)
	if err == nil && dst == nil {
		if sum := d.publishedBefore(j.moving); sum != nil {
			d.engine.cfg.Logger.Info("file was published by an earlier attempt", d.attrs()...)
			j.published(sum)
			return nil
		}
		dst, err = d.create(j.moving)
		if err != nil && CodeOf(err).Retryable() { // the answer may be lost, and something there
			j.mayHaveBegun(d.src.Info(), d.window)
		}
	}
	if err != nil {
		return atStep(stepCreate, err)
	}
	d.created = true
	return d.move(dst)
}

// resume goes on where an earlier attempt ended if the source is still the same; otherwise it removes what is left and
// returns nil.
func (d *delivery) resume(ctx context.Context) (Sink, error) {
	last, info := d.job.last, d.src.Info()
	if info.Size < 0 {
		return nil, &Error{Op: "open", Path: d.job.file.SourcePath, Code: ReadFileError, Err: fmt.Errorf("the size is %d", info.Size)}
	}
	if last == nil {
		return nil, nil
	}
	same := info.versioned() && last.Identity == info.Identity() && last.Size == info.Size
	if !same || last.Rank > (info.Size+last.Window-1)/last.Window || d.engine.buffers.class(last.Window) > d.engine.cfg.MemoryBudget {
		_ = d.discard(ctx) // its name is its own: it does no harm
		return nil, nil
	}
	if last.Sink == nil {
		return nil, nil // create begins it anew
	}
	d.window = last.Window
	d.at = position{rank: last.Rank, offset: min(last.Rank*last.Window, info.Size), hash: last.Hash}
	dst, err := d.to.Create(ctx, d.job.file.TargetPath, d.options(info, last.Window, last.Sink))
	switch CodeOf(err) {
	case "":
		d.engine.cfg.Logger.Info("file goes on", d.attrs("rank", d.at.rank, "bytes", d.at.offset)...)
	case CheckpointLost:
		d.engine.cfg.Logger.Warn("file cannot go on where it stopped", d.attrs("rank", d.at.rank, "error", err)...)
		return nil, nil
	}
	return dst, err
}

// attrs are what logs say of the file.
func (d *delivery) attrs(more ...any) []any {
	f := &d.job.file
	return append([]any{"file", f.ID, "transfer", f.TransferID, "connector", f.ConnectorID, "attempt", f.Attempts}, more...)
}

// create opens the target, to begin at zero.
func (d *delivery) create(ctx context.Context) (Sink, error) {
	info := d.src.Info()
	d.window, d.at = windowFor(info.Size, d.engine.cfg.WindowSize), position{}
	if d.window > d.engine.cfg.MemoryBudget {
		return nil, &Error{Op: "move", Path: d.job.file.SourcePath, Code: UnsupportedOperationError,
			Err: fmt.Errorf("%d bytes need windows of %d bytes, more than Config.MemoryBudget, %d (raise it)", info.Size, d.window, d.engine.cfg.MemoryBudget)}
	}
	return d.to.Create(ctx, d.job.file.TargetPath, d.options(info, d.window, nil))
}

func (d *delivery) options(info FileInfo, window int64, state []byte) CreateOptions {
	return CreateOptions{
		Size:       info.Size,
		WindowSize: window,
		Overwrite:  d.overwrite,
		Key:        deliveryKey(&d.job.file.File, info.Identity()),
		Checkpoint: state,
		ModTime:    info.ModTime,
	}
}

// deliveryKey is the name of the delivery of one version of the source.
func deliveryKey(f *store.File, identity string) string {
	key := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%s", f.TransferID, f.ID, identity))
	return hex.EncodeToString(key[:16])
}

// move brings the windows over and publishes the file.
func (d *delivery) move(dst Sink) (err error) {
	j, e := d.job, d.engine
	c := &copier{
		src: d.src, dst: dst, size: d.src.Info().Size, window: d.window, inFlight: e.cfg.WindowsPerFile,
		buffers: e.shares[j.file.ConnectorID], stop: j.stop, at: d.at, moved: j.moved,
	}
	defer func() {
		if err != nil && !d.keeps(d.explain(err)) {
			d.abort(dst)
		}
		j.letGo()
		_ = dst.Close()
		c.release()
	}()
	j.begin(d.src.Info(), d.window, d.at, dst)
	if c.windows() > 1 {
		if err := e.awaitRecord(j.moving, j); err != nil {
			return err
		}
	}
	return guarded(func() error { return d.finish(c) })
}

// finish brings the windows over and publishes the file.
func (d *delivery) finish(c *copier) error {
	j, dst := d.job, c.dst
	sum, err := c.run(j.moving)
	if err != nil {
		return err
	}
	if !j.finalize() {
		return errWanted
	}
	if err := d.engine.confirm(j.ctx, j); err != nil {
		return err
	}
	if err := dst.Commit(j.ctx, sum); err != nil {
		return atStep(stepCommit, err)
	}
	if d.verify == VerifyReadBack {
		if err := d.readBack(j.ctx, sum[:]); err != nil {
			return atStep(stepVerify, err)
		}
	}
	j.delivered(sum[:])
	return nil
}

// readBack compares what is there now with what was read from the source.
func (d *delivery) readBack(ctx context.Context, sum []byte) error {
	target, to := d.job.file.TargetPath, d.to
	if to == Storage(d.remote) { // which serves the delivery still
		other := d.engine.session(d.job.file.ConnectorID)
		defer func() { _ = other.close() }()
		to = other
	}
	there, err := to.Open(ctx, target)
	if err != nil {
		return fmt.Errorf("open what was delivered: %w", err)
	}
	defer func() { _ = there.Close() }()
	if got, want := there.Info().Size, d.src.Info().Size; got != want {
		return &Error{Op: "verify", Path: target, Code: IntegrityError, Err: fmt.Errorf("it has %d bytes, %d were delivered", got, want)}
	}
	got, err := d.hash(ctx, there)
	if err != nil {
		return fmt.Errorf("read what was delivered: %w", err)
	}
	if !bytes.Equal(got, sum) {
		return &Error{Op: "verify", Path: target, Code: IntegrityError, Err: fmt.Errorf("its SHA-256 is %x, that of what was sent %x", got, sum)}
	}
	return nil
}

// publishedBefore returns the SHA-256 of the source if an earlier attempt published exactly that, although nobody noted it:
// its node died just then, or the answer was lost. It reads both sides to find out, so it asks only where that may be so.
func (d *delivery) publishedBefore(ctx context.Context) []byte {
	if !d.job.unsure || d.remote.features().ReadOnce {
		return nil
	}
	there, err := d.to.Open(ctx, d.job.file.TargetPath)
	if err != nil {
		return nil
	}
	defer func() { _ = there.Close() }()
	if there.Info().Size != d.src.Info().Size {
		return nil
	}
	theirs, err := d.hash(ctx, there)
	if err != nil {
		return nil
	}
	ours, err := d.hash(ctx, d.src)
	if err != nil || !bytes.Equal(ours, theirs) {
		return nil
	}
	return ours
}

// hash reads all of src.
func (d *delivery) hash(ctx context.Context, src Source) ([]byte, error) {
	size, h := src.Info().Size, sha256.New()
	budget := d.engine.shares[d.job.file.ConnectorID]
	buf, err := budget.get(ctx, min(size, d.engine.cfg.WindowSize))
	if err != nil {
		return nil, err
	}
	defer func() { budget.put(buf) }()
	for off := int64(0); off < size; off += int64(len(buf)) {
		window := buf[:min(int64(len(buf)), size-off)]
		if err := src.ReadWindow(ctx, window, off); err != nil {
			return nil, err
		}
		h.Write(window)
	}
	return h.Sum(nil), nil
}

// explain makes an error say why the file was halted, where that was the cause.
func (d *delivery) explain(err error) error {
	var timeout *Error
	if err == nil || !errors.As(context.Cause(d.job.moving), &timeout) {
		return err
	}
	at := stepError{step: stepRead}
	errors.As(err, &at)
	return stepError{at.step, timeout}
}

// goesOn reports whether a later attempt, here or elsewhere, goes on with the file.
func (d *delivery) goesOn(err error) bool {
	j := d.job
	if j.hasLost() {
		return true
	}
	if err == nil {
		return d.inPlace() // what is there is the file itself
	}
	if interrupted(j, err) {
		return !j.isWanted(store.Cancelled)
	}
	_, _, again := d.engine.again(j, err)
	return again
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
	return d.job.keepCheckpoint()
}

// abort removes what was delivered so far, unless the lease may have run out: the node that has the file now works
// under the same temporary name. What cannot be removed is swept later.
func (d *delivery) abort(dst Sink) {
	j, e := d.job, d.engine
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(j.ctx), cleanupTimeout)
	defer cancel()
	err := e.confirm(cleanup, j)
	if err == nil {
		err = dst.Abort(cleanup)
	}
	if err == nil {
		j.forget()
		return
	}
	j.keepLitter()
	e.cfg.Logger.Warn("could not clean up after a failed file", "file", j.file.ID, "target", j.file.TargetPath, "error", err)
}

// discardLast removes what an earlier attempt delivered of a file that ends before this one has begun to. A partner that
// cannot be reached is not asked again: what is left is swept later.
func (d *delivery) discardLast(ctx context.Context) {
	if d.job.last == nil || d.to == Storage(d.remote) && d.remote.failed {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if d.engine.confirm(ctx, d.job) == nil && d.discard(ctx) == nil {
		d.job.forget()
	}
}

// discard removes what an earlier attempt left.
func (d *delivery) discard(ctx context.Context) error {
	return discard(ctx, d.to, &d.job.file.File, d.job.last, d.inPlace())
}

// inPlace reports whether the target is written under its final name.
func (d *delivery) inPlace() bool {
	return d.to == Storage(d.remote) && d.remote.features().InPlace
}

// discard removes from to what an attempt at f left.
func discard(ctx context.Context, to Storage, f *store.File, last *checkpoint, inPlace bool) error {
	if inPlace && last.Sink == nil {
		return nil // nothing says that what is there is ours
	}
	o := CreateOptions{Size: last.Size, WindowSize: last.Window, Overwrite: OverwriteReplace, Key: deliveryKey(f, last.Identity), Checkpoint: last.Sink}
	dst, err := to.Create(ctx, f.TargetPath, o)
	if CodeOf(err) == CheckpointLost && !inPlace { // there may be something under its name all the same
		o.Checkpoint = nil
		dst, err = to.Create(ctx, f.TargetPath, o)
	}
	switch CodeOf(err) {
	case "":
	case FileNotFound, DirectoryNotFound, PathNotFound, CheckpointLost:
		return nil
	default:
		return err
	}
	return errors.Join(dst.Abort(ctx), dst.Close())
}
