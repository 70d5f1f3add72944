package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"syscall"
	"time"
)

// dirSink is a file on its way into a Directory.
//
// Its temporary file may be that of another sink too, in a process that has lost its lease and does not know it yet.
// Both write the same bytes, so what one has written does not harm the other; but only the file that a sink has open
// is ever published or removed by it, and a fresh attempt begins with a fresh file, never with an emptied one.
type dirSink struct {
	dir     *Directory
	path    string // as given
	name    string // below the root
	temp    string // below the root
	o       CreateOptions
	arrived *arrived
	made    int // how many of the directories above the file are there for it

	folder    *folder  // of name and temp; nil before and after
	file      *os.File // nil once it is closed
	opened    fs.FileInfo
	published bool
}

// attempts is how often begin tries again if somebody removes the directory, or creates the file, at the same moment.
const attempts = 5

// begin creates the temporary file, and the directories above it where they are missing.
func (s *dirSink) begin() (err error) {
	for range attempts {
		switch err = s.createTemp(); {
		case errors.Is(err, fs.ErrNotExist):
			var made int
			made, err = s.dir.mkdirAll(path.Dir(s.name))
			s.made = max(s.made, made)
		case errors.Is(err, fs.ErrExist):
			if err = s.dir.root.Remove(s.temp); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		default:
			return s.begun(err)
		}
		if err != nil {
			return s.begun(err)
		}
	}
	return s.begun(s.createTemp())
}

// createTemp fails with fs.ErrNotExist if a directory is missing, and with fs.ErrExist if there is a temporary file.
func (s *dirSink) createTemp() (err error) {
	if s.folder != nil {
		s.dir.leave(s.folder)
	}
	if s.folder, err = s.dir.enter(path.Dir(s.name)); err != nil {
		return err
	}
	s.file, err = s.folder.root.OpenFile(path.Base(s.temp), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	return err
}

// begun completes begin, which failed with err or has created the file.
func (s *dirSink) begun(err error) error {
	if err == nil {
		s.opened, err = s.file.Stat()
	}
	if err != nil {
		_ = s.Close()
		_ = s.clean()
	}
	if errors.Is(err, fs.ErrExist) {
		return &Error{Code: WriteFileError, Err: cause(err)} // FileExists would speak of the target
	}
	return err
}

// dirCheckpoint is what resume needs besides the temporary file.
type dirCheckpoint struct {
	Size    int64  `json:"size"`
	Window  int64  `json:"window"`
	Windows int64  `json:"windows"` // that arrived, without a gap
	Chain   uint32 `json:"chain"`   // the checksum of their checksums
	Made    int    `json:"made,omitempty"`
}

// resume goes on with the temporary file. The file is not cut: whatever is beyond the windows of the checkpoint is
// written again, and another sink may be about to publish it.
func (s *dirSink) resume(ctx context.Context) error {
	err := s.reopen(ctx)
	if err == nil {
		return nil
	}
	_ = s.Close()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &Error{Code: CheckpointLost, Err: cause(err)}
}

func (s *dirSink) reopen(ctx context.Context) error {
	var c dirCheckpoint
	if err := json.Unmarshal(s.o.Checkpoint, &c); err != nil {
		return err
	}
	if c.Size < 0 || c.Size != s.o.Size || c.Window != s.o.WindowSize || c.Windows < 1 || c.Windows > (c.Size+c.Window-1)/c.Window {
		return errors.New("it is not of this delivery")
	}
	var err error
	if s.folder, err = s.dir.enter(path.Dir(s.name)); err != nil {
		return err
	}
	info, err := s.lstat(s.temp)
	if err == nil {
		err = regular(info)
	}
	if err != nil {
		return err
	}
	if s.file, err = s.folder.root.OpenFile(path.Base(s.temp), os.O_RDWR|syscall.O_NONBLOCK, 0); err != nil {
		return err
	}
	if s.opened, err = s.file.Stat(); err != nil {
		return err
	}
	if !os.SameFile(info, s.opened) || s.opened.Size() > c.Size {
		return errors.New("another file has taken the temporary one's place")
	}
	s.made = c.Made
	return s.verify(ctx, c)
}

// verify reads the windows that the checkpoint speaks of and fails if they are not what was written.
func (s *dirSink) verify(ctx context.Context, c dirCheckpoint) error {
	buf := make([]byte, 256<<10)
	for index := range c.Windows {
		if err := ctx.Err(); err != nil {
			return err
		}
		off := index * c.Window
		window := io.NewSectionReader(s.file, off, min(c.Window, c.Size-off))
		sum := crc32.New(castagnoli)
		if n, err := io.CopyBuffer(sum, window, buf); err != nil || n < window.Size() {
			return fmt.Errorf("window at %d has %d bytes: %w", off, n, errors.Join(err, io.ErrUnexpectedEOF))
		}
		s.arrived.add(index, sum.Sum32())
	}
	if _, chain := s.arrived.below(); chain != c.Chain {
		return errors.New("the temporary file does not hold what was written")
	}
	return nil
}

func (s *dirSink) Concurrency() int { return dirConcurrency }

func (s *dirSink) WriteWindow(ctx context.Context, p []byte, off int64) error {
	index, err := s.arrived.index(p, off)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return s.dir.failure("write", s.path, err)
	}
	sum := uint32(0)
	for piece := range slices.Chunk(p, cachedPiece) {
		if _, err := s.file.WriteAt(piece, off); err != nil {
			return s.dir.failure("write", s.path, err)
		}
		sum = crc32.Update(sum, castagnoli, piece)
		off += int64(len(piece))
	}
	s.arrived.add(index, sum)
	return nil
}

// cachedPiece is what is written at once. The processor has just seen it when its checksum is computed, which takes a
// fraction of the time then.
const cachedPiece = 128 << 10

func (s *dirSink) Checkpoint() []byte {
	windows, chain := s.arrived.below()
	if windows == 0 {
		return nil
	}
	c := dirCheckpoint{Size: s.o.Size, Window: s.o.WindowSize, Windows: windows, Chain: chain, Made: s.made}
	b, err := json.Marshal(c)
	if err != nil {
		return nil
	}
	return b
}

// Commit closes the file before it renames it, because some file systems report a failed write only then.
func (s *dirSink) Commit(ctx context.Context, _ [sha256.Size]byte) error {
	err := ctx.Err()
	if err == nil {
		err = s.arrived.complete()
	}
	if err != nil {
		return s.dir.failure("write", s.path, err)
	}
	if err := s.sync(); err != nil {
		return s.dir.failure("sync", s.path, err)
	}
	if err := s.publish(); err != nil {
		return s.dir.failure("rename", s.path, err)
	}
	s.published = true
	if err := s.syncParents(); err != nil {
		return s.dir.failure("sync", s.path, err)
	}
	return nil
}

func (s *dirSink) sync() error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	if size := s.arrived.total(); info.Size() != size {
		return &Error{Code: SizeMismatch, Err: fmt.Errorf("the file has %d bytes, not %d", info.Size(), size)}
	}
	s.preserveTime()
	if err := s.file.Sync(); err != nil {
		return err
	}
	return s.closeFile()
}

// preserveTime gives the file its source's time, if that is wanted and possible.
func (s *dirSink) preserveTime() {
	if s.dir.PreserveTimes && !s.o.ModTime.IsZero() && s.isMine(s.temp) {
		root, temp := s.place(s.temp)
		_ = root.Chtimes(temp, time.Time{}, s.o.ModTime) // a zero time stays as it is
	}
}

// publish gives the file its name. If another sink has published this very file, that is as good.
func (s *dirSink) publish() error {
	if err := s.dir.isThere(s.folder); err != nil {
		return &Error{Code: SizeMismatch, Err: cause(err)} // where the temporary file was
	}
	info, err := s.lstat(s.name)
	if err == nil && os.SameFile(info, s.opened) {
		_ = s.removeTemp() // the file is there, which is what counts
		return nil
	}
	if err := vacant(info, err, s.o.Overwrite); err != nil {
		return err
	}
	if !s.isMine(s.temp) {
		return &Error{Code: SizeMismatch, Err: errors.New("the temporary file was removed or replaced")}
	}
	root, temp, name := s.folder.root, path.Base(s.temp), path.Base(s.name)
	if s.o.Overwrite.Replaces() {
		return root.Rename(temp, name)
	}
	// Unlike a rename, a link never replaces a file.
	if err := root.Link(temp, name); err != nil && !s.isMine(s.name) {
		return err
	}
	_ = s.removeTemp()
	return nil
}

// syncParents makes the file's name last, and those of the directories that were made for it.
func (s *dirSink) syncParents() error {
	err := s.folder.sync()
	dir := s.folder.path
	for i := 0; i < s.made && dir != "." && err == nil; i++ {
		dir = path.Dir(dir)
		err = syncDirectory(s.dir.root, dir)
	}
	return err
}

func (s *dirSink) Abort(context.Context) error {
	if s.published {
		return nil
	}
	_ = s.closeFile() // what was written is not wanted
	if err := s.clean(); err != nil {
		return s.dir.failure("remove temporary file of", s.path, err)
	}
	return nil
}

func (s *dirSink) Close() error {
	err := s.closeFile()
	if s.folder != nil {
		s.dir.leave(s.folder)
		s.folder = nil
	}
	return err
}

func (s *dirSink) closeFile() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}

// discard removes what an earlier sink of this name left.
func (s *dirSink) discard() error {
	var c dirCheckpoint
	if json.Unmarshal(s.o.Checkpoint, &c) == nil {
		s.made = c.Made
	}
	info, err := s.dir.root.Lstat(s.temp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	s.opened = info
	return s.clean()
}

// clean removes the temporary file, and those directories that were made for it and are empty.
func (s *dirSink) clean() error {
	if err := s.removeTemp(); err != nil {
		return err
	}
	_ = s.Close() // not every system removes a directory that is open
	dir := path.Dir(s.name)
	for i := 0; i < s.made && dir != "." && s.dir.root.Remove(dir) == nil; i++ {
		dir = path.Dir(dir)
	}
	return nil
}

func (s *dirSink) removeTemp() error {
	if !s.isMine(s.temp) {
		return nil
	}
	root, name := s.place(s.temp)
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// place returns where to look for a file of the folder: in it, if it is open.
func (s *dirSink) place(name string) (*os.Root, string) {
	if s.folder != nil {
		return s.folder.root, path.Base(name)
	}
	return s.dir.root, name
}

func (s *dirSink) lstat(name string) (fs.FileInfo, error) {
	root, name := s.place(name)
	return root.Lstat(name)
}

// isMine reports whether name is the file that this sink has written.
func (s *dirSink) isMine(name string) bool {
	info, err := s.lstat(name)
	return err == nil && s.opened != nil && os.SameFile(info, s.opened)
}
