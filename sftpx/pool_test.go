package sftpx_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// 32 files fit on two connections of 16; the 33rd waits until one ends.
func TestFilesShareConnections(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	require.NoError(t, server.WriteFile("/a", random(t, 1000)))
	c := connect(t, config(server))
	var remotes []transfer.Remote
	for range c.Info().MaxFiles {
		r := remote(t, c)
		src, err := r.Open(t.Context(), "/a")
		require.NoError(t, err)
		require.NoError(t, src.ReadWindow(t.Context(), make([]byte, 1000), 0))
		t.Cleanup(func() { _ = src.Close() })
		remotes = append(remotes, r)
	}
	require.Equal(t, 2, server.Connections())
	require.Equal(t, 2, server.Stats().Sessions)
	require.Equal(t, 2, server.Stats().Accepted)

	_, err := c.Connect(within(t, soon))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "wait for a connection")
	got := make(chan error, 1)
	go func() {
		r, err := c.Connect(within(t, longAfter))
		if err == nil {
			err = r.Close()
		}
		got <- err
	}()
	require.NoError(t, remotes[7].Close())
	require.NoError(t, remotes[7].Close(), "again, which frees nothing more")
	require.NoError(t, <-got)
	require.Zero(t, server.Stats().Commands)
}

// The place goes to whoever has waited longest.
func TestWaitingIsFair(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	cfg := config(server)
	cfg.MaxConnections, cfg.FilesPerConnection = 1, 1
	c := connect(t, cfg)
	busy := remote(t, c)
	order := make(chan int, 5)
	var group sync.WaitGroup
	for i := range cap(order) {
		waits := make(chan struct{})
		ctx := &countedContext{Context: t.Context(), asked: waits}
		group.Go(func() {
			r, err := c.Connect(ctx)
			if err == nil {
				order <- i
				err = r.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
		<-waits // it stands in the queue
	}
	require.NoError(t, busy.Close())
	group.Wait()
	for i := range cap(order) {
		require.Equal(t, i, <-order)
	}
}

// countedContext tells when somebody waits for it to end.
type countedContext struct {
	context.Context
	once  sync.Once
	asked chan struct{}
}

func (c *countedContext) Done() <-chan struct{} {
	c.once.Do(func() { close(c.asked) })
	return c.Context.Done()
}

// A thousand files that wait for a connection which cannot be made share one attempt.
func TestFailedDialIsShared(t *testing.T) {
	t.Parallel()
	const files = 1000
	release := make(chan struct{})
	var dials, waiting atomic.Int32
	cfg := validConfig()
	cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		dials.Add(1)
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil, &net.DNSError{Err: "no such host", Name: "sftp.example.com", IsNotFound: true}
	}
	c := connect(t, cfg)
	var group sync.WaitGroup
	errs := make([]error, files)
	for i := range files {
		ctx := &countedContext{Context: within(t, longAfter), asked: make(chan struct{})}
		group.Go(func() { _, errs[i] = c.Connect(ctx) })
		go func() { <-ctx.asked; waiting.Add(1) }()
	}
	require.Eventually(t, func() bool { return waiting.Load() == files }, eventually, often)
	close(release)
	group.Wait()
	for _, err := range errs {
		require.Equal(t, transfer.HostNotFound, transfer.CodeOf(err))
	}
	require.EqualValues(t, 1, dials.Load())
	_, err := c.Connect(t.Context())
	require.ErrorIs(t, err, transfer.HostNotFound)
	require.EqualValues(t, 2, dials.Load(), "the next one tries again")
}

// A partner that allows fewer connections than configured costs nothing but an attempt.
func TestPartnerAllowsFewerConnections(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Faults: transfertest.SFTPFaults{MaxConnections: 1}})
	cfg := config(server)
	cfg.MaxConnections, cfg.FilesPerConnection = 3, 2
	c := connect(t, cfg)
	first, second := remote(t, c), remote(t, c)
	require.Eventually(t, func() bool { return server.Stats().Accepted == 2 }, eventually, often)
	_, err := c.Connect(within(t, soon))
	require.ErrorIs(t, err, context.DeadlineExceeded, "no place, but no failure either")
	require.NoError(t, first.Close())
	remote(t, c)
	require.NoError(t, second.Close())
	require.Equal(t, 2, server.Stats().Accepted)
}

func TestBrokenConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	require.NoError(t, server.WriteFile("/a", random(t, 1000)))
	cfg := config(server)
	cfg.MaxConnections = 1
	c := connect(t, cfg)
	src, err := remote(t, c).Open(t.Context(), "/a")
	require.NoError(t, err)
	other := remote(t, c)
	server.CutConnections()
	err = src.ReadWindow(t.Context(), make([]byte, 1000), 0)
	require.Equal(t, transfer.ConnectionLost, transfer.CodeOf(err))
	require.ErrorIs(t, err, transfer.ConnectionError)
	_, err = other.Open(t.Context(), "/a")
	require.Equal(t, transfer.ConnectionLost, transfer.CodeOf(err))
	require.NoError(t, src.Close())

	got, err := download(t, c, "/a")
	require.NoError(t, err)
	require.Len(t, got, 1000)
	require.Equal(t, 2, server.Stats().Accepted)
}

// What a server says when it hangs up reaches the user, cleaned.
func TestServerStops(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	c := connect(t, config(server))
	r := remote(t, c)
	server.Stop()
	_, err := r.Open(t.Context(), "/a")
	require.Equal(t, transfer.ConnectionLost, transfer.CodeOf(err))
	_, err = c.Connect(t.Context())
	require.Equal(t, transfer.ConnectionRefused, transfer.CodeOf(err))
	require.NoError(t, server.Start())
	remote(t, c)
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	cfg := config(server)
	cfg.MaxConnections, cfg.IdleTimeout = 1, 50*time.Millisecond
	c := connect(t, cfg)
	for i := range 3 {
		r := remote(t, c)
		require.Equal(t, i+1, server.Stats().Accepted)
		require.Never(t, func() bool { return server.Connections() != 1 }, 3*cfg.IdleTimeout, cfg.IdleTimeout)
		require.NoError(t, r.Close())
		require.Eventually(t, func() bool { return server.Connections() == 0 }, eventually, often)
	}
}

// Close ends what is under way and leaves nothing behind, which goleak checks.
func TestCloseWhileInUse(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	require.NoError(t, server.WriteFile("/a", random(t, 8*mebibyte)))
	cfg := config(server)
	cfg.MaxConnections, cfg.FilesPerConnection = 1, 1
	c := connect(t, cfg)
	r := remote(t, c)
	src, err := r.Open(t.Context(), "/a")
	require.NoError(t, err)
	server.SetFaults(transfertest.SFTPFaults{Conn: transfertest.ConnFaults{FreezeAfterWritten: mebibyte}})
	reading, waiting := make(chan error, 1), make(chan error, 1)
	go func() { reading <- src.ReadWindow(t.Context(), make([]byte, 8*mebibyte), 0) }()
	ctx := &countedContext{Context: within(t, longAfter), asked: make(chan struct{})}
	go func() {
		_, err := c.Connect(ctx)
		waiting <- err
	}()
	<-ctx.asked
	require.Eventually(t, func() bool { return server.Frozen() == 1 }, eventually, often)
	started := time.Now()
	require.NoError(t, c.Close())
	require.Less(t, time.Since(started), promptly)
	require.Equal(t, transfer.ConnectionLost, transfer.CodeOf(<-reading))
	require.ErrorContains(t, <-waiting, "the connector is closed")
	_, err = c.Connect(t.Context())
	require.ErrorContains(t, err, "the connector is closed")
	require.NoError(t, src.Close())
	require.NoError(t, r.Close())
	require.NoError(t, c.Close())
}

func TestCloseWhileDialling(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Faults: transfertest.SFTPFaults{Silent: true}})
	c := connect(t, config(server))
	waiting := make(chan error, 1)
	go func() {
		_, err := c.Connect(t.Context())
		waiting <- err
	}()
	require.Eventually(t, func() bool { return server.Connections() == 1 }, eventually, often)
	require.NoError(t, c.Close())
	require.ErrorContains(t, <-waiting, "the connector is closed")
}

// Many files come and go while connections break; none is lost for good, and nothing stays open.
func TestChurn(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	data := random(t, 100_000)
	require.NoError(t, server.WriteFile("/a", data))
	cfg := config(server)
	cfg.MaxConnections, cfg.FilesPerConnection, cfg.IdleTimeout = 3, 4, time.Millisecond
	c := connect(t, cfg)
	var group sync.WaitGroup
	var good, bad atomic.Int32
	for range 24 {
		group.Go(func() {
			for range 10 {
				switch _, err := download(t, c, "/a"); {
				case err == nil:
					if good.Add(1)%20 == 0 {
						server.CutConnections() // on which others are under way
					}
				case transfer.CodeOf(err).Retryable():
					bad.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	t.Logf("%d files came through, %d were cut", good.Load(), bad.Load())
	require.NotZero(t, good.Load())
	got, err := download(t, c, "/a")
	for range cfg.MaxConnections { // those that were cut last may not know it yet
		if err == nil || !transfer.CodeOf(err).Retryable() {
			break
		}
		got, err = download(t, c, "/a")
	}
	require.NoError(t, err)
	require.Equal(t, data, got)
	require.Eventually(t, func() bool { return server.Connections() == 0 && server.OpenHandles() == 0 }, eventually, often)
}

// A caller that leaves while its session is made does not take it along.
func TestWaiterLeaves(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	cfg := config(server)
	cfg.MaxConnections, cfg.FilesPerConnection = 1, 1
	release := make(chan struct{})
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		<-release
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	c := connect(t, cfg)
	ctx, cancel := context.WithCancelCause(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := c.Connect(ctx)
		left <- err
	}()
	cancel(errors.New("gone"))
	require.ErrorIs(t, <-left, context.Canceled)
	close(release)
	remote(t, c)
}

var _ transfer.Connector = (*sftpx.Connector)(nil)

// Connections that nobody uses are closed on request, and those in use are not.
func TestIdleConnectionsAreClosedOnRequest(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	cfg := config(server)
	cfg.MaxConnections, cfg.IdleTimeout = 1, time.Hour
	c := connect(t, cfg)
	r := remote(t, c)
	c.CloseIdleConnections()
	require.Never(t, func() bool { return server.Connections() != 1 }, 100*time.Millisecond, 10*time.Millisecond)
	require.NoError(t, r.Close())
	c.CloseIdleConnections()
	require.Eventually(t, func() bool { return server.Connections() == 0 }, 10*time.Second, time.Millisecond)
	require.NoError(t, remote(t, c).Close(), "a later file has a new one")
	require.Equal(t, 2, server.Stats().Accepted)
}
