package transfer

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"
)

// unknownMost is what a delivery has room for whose size nobody can bound, in bytes: 10,000 parts of an upload to S3.
const unknownMost = 150 << 30

// streamer moves content whose size is not known to a Sink, such as what Transforms make of a pinned Source. As a copier
// does, it moves windows, several at once; but it can neither ask for one again nor begin in the middle.
//
// It takes the memory that it cannot do without at once, and more only where nobody has to wait for it: files that hold
// some and wait for more could wait for each other.
type streamer struct {
	origin     origin
	transforms []Transform
	dst        Sink
	window     int64 // bytes of every window but the last
	first      int64 // of memory for the first one: less than window where the content cannot become longer
	piece      int64 // of memory for what is read at once
	inFlight   int   // windows in memory at once, at most
	buffers    *buffers
	stop       <-chan struct{}             // closed: end
	begun      func(context.Context) error // called when the first window of several is there
	moved      func(position)              // called when there is more without a gap

	levels changing
	hash   hash.Hash
	size   int64    // bytes made so far
	lent   [][]byte // given back at the end: the Sink may keep the first window until it is closed

	mu    sync.Mutex      // guards the fields below
	at    position        // what is there without a gap
	acked map[int64]int64 // windows behind a gap: index and length
}

// origin is where the content comes from.
type origin interface {
	// open begins to read, with memory for one piece, and, if there is spare, for another.
	open(ctx context.Context, piece, spare []byte) Content
	// failed is what reading has ended with, if it failed.
	failed() error
	// end fails unless everything was read.
	end() error
	// close returns once nothing is read any more.
	close()
}

// run moves everything and returns the SHA-256 of what was made. The caller calls release after it has closed the sink.
func (s *streamer) run(ctx context.Context) (sum [sha256.Size]byte, err error) {
	s.hash = sha256.New()
	piece, first, err := s.buffers.getPair(ctx, s.piece, s.first)
	if err != nil {
		return sum, err
	}
	s.lent = append(s.lent, piece, first)
	spare := s.buffers.tryGet(s.piece)
	if spare != nil {
		s.lent = append(s.lent, spare)
	}
	ctx, cancel := context.WithCancel(ctx)
	content := s.origin.open(ctx, piece, spare)
	defer func() {
		cancel()
		s.origin.close()
		if closed := s.levels.close(); err == nil && closed != nil {
			err = stepError{stepRead, closed}
		}
	}()
	r, err := s.levels.begin(ctx, s.transforms, content)
	if err != nil {
		return sum, s.blame(err)
	}
	if err := s.move(ctx, cancel, r, first); err != nil {
		return sum, err
	}
	if err := s.ended(); err != nil {
		return sum, err
	}
	s.hash.Sum(sum[:0])
	return sum, nil
}

// release gives back what the sink was allowed to keep, and everything else.
func (s *streamer) release() {
	for _, buf := range s.lent {
		s.buffers.put(buf)
	}
	s.lent = nil
}

// blame says what failed first: the source, or one of the Transforms. Those behind it may say less.
func (s *streamer) blame(err error) error {
	if failed := s.origin.failed(); failed != nil {
		return failed
	}
	if failed := s.levels.failed(); failed != nil {
		err = failed
	}
	return atStep(stepRead, err)
}

// ended makes sure that nothing was left unread.
func (s *streamer) ended() error {
	err := s.levels.finish()
	if err == nil {
		err = s.origin.end()
	}
	if err != nil {
		return s.blame(err)
	}
	return nil
}

// move delivers what r gives. What fits into one window needs no goroutine.
func (s *streamer) move(ctx context.Context, cancel context.CancelFunc, r io.Reader, first []byte) error {
	n, more, err := s.fill(r, first)
	if err != nil {
		return err
	}
	if more && int64(n) < s.window {
		return stepError{stepRead, &Error{Op: "transform", Code: InternalError, Err: fmt.Errorf("it becomes longer than the %d bytes that its MaxSize allows", n-1)}}
	}
	if n > 0 {
		if err := s.write(ctx, outgoing{0, first, n}); err != nil {
			return err
		}
	}
	if !more {
		return nil
	}
	if err := s.begun(ctx); err != nil {
		return err
	}
	return s.moveRest(ctx, cancel, r, first)
}

// outgoing is a window on its way: the first n bytes of buf.
type outgoing struct {
	index int64
	buf   []byte
	n     int
}

// moveRest makes windows and writes them, as many at once as the sink allows.
func (s *streamer) moveRest(ctx context.Context, cancel context.CancelFunc, r io.Reader, first []byte) error {
	writers := max(1, s.dst.Concurrency())
	places := max(1, min(s.inFlight, writers+1))
	ready, free := make(chan outgoing, places), make(chan []byte, places)
	free <- first
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(ready)
		return guarded(func() error { return s.makeRest(ctx, r, places, free, ready) })
	})
	for range min(writers, places) {
		group.Go(func() error {
			err := guarded(func() error { return s.writeRest(ctx, ready, free) })
			if err != nil {
				cancel() // whoever waits for the source
			}
			return err
		})
	}
	return group.Wait()
}

// makeRest fills windows until the content ends.
func (s *streamer) makeRest(ctx context.Context, r io.Reader, places int, free <-chan []byte, ready chan<- outgoing) error {
	made := 1
	for index := int64(1); ; index++ {
		if isClosed(s.stop) {
			return errStopped
		}
		var buf []byte
		if len(free) == 0 && made < places {
			if buf = s.buffers.tryGet(s.window); buf != nil {
				made++
				s.lent = append(s.lent, buf)
			}
		}
		if buf == nil {
			select {
			case buf = <-free:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		n, more, err := s.fill(r, buf)
		if err != nil {
			return err
		}
		if n > 0 {
			ready <- outgoing{index, buf, n} // never blocks: places bounds the windows
		}
		if !more {
			return nil
		}
	}
}

func (s *streamer) writeRest(ctx context.Context, ready <-chan outgoing, free chan<- []byte) error {
	for w := range ready {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.write(ctx, w); err != nil {
			return err
		}
		free <- w.buf // never blocks
	}
	return nil
}

// fill reads into buf until it is full, and hashes it. There may be more, unless the content has ended before.
func (s *streamer) fill(r io.Reader, buf []byte) (n int, more bool, err error) {
	for n < len(buf) && err == nil { // io.ReadFull does not tell the end from an io.ErrUnexpectedEOF of the reader's
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	if err != nil && err != io.EOF {
		return n, false, s.blame(err)
	}
	s.hash.Write(buf[:n])
	s.size += int64(n)
	return n, err == nil, nil
}

// write brings a window to the sink, and notes that it is there.
func (s *streamer) write(ctx context.Context, w outgoing) error {
	if err := s.dst.WriteWindow(ctx, w.buf[:w.n], w.index*s.window); err != nil {
		return stepError{stepWrite, err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.acked == nil {
		s.acked = make(map[int64]int64)
	}
	s.acked[w.index] = int64(w.n)
	before := s.at.rank
	for n, ok := s.acked[s.at.rank]; ok; n, ok = s.acked[s.at.rank] {
		delete(s.acked, s.at.rank)
		s.at = position{rank: s.at.rank + 1, offset: s.at.offset + n}
	}
	if s.at.rank > before {
		s.moved(s.at)
	}
	return nil
}
