package transfer

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"path"
	"strconv"
	"strings"
)

// mover brings content from its source to a sink: a copier, or a streamer where Transforms change it.
type mover interface {
	// run moves everything and returns the SHA-256 of what was written.
	run(ctx context.Context) ([sha256.Size]byte, error)
	// release gives back the memory that the sink may use until it is closed.
	release()
}

// streams reports whether the file is changed or made on its way, so that its size is not known before its end.
func (d *delivery) streams() bool { return len(d.changes) > 0 || len(d.request.Bundle) > 0 }

// size is what the sink is told.
func (d *delivery) size() int64 {
	if d.streams() {
		return UnknownSize
	}
	return d.info.Size
}

// most is how many bytes are delivered at most.
func (d *delivery) most() int64 {
	most := d.info.Size
	for _, t := range d.changes {
		if most >= 0 {
			most = t.MaxSize(most)
		}
	}
	if most < 0 {
		return unknownMost
	}
	return most
}

// windowSize is that of a delivery that begins. What a changed file may become at most is rarely what it becomes, so that it
// takes no more than half of the memory; should it be too long for an upload to S3 then, the upload says so.
func (d *delivery) windowSize() int64 {
	configured := d.engine.cfg.WindowSize
	if d.streams() {
		return d.evenly(max(configured, min(windowFor(d.most(), configured), d.job.partner.share.budget/2/mebibyte*mebibyte)))
	}
	return d.evenly(windowFor(d.info.Size, configured))
}

// streamIdentity is under which name a changed file is delivered: one of its own for each attempt, because no two attempts
// need make the same bytes. A partner that we cannot look at has to recognize what comes twice by its name (AS2:
// Message-ID).
func (d *delivery) streamIdentity() string {
	if d.to == Storage(d.remote) && d.remote.features().ReadOnce {
		return changedPrefix + d.info.Identity()
	}
	return attemptIdentity(d.job.file.Attempts)
}

const changedPrefix = "changed:"

// sourceIdentity is that of the source of a file that was delivered under this identity to a partner that we cannot look at.
func sourceIdentity(delivered string) string { return strings.TrimPrefix(delivered, changedPrefix) }

func attemptIdentity(attempt int) string { return "attempt:" + strconv.Itoa(attempt) }

// mostCrashed is how many attempts that crashed in a row are looked for.
const mostCrashed = 10

// discardCrashed removes what attempts have left that crashed before the Store knew of it.
func (d *delivery) discardCrashed() {
	j := d.job
	if !d.streams() || d.identity != attemptIdentity(j.file.Attempts) {
		return
	}
	first, all := cmp.Or(j.past.Crashed, j.file.Attempts), true
	for n := max(first, j.file.Attempts-mostCrashed); n < j.file.Attempts; n++ {
		left := checkpoint{Identity: attemptIdentity(n), Size: UnknownSize, Window: d.engine.cfg.WindowSize}
		if j.last != nil && j.last.Identity == left.Identity {
			continue // resume does it, which knows more
		}
		if err := d.discard(j.moving, &left); err != nil {
			all = false
			d.engine.cfg.Logger.Warn("could not look for what an attempt left that crashed", d.attrs("error", err)...)
		}
	}
	if all {
		j.past.Crashed = 0
	}
}

// streamer prepares to put the source through the Transforms.
func (d *delivery) streamer(dst Sink) *streamer {
	e, j, share := d.engine, d.job, d.job.partner.share
	s := &streamer{
		origin: d.origins(), transforms: d.changes, dst: dst, window: d.window, inFlight: e.cfg.WindowsPerFile,
		buffers: share, stop: j.stop, moved: j.moved,
		begun: func(ctx context.Context) error { j.changed(); return e.awaitRecord(ctx, j) }, // not of d, which is on the stack
	}
	s.first = min(d.window, d.most()+1)
	s.piece = min(d.info.Size, e.cfg.WindowSize) // a bundle's size is more than that of its largest file
	for s.piece > smallestBuffer && share.class(s.piece)+share.class(s.first) > share.budget {
		s.piece /= 2
	}
	return s
}

// origins is where the content comes from.
func (d *delivery) origins() origin {
	name := path.Base(d.job.file.SourcePath)
	if d.bundle != nil {
		return &bundleOrigin{from: d.from, name: name, files: d.bundle, info: d.info}
	}
	return &sourceOrigin{src: d.src, name: path.Base(d.job.sourcePath())}
}

// announce has the Store know what is about to be published, because another attempt cannot find it out: it may make
// other bytes.
func (d *delivery) announce(sum []byte) error {
	d.job.makes(product{Size: d.made, SHA256: sum})
	return d.engine.awaitRecord(d.job.ctx, d.job)
}

// productThere finds out whether an earlier attempt published what it made.
func (d *delivery) productThere() (found bool, err error) {
	j := d.job
	made := j.past.Product
	if made == nil { // none came as far as that
		j.isSure()
		return false, nil
	}
	theirs, err := d.look(j.moving, made.Size)
	if theirs == nil || err != nil {
		return false, err
	}
	if !bytes.Equal(theirs, made.SHA256) {
		j.isSure()
		return false, nil
	}
	d.engine.cfg.Logger.Info("file was published by an earlier attempt", d.attrs()...)
	d.made = made.Size
	j.found(theirs, made.Size, d.windowSize())
	d.discardRest(j.moving)
	return true, nil
}

// keepsStream reports whether what was delivered of a changed file stays: only if the node is to end at once. The next
// attempt removes it then.
func (d *delivery) keepsStream() bool {
	if !errors.Is(context.Cause(d.job.moving), errCutOff) {
		return false
	}
	d.job.keepLitter()
	return true
}

// product is what Transforms have made of a source.
type product struct {
	Size   int64  `json:"size"`
	SHA256 []byte `json:"sha256"`
}

// makes notes what is about to be published.
func (j *job) makes(p product) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.past.Product = &p
	j.progress.Size = p.Size
	j.offered, j.recorded = false, false
}

// changed notes that the sink's checkpoint says more than the Store may know.
func (j *job) changed() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.offered, j.recorded = false, false
}

// isWithPartner reports whether the file was handed over.
func (j *job) isWithPartner() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.awaits
}
