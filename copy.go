package transfer

import (
	"context"
	"crypto/sha256"
	"encoding"
	"errors"
	"fmt"
	"hash"
	"runtime/debug"
	"sync"

	"golang.org/x/sync/errgroup"
)

// errStopped says that a copy ended at a window's end because the node stops; it goes on from there later.
var errStopped = errors.New("transfer: node is stopping")

// maxWindows keeps a file within the 10,000 parts of an S3 upload, with room to spare.
const maxWindows = 9000

// windowFor is the window size for a file: the configured one, or for large files the smallest number of whole MiB
// that makes at most maxWindows windows.
func windowFor(size, configured int64) int64 {
	if size <= configured*maxWindows {
		return configured
	}
	least := (size-1)/maxWindows + 1
	return (least + mebibyte - 1) / mebibyte * mebibyte
}

// position is how far a copy has come: acknowledged windows below the first gap, and the hash of exactly their bytes.
type position struct {
	rank   int64
	offset int64
	hash   []byte // state of the SHA-256, if there is anything to go on with
}

// copier moves the windows of one file from a Source to a Sink. It is the only place where bytes move.
//
// Windows pass three stages: read, hash in order, write. Each stage works on another window, and a side that allows it
// on several at once, so that it is never idle between two of them.
type copier struct {
	src      Source
	dst      Sink
	size     int64
	window   int64
	inFlight int // windows in memory at once, at most
	buffers  *buffers
	stop     <-chan struct{} // closed: end at a window's end
	at       position        // where to begin
	moved    func(position)  // called after each step of at, in order

	hash hash.Hash
	held []byte // the window of a file that has only one; the Sink may keep it until it is closed

	ahead chan struct{} // an element for each window from the first gap on that was asked for

	mu    sync.Mutex // guards the fields below and at
	acked map[int64]*window
}

// windowsAhead is how many windows may follow the first gap, for each one that may be in memory. What follows the gap when
// a node dies is moved again.
const windowsAhead = 8

// window is one block of the file on its way.
type window struct {
	index int64
	off   int64
	buf   []byte
	read  chan error // receives once, when buf is filled
	hash  []byte     // state of the hash after this window
}

func (c *copier) windows() int64 { return (c.size + c.window - 1) / c.window }

func (c *copier) length(index int64) int64 { return min(c.window, c.size-index*c.window) }

// run moves what is left and returns the SHA-256 of the whole content. The caller calls release after it has closed
// the sink.
func (c *copier) run(ctx context.Context) (sum [sha256.Size]byte, err error) {
	c.hash = sha256.New()
	if c.at.rank > 0 {
		if err := c.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(c.at.hash); err != nil {
			return sum, fmt.Errorf("restore hash: %w", err)
		}
	}
	switch c.windows() {
	case 0:
	case 1:
		err = c.runOne(ctx)
	default:
		err = c.runMany(ctx)
	}
	if err != nil {
		return sum, err
	}
	c.hash.Sum(sum[:0])
	return sum, nil
}

// release gives back the buffer that the sink was allowed to keep.
func (c *copier) release() {
	if c.held != nil {
		c.buffers.put(c.held)
		c.held = nil
	}
}

// runOne moves a file of one window without starting a goroutine.
func (c *copier) runOne(ctx context.Context) (err error) {
	c.held, err = c.buffers.get(ctx, c.size)
	if err != nil {
		return err
	}
	if err := c.src.ReadWindow(ctx, c.held, 0); err != nil {
		return stepError{stepRead, err}
	}
	c.hash.Write(c.held)
	if err := c.dst.WriteWindow(ctx, c.held, 0); err != nil {
		return stepError{stepWrite, err}
	}
	c.at = position{rank: 1, offset: c.size}
	c.moved(c.at)
	return nil
}

func (c *copier) runMany(ctx context.Context) error {
	var lent lentWindows
	c.acked = make(map[int64]*window)
	n := c.places()
	c.ahead = make(chan struct{}, n*windowsAhead)
	slots := make(chan struct{}, n)
	read := make(chan *window, n)
	hashed := make(chan *window, n)
	group, ctx := errgroup.WithContext(ctx)
	spawn := func(f func() error) { group.Go(func() error { return guarded(f) }) }
	spawn(func() error {
		defer close(read)
		return c.readAll(ctx, spawn, slots, &lent, read)
	})
	spawn(func() error {
		defer close(hashed)
		return c.hashAll(ctx, read, hashed)
	})
	spawn(func() error {
		return c.writeAll(ctx, spawn, hashed, func(w *window) {
			lent.giveBack(c.buffers, w)
			<-slots
		})
	})
	err := group.Wait()
	lent.giveBackAll(c.buffers)
	if err == nil && c.at.rank < c.windows() {
		return errStopped
	}
	return err
}

// places is how many windows are in memory at once: no more than the stages can work on.
func (c *copier) places() int {
	side := func(concurrency int) int { return min(max(1, concurrency), c.inFlight) }
	return min(c.inFlight, side(c.src.Concurrency())+1+side(c.dst.Concurrency()))
}

// readAll asks for the windows in order, as many at once as the source allows.
func (c *copier) readAll(ctx context.Context, spawn func(func() error), slots chan<- struct{}, lent *lentWindows, out chan<- *window) error {
	reading := make(chan struct{}, max(1, c.src.Concurrency()))
	for i := c.at.rank; i < c.windows(); i++ {
		for _, place := range [...]chan<- struct{}{reading, c.ahead, slots} {
			if isClosed(c.stop) { // select would choose at random
				return nil
			}
			select {
			case <-c.stop:
				return nil
			case place <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		w, err := c.borrow(ctx, i, lent)
		if err != nil {
			return err
		}
		out <- w // never blocks: slots bounds the windows
		spawn(func() error {
			defer func() { <-reading }()
			err := c.src.ReadWindow(ctx, w.buf, w.off)
			w.read <- err
			if err != nil {
				return stepError{stepRead, err}
			}
			return nil
		})
	}
	return nil
}

func (c *copier) borrow(ctx context.Context, index int64, lent *lentWindows) (*window, error) {
	buf, err := c.buffers.get(ctx, c.length(index))
	if err != nil {
		return nil, err
	}
	w := &window{index: index, off: index * c.window, buf: buf, read: make(chan error, 1)}
	lent.add(w)
	return w, nil
}

// hashAll hashes the windows in order and notes the state after each.
func (c *copier) hashAll(ctx context.Context, in <-chan *window, out chan<- *window) error {
	for w := range in {
		select {
		case err := <-w.read:
			if err != nil {
				return nil // the reader reports it
			}
		case <-ctx.Done():
			return ctx.Err()
		}
		c.hash.Write(w.buf)
		state, err := c.hash.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil {
			return fmt.Errorf("keep hash: %w", err)
		}
		w.hash = state
		out <- w // never blocks
	}
	return nil
}

// writeAll writes the windows, in order or as many at once as the sink allows.
func (c *copier) writeAll(ctx context.Context, spawn func(func() error), in <-chan *window, done func(*window)) error {
	writing := make(chan struct{}, max(1, c.dst.Concurrency()))
	for w := range in {
		if err := ctx.Err(); err != nil {
			return err
		}
		deliver := func() error {
			if err := c.dst.WriteWindow(ctx, w.buf, w.off); err != nil {
				return stepError{stepWrite, err}
			}
			c.acknowledge(w)
			done(w)
			return nil
		}
		if cap(writing) == 1 {
			if err := deliver(); err != nil {
				return err
			}
			continue
		}
		writing <- struct{}{}
		spawn(func() error {
			defer func() { <-writing }()
			return deliver()
		})
	}
	return nil
}

// acknowledge notes that the far end has w and moves the position over all windows without a gap.
func (c *copier) acknowledge(w *window) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acked[w.index] = w
	before := c.at.rank
	for next := c.acked[c.at.rank]; next != nil; next = c.acked[c.at.rank] {
		delete(c.acked, next.index)
		<-c.ahead // has one: it was asked for
		c.at = position{rank: next.index + 1, offset: next.off + c.length(next.index), hash: next.hash}
	}
	if c.at.rank > before {
		c.moved(c.at)
	}
}

// panicError is a panic in somebody's Storage or Connector, as an error: it fails one file and not the program.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// guarded runs f and returns its panic as an error.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Error{Op: "move", Code: InternalError, Err: &panicError{p, debug.Stack()}}
		}
	}()
	return f()
}

// lentWindows knows which buffers are out, so that all come back however the copy ends.
type lentWindows struct {
	mu  sync.Mutex // guards out
	out map[*window]struct{}
}

func (l *lentWindows) add(w *window) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out == nil {
		l.out = make(map[*window]struct{})
	}
	l.out[w] = struct{}{}
}

func (l *lentWindows) giveBack(b *buffers, w *window) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.out, w)
	b.put(w.buf)
	w.buf = nil
}

// giveBackAll is called when nobody reads or writes any more.
func (l *lentWindows) giveBackAll(b *buffers) {
	for w := range l.out {
		l.giveBack(b, w)
	}
}
