package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// memoryConcurrency is how many windows of one file Memory takes and gives at once.
const memoryConcurrency = 4

// Memory is a Storage that lives in the process, made by [NewMemory]: the default of a Client, and for tests. Paths are
// cleaned: "/a//b" and "a/b" are one file; "a" is a directory while there is a file "a/b". A Source keeps its version
// when the file is replaced or removed. An unfinished delivery stays until it ends or begins again at zero.
type Memory struct {
	mu       sync.Mutex // guards the fields below
	files    map[string]memoryFile
	partials map[partialName]*memoryPartial
	versions uint64 // of files and partials, so far
}

type memoryFile struct {
	info FileInfo
	data []byte // never changed once it is here
}

// partialName names an unfinished delivery.
type partialName struct{ path, key string }

// memoryPartial is what has arrived of an unfinished delivery.
type memoryPartial struct {
	version uint64
	arrived *arrived

	mu      sync.Mutex // guards windows
	windows map[int64][]byte
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{files: make(map[string]memoryFile), partials: make(map[partialName]*memoryPartial)}
}

// WriteFile puts a file there, or replaces it, with a copy of data.
func (m *Memory) WriteFile(path string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(rooted(path), slices.Clone(data))
}

// ReadFile returns a copy of a file's content, or an error that is fs.ErrNotExist and FileNotFound.
func (m *Memory) ReadFile(path string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.files[rooted(path)]
	if !ok {
		return nil, &Error{Op: "read", Path: path, Code: FileNotFound, Err: fs.ErrNotExist}
	}
	return slices.Clone(f.data), nil
}

// Remove removes a file; a missing one is fine.
func (m *Memory) Remove(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, rooted(path))
}

// Paths returns the paths of all files, sorted, without a slash in front.
func (m *Memory) Paths() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.files))
}

// Partials returns the target paths of all deliveries that were begun and neither committed nor aborted, sorted. A
// test sees by it what was left behind.
func (m *Memory) Partials() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	paths := make([]string, 0, len(m.partials))
	for name := range m.partials {
		paths = append(paths, name.path)
	}
	slices.Sort(paths)
	return paths
}

// put stores data, which nobody changes any more, as the next version of a file. The caller holds m.mu.
func (m *Memory) put(name string, data []byte) {
	m.versions++
	m.files[name] = memoryFile{
		info: FileInfo{Size: int64(len(data)), ModTime: time.Now(), ETag: strconv.FormatUint(m.versions, 10)},
		data: data,
	}
}

// Open pins the version of the file that is there now.
func (m *Memory) Open(ctx context.Context, path string) (Source, error) {
	name, err := localPath(path)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, failure("open", path, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.files[name]
	switch {
	case ok:
		return &memorySource{path: path, memoryFile: f}, nil
	case m.isDirectory(name):
		return nil, &Error{Op: "open", Path: path, Code: IsDirectory}
	}
	return nil, failure("open", path, fs.ErrNotExist)
}

func (m *Memory) isDirectory(name string) bool {
	for file := range m.files {
		if name == "." || strings.HasPrefix(file, name+"/") {
			return true
		}
	}
	return name == "."
}

// Create begins a delivery, or goes on with one that is unfinished. It makes no room for Size bytes before they come.
func (m *Memory) Create(ctx context.Context, path string, o CreateOptions) (Sink, error) {
	name, err := localPath(path)
	switch {
	case err != nil:
	case ctx.Err() != nil:
		err = ctx.Err()
	case name == ".":
		err = IsDirectory
	default:
		err = o.check()
	}
	if err != nil {
		return nil, failure("create", path, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.files[name]; ok && !o.Overwrite.Replaces() {
		return nil, failure("create", path, fs.ErrExist)
	}
	sink := &memorySink{memory: m, path: path, name: partialName{name, o.Key}, o: o}
	if len(o.Checkpoint) > 0 {
		sink.memoryPartial, err = m.resume(sink.name, o)
		return sink, err
	}
	m.versions++
	sink.memoryPartial = &memoryPartial{version: m.versions, arrived: newArrived(o), windows: make(map[int64][]byte)}
	m.partials[sink.name] = sink.memoryPartial
	return sink, nil
}

// Discard forgets an unfinished delivery.
func (m *Memory) Discard(ctx context.Context, path string, o CreateOptions) error {
	name, err := localPath(path)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return failure("discard", path, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.partials, partialName{name, o.Key})
	return nil
}

// memoryCheckpoint names the partial that holds the windows.
type memoryCheckpoint struct {
	Version uint64 `json:"version"`
}

// resume returns the partial that the checkpoint speaks of. The caller holds m.mu.
func (m *Memory) resume(name partialName, o CreateOptions) (*memoryPartial, error) {
	var c memoryCheckpoint
	if err := json.Unmarshal(o.Checkpoint, &c); err != nil {
		return nil, &Error{Op: "create", Path: name.path, Code: CheckpointLost, Err: err}
	}
	p, ok := m.partials[name]
	if !ok || p.version != c.Version || !p.arrived.fits(o) {
		return nil, &Error{Op: "create", Path: name.path, Code: CheckpointLost}
	}
	return p, nil
}

type memorySource struct {
	path string
	memoryFile
}

func (s *memorySource) Info() FileInfo   { return s.info }
func (s *memorySource) Concurrency() int { return memoryConcurrency }
func (s *memorySource) Close() error     { return nil }

func (s *memorySource) ReadWindow(ctx context.Context, p []byte, off int64) error {
	if err := ctx.Err(); err != nil {
		return failure("read", s.path, err)
	}
	if err := within(s.info.Size, p, off); err != nil {
		return failure("read", s.path, err)
	}
	copy(p, s.data[off:])
	return nil
}

// memorySink writes to a partial, which outlives it.
type memorySink struct {
	memory *Memory
	path   string // as given
	name   partialName
	o      CreateOptions
	*memoryPartial
}

func (s *memorySink) Concurrency() int { return memoryConcurrency }
func (s *memorySink) Close() error     { return nil }

func (s *memorySink) WriteWindow(ctx context.Context, p []byte, off int64) error {
	index, err := s.arrived.index(p, off)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return failure("write", s.path, err)
	}
	p = slices.Clone(p)
	s.mu.Lock()
	s.windows[index] = p
	s.mu.Unlock()
	s.arrived.add(index, 0)
	return nil
}

func (s *memorySink) Checkpoint() []byte {
	if next, _ := s.arrived.below(); next == 0 {
		return nil
	}
	b, err := json.Marshal(memoryCheckpoint{Version: s.version})
	if err != nil {
		return nil
	}
	return b
}

func (s *memorySink) Commit(ctx context.Context, _ [sha256.Size]byte) error {
	err := ctx.Err()
	if err == nil {
		err = s.arrived.complete()
	}
	if err != nil {
		return failure("commit", s.path, err)
	}
	data := s.content()
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	if _, ok := s.memory.files[s.name.path]; ok && !s.o.Overwrite.Replaces() {
		return failure("commit", s.path, fs.ErrExist)
	}
	s.memory.put(s.name.path, data)
	s.forget()
	return nil
}

func (s *memorySink) content() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	data := make([]byte, 0, s.arrived.total())
	for index := range int64(len(s.windows)) {
		data = append(data, s.windows[index]...)
	}
	return data
}

func (s *memorySink) Abort(context.Context) error {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	s.forget()
	return nil
}

// forget drops the partial, unless the delivery was begun again since. The caller holds s.memory.mu.
func (s *memorySink) forget() {
	if s.memory.partials[s.name] == s.memoryPartial {
		delete(s.memory.partials, s.name)
	}
}

// rooted is the cleaned path without the slash in front; ".." ends at the root.
func rooted(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

// localPath is the cleaned path below a storage's root, "." for the root itself. A path that climbs above the root
// fails with PathEscapes.
func localPath(name string) (string, error) {
	local := path.Clean(strings.TrimLeft(name, "/"))
	if local == ".." || strings.HasPrefix(local, "../") {
		return "", PathEscapes
	}
	return local, nil
}

// failure is err with its cause, the operation and the path.
func failure(op, path string, err error) error {
	var known *Error
	if errors.As(err, &known) && known.Op == "" {
		return &Error{Op: op, Path: path, Code: known.Code, Err: known.Err}
	}
	if code, ok := err.(Code); ok {
		return &Error{Op: op, Path: path, Code: code}
	}
	return &Error{Op: op, Path: path, Code: CodeOf(err), Err: err}
}

// within checks that a window lies in a file of size bytes.
func within(size int64, p []byte, off int64) error {
	if off < 0 || off > size || int64(len(p)) > size-off {
		return &Error{Code: SizeMismatch, Err: fmt.Errorf("%d bytes at %d reach over the end at %d", len(p), off, size)}
	}
	return nil
}
