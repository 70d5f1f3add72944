package sftpx

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// abortTimeout limits the removal of a temporary file.
const abortTimeout = 15 * time.Second

// sink receives one file under a temporary name.
type sink struct {
	r      *remote
	s      *session
	target string
	temp   string // equal to target with RenameDirect
	o      transfer.CreateOptions
	file   *file

	acked  acked
	short  atomic.Int64 // where the file ends, if its size was not known before its last window; otherwise 0
	size   int64        // that the server said when it closed the file; -1 if it did not
	held   []byte       // the whole content of a small file, to be written by Commit
	closed atomic.Bool  // the CLOSE was sent
	done   atomic.Bool  // the file was published, or removed
}

var _ transfer.Sink = (*sink)(nil)

// Create begins a delivery under a temporary name, or goes on with one. The temporary name comes from CreateOptions.Key.
func (r *remote) Create(ctx context.Context, target string, o transfer.CreateOptions) (transfer.Sink, error) {
	if err := checkPath("create", target); err != nil {
		return nil, err
	}
	if name := target[strings.LastIndex(target, "/")+1:]; name == "" || name == "." || name == ".." {
		return nil, &transfer.Error{Op: "create", Path: target, Code: transfer.IsDirectory}
	}
	if !isKey(o.Key) {
		return nil, fmt.Errorf("create %s: %q is no key (16 to 64 hexadecimal digits)", target, shorten(o.Key, 80))
	}
	k := &sink{r: r, s: r.s, target: target, temp: r.c.tempName(target, o.Key), o: o, size: -1}
	if err := k.admit(ctx); err != nil {
		return nil, err
	}
	start := k.begin
	if o.Checkpoint != nil {
		start = k.resume
	}
	if err := start(ctx); err != nil {
		return nil, err
	}
	if k.file.size = o.Size; k.s.manyLanes() {
		k.file.same = func(*lane, string) error { return nil } // nobody else has a file of this name
	}
	return k, nil
}

// Discard removes the temporary file of an unfinished delivery. With RenameDirect it does nothing: another file may have
// taken its name.
func (r *remote) Discard(ctx context.Context, target string, o transfer.CreateOptions) error {
	if err := checkPath("discard", target); err != nil {
		return err
	}
	if !isKey(o.Key) {
		return fmt.Errorf("discard %s: %q is no key (16 to 64 hexadecimal digits)", target, shorten(o.Key, 80))
	}
	if r.c.cfg.RenameMode == RenameDirect {
		return nil
	}
	k := &sink{r: r, s: r.s, target: target, temp: r.c.tempName(target, o.Key), o: o}
	return k.Abort(ctx)
}

// isKey reports whether key is one as CreateOptions.Key promises: a part of a file name that is harmless anywhere.
func isKey(key string) bool {
	return len(key) >= 16 && len(key) <= 64 && strings.Trim(key, "0123456789abcdef") == ""
}

// admit refuses, before anything is moved, what could not be published.
func (k *sink) admit(ctx context.Context) error {
	mode := k.r.c.cfg.RenameMode
	if mode == RenamePosix && !k.s.posixRename() {
		return &transfer.Error{Op: "create", Path: k.target, Code: transfer.UnsupportedOperationError,
			Err: errors.New("the server has no posix-rename@openssh.com (set Config.RenameMode to sftpx.RenameAuto)")}
	}
	goesOn := k.o.Checkpoint != nil
	switch {
	case k.replaces():
		return nil
	case goesOn && mode == RenameDirect: // what is there is what this delivery has written
		return nil
	case goesOn && k.o.Overwrite.Replaces(): // it was looked at before; Commit looks again
		return nil
	}
	return k.refuseExisting(ctx, "create")
}

// replaces reports whether the delivery may take the place of a file that is there.
func (k *sink) replaces() bool {
	return k.o.Overwrite.Replaces() && k.r.c.cfg.RenameMode != RenamePlain
}

// tempName is where a delivery is written.
func (c *Connector) tempName(target, key string) string {
	if c.cfg.RenameMode == RenameDirect {
		return target
	}
	name := strings.NewReplacer("%k", key, "%n", path.Base(target)).Replace(c.cfg.TempName)
	if path.IsAbs(name) {
		return name
	}
	return path.Join(path.Dir(target), name)
}

func tempNameProblem(pattern string) string {
	switch rest := strings.NewReplacer("%k", "", "%n", "").Replace(pattern); {
	case !strings.Contains(pattern, "%k"):
		return `without %k, the delivery's key (try ".transfer-%k.part")`
	case strings.Contains(rest, "%"):
		return "knows only %k and %n"
	case strings.ContainsRune(rest, 0), strings.HasSuffix(pattern, "/"):
		return "is no file name"
	}
	return ""
}

// refuseExisting fails with FileExists if there is something at the target. A server that does not say is believed.
func (k *sink) refuseExisting(ctx context.Context, op string) error {
	err := k.s.request(ctx, op, k.target, func() error {
		_, err := k.s.client.Lstat(k.target)
		return err
	})
	switch transfer.CodeOf(err) {
	case "":
		return &transfer.Error{Op: op, Path: k.target, Code: transfer.FileExists}
	case transfer.FileNotFound, transfer.PermissionDenied:
		return nil
	}
	return err
}

// begin opens the temporary file, empty. Some servers refuse to open for reading and writing, which is what
// sftp.Client.Create asks for.
func (k *sink) begin(ctx context.Context) error {
	open := func() (err error) {
		k.file, err = k.s.openFile(k.temp, fxfWrite|fxfCreat|fxfTrunc)
		return err
	}
	err := k.s.request(ctx, "create", k.temp, open)
	if err == nil && k.r.refused == k.temp {
		k.r.c.rememberNoResume("it opens a file anew, but not to go on with it")
	}
	if transfer.CodeOf(err) != transfer.FileNotFound {
		return err
	}
	directory := path.Dir(k.temp)
	if !k.r.c.cfg.MakeDirs {
		return &transfer.Error{Op: "create", Path: k.target, Code: transfer.DirectoryNotFound,
			Err: fmt.Errorf("no directory %s (create it, or set sftpx.Config.MakeDirs): %w", directory, cause(err))}
	}
	made := k.s.request(ctx, "make directory", directory, func() error { return k.s.client.MkdirAll(directory) })
	if made != nil {
		return made
	}
	return k.s.request(ctx, "create", k.temp, open)
}

// most is where the file ends, or math.MaxInt64 while that is not known.
func (k *sink) most() int64 {
	if k.o.Size != transfer.UnknownSize {
		return k.o.Size
	}
	if short := k.short.Load(); short > 0 {
		return short
	}
	return math.MaxInt64
}

// whole is how large the file is, once all of it has come.
func (k *sink) whole() int64 {
	if k.o.Size != transfer.UnknownSize {
		return k.o.Size
	}
	return k.acked.top()
}

// streamAhead is how much more is expected of a file, in bytes, whose size is not known, as long as its windows are full.
const streamAhead = 16 << 20

// expect tells a file whose size was not known how much it is going to be.
func (k *sink) expect(off, end int64) {
	switch {
	case k.o.Size != transfer.UnknownSize:
	case end-off < k.o.WindowSize:
		k.short.Store(end)
		k.file.expect(end)
	default:
		k.file.expect(end + streamAhead)
	}
}

// Concurrency is 1 unless the server is known to take windows in any order: many do not.
func (k *sink) Concurrency() int { return k.s.concurrency() }

// WriteWindow writes p, with many requests under way, and waits for the answer to each.
func (k *sink) WriteWindow(ctx context.Context, p []byte, off int64) error {
	end := off + int64(len(p))
	switch acked, most := k.acked.below(), k.most(); {
	case off < 0 || end > most:
		return &transfer.Error{Op: "write", Path: k.target, Code: transfer.SizeMismatch,
			Err: fmt.Errorf("bytes %d to %d of a file of %d", off, end, most)}
	case off > acked && k.Concurrency() == 1:
		return fmt.Errorf("write %s: window at %d comes before the one at %d", k.target, off, acked)
	}
	s := k.s
	k.expect(off, end)
	if k.settles() && end <= smallFile && end == k.most() && off == 0 {
		k.held = p
		k.acked.add(off, end)
		return nil
	}
	err := s.do(ctx, s.move("write", k.file, len(p)), func() error { return k.file.move(ctx, p, off) })
	s.judgeLarge(ctx, err, len(p))
	if err != nil {
		return k.explainFull(ctx, err, len(p))
	}
	k.acked.add(off, end)
	return nil
}

// Commit closes the temporary file, compares its size, sets its attributes and gives it its name.
func (k *sink) Commit(ctx context.Context, _ [sha256.Size]byte) error {
	if acked, whole := k.acked.below(), k.whole(); acked != whole {
		return &transfer.Error{Op: "commit", Path: k.target, Code: transfer.SizeMismatch,
			Err: fmt.Errorf("%d of %d bytes have arrived", acked, whole)}
	}
	if err := k.finish(ctx); err != nil {
		return k.explainFull(ctx, err, max(1, len(k.held)))
	}
	if err := k.verify(ctx); err != nil {
		return err
	}
	k.setAttributes(ctx)
	if err := k.publish(ctx); err != nil {
		return err
	}
	k.done.Store(true)
	return nil
}

// smallFile is up to how many bytes a file is written and closed at once.
const smallFile = oneWrite - 4<<10

// settles reports whether the server is known to do what it is asked for in order, so that writing, comparing and closing
// need not wait for each other.
func (k *sink) settles() bool { return k.s.manyLanes() && !k.s.c.cfg.Fsync }

// finish brings everything to the server's disk, if asked to, and closes the file: some servers report only then that
// they could not store it.
func (k *sink) finish(ctx context.Context) error {
	s := k.s
	if k.settles() {
		return s.do(ctx, s.move("close", k.file, max(1, len(k.held))), func() (err error) {
			k.closed.Store(true)
			k.size, err = k.file.settle(k.held, s.c.cfg.Verify != VerifyNone)
			return err
		})
	}
	if s.c.cfg.Fsync && s.hasExtension("fsync@openssh.com", "1") {
		if err := s.request(ctx, "sync", k.temp, k.file.sync); err != nil {
			return err
		}
	}
	return s.request(ctx, "close", k.temp, func() error {
		k.closed.Store(true)
		return k.file.close()
	})
}

// explainFull turns a failure that says nothing into NoSpace if the server has no room for the next n bytes: OpenSSH
// reports a full disk as "Failure".
func (k *sink) explainFull(ctx context.Context, err error, n int) error {
	s := k.s
	if !isStatus(err, fxFailure) || s.broken() != nil || !s.hasExtension("statvfs@openssh.com", "2") {
		return err
	}
	var free uint64
	asked := s.request(ctx, "ask for space", path.Dir(k.temp), func() error {
		fs, err := s.client.StatVFS(path.Dir(k.temp))
		if err == nil {
			free = fs.Frsize * fs.Bavail
		}
		return err
	})
	if asked != nil || free >= uint64(n) {
		return err
	}
	return &transfer.Error{Op: "write", Path: k.target, Code: transfer.NoSpace,
		Err: fmt.Errorf("%d bytes are free: %w", free, cause(err))}
}

// Abort removes the temporary file, over a new connection if the one of the delivery is broken.
func (k *sink) Abort(ctx context.Context) error {
	if k.done.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, abortTimeout)
	defer cancel()
	_ = k.closeFile(ctx) // it is to be removed, closed or not
	if err := k.r.c.remove(ctx, k.s, k.temp); err != nil {
		return fmt.Errorf("remove %s: %w", k.temp, err)
	}
	k.done.Store(true)
	return nil
}

// remove removes a file, over s or, if that is broken, over another session. One that is not there is removed.
func (c *Connector) remove(ctx context.Context, s *session, path string) error {
	err := s.remove(ctx, path)
	if s.broken() == nil || ctx.Err() != nil {
		return err
	}
	fresh, err := c.pool.get(ctx)
	if err != nil {
		return err
	}
	defer c.pool.put(fresh)
	return fresh.remove(ctx, path)
}

func (s *session) remove(ctx context.Context, path string) error {
	err := s.request(ctx, "remove", path, func() error { return s.client.Remove(path) })
	if transfer.CodeOf(err) == transfer.FileNotFound {
		return nil
	}
	return err
}

// Close closes the file on the server, if Commit or Abort did not, as that of a source. What was written stays.
func (k *sink) Close() error { return k.closeFile(context.Background()) }

func (k *sink) closeFile(ctx context.Context) error {
	if k.file == nil || k.closed.Swap(true) {
		return nil
	}
	return k.s.closeFile(ctx, k.file)
}
