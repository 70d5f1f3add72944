package main

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/transfertest"
)

// relay is a slow line to a server. It counts the bytes that go there.
type relay struct {
	listener net.Listener
	target   string
	faults   transfertest.ConnFaults
	sent     atomic.Int64
	running  sync.WaitGroup

	mu    sync.Mutex // guards open
	open  []net.Conn
	ended bool
}

// newRelay listens until t ends. Each connection carries so many bytes per second.
func newRelay(t *testing.T, target string, bytesPerSecond int64) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{listener: listener, target: target, faults: transfertest.ConnFaults{BytesPerSecond: bytesPerSecond}}
	r.running.Go(r.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		r.mu.Lock()
		r.ended = true
		for _, c := range r.open {
			_ = c.Close()
		}
		r.mu.Unlock()
		r.running.Wait()
	})
	return r
}

func (r *relay) addr() string { return r.listener.Addr().String() }

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		slow := transfertest.WrapConn(client, r.faults)
		server, err := net.Dial("tcp", r.target)
		if err != nil || !r.keep(slow, server) {
			_ = slow.Close()
			continue
		}
		r.running.Go(func() { r.carry(io.MultiWriter(counter{&r.sent}, server), slow, server, slow) })
		r.running.Go(func() { r.carry(slow, server, server, slow) })
	}
}

// keep notes what must be closed at the end, unless that has come.
func (r *relay) keep(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		for _, c := range conns {
			_ = c.Close()
		}
		return false
	}
	r.open = append(r.open, conns...)
	return true
}

// carry copies until one side ends, which ends the other.
func (r *relay) carry(to io.Writer, from io.Reader, ends ...net.Conn) {
	_, _ = io.Copy(to, from)
	for _, c := range ends {
		_ = c.Close()
	}
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}
