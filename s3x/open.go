package s3x

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/seed62b9dc43/transfer"
)

// openSink receives a file whose size is not known before its last window. If its first window is shorter than
// CreateOptions.WindowSize, it is the whole file and is sent at once; otherwise a multipart upload begins with it.
type openSink struct {
	storage *Storage
	at      object
	o       transfer.CreateOptions

	beginning sync.Mutex // held while inner is made

	mu    sync.Mutex    // guards inner
	inner transfer.Sink // nil before the first window
}

func (k *openSink) Concurrency() int { return k.storage.o.PartConcurrency }

func (k *openSink) WriteWindow(ctx context.Context, p []byte, off int64) error {
	inner, err := k.begun(ctx, off == 0 && int64(len(p)) < k.o.WindowSize, int64(len(p)))
	if err != nil {
		return err
	}
	return inner.WriteWindow(ctx, p, off)
}

// begun returns the sink that takes the windows, and makes it with the first one.
func (k *openSink) begun(ctx context.Context, whole bool, size int64) (inner transfer.Sink, err error) {
	k.beginning.Lock()
	defer k.beginning.Unlock()
	if inner = k.current(); inner != nil {
		return inner, nil
	}
	if whole {
		inner = k.put(size)
	} else if err = k.storage.checkWindow(k.at.path, k.o); err == nil {
		inner, err = k.storage.begin(ctx, k.at, k.o)
	}
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.inner = inner
	return inner, nil
}

func (k *openSink) put(size int64) transfer.Sink {
	o := k.o
	o.Size = size
	return &putSink{storage: k.storage, at: k.at, o: o, delivery: newDelivery()}
}

func (k *openSink) current() transfer.Sink {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.inner
}

// Checkpoint names the upload, once there is one, for Discard.
func (k *openSink) Checkpoint() []byte {
	if inner := k.current(); inner != nil {
		return inner.Checkpoint()
	}
	return nil
}

// Commit publishes the file; without any window it is empty.
func (k *openSink) Commit(ctx context.Context, sum [sha256.Size]byte) error {
	inner, err := k.begun(ctx, true, 0)
	if err != nil {
		return err
	}
	return inner.Commit(ctx, sum)
}

func (k *openSink) Abort(ctx context.Context) error {
	if inner := k.current(); inner != nil {
		return inner.Abort(ctx)
	}
	return nil
}

func (k *openSink) Close() error {
	if inner := k.current(); inner != nil {
		return inner.Close()
	}
	return nil
}

// openPart checks the window p at off of an upload whose size is not known, and makes room for it.
func (k *uploadSink) openPart(p []byte, off int64) error {
	wrong := func(code transfer.Code, format string, args ...any) error {
		return because("write", k.at.path, code, fmt.Sprintf(format, args...), nil)
	}
	window, n, end := k.o.WindowSize, int64(len(p)), off+int64(len(p))
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case off < 0 || off%window != 0 || n == 0 || n > window:
		return wrong(transfer.SizeMismatch, "%d bytes at %d are no window in windows of %d", n, off, window)
	case k.short && end > k.top || n < window && end < k.top:
		return wrong(transfer.SizeMismatch, "%d bytes at %d are no window of a file that ends at %d", n, off, k.top)
	case off/window >= int64(k.storage.o.MaxParts):
		return wrong(transfer.UnsupportedOperationError, "it is longer than the %d parts of an upload, of %d bytes each (set transfer.Config.WindowSize to more, or s3x.Options.MaxParts to what the server allows)", k.storage.o.MaxParts, window)
	}
	k.top, k.short = max(k.top, end), k.short || n < window
	for int64(len(k.parts))*window < k.top {
		k.parts = append(k.parts, part{})
	}
	return nil
}
