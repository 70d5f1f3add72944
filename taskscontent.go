package transfer

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"strings"
)

// defaultMostUnpacked is how many bytes GunzipTarget makes at most.
const defaultMostUnpacked = 64 << 30

// CopySource returns a task that copies the source, where that is ours, into another directory of our storage, under its
// name. In dir the placeholders of MoveSource may be used. A file that is there is replaced.
func CopySource(dir string) Task { return copyInto(sourceSide, dir) }

// CopyTarget returns a task that copies what was delivered to our storage into another directory of it, as CopySource does.
// It does nothing for a file that was not delivered.
func CopyTarget(dir string) Task { return copyInto(targetSide, dir) }

// GzipTarget returns a task that compresses what was delivered to our storage into a file beside it, with ".gz" added to
// its name: the target for later tasks. What was delivered stays. A file of that name is replaced. It costs reading the
// file twice, because a storage wants to know how long a file is before it begins.
func GzipTarget() Task {
	return &builtin{name: "gzip target", atTarget: true, ours: targetSide, run: func(ctx context.Context, f *TaskFile) error {
		return f.remake(ctx, f.TargetPath+".gz", gzipTo)
	}}
}

// GunzipTarget returns a task that unpacks what was delivered to our storage into a file beside it, without the ".gz" of
// its name (".tar" for ".tgz"): the target for later tasks. What was delivered stays. A file of that name is replaced. A
// target of another name fails the task, as does content that is not gzip (detail INTEGRITY_ERROR), or that
// becomes more than most bytes (0: 64 GiB), of which nothing is written. It costs reading the file twice.
func GunzipTarget(most int64) Task {
	b := &builtin{name: "gunzip target", atTarget: true, ours: targetSide}
	if most < 0 {
		b.wrong = fmt.Errorf("makes at most %d bytes (use 1 or more, or 0 for %d)", most, int64(defaultMostUnpacked))
	}
	fill(&most, defaultMostUnpacked)
	b.run = func(ctx context.Context, f *TaskFile) error {
		to, ok := unpackedName(f.TargetPath)
		if !ok {
			return &Error{Op: "gunzip", Path: f.TargetPath, Code: UnsupportedOperationError, Err: errors.New("its name does not end in .gz or .tgz")}
		}
		return f.remake(ctx, to, func(w io.Writer, r io.Reader) error { return gunzipTo(&atMost{w, most}, r) })
	}
	return b
}

func unpackedName(name string) (string, bool) {
	dir, base := path.Split(name)
	for suffix, with := range map[string]string{".gz": "", ".tgz": ".tar"} {
		if stem, ok := strings.CutSuffix(base, suffix); ok && stem != "" && isFileName(stem+with) {
			return dir + stem + with, true
		}
	}
	return "", false
}

func copyInto(s side, dir string) Task {
	return &builtin{
		name: shorten(fmt.Sprintf("copy %v to %s", s, dir), maxNameLength), atTarget: s == targetSide, atSource: s == sourceSide, ours: s, wrong: checkDirectoryPattern(dir),
		run: func(ctx context.Context, f *TaskFile) error {
			from := *s.path(f)
			to := path.Join(f.expand(dir, ""), path.Base(from))
			if to == from {
				return nil
			}
			_, _, err := f.convert(ctx, from, to, copyTo)
			return err
		},
	}
}

// remake makes another file of the target, which becomes the target.
func (f *TaskFile) remake(ctx context.Context, to string, through conversion) error {
	size, sum, err := f.convert(ctx, f.TargetPath, to, through)
	if err != nil {
		return err
	}
	f.TargetPath, f.Size, f.SHA256 = to, size, sum
	return nil
}

// conversion writes to w what becomes of r, always the same.
type conversion func(w io.Writer, r io.Reader) error

func copyTo(w io.Writer, r io.Reader) error {
	_, err := io.Copy(w, r)
	return err
}

func gzipTo(w io.Writer, r io.Reader) error {
	z := gzip.NewWriter(w)
	if _, err := io.Copy(z, r); err != nil {
		return err
	}
	return z.Close()
}

func gunzipTo(w io.Writer, r io.Reader) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, z)
	return err
}

// convert makes one file of our storage out of another, in bounded memory: the first pass finds out how long it is, and
// the second one writes it.
func (f *TaskFile) convert(ctx context.Context, from, to string, through conversion) (size int64, sum []byte, err error) {
	count := &counter{hash: sha256.New()}
	version, err := f.pass(ctx, from, count, through)
	if err != nil {
		return 0, nil, err
	}
	sum = count.hash.Sum(nil)
	return count.n, sum, f.deliverTo(ctx, to, count.n, [sha256.Size]byte(sum), func(w io.Writer) error {
		same, err := f.pass(ctx, from, w, through)
		if err == nil && same != version {
			err = &Error{Op: "read", Path: from, Code: SourceChanged}
		}
		return err
	})
}

// readAhead is how much of a file is read at once, in bytes.
const readAhead = 256 << 10

// pass sends a file through a conversion once, and returns which version it was.
func (f *TaskFile) pass(ctx context.Context, from string, w io.Writer, through conversion) (version string, err error) {
	src, err := f.ourPlace().Open(ctx, from)
	if err != nil {
		return "", err
	}
	defer func() { _ = src.Close() }()
	r, out := &sourceReader{ctx: ctx, src: src, stop: f.job.stop}, &notingWriter{w: w}
	err = through(out, bufio.NewReaderSize(r, int(min(readAhead, max(src.Info().Size, 16)))))
	if err != nil && r.err == nil && out.err == nil && !errors.As(err, new(forGood)) {
		err = forGood{&Error{Op: "convert", Path: from, Code: IntegrityError, Err: err}}
	}
	return src.Info().Identity(), err
}

// ourPlace is the side that is our storage.
func (f *TaskFile) ourPlace() Place {
	if sourceSide.isOurs(f.Direction) {
		return f.Source()
	}
	return f.Target()
}

// deliverTo publishes what write writes, as a file of size bytes, or nothing.
func (f *TaskFile) deliverTo(ctx context.Context, to string, size int64, sum [sha256.Size]byte, write func(io.Writer) error) (err error) {
	e, j := f.engine, f.job
	window := windowFor(size, e.cfg.WindowSize)
	buf, err := j.partner.share.get(ctx, min(size, window))
	if err != nil {
		return err
	}
	defer func() { j.partner.share.put(buf) }()
	dst, err := f.create(ctx, to, CreateOptions{Size: size, WindowSize: window, Key: f.deliveryKey(to)})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.abort(ctx, to, dst)
		}
		_ = dst.Close()
	}()
	w := &windowWriter{ctx: ctx, dst: dst, buf: buf, size: size}
	if err := write(w); err != nil {
		return err
	}
	if w.off != size {
		return &Error{Op: "write", Path: to, Code: SizeMismatch, Err: fmt.Errorf("%d bytes came, and %d were to", w.off, size)}
	}
	if err := e.confirm(ctx, j); err != nil {
		return err
	}
	return dst.Commit(ctx, sum)
}

// create begins a file of our storage, in a directory that may have to be made.
func (f *TaskFile) create(ctx context.Context, to string, o CreateOptions) (Sink, error) {
	p := f.ourPlace()
	dst, err := p.Create(ctx, to, o)
	if !isGone(err) {
		return dst, err
	}
	if err := p.MakeDirectory(ctx, path.Dir(to)); err != nil {
		return nil, err
	}
	return p.Create(ctx, to, o)
}

// abort removes what was written of a file, unless another node may be writing it by now.
func (f *TaskFile) abort(ctx context.Context, to string, dst Sink) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	err := f.engine.confirm(ctx, f.job)
	if err == nil {
		err = dst.Abort(ctx)
	}
	if err != nil {
		f.engine.cfg.Logger.Warn("could not clean up after a task", "file", f.FileID, "transfer", f.TransferID, "target", to, "error", err)
	}
}

// deliveryKey names what this task makes, so that a repeated run meets what an earlier one left.
func (f *TaskFile) deliveryKey(to string) string {
	key := sha256.Sum256(fmt.Appendf(nil, "%s/%d/task/%s", f.TransferID, f.FileID, to))
	return hex.EncodeToString(key[:16])
}

// sourceReader reads a Source from its beginning to its end.
type sourceReader struct {
	ctx  context.Context
	src  Source
	stop <-chan struct{}
	off  int64
	err  error // that it failed with
}

func (r *sourceReader) Read(p []byte) (int, error) {
	left := r.src.Info().Size - r.off
	if left <= 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), left)]
	if isClosed(r.stop) {
		r.err = errStopped
	} else {
		r.err = r.src.ReadWindow(r.ctx, p, r.off)
	}
	if r.err != nil {
		return 0, r.err
	}
	r.off += int64(len(p))
	return len(p), nil
}

// notingWriter keeps the error of a writer, which tells it from those of a conversion.
type notingWriter struct {
	w   io.Writer
	err error
}

func (n *notingWriter) Write(p []byte) (int, error) {
	done, err := n.w.Write(p)
	n.err = err
	return done, err
}

// counter counts and hashes what is written to it.
type counter struct {
	n    int64
	hash hash.Hash
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.hash.Write(p)
}

// atMost lets so many bytes through.
type atMost struct {
	w    io.Writer
	left int64
}

func (a *atMost) Write(p []byte) (int, error) {
	if int64(len(p)) > a.left {
		return 0, forGood{&Error{Op: "gunzip", Code: FileSizeTooLarge, Err: errors.New("it becomes more than the task allows")}}
	}
	a.left -= int64(len(p))
	return a.w.Write(p)
}

// windowWriter fills windows and writes them to a Sink.
type windowWriter struct {
	ctx  context.Context
	dst  Sink
	buf  []byte // as long as a window, or as the file if that is shorter
	n    int    // bytes in buf
	off  int64  // of the window
	size int64
}

func (w *windowWriter) Write(p []byte) (done int, err error) {
	for len(p) > 0 {
		window := w.buf[:min(int64(len(w.buf)), w.size-w.off)]
		if len(window) == 0 {
			return done, &Error{Op: "write", Code: SizeMismatch, Err: fmt.Errorf("more than %d bytes came", w.size)}
		}
		k := copy(window[w.n:], p)
		p, done, w.n = p[k:], done+k, w.n+k
		if w.n < len(window) {
			continue
		}
		if err := w.dst.WriteWindow(w.ctx, window, w.off); err != nil {
			return done, err
		}
		w.off, w.n = w.off+int64(w.n), 0
	}
	return done, nil
}
