package transfertest

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// burst is what a bandwidth limit lets pass at once, in time.
const burst = 20 * time.Millisecond

// ErrCut is what a [Conn] returns after it was cut.
var ErrCut = errors.New("transfertest: connection cut")

// ConnFaults says what is wrong with a connection; the zero value is a perfect one. The byte counts begin when the
// faults are set.
type ConnFaults struct {
	Latency        time.Duration // what is written arrives that much later, and nobody waits: set it on one end only
	BytesPerSecond int64         // in each direction; 0 means no limit
	Fragment       int           // bytes that one Read returns, or one packet carries, at most; 0 means no limit

	CutAfterRead       int64 // the connection is closed once so many bytes were read; 0 means never
	CutAfterWritten    int64 // the same for bytes written; the other side still gets them
	FreezeAfterRead    int64 // nothing passes, either way, once so many bytes were read; 0 means never
	FreezeAfterWritten int64 // the same for bytes written
	Frozen             bool  // nothing passes now; the connection stays open
	// HalfOpen is a peer that is gone without a word: what is written is taken and lost, and nothing arrives.
	HalfOpen bool
	Reset    bool // a cut is a TCP reset, and may take bytes with it that were under way
}

// Conn is a net.Conn with faults that can be changed while it is in use. Deadlines hold even where it is frozen.
type Conn struct {
	net.Conn

	readMu  sync.Mutex // one Read at a time; guards early
	early   []byte     // read from below when the connection froze
	writeMu sync.Mutex // one Write at a time

	done  chan struct{} // closed by Close and Cut
	abort chan struct{} // closed by Cut: what is under way is lost

	mu       sync.Mutex // guards all below
	faults   ConnFaults
	frozen   bool          // a threshold of faults was reached
	changed  chan struct{} // closed and replaced when a waiter shall look again
	cause    error         // why done is closed
	aborted  bool
	read     flow
	written  flow
	deadline struct{ read, write time.Time }
	onStrike func() bool // asked before a threshold cuts or freezes; nil means yes
	line     delayLine
}

// flow counts one direction.
type flow struct {
	total int64
	base  int64     // total when the faults were set
	next  time.Time // when the bandwidth limit lets the next bytes pass
}

// WrapConn returns c with faults f.
func WrapConn(c net.Conn, f ConnFaults) *Conn {
	return &Conn{
		Conn: c, faults: f,
		done: make(chan struct{}), abort: make(chan struct{}), changed: make(chan struct{}),
	}
}

// Set replaces the faults. What is no longer frozen goes on, and byte counts begin again.
func (c *Conn) Set(f ConnFaults) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = f
	c.frozen = false
	c.read.base, c.written.base = c.read.total, c.written.total
	c.read.next, c.written.next = time.Time{}, time.Time{}
	c.wake()
}

// BytesRead returns how many bytes Read has returned.
func (c *Conn) BytesRead() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read.total
}

// BytesWritten returns how many bytes Write has taken.
func (c *Conn) BytesWritten() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written.total
}

// Read reads as the faults allow. After a cut it returns [ErrCut].
func (c *Conn) Read(p []byte) (int, error) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	if len(p) == 0 {
		return c.Conn.Read(p)
	}
	if err := c.pass(&c.read, &c.deadline.read); err != nil {
		return 0, err
	}
	n, err := c.receive(p[:c.allowed(&c.read, len(p))])
	if n > 0 {
		// Frozen meanwhile: the bytes wait here, as they would on the way.
		if late := c.thawed(&c.deadline.read); late != nil {
			c.early = append(append([]byte(nil), p[:n]...), c.early...)
			return 0, late
		}
		if c.count(&c.read, n) {
			c.end(ErrCut, false)
		}
	}
	if err != nil {
		err = c.because(err)
	}
	return n, err
}

// receive reads what came too early for the Read before, or else from the connection below.
func (c *Conn) receive(p []byte) (int, error) {
	if len(c.early) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.early)
	c.early = c.early[n:]
	return n, nil
}

// Write writes as the faults allow. After a cut it returns [ErrCut].
func (c *Conn) Write(p []byte) (int, error) {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if c.lose(len(p)) {
		return len(p), nil
	}
	done := 0
	for {
		if err := c.pass(&c.written, &c.deadline.write); err != nil {
			return done, err
		}
		n, err := c.send(p[done : done+c.allowed(&c.written, len(p)-done)])
		cut := c.count(&c.written, n)
		if done += n; err != nil {
			return done, c.because(err)
		}
		if cut {
			c.end(ErrCut, true)
			return done, ErrCut
		}
		if done == len(p) {
			return done, nil
		}
	}
}

// pass waits until bytes may flow: not frozen, and within the bandwidth.
func (c *Conn) pass(f *flow, deadline *time.Time) error {
	for {
		if err := c.thawed(deadline); err != nil {
			return err
		}
		c.mu.Lock()
		next, changed := f.next, c.changed
		c.mu.Unlock()
		if !next.After(time.Now()) {
			return nil
		}
		if err := c.wait(changed, next, deadline); err != nil {
			return err
		}
	}
}

// thawed waits while the connection is frozen.
func (c *Conn) thawed(deadline *time.Time) error {
	for {
		c.mu.Lock()
		frozen, changed, cause := c.stands(), c.changed, c.cause
		c.mu.Unlock()
		if cause != nil {
			return cause
		}
		if !frozen {
			return nil
		}
		if err := c.wait(changed, time.Time{}, deadline); err != nil {
			return err
		}
	}
}

// wait returns nil when there is reason to look again: something changed, or until has come.
func (c *Conn) wait(changed <-chan struct{}, until time.Time, deadline *time.Time) error {
	c.mu.Lock()
	limit := *deadline
	c.mu.Unlock()
	first := until
	if !limit.IsZero() && (first.IsZero() || limit.Before(first)) {
		first = limit
	}
	var timeout <-chan time.Time
	if !first.IsZero() {
		timer := time.NewTimer(time.Until(first))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-changed:
		return nil
	case <-c.done:
		return c.because(net.ErrClosed)
	case <-timeout:
		if first.Equal(limit) {
			return os.ErrDeadlineExceeded
		}
		return nil
	}
}

// allowed returns how many of n bytes may pass at once.
func (c *Conn) allowed(f *flow, n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit := int64(n)
	if c.faults.Fragment > 0 {
		limit = min(limit, int64(c.faults.Fragment))
	}
	if rate := c.faults.BytesPerSecond; rate > 0 {
		limit = min(limit, max(rate*int64(burst)/int64(time.Second), 1))
	}
	cut, freeze := c.thresholds(f)
	for _, t := range [...]int64{cut, freeze} {
		if left := t - (f.total - f.base); t > 0 && left > 0 {
			limit = min(limit, left)
		}
	}
	return int(limit)
}

func (c *Conn) thresholds(f *flow) (cut, freeze int64) {
	if f == &c.read {
		return c.faults.CutAfterRead, c.faults.FreezeAfterRead
	}
	return c.faults.CutAfterWritten, c.faults.FreezeAfterWritten
}

// count adds n bytes to f and reports whether the connection is to be cut now.
func (c *Conn) count(f *flow, n int) (cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if rate := c.faults.BytesPerSecond; rate > 0 {
		// Up to one burst behind is made up for: timers are late, and the rate shall hold all the same.
		start := f.next
		if earliest := time.Now().Add(-burst); start.Before(earliest) {
			start = earliest
		}
		f.next = start.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
	}
	before := f.total - f.base
	f.total += int64(n)
	after := f.total - f.base
	cutAt, freezeAt := c.thresholds(f)
	reached := func(t int64) bool { return t > 0 && before < t && after >= t }
	if reached(cutAt) && c.strike() {
		return true
	}
	if reached(freezeAt) && c.strike() {
		c.frozen = true
	}
	return false
}

func (c *Conn) strike() bool { return c.onStrike == nil || c.onStrike() }

// wake makes all waiters look again; c.mu is held.
func (c *Conn) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// because returns why the connection is over, or err if it is not.
func (c *Conn) because(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return c.cause
	}
	return err
}

// Close closes the connection once what was written has left, which takes up to the latency.
func (c *Conn) Close() error { return c.end(net.ErrClosed, true) }

// Cut closes the connection at once. What is under way is lost.
func (c *Conn) Cut() { _ = c.end(ErrCut, false) }

func (c *Conn) end(cause error, drain bool) error {
	c.mu.Lock()
	first := c.cause == nil
	if first {
		c.cause = cause
		close(c.done)
	}
	if (!drain || c.stands()) && !c.aborted {
		c.aborted = true
		close(c.abort)
	}
	lost := c.aborted
	if tcp, ok := c.Conn.(*net.TCPConn); ok && c.faults.Reset && errors.Is(c.cause, ErrCut) {
		_ = tcp.SetLinger(0)
	}
	c.mu.Unlock()
	var err error
	if lost {
		err = c.Conn.Close() // first, for it frees a delay line that is stuck in a write
	}
	c.line.finish(c.Conn)
	if !lost {
		err = c.Conn.Close()
	}
	if !first {
		return c.because(nil)
	}
	return err
}

// SetDeadline sets both deadlines, as net.Conn says.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline sets the deadline of Read, as net.Conn says.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.deadline.read = t
	c.wake()
	c.mu.Unlock()
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline sets the deadline of Write, as net.Conn says. What a latency holds back is beyond its reach.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	c.deadline.write = t
	c.wake()
	c.mu.Unlock()
	if c.line.busy() {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}

// Frozen reports whether nothing arrives now.
func (c *Conn) Frozen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause == nil && c.stands()
}

// stands reports whether nothing arrives; c.mu is held.
func (c *Conn) stands() bool { return c.faults.Frozen || c.frozen || c.faults.HalfOpen }

// lose reports whether n bytes that are written get lost, because the connection is half open.
func (c *Conn) lose(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.faults.HalfOpen || c.cause != nil {
		return false
	}
	c.written.total += int64(n)
	return true
}
