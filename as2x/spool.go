package as2x

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// spoolMemory is how much of a content is kept in memory before a temporary file is opened.
const spoolMemory = 256 << 10

// errSpool marks failures of temporary files, which are nobody's fault but ours.
var errSpool = errors.New("as2x: temporary file")

// spool keeps a content that is written once and read several times: in memory while it is small, then in a temporary file
// that has no name, so that nothing of it is left when the process ends, however it does.
type spool struct {
	dir  string // of temporary files; empty for the system's
	data []byte // all of it, while there is no file
	file *os.File
	name string // of a file that could not be removed while it is open (Windows)
	size int64
}

// spoolOf is a spool of bytes that stay the caller's.
func spoolOf(data []byte) *spool { return &spool{data: data, size: int64(len(data))} }

func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && len(s.data)+len(p) <= spoolMemory {
		s.data = append(s.data, p...)
		s.size += int64(len(p))
		return len(p), nil
	}
	if s.file == nil {
		if err := s.open(); err != nil {
			return 0, err
		}
	}
	n, err := s.file.Write(p)
	s.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("%w: write: %w", errSpool, err)
	}
	return n, nil
}

// open moves what is in memory to a file.
func (s *spool) open() (err error) {
	if s.file, err = os.CreateTemp(s.dir, ".as2-*.spool"); err != nil {
		return fmt.Errorf("%w: make: %w", errSpool, err)
	}
	if os.Remove(s.file.Name()) != nil {
		s.name = s.file.Name()
	}
	if _, err := s.file.Write(s.data); err != nil {
		return fmt.Errorf("%w: write: %w", errSpool, err)
	}
	s.data = nil
	return nil
}

// ReadAt reads from the content, which is no longer written then.
func (s *spool) ReadAt(p []byte, off int64) (int, error) {
	if s.file != nil {
		return s.file.ReadAt(p, off)
	}
	if off >= int64(len(s.data)) {
		return 0, io.EOF
	}
	n := copy(p, s.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// reader returns the content from off on.
func (s *spool) reader(off int64) io.Reader { return io.NewSectionReader(s, off, s.size-off) }

// Close frees the memory or the file.
func (s *spool) Close() error {
	s.data = nil
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if s.name != "" {
		err = errors.Join(err, os.Remove(s.name))
	}
	s.file = nil
	return err
}
