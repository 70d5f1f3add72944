package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// dirConcurrency is how many windows of one file a Directory takes and gives at once. The system reads ahead and writes
// behind by itself: more took no less time, and more memory.
const dirConcurrency = 1

// Directory is a Storage in a directory of this machine, made by [Dir]. Nothing outside of it is read, written or
// removed: neither ".." nor a symbolic link leads out (PathEscapes). A path with a slash in front is below it too:
// "/outbox/a.csv" is "outbox/a.csv".
type Directory struct {
	// PreserveTimes gives delivered files the modification time of their source, where that is known. A file system that
	// refuses it does not fail the delivery. Set it before the Directory is used; Dir leaves it false: a file's time is then
	// that of its delivery, which is what programs expect that take files of some age.
	PreserveTimes bool

	root    *os.Root
	escapes error // what os.Root says of a path that leaves it; os does not export it

	mu      sync.Mutex // guards folders and their users
	folders map[string]*folder
}

// Dir returns the Storage in the directory at path, which must be there (DirectoryNotFound). The directory stays the
// same one if it is renamed later.
func Dir(path string) (*Directory, error) {
	info, err := os.Stat(path) // os.OpenRoot waits for the other end of a named pipe
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	var root *os.Root
	if err == nil {
		root, err = os.OpenRoot(path)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, &Error{Op: "open", Path: path, Code: DirectoryNotFound, Err: cause(err)}
	}
	if err != nil {
		return nil, failure("open", path, cause(err))
	}
	_, err = root.Lstat("..")
	return &Directory{root: root, escapes: cause(err)}, nil
}

// Close frees the directory's handle. Deliveries that are under way fail.
func (d *Directory) Close() error { return d.root.Close() }

// String names the directory in messages.
func (d *Directory) String() string { return "directory " + d.root.Name() }

// Open pins the file by size and modification time. Only regular files are opened: a directory is IsDirectory, a
// named pipe or device UnsupportedOperationError. A change in place that leaves the size and happens within one tick
// of the file system's clock is not noticed.
func (d *Directory) Open(ctx context.Context, path string) (Source, error) {
	name, err := localPath(path)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, d.failure("open", path, err)
	}
	// Not to disturb whoever waits at the other end of a named pipe, the file is looked at first; not to wait for
	// them if one takes the file's place in between, it is opened without blocking and looked at again.
	if info, err := d.root.Stat(name); err != nil {
		return nil, d.failure("open", path, err)
	} else if err := regular(info); err != nil {
		return nil, d.failure("open", path, err)
	}
	file, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, d.failure("open", path, err)
	}
	info, err := file.Stat()
	if err == nil {
		err = regular(info)
	}
	if err != nil {
		_ = file.Close()
		return nil, d.failure("open", path, err)
	}
	return &dirSource{dir: d, path: path, file: file, info: FileInfo{Size: info.Size(), ModTime: info.ModTime()}}, nil
}

// Create begins a delivery to ".transfer-<key>.part" beside the target, which stays if nobody goes on with it. Missing
// parents are created, mode 0755; files get 0644, both less the umask. A symbolic link at the target is replaced, not
// followed. Where files must not be replaced, Commit needs a file system with hard links. A Checkpoint costs reading
// what is there: it is compared with what was written, for a crash of the machine may have lost some.
func (d *Directory) Create(ctx context.Context, name string, o CreateOptions) (Sink, error) {
	local, err := localPath(name)
	switch {
	case err != nil:
	case ctx.Err() != nil:
		err = ctx.Err()
	default:
		err = o.check()
	}
	if err == nil {
		err = d.vacant(local, o.Overwrite)
	}
	if err != nil {
		return nil, d.failure("create", name, err)
	}
	s := d.sink(name, local, o)
	if len(o.Checkpoint) > 0 {
		err = s.resume(ctx)
	} else {
		err = s.begin()
	}
	if err != nil {
		return nil, d.failure("create", name, err)
	}
	return s, nil
}

func (d *Directory) sink(given, local string, o CreateOptions) *dirSink {
	return &dirSink{
		dir: d, path: given, name: local, temp: path.Join(path.Dir(local), tempPrefix+o.Key+tempSuffix), o: o,
		arrived: newArrived(o),
	}
}

// Discard removes the temporary file of an unfinished delivery, and the directories that were made for it and are empty.
func (d *Directory) Discard(ctx context.Context, name string, o CreateOptions) error {
	local, err := localPath(name)
	switch {
	case err != nil:
	case ctx.Err() != nil:
		err = ctx.Err()
	default:
		err = o.check()
	}
	if err == nil {
		err = d.sink(name, local, o).discard()
	}
	if err != nil {
		return d.failure("discard", name, err)
	}
	return nil
}

// vacant fails if no file may be published at name.
func (d *Directory) vacant(name string, o Overwrite) error {
	info, err := d.root.Lstat(name)
	return vacant(info, err, o)
}

// vacant fails if no file may be published where this is what Lstat says.
func vacant(info fs.FileInfo, err error, o Overwrite) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return IsDirectory
	case !o.Replaces():
		return fs.ErrExist
	}
	return nil
}

// mkdirAll creates a directory and those above it, and returns how many it made.
func (d *Directory) mkdirAll(name string) (made int, err error) {
	if info, err := d.root.Stat(name); err == nil && info.IsDir() {
		return 0, nil
	}
	if parent := path.Dir(name); parent != "." {
		if made, err = d.mkdirAll(parent); err != nil {
			return made, err
		}
	}
	switch err := d.root.Mkdir(name, 0o755); {
	case err == nil:
		return made + 1, nil
	case errors.Is(err, fs.ErrExist):
		return made, nil // made by somebody else meanwhile, or not a directory, which opening a file in it tells
	default:
		return made, err
	}
}

// syncDirectory makes the entries of a directory last.
func syncDirectory(root *os.Root, name string) error {
	if runtime.GOOS == "windows" {
		return nil // which does not sync directories
	}
	dir, err := root.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	err = dir.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		return nil // this file system does not sync directories
	}
	return err
}

// failure is err with its cause, the operation and the path as the user knows it.
func (d *Directory) failure(op, path string, err error) error {
	var known *Error
	if errors.As(err, &known) {
		return failure(op, path, err)
	}
	err = cause(err)
	code := CodeOf(err)
	switch {
	case d.escapes != nil && errors.Is(err, d.escapes):
		code = PathEscapes
	case op != "open" && op != "remove" && op != "move" && (code == FileNotFound || errors.Is(err, syscall.ENOTDIR)):
		code = DirectoryNotFound
	case errors.Is(err, syscall.ENOTDIR):
		code = FileNotFound
	case errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENAMETOOLONG), strings.ContainsRune(path, 0):
		code = PathNotFound
	case errors.Is(err, syscall.EROFS):
		code = PermissionDenied
	default:
		return failure(op, path, err)
	}
	return &Error{Op: op, Path: path, Code: code, Err: err}
}

// cause is what the system said, without the operation and path that package os puts before it.
func cause(err error) error {
	var inPath *fs.PathError
	var inLink *os.LinkError
	switch {
	case errors.As(err, &inPath):
		return inPath.Err
	case errors.As(err, &inLink):
		return inLink.Err
	}
	return err
}

// regular fails for what is no regular file.
func regular(info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return IsDirectory
	case !info.Mode().IsRegular():
		return &Error{Code: UnsupportedOperationError, Err: fmt.Errorf("not a regular file (%s)", info.Mode().Type())}
	}
	return nil
}

type dirSource struct {
	dir  *Directory
	path string // as given
	file *os.File
	info FileInfo
}

func (s *dirSource) Info() FileInfo   { return s.info }
func (s *dirSource) Concurrency() int { return dirConcurrency }
func (s *dirSource) Close() error     { return s.file.Close() }

// ReadWindow compares the file with what was pinned after every window: the last one need not be the last to be read.
func (s *dirSource) ReadWindow(ctx context.Context, p []byte, off int64) error {
	err := ctx.Err()
	if err == nil {
		err = within(s.info.Size, p, off)
	}
	if err == nil {
		_, err = s.file.ReadAt(p, off)
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = s.unchanged(err)
	}
	if err != nil {
		return s.dir.failure("read", s.path, err)
	}
	return nil
}

// unchanged fails with SourceChanged if the file is no longer the pinned version, or with SizeMismatch if reading has
// come to the end before the pinned size all the same.
func (s *dirSource) unchanged(reading error) error {
	now, err := s.file.Stat()
	if err != nil {
		return err
	}
	if now.Size() != s.info.Size || !now.ModTime().Equal(s.info.ModTime) {
		return &Error{Code: SourceChanged, Err: fmt.Errorf("it had %d bytes of %s, now %d of %s",
			s.info.Size, s.info.ModTime.UTC().Format(timeLayout), now.Size(), now.ModTime().UTC().Format(timeLayout))}
	}
	if reading != nil {
		return &Error{Code: SizeMismatch, Err: fmt.Errorf("it ends before its size, %d", s.info.Size)}
	}
	return nil
}

const timeLayout = "2006-01-02T15:04:05.000000Z"
