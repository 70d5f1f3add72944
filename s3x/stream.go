package s3x

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"
)

const (
	streamLength = 64 << 20               // bytes that are asked for at once from a fast server
	fastServer   = 100 << 20              // bytes/s on one connection; Amazon S3 gives less, and more on several
	tellingBytes = 1 << 20                // that tell how fast a server is
	gapPatience  = 50 * time.Millisecond  // for the window before, which may have been overtaken
	mostStreams  = 2                      // of one source
	drainLength  = 64 << 10               // bytes that are rather read to their end than lost with their connection
	drainTime    = 100 * time.Millisecond // for them
)

// stream is the body of one GetObject, whose bytes serve one window after the other. A window that does not come in
// order, or whose stream breaks off, has a request of its own.
type stream struct {
	body   io.ReadCloser
	cancel context.CancelFunc
	from   int64 // its first byte

	// guarded by streams.mu; whoever made it busy may read them
	next int64 // the byte that comes next
	end  int64 // the byte after its last one
	busy bool  // somebody reads it, or asks for it
}

// begin asks for the stream with get. The body outlives ctx, which ends only the asking.
func (s *stream) begin(ctx context.Context, get func(context.Context) (io.ReadCloser, error)) (err error) {
	var own context.Context
	own, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	unlink := context.AfterFunc(ctx, s.cancel)
	s.body, err = get(own)
	if unlink() && err == nil {
		return nil
	}
	if err == nil {
		_ = s.body.Close()
	}
	s.cancel()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// read fills p, or what the stream has left of it. At its end the body must be at its end too.
func (s *stream) read(ctx context.Context, p []byte) (n int, err error) {
	unlink := context.AfterFunc(ctx, s.cancel)
	defer unlink()
	left := s.end - s.next
	if n, err = io.ReadFull(s.body, p[:min(int64(len(p)), left)]); err != nil || int64(n) < left {
		return n, err
	}
	return n, atEnd(s.body)
}

// drain reads what is left if that is little, so that the connection can serve another request.
func (s *stream) drain() {
	if left := s.end - s.next; left > 0 && left <= drainLength {
		enough := time.AfterFunc(drainTime, s.cancel)
		_, _ = io.CopyN(io.Discard, s.body, left)
		enough.Stop()
	}
}

func (s *stream) close() {
	if s.body != nil {
		_ = s.body.Close()
	}
	s.cancel()
}

// streams are those of one source that have something left.
type streams struct {
	mu    sync.Mutex // guards the fields below
	open  []*stream
	apart bool          // windows do not come in order, so that there is no use in streams
	moved chan struct{} // not nil: somebody waits for a stream to move on, and it is closed then
}

func (t *streams) add(s *stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open = append(t.open, s)
}

// join returns the stream whose next byte is that at off, or nil. It waits for those who read what comes before, if they
// do.
func (t *streams) join(ctx context.Context, off int64) *stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		s := t.covering(off)
		if s == nil {
			return nil
		}
		if s.next == off && !s.busy {
			s.busy = true
			return s
		}
		if !t.await(ctx, s.busy) {
			if ctx.Err() == nil && !s.busy && s == t.covering(off) {
				t.apart = true
				t.drop(s)
			}
			return nil
		}
	}
}

// covering finds the stream in which off is still to come.
func (t *streams) covering(off int64) *stream {
	for _, s := range t.open {
		if s.next <= off && off < s.end {
			return s
		}
	}
	return nil
}

// await waits for a stream to move on, but not long if nobody reads it. The caller holds mu.
func (t *streams) await(ctx context.Context, busy bool) bool {
	if t.moved == nil {
		t.moved = make(chan struct{})
	}
	moved := t.moved
	t.mu.Unlock()
	defer t.mu.Lock()
	var enough <-chan time.Time
	if !busy {
		timer := time.NewTimer(gapPatience)
		defer timer.Stop()
		enough = timer.C
	}
	select {
	case <-moved:
		return true
	case <-enough:
	case <-ctx.Done():
	}
	return false
}

// reserve makes room for a stream from off to end, or returns nil if there shall be none.
func (t *streams) reserve(off, end int64) *stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.open {
		if !s.busy && s.next+streamLength <= off {
			t.drop(s) // nobody goes that far back
			break
		}
	}
	if t.apart || len(t.open) == mostStreams {
		return nil
	}
	s := &stream{from: off, next: off, end: end, busy: true}
	t.open = append(t.open, s)
	return s
}

// leave notes that n more bytes of s were read, and ends it where nothing is left or ok is false.
func (t *streams) leave(s *stream, n int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.next += int64(n)
	s.busy = false
	if !ok || s.next == s.end {
		t.drop(s)
	}
	if t.moved != nil {
		close(t.moved)
		t.moved = nil
	}
}

// drop ends a stream. The caller holds mu.
func (t *streams) drop(s *stream) {
	t.open = slices.DeleteFunc(t.open, func(other *stream) bool { return other == s })
	s.close()
}

// close ends all streams, when nobody reads them any more.
func (t *streams) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.open {
		s.drain()
		s.close()
	}
	t.open = nil
}

// atEnd fails unless body has nothing left. At the end the SDK compares a checksum, if the server sent one, and the
// connection is ready for the next request.
func atEnd(body io.Reader) error {
	var more [1]byte
	switch _, err := io.ReadFull(body, more[:]); {
	case err == nil:
		return errors.New("the server sends more bytes than it was asked for")
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}
