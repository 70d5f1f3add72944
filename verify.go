package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
)

// readBack compares what is there now with what was read from the source.
func (d *delivery) readBack(sum [sha256.Size]byte) (err error) {
	target := d.job.file.TargetPath
	ctx, end := d.job.part(d.job.moving, PartVerify, "")
	defer func() { end(err) }()
	there, err := d.to.Open(ctx, target)
	if err != nil {
		return fmt.Errorf("open what was delivered: %w", err)
	}
	defer func() { _ = there.Close() }()
	if got, want := there.Info().Size, d.made; got != want {
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
	if d.streams() {
		return d.productThere()
	}
	theirs, err := d.look(ctx, d.info.Size)
	if theirs == nil || err != nil {
		return false, err
	}
	ours, err := d.hash(ctx, d.src)
	if err != nil {
		return false, stepError{stepRead, err}
	}
	if bytes.Equal(ours, theirs) {
		d.engine.cfg.Logger.InfoContext(d.job.ctx, "file was published by an earlier attempt", d.attrs()...)
		j.found(ours, d.info.Size, d.windowSize())
		d.discardRest(ctx)
		return true, nil
	}
	j.isSure()
	d.closeSource() // it may want to be read in order
	return false, d.open()
}

// look returns the SHA-256 of what is at the target, or nil if that cannot be the file, which has size bytes.
func (d *delivery) look(ctx context.Context, size int64) ([]byte, error) {
	there, err := d.to.Open(ctx, d.job.file.TargetPath)
	if err == nil {
		defer func() { _ = there.Close() }()
		if there.Info().Size != size {
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
	budget := d.job.partner.share
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
