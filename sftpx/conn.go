package sftpx

import (
	"bufio"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// readBuffer is read from the network at once, in bytes: downloads spend less in system calls with it.
	readBuffer = 128 << 10
	// firstPiece is how x/crypto/ssh begins to write what is larger: it fills the buffer that it has, and then writes the
	// rest directly.
	firstPiece = 4 << 10
	// restComes is how long the rest may take. What looks like a first piece may be all there is.
	restComes = 200 * time.Microsecond
)

// bufferedConn reads large pieces, and writes each packet at once. It remembers that reading has failed.
type bufferedConn struct {
	net.Conn
	r      *bufio.Reader
	broken atomic.Bool
	ready  atomic.Bool // the session is made

	mu    sync.Mutex  // guards the fields below, and Conn's Write
	first []byte      // of a packet whose rest is about to come
	pair  [2][]byte   // first and the rest
	both  net.Buffers // of pair, as far as they are not written
	timer *time.Timer
	err   error // of writing first on its own
}

func newBufferedConn(conn net.Conn) *bufferedConn {
	return &bufferedConn{Conn: conn, r: bufio.NewReaderSize(conn, readBuffer)}
}

func (c *bufferedConn) Read(p []byte) (int, error) {
	if !c.ready.Load() {
		quickAck(c.Conn)
	}
	n, err := c.r.Read(p)
	if err != nil {
		c.broken.Store(true)
	}
	return n, err
}

func (c *bufferedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return 0, c.err
	case len(c.first) > 0:
		c.pair = [2][]byte{c.first, p}
		c.both = c.pair[:]
		c.first = c.first[:0]
		if _, err := c.both.WriteTo(c.Conn); err != nil {
			return 0, err
		}
		return len(p), nil
	case len(p) == firstPiece && c.ready.Load():
		c.first = append(c.first, p...)
		if c.timer == nil {
			c.timer = time.AfterFunc(restComes, c.flush)
		} else {
			c.timer.Reset(restComes)
		}
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// flush writes what nothing has come after.
func (c *bufferedConn) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.first) > 0 {
		_, c.err = c.Conn.Write(c.first)
		c.first = c.first[:0]
	}
}
