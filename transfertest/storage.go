package transfertest

import (
	"context"
	"crypto/sha256"
	"math"

	"github.com/seed62b9dc43/transfer"
)

// Storage is a transfer.Storage whose calls fail, wait or never return as its rules say. It counts the calls, knows
// what is open, and notes what the caller does against the contract.
type Storage struct {
	*script
	inner transfer.Storage
}

var _ transfer.Storage = (*Storage)(nil)

// NewStorage returns a Storage over inner; nil means a new transfer.Memory.
func NewStorage(inner transfer.Storage) *Storage {
	if inner == nil {
		inner = transfer.NewMemory()
	}
	return &Storage{script: newScript(), inner: inner}
}

// Open opens a file of the inner storage, if the rules let it.
func (s *Storage) Open(ctx context.Context, path string) (transfer.Source, error) {
	var inner transfer.Source
	err := s.run(ctx, Call{Op: OpOpen, Path: path}, func() (err error) {
		inner, err = s.inner.Open(ctx, path)
		return err
	})
	if err != nil {
		if inner != nil {
			_ = inner.Close() // it was opened, and a rule says that it was not
		}
		return nil, err
	}
	s.track(OpOpen, 1)
	return &source{Source: inner, use: use{script: s.script, what: "source of " + path}, path: path}, nil
}

// Create begins a delivery to the inner storage, if the rules let it.
func (s *Storage) Create(ctx context.Context, path string, o transfer.CreateOptions) (transfer.Sink, error) {
	var inner transfer.Sink
	err := s.run(ctx, Call{Op: OpCreate, Path: path}, func() (err error) {
		inner, err = s.inner.Create(ctx, path, o)
		return err
	})
	if err != nil {
		if inner != nil {
			_ = inner.Close()
		}
		return nil, err
	}
	s.track(OpCreate, 1)
	return &sink{Sink: inner, use: use{script: s.script, what: "sink of " + path}, path: path, options: o}, nil
}

// Discard discards in the inner storage, if the rules for OpAbort let it.
func (s *Storage) Discard(ctx context.Context, path string, o transfer.CreateOptions) error {
	return s.run(ctx, Call{Op: OpAbort, Path: path}, func() error { return s.inner.Discard(ctx, path, o) })
}

// source is a Source with rules.
type source struct {
	transfer.Source
	use
	path string
}

func (s *source) ReadWindow(ctx context.Context, p []byte, off int64) error {
	defer s.window(off, len(p), s.Info().Size, s.Concurrency())()
	return s.run(ctx, Call{OpReadWindow, s.path, off, len(p)}, func() error { return s.Source.ReadWindow(ctx, p, off) })
}

func (s *source) Close() error {
	if s.end() {
		s.track(OpOpen, -1)
	}
	return s.run(context.Background(), Call{Op: OpCloseSource, Path: s.path}, s.Source.Close)
}

// sink is a Sink with rules.
type sink struct {
	transfer.Sink
	use
	path    string
	options transfer.CreateOptions
}

func (s *sink) WriteWindow(ctx context.Context, p []byte, off int64) error {
	size := s.options.Size
	if size == transfer.UnknownSize {
		size = math.MaxInt64
	}
	defer s.window(off, len(p), size, s.Concurrency())()
	if !s.isWindow(p, off) {
		s.violation("%s: window of %d bytes at %d, where windows have %d", s.what, len(p), off, s.options.WindowSize)
	}
	return s.run(ctx, Call{OpWriteWindow, s.path, off, len(p)}, func() error { return s.Sink.WriteWindow(ctx, p, off) })
}

// isWindow reports whether p at off is cut as the options say.
func (s *sink) isWindow(p []byte, off int64) bool {
	size, n := s.options.WindowSize, int64(len(p))
	switch {
	case size <= 0:
		return true
	case s.options.Size == transfer.UnknownSize:
		return off%size == 0 && n > 0 && n <= size
	}
	return off%size == 0 && n == min(size, s.options.Size-off)
}

func (s *sink) Commit(ctx context.Context, sum [sha256.Size]byte) error {
	s.finish("Commit")
	return s.run(ctx, Call{Op: OpCommit, Path: s.path}, func() error { return s.Sink.Commit(ctx, sum) })
}

func (s *sink) Abort(ctx context.Context) error {
	s.finish("Abort")
	return s.run(ctx, Call{Op: OpAbort, Path: s.path}, func() error { return s.Sink.Abort(ctx) })
}

func (s *sink) Close() error {
	if s.end() {
		s.track(OpCreate, -1)
	}
	return s.run(context.Background(), Call{Op: OpCloseSink, Path: s.path}, s.Sink.Close)
}
