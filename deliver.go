package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/seed62b9dc43/transfer/store"
)

// delivery is one attempt to bring a pinned source to its target.
type delivery struct {
	engine   *engine
	job      *job
	remote   *session
	from, to Storage
	request  spec
	changes  []Transform
	bundle   []pinnedFile
	src      Source   // open, or nil
	info     FileInfo // of the source
	identity string   // of the source
	made     int64    // bytes of what is delivered
	window   int64
	at       position
	created  bool
	stale    *checkpoint        // of an older version of the source, which could not be removed yet
	before   *store.LedgerEntry // what the ledger knows of the file, or nil
}

// deliver moves one file from its source to its target: pin the source, prepare the target, move the windows, publish.
func (e *engine) deliver(j *job) (err error) {
	d := &delivery{engine: e, job: j, request: j.request, remote: e.sessionOf(j)}
	if j.rule != nil {
		d.changes = j.rule.Transforms
	}
	defer func() {
		j.noteSession(d.remote)
		_ = d.remote.close()
	}()
	d.from, d.to = e.cfg.Storage, Storage(d.remote)
	if j.file.Direction == store.Retrieve {
		d.from, d.to = d.to, d.from
	}
	defer d.closeSource()
	defer func() {
		err = d.explain(err)
		if !d.created && !d.goesOn(err) {
			d.discardLast()
		}
	}()
	if j.last != nil && j.last.Awaits {
		return d.askReceipt()
	}
	if err := d.open(); err != nil {
		return err
	}
	if skip, err := d.askLedger(); err != nil {
		return err
	} else if skip {
		return d.leaveOut()
	}
	if err := d.remote.connect(j.moving); err != nil {
		return err
	}
	j.opened()
	if err = d.run(); d.held(err) {
		j.skipped()
		return nil
	}
	if err == nil || j.isThere() { // it may be cancelled too late
		d.enterLedger()
	}
	return err
}

// open pins the source.
func (d *delivery) open() (err error) {
	ctx, end := d.job.part(d.job.moving, PartOpen, "")
	defer func() { end(err) }()
	if len(d.request.Bundle) > 0 {
		if err := d.openBundle(ctx); err != nil {
			return err
		}
	} else {
		src, err := d.from.Open(ctx, d.job.sourcePath())
		if err != nil {
			return atStep(stepOpen, err)
		}
		d.src, d.info = src, src.Info()
	}
	d.identity = d.info.Identity()
	d.job.pinned(d.size(), d.identity)
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
	if d.streams() {
		d.identity = d.streamIdentity()
	}
	// Whoever creates begins the temporary file anew: a node that lost its lease meanwhile must not.
	if err := d.engine.confirm(j.moving, j); err != nil {
		return err
	}
	dst, found, err := d.target()
	if found || err != nil {
		return err
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

// target begins the target or goes on with it, unless an earlier attempt has published it.
func (d *delivery) target() (dst Sink, found bool, err error) {
	_, end := d.job.part(d.job.moving, PartCreate, "")
	defer func() { end(err) }()
	d.discardCrashed()
	dst, err = d.resume()
	if err == nil && dst == nil {
		if found, err = d.publishedBefore(); found {
			return nil, true, nil
		}
		if err == nil {
			dst, err = d.create()
		}
	}
	return dst, false, atStep(stepCreate, err)
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
	same := !d.streams() && info.versioned() && last.Identity == d.identity && last.Size == info.Size
	if !same && d.request.FailIfChanged && last.Rank > 0 {
		return nil, stepError{stepOpen, &Error{Op: "resume", Path: d.job.file.SourcePath, Code: SourceChanged, Err: errors.New("since part of it was delivered")}}
	}
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
		d.engine.cfg.Logger.InfoContext(d.job.ctx, "file goes on", d.attrs("rank", d.at.rank, "bytes", d.at.offset)...)
	case code == CheckpointLost, code == FileExists && d.job.doubts():
		d.engine.cfg.Logger.WarnContext(d.job.ctx, "file cannot go on where it stopped", d.attrs("rank", d.at.rank, "error", err)...)
		return nil, nil
	}
	return dst, err
}

// attrs are what logs say of the file.
func (d *delivery) attrs(more ...any) []any {
	f := d.job.file
	return append([]any{"file", f.ID, "transfer", f.TransferID, "connector", f.ConnectorID, "attempt", f.Attempts}, more...)
}

// create opens the target, to begin at zero.
func (d *delivery) create() (Sink, error) {
	j := d.job
	d.window, d.at = d.windowSize(), position{}
	if d.window > d.engine.cfg.MemoryBudget {
		return nil, &Error{Op: "move", Path: j.file.SourcePath, Code: UnsupportedOperationError,
			Err: fmt.Errorf("%d bytes need windows of %d bytes, more than Config.MemoryBudget, %d (raise it)", d.info.Size, d.window, d.engine.cfg.MemoryBudget)}
	}
	dst, err := d.to.Create(j.moving, j.file.TargetPath, d.options(d.window, nil))
	if err != nil && (CodeOf(err).Retryable() || j.moving.Err() != nil) { // the answer may be lost, and something there
		j.mayHaveBegun(d.identity, d.size(), d.window)
	}
	return dst, err
}

func (d *delivery) options(window int64, state []byte) CreateOptions {
	return CreateOptions{
		Size:       d.size(),
		WindowSize: window,
		Overwrite:  d.request.Overwrite,
		Key:        deliveryKey(&d.job.file.File, d.identity),
		Checkpoint: state,
		ModTime:    d.info.ModTime,
		Origin:     d.origin(),
	}
}

// deliveryKey is the name of the delivery of one version of the source.
func deliveryKey(f *store.File, identity string) string {
	text := append(make([]byte, 0, 128), f.TransferID...)
	text = append(strconv.AppendInt(append(text, '/'), f.ID, 10), '/')
	key := sha256.Sum256(append(text, identity...))
	return hex.EncodeToString(key[:16])
}

// move brings the windows over and publishes the file.
func (d *delivery) move(dst Sink) (sum [sha256.Size]byte, err error) {
	j := d.job
	m, several := d.mover(dst)
	defer func() {
		if err != nil && !d.keeps(d.explain(err)) {
			d.abort(dst)
		}
		j.letGo()
		_ = dst.Close()
		m.release()
	}()
	j.begin(d.size(), d.identity, d.window, d.at, dst)
	j.movesFrom(d.at.offset)
	if several {
		if err := d.engine.awaitRecord(j.moving, j); err != nil {
			return sum, err
		}
	}
	err = guarded(func() (err error) { sum, err = d.finish(m, dst); return err })
	return sum, err
}

// mover prepares to bring the content over, and says whether it is known to be several windows.
func (d *delivery) mover(dst Sink) (m mover, several bool) {
	if d.streams() {
		return d.streamer(dst), false
	}
	c := &copier{
		src: d.src, dst: dst, size: d.info.Size, window: d.window, inFlight: d.engine.cfg.WindowsPerFile,
		buffers: d.job.partner.share, stop: d.job.stop, at: d.at, moved: d.job.moved,
	}
	return c, c.windows() > 1
}

// finish brings the windows over and publishes the file.
func (d *delivery) finish(m mover, dst Sink) (sum [sha256.Size]byte, err error) {
	j := d.job
	if sum, err = d.data(m); err != nil {
		return sum, err
	}
	if err := d.sameContent(sum); err != nil {
		return sum, err
	}
	if d.made = d.info.Size; d.streams() {
		d.made = m.(*streamer).size
	}
	if !j.finalize() {
		return sum, errWanted
	}
	if d.streams() {
		if err := d.announce(sum[:]); err != nil {
			return sum, err
		}
	}
	if err := d.commit(dst, sum); err != nil {
		return sum, err
	}
	j.delivered(sum[:])
	return sum, nil
}

// data brings the windows over.
func (d *delivery) data(m mover) (sum [sha256.Size]byte, err error) {
	ctx, end := d.job.part(d.job.moving, PartData, "")
	defer func() { end(err) }()
	return m.run(ctx)
}

// commit publishes the file.
func (d *delivery) commit(dst Sink, sum [sha256.Size]byte) (err error) {
	j := d.job
	ctx, end := j.part(j.ctx, PartFinalize, "")
	defer func() { end(err) }()
	if err := d.engine.confirm(ctx, j); err != nil {
		return err
	}
	err = dst.Commit(ctx, sum)
	if _, is := outstanding(err); is {
		j.handedOver(bytes.Clone(sum[:])) // which leaves sum on the stack
		d.enterLedger()
	}
	return atStep(stepCommit, err)
}
