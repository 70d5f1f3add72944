package waarpapi_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// server serves an API over pipes, so that thousands of connections need no files, and a bubble's clock counts.
type server struct {
	t      *testing.T
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	http   *http.Server
	client *http.Client
}

func newServer(t *testing.T, api http.Handler) *server {
	t.Helper()
	s := &server{t: t, conns: make(chan net.Conn), closed: make(chan struct{}), http: &http.Server{Handler: api, ReadHeaderTimeout: time.Minute}}
	s.client = &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return s.dial(), nil },
	}}
	done := make(chan error)
	go func() { done <- s.http.Serve(s) }()
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		require.NoError(t, s.http.Shutdown(context.Background()))
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	return s
}

func (s *server) dial() net.Conn {
	ours, theirs := net.Pipe()
	select {
	case s.conns <- theirs:
	case <-s.closed:
	}
	return ours
}

func (s *server) do(method, path, body string) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://example.com"+path, strings.NewReader(body))
	require.NoError(s.t, err)
	got, err := s.client.Do(r)
	require.NoError(s.t, err)
	return answerOf(s.t, got)
}

// Accept implements net.Listener.
func (s *server) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (s *server) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// Addr implements net.Listener.
func (s *server) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
