package transfertest

import (
	"net"
	"sync"
	"time"
)

// inFlight bounds the bytes that a delay line holds.
const inFlight = 32 << 20

// lastBytes is how long a closing connection waits for a peer that does not read.
const lastBytes = time.Second

// delayLine carries what was written to the connection, later. Its goroutine runs while there is something to carry.
type delayLine struct {
	mu    sync.Mutex // guards all below
	queue []delayed
	held  int           // bytes in queue
	err   error         // of the connection below
	idle  chan struct{} // closed when the goroutine has ended; nil without one
	space chan struct{} // closed and replaced when held has shrunk
}

type delayed struct {
	due  time.Time
	data []byte
}

// send hands p to the connection below, now or after the latency.
func (c *Conn) send(p []byte) (int, error) {
	c.mu.Lock()
	latency := c.faults.Latency
	c.mu.Unlock()
	if latency <= 0 && !c.line.busy() {
		return c.Conn.Write(p)
	}
	if err := c.line.room(c, len(p)); err != nil {
		return 0, err
	}
	return c.line.put(c, p, time.Now().Add(latency))
}

func (l *delayLine) busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.idle != nil
}

// room waits until n more bytes fit.
func (l *delayLine) room(c *Conn, n int) error {
	for {
		l.mu.Lock()
		fits := l.held == 0 || l.held+n <= inFlight
		if l.space == nil {
			l.space = make(chan struct{})
		}
		space := l.space
		l.mu.Unlock()
		if fits {
			return nil
		}
		if err := c.wait(space, time.Time{}, &c.deadline.write); err != nil {
			return err
		}
	}
}

func (l *delayLine) put(c *Conn, p []byte, due time.Time) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0, l.err
	}
	l.queue = append(l.queue, delayed{due, append([]byte(nil), p...)})
	l.held += len(p)
	if l.idle == nil {
		l.idle = make(chan struct{})
		// The deadline was met when the bytes were taken; it must not strike them on the way.
		_ = c.Conn.SetWriteDeadline(time.Time{})
		go l.run(c, l.idle)
	}
	return len(p), nil
}

func (l *delayLine) run(c *Conn, idle chan struct{}) {
	defer close(idle)
	for {
		l.mu.Lock()
		if len(l.queue) == 0 || l.err != nil {
			l.queue, l.held, l.idle = nil, 0, nil
			c.mu.Lock()
			_ = c.Conn.SetWriteDeadline(c.deadline.write) // it was lifted; see put
			c.mu.Unlock()
			l.mu.Unlock()
			return
		}
		next := l.queue[0]
		l.mu.Unlock()
		err := l.deliver(c, next)
		l.mu.Lock()
		l.err = err
		l.queue = l.queue[1:]
		l.held -= len(next.data)
		if l.space != nil {
			close(l.space)
			l.space = nil
		}
		l.mu.Unlock()
	}
}

func (l *delayLine) deliver(c *Conn, d delayed) error {
	timer := time.NewTimer(time.Until(d.due))
	defer timer.Stop()
	select {
	case <-c.abort:
		return ErrCut
	case <-timer.C:
	}
	_, err := c.Conn.Write(d.data)
	return err
}

// finish waits until the line is empty, or broken.
func (l *delayLine) finish(below net.Conn) {
	l.mu.Lock()
	idle := l.idle
	var last time.Time
	if n := len(l.queue); n > 0 {
		last = l.queue[n-1].due
	}
	l.mu.Unlock()
	if idle == nil {
		return
	}
	_ = below.SetWriteDeadline(last.Add(lastBytes))
	<-idle
}
