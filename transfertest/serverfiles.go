package transfertest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"time"
)

// absolute returns the path that a name of the server's files means: relative ones begin at the home directory.
func (s *SFTPServer) absolute(name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(s.home, name)
}

// WriteFile puts a file on the server, with its directories, in place of one that is there. Faults do not touch it.
func (s *SFTPServer) WriteFile(name string, data []byte) error {
	name = s.absolute(name)
	if err := s.MkdirAll(path.Dir(name)); err != nil {
		return err
	}
	f, err := s.files.open(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("transfertest: write %s: %w", name, err)
	}
	s.mu.Lock()
	delete(s.extracted, name) // a mailbox offers it anew
	s.mu.Unlock()
	_, err = f.WriteAt(data, 0)
	return errors.Join(err, f.Close())
}

// ReadFile returns the content of a file on the server.
func (s *SFTPServer) ReadFile(name string) ([]byte, error) {
	f, err := s.files.open(s.absolute(name), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(int(info.Size()) + bytes.MinRead)
	_, err = b.ReadFrom(io.NewSectionReader(f, 0, 1<<62))
	return b.Bytes(), err
}

// Files returns the absolute paths of all files on the server, in order.
func (s *SFTPServer) Files() []string {
	var all []string
	s.walk("/", &all)
	return all
}

func (s *SFTPServer) walk(dir string, all *[]string) {
	infos, err := s.files.list(dir)
	if err != nil {
		return
	}
	for _, info := range infos {
		name := path.Join(dir, info.Name())
		if info.IsDir() {
			s.walk(name, all)
			continue
		}
		*all = append(*all, name)
	}
}

// Stat describes a file or directory on the server.
func (s *SFTPServer) Stat(name string) (fs.FileInfo, error) { return s.files.stat(s.absolute(name)) }

// MkdirAll makes a directory on the server, with its parents.
func (s *SFTPServer) MkdirAll(name string) error {
	name = s.absolute(name)
	if info, err := s.files.stat(name); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("transfertest: %s is not a directory", name)
		}
		return nil
	}
	if err := s.MkdirAll(path.Dir(name)); err != nil {
		return err
	}
	if err := s.files.mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Remove removes a file or an empty directory from the server.
func (s *SFTPServer) Remove(name string) error { return s.files.remove(s.absolute(name)) }

// SetModTime sets when a file on the server was last changed. Clients see whole seconds.
func (s *SFTPServer) SetModTime(name string, t time.Time) error {
	return s.files.setAttrs(s.absolute(name), attributes{flags: attrTimes, atime: t, mtime: t})
}

// Taken returns the files that SFTPFaults.Take has taken away, by path.
func (s *SFTPServer) Taken() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.taken)
}
