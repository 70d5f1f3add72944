package awsapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// pipes is a network within a bubble: a listener whose connections are net.Pipes.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

const floodHeaders = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: TransferService.ListFileTransferResults\r\n"

// Ways to be a nuisance; each returns how it was answered: a status, or "closed".
func slowHeaders(c net.Conn) string {
	_, _ = io.WriteString(c, floodHeaders) // and never an end
	return readStatus(c)
}

func slowBody(c net.Conn) string {
	_, _ = io.WriteString(c, floodHeaders+"Content-Length: 100\r\n\r\n{")
	return readStatus(c)
}

func announcedTooLarge(c net.Conn) string {
	_, _ = io.WriteString(c, floodHeaders+"Content-Length: 1000000000000\r\n\r\n")
	return readStatus(c)
}

func endless(c net.Conn) string {
	go func() { // ends when the connection does
		chunk := "1000\r\n" + strings.Repeat(" ", 4096) + "\r\n"
		_, err := io.WriteString(c, floodHeaders+"Transfer-Encoding: chunked\r\n\r\n")
		for err == nil {
			_, err = io.WriteString(c, chunk)
		}
	}()
	return readStatus(c)
}

// slowlyLarge holds as much as a request may, and then stalls.
func slowlyLarge(c net.Conn) string {
	go func() {
		_, _ = io.WriteString(c, floodHeaders+"Content-Length: 65536\r\n\r\n"+strings.Repeat(" ", 65535))
	}()
	return readStatus(c)
}

func readStatus(c net.Conn) string {
	defer func() { _ = c.Close() }()
	r, err := http.ReadResponse(bufio.NewReaderSize(c, 16), nil)
	if err != nil {
		return "closed"
	}
	_, _ = io.Copy(io.Discard, r.Body)
	return fmt.Sprint(r.StatusCode)
}

// TestFlood: 10,000 clients at once that stall, or send without end, get their refusals, hold no more than MaxBodies
// together, and leave nothing behind; meanwhile another one, who asks for little, is served. Time is the bubble's.
func TestFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, err := transfer.New(transfer.Config{})
		require.NoError(t, err)
		made, err := NewHandler(client, Config{AccessKeys: NoSignature, MaxBody: 64 << 10, MaxBodies: 16 << 20})
		require.NoError(t, err)
		h := made.(*handler)
		network := newPipes()
		defer func() { _ = network.Close() }()
		server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
		go func() { _ = server.Serve(network) }()

		kinds := []func(net.Conn) string{slowHeaders, slowBody, announcedTooLarge, endless, slowlyLarge}
		answers := make([]map[string]int, len(kinds))
		for kind := range kinds {
			answers[kind] = make(map[string]int)
		}
		var mu sync.Mutex // guards answers
		var clients sync.WaitGroup
		for i := range 10_000 {
			kind := i % len(kinds)
			clients.Go(func() {
				answer := kinds[kind](network.dial())
				mu.Lock()
				defer mu.Unlock()
				answers[kind][answer]++
			})
		}
		synctest.Wait() // whoever stalls does so now
		require.LessOrEqual(t, h.bodies.used.Load(), h.bodies.limit)
		require.Greater(t, h.bodies.used.Load(), h.bodies.limit*9/10, "as much as they get")

		good := network.dial()
		_, err = io.WriteString(good, strings.Replace(floodHeaders, "ListFileTransferResults", "ListConnectors", 1)+"Content-Length: 2\r\n\r\n{}")
		require.NoError(t, err)
		require.Equal(t, "200", readStatus(good))

		clients.Wait()
		require.Equal(t, map[string]int{"closed": 2000}, answers[0])
		require.Equal(t, map[string]int{"413": 2000}, answers[2])
		for kind, allowed := range map[int][]string{1: {"408", "400"}, 3: {"413", "400"}, 4: {"408", "400"}} { // 400: throttled
			n := 0
			for _, status := range allowed {
				n += answers[kind][status]
			}
			require.Equal(t, 2000, n, "%v", answers[kind])
			require.NotZero(t, answers[kind][allowed[0]], "%v", answers[kind])
		}
		require.NoError(t, server.Shutdown(t.Context()))
		require.Zero(t, h.bodies.used.Load())
		require.Zero(t, h.requests.used.Load())
	})
}
