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

func (s *session) Discard(ctx context.Context, path string, o CreateOptions) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	return s.remote.Discard(ctx, path, o)
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

// session makes a session of a connector; probe is the number of the probe that it is for, or 0.
func (e *engine) session(connectorID string, probe int) *session {
	return &session{connector: e.cfg.Connectors[connectorID], connected: func(ctx context.Context, err error) {
		e.noteConnection(ctx, connectorID, probe, err)
	}}
}

// noteConnection keeps the connector's breaker up to date. A connection that was given up on says nothing.
func (e *engine) noteConnection(ctx context.Context, connectorID string, probe int, err error) {
	b := e.breakers[connectorID]
	switch {
	case err == nil:
		if b.reached() {
			e.cfg.Logger.Info("partner can be reached again", "connector", connectorID)
		}
	case ctx.Err() == nil:
		if pause := b.missed(time.Now(), probe); pause > 0 {
			e.cfg.Logger.Warn("partner cannot be reached and is left alone", "connector", connectorID, "pause", pause, "error", err)
		}
	}
}

// delivery is one attempt to bring a pinned source to its target.
type delivery struct {
	engine   *engine
	job      *job
	remote   *session
	from, to Storage
	request  spec
	src      Source   // open, or nil
	info     FileInfo // of the source
	window   int64
	at       position
	created  bool
	stale    *checkpoint // of an older version of the source, which could not be removed yet
}

// deliver moves one file from its source to its target: pin the source, prepare the target, move the windows, publish.
func (e *engine) deliver(j *job) (err error) {
	f := &j.file.File
	d := &delivery{engine: e, job: j, remote: e.session(f.ConnectorID, j.probe)}
	if err := json.Unmarshal(j.file.Spec, &d.request); err != nil {
		return &Error{Op: "decode request of", Path: f.TransferID, Code: InternalError, Err: err}
	}
	defer func() { _ = d.remote.close() }()
	d.from, d.to = e.cfg.Storage, Storage(d.remote)
	if f.Direction == store.Retrieve {
		d.from, d.to = d.to, d.from
	}
	defer d.closeSource()
	defer func() {
		err = d.explain(err)
		if !d.created && !d.goesOn(err) {
			d.discardLast()
		}
	}()
	if err := d.open(); err != nil {
		return err
	}
	if err := d.remote.connect(j.moving); err != nil {
		return err
	}
	j.opened()
	err = d.run()
	if CodeOf(err) == FileExists && d.request.Overwrite == OverwriteSkip {
		j.skipped()
		return nil
	}
	return err
}

// open pins the source.
func (d *delivery) open() error {
	src, err := d.from.Open(d.job.moving, d.job.file.SourcePath)
	if err != nil {
		return atStep(stepOpen, err)
	}
	d.src, d.info = src, src.Info()
	d.job.sized(d.info.Size)
	return nil
}

// closeSource ends the reading: what failed before says more, and after a delivery it no longer matters.
func (d *delivery) closeSource() {
	if d.src != nil {
		_ = d.src.Close()
		d.src = nil
	}
}

// run brings the source to its target.
func (d *delivery) run() error {
	j := d.job
	if err := d.possible(); err != nil {
		return err
	}
	// Whoever creates begins the temporary file anew: a node that lost its lease meanwhile must not.
	if err := d.engine.confirm(j.moving, j); err != nil {
		return err
	}
	dst, err := d.resume()
	if err == nil && dst == nil {
		var found bool
		if found, err = d.publishedBefore(); found {
			return nil
		}
		if err == nil {
			dst, err = d.create()
		}
	}
	if err != nil {
		return atStep(stepCreate, err)
	}
	d.created = true
	sum, err := d.move(dst)
	if err == nil && d.request.Verify == VerifyReadBack {
		err = atStep(stepVerify, d.readBack(sum))
	}
	if err == nil {
		d.discardStale()
	}
	return err
}

// possible refuses what cannot come to a good end.
func (d *delivery) possible() error {
	if d.info.Size < 0 {
		return stepError{stepOpen, &Error{Op: "open", Path: d.job.file.SourcePath, Code: ReadFileError, Err: fmt.Errorf("the size is %d", d.info.Size)}}
	}
	if d.request.Verify == VerifyReadBack && d.job.file.Direction == store.Send && d.remote.features().ReadOnce {
		return stepError{stepCreate, &Error{Op: "create", Path: d.job.file.TargetPath, Code: UnsupportedOperationError,
			Err: errors.New("the partner hands out a file once, so it must not be read back (ask for VerifySize)")}}
	}
	return nil
}

// resume goes on where an earlier attempt ended if the source is still the same; otherwise it removes what is left and
// returns nil.
func (d *delivery) resume() (Sink, error) {
	last, info, ctx := d.job.last, d.info, d.job.moving
	if last == nil {
		return nil, nil
	}
	same := info.versioned() && last.Identity == info.Identity() && last.Size == info.Size
	if !same || last.Rank > (info.Size+last.Window-1)/last.Window || d.engine.buffers.class(last.Window) > d.engine.cfg.MemoryBudget {
		if d.discard(ctx, last) != nil { // its name is its own: it does no harm
			d.stale = last
		}
		return nil, nil
	}
	if last.Sink == nil {
		return nil, nil // create begins it anew
	}
	d.window = last.Window
	d.at = position{rank: last.Rank, offset: min(last.Rank*last.Window, info.Size), hash: last.Hash}
	dst, err := d.to.Create(ctx, d.job.file.TargetPath, d.options(last.Window, last.Sink))
	switch code := CodeOf(err); {
	case code == "":
		d.job.isSure() // a temporary file that is there was not published
		d.engine.cfg.Logger.Info("file goes on", d.attrs("rank", d.at.rank, "bytes", d.at.offset)...)
	case code == CheckpointLost, code == FileExists && d.job.doubts():
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
func (d *delivery) create() (Sink, error) {
	j := d.job
	d.window, d.at = windowFor(d.info.Size, d.engine.cfg.WindowSize), position{}
	if d.window > d.engine.cfg.MemoryBudget {
		return nil, &Error{Op: "move", Path: j.file.SourcePath, Code: UnsupportedOperationError,
			Err: fmt.Errorf("%d bytes need windows of %d bytes, more than Config.MemoryBudget, %d (raise it)", d.info.Size, d.window, d.engine.cfg.MemoryBudget)}
	}
	dst, err := d.to.Create(j.moving, j.file.TargetPath, d.options(d.window, nil))
	if err != nil && (CodeOf(err).Retryable() || j.moving.Err() != nil) { // the answer may be lost, and something there
		j.mayHaveBegun(d.info, d.window)
	}
	return dst, err
}

func (d *delivery) options(window int64, state []byte) CreateOptions {
	return CreateOptions{
		Size:       d.info.Size,
		WindowSize: window,
		Overwrite:  d.request.Overwrite,
		Key:        deliveryKey(&d.job.file.File, d.info.Identity()),
		Checkpoint: state,
		ModTime:    d.info.ModTime,
	}
}

// deliveryKey is the name of the delivery of one version of the source.
func deliveryKey(f *store.File, identity string) string {
	key := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%s", f.TransferID, f.ID, identity))
	return hex.EncodeToString(key[:16])
}

// move brings the windows over and publishes the file.
func (d *delivery) move(dst Sink) (sum [sha256.Size]byte, err error) {
	j, e := d.job, d.engine
	c := &copier{
		src: d.src, dst: dst, size: d.info.Size, window: d.window, inFlight: e.cfg.WindowsPerFile,
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
	j.begin(d.info, d.window, d.at, dst)
	if c.windows() > 1 {
		if err := e.awaitRecord(j.moving, j); err != nil {
			return sum, err
		}
	}
	err = guarded(func() (err error) { sum, err = d.finish(c); return err })
	return sum, err
}

// finish brings the windows over and publishes the file.
func (d *delivery) finish(c *copier) (sum [sha256.Size]byte, err error) {
	j := d.job
	if sum, err = c.run(j.moving); err != nil {
		return sum, err
	}
	if !j.finalize() {
		return sum, errWanted
	}
	if err := d.engine.confirm(j.ctx, j); err != nil {
		return sum, err
	}
	if err := c.dst.Commit(j.ctx, sum); err != nil {
		return sum, atStep(stepCommit, err)
	}
	j.delivered(sum[:])
	return sum, nil
}

// readBack compares what is there now with what was read from the source.
func (d *delivery) readBack(sum [sha256.Size]byte) error {
	ctx, target := d.job.moving, d.job.file.TargetPath
	there, err := d.to.Open(ctx, target)
	if err != nil {
		return fmt.Errorf("open what was delivered: %w", err)
	}
	defer func() { _ = there.Close() }()
	if got, want := there.Info().Size, d.info.Size; got != want {
		return &Error{Op: "verify", Path: target, Code: IntegrityError, Err: fmt.Errorf("it has %d bytes, %d were delivered", got, want)}
	}
	got, err := d.hash(ctx, there)
	if err != nil {
		return fmt.Errorf("read what was delivered: %w", err)
	}
	if !bytes.Equal(got, sum[:]) {
		return &Error{Op: "verify", Path: target, Code: IntegrityError, Err: fmt.Errorf("its SHA-256 is %x, that of what was sent %x", got, sum)}
	}
	return nil
}

// publishedBefore finds out whether an earlier attempt published exactly this file, although nobody noted it: its node died
// just then, or the answer was lost. It reads both sides, so it asks only where that may be so. The doubt ends with a
// definite answer; where there is none for now, the attempt fails; and where nobody may read the target, the file is
// delivered.
func (d *delivery) publishedBefore() (found bool, err error) {
	j, ctx := d.job, d.job.moving
	if !j.doubts() || d.remote.features().ReadOnce {
		return false, nil
	}
	theirs, err := d.look(ctx)
	if theirs == nil || err != nil {
		return false, err
	}
	ours, err := d.hash(ctx, d.src)
	if err != nil {
		return false, stepError{stepRead, err}
	}
	if bytes.Equal(ours, theirs) {
		d.engine.cfg.Logger.Info("file was published by an earlier attempt", d.attrs()...)
		j.found(ours, d.info.Size, windowFor(d.info.Size, d.engine.cfg.WindowSize))
		d.discardRest(ctx)
		return true, nil
	}
	j.isSure()
	d.closeSource() // it may want to be read in order
	return false, d.open()
}

// look returns the SHA-256 of what is at the target, or nil if that cannot be the file.
func (d *delivery) look(ctx context.Context) ([]byte, error) {
	there, err := d.to.Open(ctx, d.job.file.TargetPath)
	if err == nil {
		defer func() { _ = there.Close() }()
		if there.Info().Size != d.info.Size {
			d.job.isSure()
			return nil, nil
		}
		var sum []byte
		if sum, err = d.hash(ctx, there); err == nil {
			return sum, nil
		}
	}
	switch code := CodeOf(err); {
	case code == FileNotFound, code == IsDirectory, code == DirectoryNotFound, code == PathNotFound:
		d.job.isSure()
	case code.Retryable(), ctx.Err() != nil, errors.Is(err, errStopped):
		return nil, fmt.Errorf("look for what was delivered: %w", err)
	}
	return nil, nil
}

// hash reads all of src, unless the file is to stop.
func (d *delivery) hash(ctx context.Context, src Source) ([]byte, error) {
	size, h := src.Info().Size, sha256.New()
	budget := d.engine.shares[d.job.file.ConnectorID]
	buf, err := budget.get(ctx, min(size, d.engine.cfg.WindowSize))
	if err != nil {
		return nil, err
	}
	defer func() { budget.put(buf) }()
	for off := int64(0); off < size; off += int64(len(buf)) {
		if isClosed(d.job.stop) {
			return nil, errStopped
		}
		window := buf[:min(int64(len(buf)), size-off)]
		if err := src.ReadWindow(ctx, window, off); err != nil {
			return nil, err
		}
		h.Write(window)
	}
	return h.Sum(nil), nil
}

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
	case err == nil:
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
	return d.job.keepCheckpoint()
}

// cancelTimeout bounds what a cancellation waits for; what is not removed by then is swept.
const cancelTimeout = time.Second

// cleanup returns a context for removing what is left.
func (d *delivery) cleanup() (context.Context, context.CancelFunc) {
	limit := cleanupTimeout
	if d.job.isWanted(store.Cancelled) {
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
	e.cfg.Logger.Warn("could not clean up after a failed file", "file", j.file.ID, "target", j.file.TargetPath, "error", err)
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
		d.engine.cfg.Logger.Warn("could not remove what was delivered of an older version", d.attrs("target", d.job.file.TargetPath, "error", err)...)
	}
}

// discardRest removes what may be left beside a file that turned out to be published.
func (d *delivery) discardRest(ctx context.Context) {
	left := checkpoint{Identity: d.info.Identity(), Size: d.info.Size, Window: d.engine.cfg.WindowSize}
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
