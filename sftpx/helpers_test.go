package sftpx_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/storagetest"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// lockedText keeps what is logged.
type lockedText struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *lockedText) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedText) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newRSASigner(t testing.TB) ssh.AlgorithmSigner {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromSigner(key)
	require.NoError(t, err)
	many, ok := signer.(ssh.AlgorithmSigner)
	require.True(t, ok)
	return many
}

// random returns n bytes that nothing else holds.
func random(t testing.TB, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	_, err := rand.Read(p)
	require.NoError(t, err)
	return p
}

// within bounds a test's waiting for things that must not take long.
func within(t testing.TB, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

const eventually, often = 10 * time.Second, 5 * time.Millisecond

// upload delivers data in windows of 1 MiB over a session of its own.
func upload(t testing.TB, c *sftpx.Connector, path string, data []byte) error {
	t.Helper()
	r, err := c.Connect(t.Context())
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return storagetest.Write(t.Context(), r, path, data, transfer.CreateOptions{WindowSize: 1 << 20})
}

// download reads path in windows of 1 MiB over a session of its own.
func download(t testing.TB, c *sftpx.Connector, path string) ([]byte, error) {
	t.Helper()
	r, err := c.Connect(t.Context())
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	return storagetest.Read(t.Context(), r, path)
}

// begin creates a delivery of size bytes in windows of window bytes; its sink is closed when the test ends.
func begin(t testing.TB, r transfer.Remote, path string, size, window int) (transfer.Sink, transfer.CreateOptions) {
	t.Helper()
	o := transfer.CreateOptions{Size: int64(size), WindowSize: int64(window), Key: storagetest.NewKey()}
	k, err := r.Create(t.Context(), path, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = k.Close() })
	return k, o
}

var noSum [sha256.Size]byte // sinks over SFTP do not use it

// wrapped returns a server and a connector whose connections have faults on request: conns has them in order.
func wrapped(t *testing.T, change func(*sftpx.Config)) (*transfertest.SFTPServer, *sftpx.Connector, <-chan *transfertest.Conn) {
	t.Helper()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	conns := make(chan *transfertest.Conn, 100)
	cfg := config(server)
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		w := transfertest.WrapConn(conn, transfertest.ConnFaults{})
		conns <- w
		return w, nil
	}
	change(&cfg)
	return server, connect(t, cfg), conns
}
