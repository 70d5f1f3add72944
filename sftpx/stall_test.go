package sftpx_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

const (
	mebibyte  = 1 << 20
	soon      = 200 * time.Millisecond // limits of operations that shall be exceeded
	promptly  = 5 * time.Second        // what such an operation may take in all
	longAfter = 30 * time.Second       // a bound for tests that would hang
)

// A server that freezes while content moves fails the window, and frees all that belongs to it.
func TestStalledRead(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	require.NoError(t, server.WriteFile("/a", random(t, 8*mebibyte)))
	cfg := config(server)
	cfg.StallTimeout = soon
	src, err := remote(t, connect(t, cfg)).Open(t.Context(), "/a")
	require.NoError(t, err)
	server.SetFaults(transfertest.SFTPFaults{Conn: transfertest.ConnFaults{FreezeAfterWritten: 3 * mebibyte}})
	started := time.Now()
	err = src.ReadWindow(t.Context(), make([]byte, 8*mebibyte), 0)
	require.Equal(t, transfer.Stalled, transfer.CodeOf(err))
	require.ErrorIs(t, err, transfer.TimeoutError)
	require.ErrorContains(t, err, "read /a: STALLED: "+server.Addr())
	require.NoError(t, src.Close())
	require.Less(t, time.Since(started), promptly)
}

func TestStalledWrite(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	cfg := config(server)
	cfg.StallTimeout = soon
	k, _ := begin(t, remote(t, connect(t, cfg)), "/a", 16*mebibyte, 8*mebibyte)
	require.NoError(t, k.WriteWindow(t.Context(), random(t, 8*mebibyte), 0))
	server.SetFaults(transfertest.SFTPFaults{Conn: transfertest.ConnFaults{FreezeAfterRead: 3 * mebibyte}, ConnTimes: 1})
	started := time.Now()
	err := k.WriteWindow(t.Context(), random(t, 8*mebibyte), 8*mebibyte)
	require.Equal(t, transfer.Stalled, transfer.CodeOf(err))
	require.NotEmpty(t, k.Checkpoint())
	require.NoError(t, k.Abort(t.Context()), "over a new connection")
	require.NoError(t, k.Close())
	require.Less(t, time.Since(started), promptly)
	require.Empty(t, server.Files())
}

// Slow is not stalled.
func TestSlowIsNotStalled(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{
		Faults: transfertest.SFTPFaults{Conn: transfertest.ConnFaults{BytesPerSecond: 2 * mebibyte}},
	})
	want := random(t, 3*mebibyte/2)
	require.NoError(t, server.WriteFile("/a", want))
	cfg := config(server)
	cfg.StallTimeout, cfg.OperationTimeout = 2*soon, 2*soon
	c := connect(t, cfg)
	got, err := download(t, c, "/a")
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.NoError(t, upload(t, c, "/b", want))
}

// A request that is not answered fails after OperationTimeout, whichever it is.
func TestOperationTimeout(t *testing.T) {
	t.Parallel()
	read := func(t *testing.T, r transfer.Remote) error {
		src, err := r.Open(t.Context(), "/a")
		if err == nil {
			require.NoError(t, src.Close())
		}
		return err
	}
	write := func(t *testing.T, r transfer.Remote) error {
		k, err := r.Create(t.Context(), "/b", transfer.CreateOptions{WindowSize: 1, Key: "00112233445566778899aabbccddeeff"})
		if err != nil {
			return err
		}
		defer func() { require.NoError(t, k.Close()) }()
		return k.Commit(t.Context(), noSum)
	}
	for name, c := range map[string]struct {
		op transfertest.SFTPOp
		do func(*testing.T, transfer.Remote) error
	}{
		"stat": {transfertest.SFTPStat, read}, "open to read": {transfertest.SFTPOpen, read},
		"open to write": {transfertest.SFTPOpen, write}, "close": {transfertest.SFTPClose, write},
		"compare size": {transfertest.SFTPStat, write}, "rename": {transfertest.SFTPPosixRename, write},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
			require.NoError(t, server.WriteFile("/a", nil))
			server.Inject(transfertest.SFTPRule{Op: c.op, Mute: true, Times: 1})
			cfg := config(server)
			cfg.OperationTimeout = soon
			conn := connect(t, cfg)
			started := time.Now()
			err := c.do(t, remote(t, conn))
			require.Equal(t, transfer.OperationTimeout, transfer.CodeOf(err))
			require.ErrorContains(t, err, server.Addr())
			require.Less(t, time.Since(started), promptly)
			require.NoError(t, c.do(t, remote(t, conn)), "on a new connection")
		})
	}
}

// All files on a connection that stalled fail with the same cause.
func TestNeighboursShareTheCause(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	require.NoError(t, server.WriteFile("/a", random(t, mebibyte)))
	cfg := config(server)
	cfg.MaxConnections, cfg.StallTimeout = 1, soon
	c := connect(t, cfg)
	var sources []transfer.Source
	for range 4 {
		src, err := remote(t, c).Open(t.Context(), "/a")
		require.NoError(t, err)
		sources = append(sources, src)
	}
	server.SetFaults(transfertest.SFTPFaults{Conn: transfertest.ConnFaults{Frozen: true}})
	var group sync.WaitGroup
	errs := make([]error, len(sources))
	for i, src := range sources {
		group.Go(func() { errs[i] = src.ReadWindow(t.Context(), make([]byte, mebibyte), 0) })
	}
	group.Wait()
	for i, src := range sources {
		require.Equal(t, transfer.Stalled, transfer.CodeOf(errs[i]))
		require.NoError(t, src.Close())
	}
}

// A server that answers all requests but one is noticed, too.
func TestOneFileIsPassedOver(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	require.NoError(t, server.WriteFile("/a", random(t, mebibyte)))
	require.NoError(t, server.WriteFile("/stuck", random(t, 10)))
	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPRead, Path: "stuck", Mute: true})
	cfg := config(server)
	cfg.MaxConnections, cfg.FilesPerConnection, cfg.StallTimeout = 1, 2, soon
	c := connect(t, cfg)
	stuck, err := remote(t, c).Open(t.Context(), "/stuck")
	require.NoError(t, err)
	src, err := remote(t, c).Open(t.Context(), "/a")
	require.NoError(t, err)
	failed := make(chan error, 1)
	go func() { failed <- stuck.ReadWindow(within(t, longAfter), make([]byte, 10), 0) }()
	for {
		if err := src.ReadWindow(t.Context(), make([]byte, mebibyte), 0); err != nil {
			require.Equal(t, transfer.Stalled, transfer.CodeOf(err))
			break
		}
	}
	require.Equal(t, transfer.Stalled, transfer.CodeOf(<-failed))
}

// A caller that gives up gets away, even from a frozen server, with its context's error.
func TestCancelledWindow(t *testing.T) {
	t.Parallel()
	for name, frozen := range map[string]bool{"healthy": false, "frozen": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
			require.NoError(t, server.WriteFile("/a", random(t, 8*mebibyte)))
			cfg := config(server)
			cfg.MaxConnections = 1
			c := connect(t, cfg)
			neighbour := remote(t, c)
			src, err := remote(t, c).Open(t.Context(), "/a")
			require.NoError(t, err)
			k, _ := begin(t, remote(t, c), "/b", 8*mebibyte, 8*mebibyte)
			server.SetFaults(transfertest.SFTPFaults{Conn: transfertest.ConnFaults{BytesPerSecond: 8 * mebibyte, Frozen: frozen}})

			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var group sync.WaitGroup
			errs := make([]error, 2)
			group.Go(func() { errs[0] = src.ReadWindow(ctx, make([]byte, 8*mebibyte), 0) })
			group.Go(func() { errs[1] = k.WriteWindow(ctx, make([]byte, 8*mebibyte), 0) })
			time.AfterFunc(soon, cancel)
			started := time.Now()
			group.Wait()
			require.Less(t, time.Since(started), promptly)
			server.SetFaults(transfertest.SFTPFaults{})
			require.ErrorIs(t, errs[1], context.Canceled)
			if frozen {
				require.ErrorIs(t, errs[0], context.Canceled)
				_, err = neighbour.Open(t.Context(), "/a")
				require.Equal(t, transfer.ConnectionLost, transfer.CodeOf(err))
				return
			}
			n, err := neighbour.Open(t.Context(), "/a")
			require.NoError(t, err, "the connection was spared")
			require.NoError(t, n.Close())
		})
	}
}

// A server that is gone without a word is noticed by keepalives.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	closed := make(chan struct{})
	cfg := config(server)
	cfg.KeepAlive = 20 * time.Millisecond
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return &closingConn{Conn: conn, closed: closed}, err
	}
	r := remote(t, connect(t, cfg))
	require.Eventually(t, func() bool { return server.Stats().Keepalives > 2 }, eventually, often)
	server.SetFaults(transfertest.SFTPFaults{Conn: transfertest.ConnFaults{Frozen: true}})
	select {
	case <-closed:
	case <-time.After(eventually):
		require.Fail(t, "the connection is still held to be alive")
	}
	_, err := r.Open(t.Context(), "/a")
	require.Equal(t, transfer.ConnectionLost, transfer.CodeOf(err))
	require.ErrorContains(t, err, "keepalives")
}

// closingConn tells when it is closed.
type closingConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *closingConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// A session that was silent is asked for a sign of life before a file gets it.
func TestSilentSessionIsProbed(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	cfg := config(server)
	cfg.MaxConnections, cfg.KeepAlive, cfg.OperationTimeout = 1, soon, soon
	c := connect(t, cfg)
	require.NoError(t, remote(t, c).Close())
	require.Eventually(t, func() bool {
		r, err := c.Connect(t.Context())
		return err == nil && r.Close() == nil && server.Requests(transfertest.SFTPRealpath) > 0
	}, eventually, often)
	require.Equal(t, 1, server.Stats().Accepted)

	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPRealpath, Status: transfertest.StatusFailure, Times: 1})
	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPRealpath, Nth: 2, Mute: true})
	require.Eventually(t, func() bool {
		r, err := c.Connect(t.Context())
		return err == nil && r.Close() == nil && server.Stats().Accepted == 2
	}, eventually, often)
	require.GreaterOrEqual(t, server.Requests(transfertest.SFTPRealpath), 3, "a failure is a sign of life, silence is none")
}
