package transfertest

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// memFS is a file system in memory.
type memFS struct {
	mu    sync.RWMutex // guards nodes
	nodes map[string]*memFile
}

// pageSize is the unit of a memory file.
const pageSize = 64 << 10

// maxSize bounds a memory file: a client may write at any offset it likes.
const maxSize = 64 << 30

// memFile is a file or a directory.
type memFile struct {
	dir bool

	mu    sync.RWMutex // guards all below
	pages [][]byte     // all but the last are nil (zeros) or may be short (zeros follow)
	size  int64
	mode  fs.FileMode
	mtime time.Time
}

func newMemFS() *memFS {
	root := &memFile{dir: true, mode: 0o755, mtime: time.Now()}
	return &memFS{nodes: map[string]*memFile{"/": root}}
}

func (m *memFS) close() error { return nil }

func fail(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

func (m *memFS) open(name string, flags int, mode fs.FileMode) (file, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.nodes[name]
	switch {
	case !ok && flags&os.O_CREATE == 0:
		return nil, fail("open", name, fs.ErrNotExist)
	case !ok:
		if err := m.parent("open", name); err != nil {
			return nil, err
		}
		f = &memFile{mode: mode, mtime: time.Now()}
		m.nodes[name] = f
	case flags&os.O_EXCL != 0:
		return nil, fail("open", name, fs.ErrExist)
	case f.dir:
		return nil, fail("open", name, syscall.EISDIR)
	case flags&os.O_TRUNC != 0:
		f.truncate(0)
	}
	return &memHandle{memFile: f, name: path.Base(name)}, nil
}

// parent checks that the directory of name is there; m.mu is held.
func (m *memFS) parent(op, name string) error {
	p, ok := m.nodes[path.Dir(name)]
	if !ok {
		return fail(op, name, fs.ErrNotExist)
	}
	if !p.dir {
		return fail(op, name, syscall.ENOTDIR)
	}
	return nil
}

func (m *memFS) find(op, name string) (*memFile, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if f, ok := m.nodes[name]; ok {
		return f, nil
	}
	return nil, fail(op, name, fs.ErrNotExist)
}

func (m *memFS) stat(name string) (fs.FileInfo, error) {
	f, err := m.find("stat", name)
	if err != nil {
		return nil, err
	}
	return f.info(path.Base(name)), nil
}

func (m *memFS) lstat(name string) (fs.FileInfo, error) { return m.stat(name) }

func (m *memFS) list(name string) ([]fs.FileInfo, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	f, ok := m.nodes[name]
	if !ok {
		return nil, fail("list", name, fs.ErrNotExist)
	}
	if !f.dir {
		return nil, fail("list", name, syscall.ENOTDIR)
	}
	var infos []fs.FileInfo
	for p, f := range m.nodes {
		if p != "/" && path.Dir(p) == name {
			infos = append(infos, f.info(path.Base(p)))
		}
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	return infos, nil
}

func (m *memFS) mkdir(name string, mode fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.nodes[name]; ok {
		return fail("mkdir", name, fs.ErrExist)
	}
	if err := m.parent("mkdir", name); err != nil {
		return err
	}
	m.nodes[name] = &memFile{dir: true, mode: mode, mtime: time.Now()}
	return nil
}

func (m *memFS) remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.nodes[name]
	if !ok {
		return fail("remove", name, fs.ErrNotExist)
	}
	if name == "/" {
		return fail("remove", name, fs.ErrPermission)
	}
	if f.dir && m.hasChildren(name) {
		return fail("remove", name, syscall.ENOTEMPTY)
	}
	delete(m.nodes, name)
	return nil
}

func (m *memFS) hasChildren(name string) bool {
	for p := range m.nodes {
		if p != name && path.Dir(p) == name {
			return true
		}
	}
	return false
}

func (m *memFS) rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.nodes[from]
	if !ok {
		return fail("rename", from, fs.ErrNotExist)
	}
	if from == to {
		return nil
	}
	if err := m.parent("rename", to); err != nil {
		return err
	}
	if old, ok := m.nodes[to]; ok && (old.dir != f.dir || old.dir && m.hasChildren(to)) {
		return fail("rename", to, fs.ErrExist)
	}
	if strings.HasPrefix(to, from+"/") {
		return fail("rename", to, fs.ErrInvalid)
	}
	children := m.nodes
	if !f.dir {
		children = nil
	}
	for p, child := range maps.Clone(children) {
		if rest, ok := strings.CutPrefix(p, from+"/"); ok {
			delete(m.nodes, p)
			m.nodes[to+"/"+rest] = child
		}
	}
	delete(m.nodes, from)
	m.nodes[to] = f
	return nil
}

func (m *memFS) setAttrs(name string, a attributes) error {
	f, err := m.find("setstat", name)
	if err != nil {
		return err
	}
	if a.flags&attrSize != 0 {
		if f.dir || a.size < 0 || a.size > maxSize {
			return fail("setstat", name, fs.ErrInvalid)
		}
		f.truncate(a.size)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if a.flags&attrMode != 0 {
		f.mode = a.mode
	}
	if a.flags&attrTimes != 0 {
		f.mtime = a.mtime
	}
	return nil
}

func (m *memFS) readlink(name string) (string, error) {
	return "", fail("readlink", name, errors.ErrUnsupported)
}

func (m *memFS) symlink(_, name string) error { return fail("symlink", name, errors.ErrUnsupported) }

func (f *memFile) info(name string) fs.FileInfo {
	f.mu.RLock()
	defer f.mu.RUnlock()
	i := memInfo{name: name, size: f.size, mode: f.mode, mtime: f.mtime}
	if f.dir {
		i.mode |= fs.ModeDir
	}
	return i
}

// ReadAt reads like io.ReaderAt.
func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if off < 0 {
		return 0, fs.ErrInvalid
	}
	if off >= f.size {
		return 0, io.EOF
	}
	var err error
	if rest := f.size - off; int64(len(p)) > rest {
		p, err = p[:rest], io.EOF
	}
	done := 0
	for done < len(p) {
		at := int(off % pageSize)
		part := p[done:min(len(p), done+pageSize-at)]
		n := 0
		if page := f.pages[off/pageSize]; at < len(page) {
			n = copy(part, page[at:])
		}
		clear(part[n:])
		done += len(part)
		off += int64(len(part))
	}
	return done, err
}

// WriteAt writes like io.WriterAt; a gap reads as zeros.
func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if off < 0 || off > maxSize-int64(len(p)) {
		return 0, syscall.EFBIG
	}
	f.grow(off + int64(len(p)))
	done := 0
	for done < len(p) {
		at := int(off % pageSize)
		part := p[done:min(len(p), done+pageSize-at)]
		page := f.pages[off/pageSize]
		if end := at + len(part); len(page) < end {
			old := len(page)
			page = slices.Grow(page, end-old)[:end]
			clear(page[old:])
			f.pages[off/pageSize] = page
		}
		copy(page[at:], part)
		done += len(part)
		off += int64(len(part))
	}
	f.mtime = time.Now()
	return done, nil
}

func (f *memFile) grow(size int64) {
	if size <= f.size {
		return
	}
	f.size = size
	for int64(len(f.pages))*pageSize < size {
		f.pages = append(f.pages, nil)
	}
}

func (f *memFile) truncate(size int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mtime = time.Now()
	if size >= f.size {
		f.grow(size)
		return
	}
	f.size = size
	f.pages = slices.Delete(f.pages, int((size+pageSize-1)/pageSize), len(f.pages))
	if n := len(f.pages); n > 0 {
		last := f.pages[n-1]
		f.pages[n-1] = last[:min(len(last), int(size-int64(n-1)*pageSize))]
	}
}

// memHandle is an open memory file.
type memHandle struct {
	*memFile
	name string
}

// Stat describes the file.
func (h *memHandle) Stat() (fs.FileInfo, error) { return h.info(h.name), nil }

// Close does nothing.
func (h *memHandle) Close() error { return nil }

type memInfo struct {
	name  string
	size  int64
	mode  fs.FileMode
	mtime time.Time
}

// Name implements fs.FileInfo, as do the others.
func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) Mode() fs.FileMode  { return i.mode }
func (i memInfo) ModTime() time.Time { return i.mtime }
func (i memInfo) IsDir() bool        { return i.mode.IsDir() }
func (i memInfo) Sys() any           { return nil }
