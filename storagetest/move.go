package storagetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// readSize is how much Read asks for at once, in bytes.
const readSize = 1 << 20

// parallel is the most windows that the suite keeps in flight.
const parallel = 4

// Write delivers data to path as the engine does: in windows, as many at once as the sink allows, with Commit at the
// end, or Abort after a failure. Size is taken from data unless it is UnknownSize; a zero WindowSize is DefaultWindowSize, an empty Key a new
// one. With a Checkpoint, all windows are sent again.
func Write(ctx context.Context, storage transfer.Storage, path string, data []byte, o transfer.CreateOptions) (err error) {
	d, err := create(ctx, storage, path, data, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	if err = d.writeAll(ctx); err == nil {
		err = d.commit(ctx)
	}
	if err != nil {
		err = errors.Join(err, d.sink.Abort(context.WithoutCancel(ctx)))
	}
	return err
}

// Read returns the content of the file at path, read in windows of 1 MiB, in order.
func Read(ctx context.Context, storage transfer.Storage, path string) (data []byte, err error) {
	source, err := storage.Open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	return readSource(ctx, source, readSize)
}

// readSource reads all of source in windows of size bytes, in order.
func readSource(ctx context.Context, source transfer.Source, size int64) ([]byte, error) {
	data := make([]byte, source.Info().Size)
	for off := int64(0); off < int64(len(data)); off += size {
		p := data[off:min(off+size, int64(len(data)))]
		if err := source.ReadWindow(ctx, p, off); err != nil {
			return nil, fmt.Errorf("read %d bytes at %d: %w", len(p), off, err)
		}
	}
	return data, nil
}

// delivery is one file on its way into a storage.
type delivery struct {
	path string
	data []byte
	o    transfer.CreateOptions
	sink transfer.Sink

	held   []byte // the only window of a file that has one; unchanged until close
	closed bool
	done   func() // ends the session, if there is one
}

func create(
	ctx context.Context, storage transfer.Storage, path string, data []byte, o transfer.CreateOptions,
) (*delivery, error) {
	if o.Size != transfer.UnknownSize {
		o.Size = int64(len(data))
	}
	if o.WindowSize == 0 {
		o.WindowSize = DefaultWindowSize
	}
	if o.Key == "" {
		o.Key = NewKey()
	}
	sink, err := storage.Create(ctx, path, o)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	return &delivery{path: path, data: data, o: o, sink: sink}, nil
}

// begin creates a delivery and closes its sink when the test ends, unless the test did.
func (s *suite) begin(t *testing.T, path string, data []byte, o transfer.CreateOptions) *delivery {
	t.Helper()
	o.WindowSize = s.o.WindowSize
	storage, done := s.lend(t)
	d, err := create(t.Context(), storage, path, data, o)
	if err != nil {
		done()
	}
	require.NoError(t, err)
	d.done = done
	require.GreaterOrEqual(t, d.sink.Concurrency(), 1, "Sink.Concurrency")
	t.Cleanup(func() {
		if !d.closed {
			_ = d.close()
		}
	})
	return d
}

// windows is how many windows the file has: none if it is empty.
func (d *delivery) windows() int {
	return int((int64(len(d.data)) + d.o.WindowSize - 1) / d.o.WindowSize)
}

// writeWindow sends window i. Except where the sink may hold it, it is overwritten as soon as WriteWindow has returned.
func (d *delivery) writeWindow(ctx context.Context, i int) error {
	off := int64(i) * d.o.WindowSize
	return d.send(ctx, d.data[off:min(off+d.o.WindowSize, int64(len(d.data)))], off)
}

func (d *delivery) send(ctx context.Context, p []byte, off int64) error {
	p = append([]byte(nil), p...)
	err := d.sink.WriteWindow(ctx, p, off)
	if d.windows() == 1 && (d.o.Size != transfer.UnknownSize || int64(len(p)) < d.o.WindowSize) {
		d.held = p
	} else {
		scribble(p)
	}
	if err != nil {
		return fmt.Errorf("write window at %d of %s: %w", off, d.path, err)
	}
	return nil
}

// writeAll sends all windows, as many at once as the sink allows.
func (d *delivery) writeAll(ctx context.Context) error { return d.writeFrom(ctx, 0) }

// writeFrom sends window first and all after it, as many at once as the sink allows.
func (d *delivery) writeFrom(ctx context.Context, first int) error {
	if d.sink.Concurrency() <= 1 {
		for i := first; i < d.windows(); i++ {
			if err := d.writeWindow(ctx, i); err != nil {
				return err
			}
		}
		return nil
	}
	return inParallel(d.windows()-first, min(d.sink.Concurrency(), parallel), func(i int) error {
		return d.writeWindow(ctx, d.windows()-1-i)
	})
}

func (d *delivery) commit(ctx context.Context) error {
	if err := d.sink.Commit(ctx, sha256.Sum256(d.data)); err != nil {
		return fmt.Errorf("commit %s: %w", d.path, err)
	}
	return nil
}

func (d *delivery) close() error {
	d.closed = true
	err := d.sink.Close()
	scribble(d.held)
	if d.done != nil {
		d.done()
	}
	if err != nil {
		return fmt.Errorf("close sink of %s: %w", d.path, err)
	}
	return nil
}

func scribble(p []byte) {
	for i := range p {
		p[i] = 0xAA
	}
}

// inParallel calls do(0) … do(n-1), at most limit at once, and returns all errors.
func inParallel(n, limit int, do func(i int) error) error {
	var group sync.WaitGroup
	errs := make([]error, max(n, 0))
	slots := make(chan struct{}, limit)
	for i := range errs {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			errs[i] = do(i)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}
