package sftpx_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// connections are those that a connector has made, in order.
type connections struct {
	mu   sync.Mutex // guards made
	made []*transfertest.Conn
}

func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.made)
}

func (c *connections) cutLast() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.made[len(c.made)-1].Close()
}

// farAway makes the server of cfg slow to answer. most, if not 0, is how many connections may be made.
func farAway(cfg *sftpx.Config, most int) *connections {
	conns := &connections{}
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conns.mu.Lock()
		defer conns.mu.Unlock()
		if most > 0 && len(conns.made) >= most {
			return nil, errors.New("no further connection")
		}
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		w := transfertest.WrapConn(conn, transfertest.ConnFaults{Latency: 20 * time.Millisecond})
		conns.made = append(conns.made, w)
		return w, nil
	}
	return conns
}

const farWindow = 2 * mebibyte

// sendFar delivers data in windows of 2 MiB, as many at once as the sink takes. between is called after each.
func sendFar(t *testing.T, c *sftpx.Connector, path string, data []byte, between func(k transfer.Sink, off int64)) error {
	t.Helper()
	k, _ := begin(t, remote(t, c), path, len(data), farWindow)
	err := inWindows(len(data), k.Concurrency(), func(off int64, n int) error {
		err := k.WriteWindow(t.Context(), data[off:off+int64(n)], off)
		between(k, off)
		return err
	})
	if err != nil {
		return err
	}
	return k.Commit(t.Context(), noSum)
}

func fetchFar(t *testing.T, c *sftpx.Connector, path string, between func(src transfer.Source, off int64)) ([]byte, error) {
	t.Helper()
	src, err := remote(t, c).Open(t.Context(), path)
	if err != nil {
		return nil, err
	}
	data := make([]byte, src.Info().Size)
	err = inWindows(len(data), src.Concurrency(), func(off int64, n int) error {
		err := src.ReadWindow(t.Context(), data[off:off+int64(n)], off)
		between(src, off)
		return err
	})
	return data, errors.Join(err, src.Close())
}

// inWindows calls do for each window, in order, atOnce at a time.
func inWindows(size, atOnce int, do func(off int64, n int) error) error {
	var group sync.WaitGroup
	var mu sync.Mutex // guards next
	next := int64(0)
	errs := make([]error, atOnce)
	for i := range atOnce {
		group.Go(func() {
			for errs[i] == nil {
				mu.Lock()
				off := next
				next += farWindow
				mu.Unlock()
				if off >= int64(size) {
					return
				}
				errs[i] = do(off, min(farWindow, size-int(off)))
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// far is an sshd at a distance. A large file takes several lanes there.
func far(t *testing.T, change func(*sftpx.Config), most int, lines ...string) (*testenv.SSHDServer, *sftpx.Connector, *connections) {
	t.Helper()
	server := testenv.SSHD(t, lines...)
	cfg := sshdConfig(server)
	change(&cfg)
	conns := farAway(&cfg, most)
	return server, connect(t, cfg), conns
}

func unchanged(*sftpx.Config) {}

// Large files at a distance take several channels and connections, up to what connector and server allow.
func TestLanes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*sftpx.Config)
		refuse int // connections after so many
		lines  []string
		lanes  int // at the end, at least
		most   int
	}{
		"as many as there may be":          {change: unchanged, lanes: 5, most: 12},
		"one connection":                   {change: func(c *sftpx.Config) { c.MaxConnections = 1 }, lanes: 4, most: 4},
		"the server allows one channel":    {change: unchanged, lines: []string{"MaxSessions 1"}, lanes: 2, most: 2},
		"the server allows one connection": {change: unchanged, refuse: 1, lanes: 4, most: 4},
		"nothing but one":                  {change: unchanged, refuse: 1, lines: []string{"MaxSessions 1"}, lanes: 1, most: 1},
		"one request at a time":            {change: func(c *sftpx.Config) { c.Sequential = true; c.MaxPacket = 255 << 10 }, lanes: 1, most: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, conn, _ := far(t, c.change, c.refuse, c.lines...)
			data := random(t, 28*mebibyte+4321)
			if c.most == 1 {
				data = data[:6*mebibyte+99]
			}
			most := 0
			var mu sync.Mutex // guards most
			note := func(n int) {
				mu.Lock()
				defer mu.Unlock()
				most = max(most, n)
			}
			path := filepath.Join(server.Dir, "a")
			require.NoError(t, sendFar(t, conn, path, data, func(k transfer.Sink, _ int64) { note(sftpx.Lanes(k)) }))
			got, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, data, got)
			require.GreaterOrEqual(t, most, c.lanes)
			require.LessOrEqual(t, most, c.most)

			got, err = fetchFar(t, conn, path, func(src transfer.Source, _ int64) { note(sftpx.Lanes(src)) })
			require.NoError(t, err)
			require.Equal(t, data, got)
			require.LessOrEqual(t, most, c.most)
		})
	}
}

// A file that is near, or small, stays on one lane.
func TestOneLane(t *testing.T) {
	t.Parallel()
	server := testenv.SSHD(t)
	c := connect(t, sshdConfig(server))
	path := filepath.Join(server.Dir, "near")
	require.NoError(t, sendFar(t, c, path, random(t, 24*mebibyte), func(k transfer.Sink, _ int64) {
		require.LessOrEqual(t, sftpx.Lanes(k), 4)
	}))

	server, c, conns := far(t, unchanged, 0)
	path = filepath.Join(server.Dir, "small")
	require.NoError(t, sendFar(t, c, path, random(t, 3*mebibyte), func(k transfer.Sink, _ int64) {
		require.Equal(t, 1, sftpx.Lanes(k))
	}))
	require.Equal(t, 1, conns.count())
}

// What a connection had under way that breaks is moved by the others, unless it is the first one.
func TestLaneIsLost(t *testing.T) {
	t.Parallel()
	data := random(t, 40*mebibyte)
	for name, move := range map[string]func(t *testing.T, c *sftpx.Connector, path string, lose func(moved any)){
		"upload": func(t *testing.T, c *sftpx.Connector, path string, lose func(moved any)) {
			require.NoError(t, sendFar(t, c, path, data, func(k transfer.Sink, _ int64) { lose(k) }))
			got, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, data, got)
		},
		"download": func(t *testing.T, c *sftpx.Connector, path string, lose func(moved any)) {
			require.NoError(t, os.WriteFile(path, data, 0o600))
			got, err := fetchFar(t, c, path, func(src transfer.Source, _ int64) { lose(src) })
			require.NoError(t, err)
			require.Equal(t, data, got)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, c, conns := far(t, func(c *sftpx.Config) { c.MaxConnections = 2 }, 0)
			var once sync.Once
			cut := false
			move(t, c, filepath.Join(server.Dir, "a"), func(moved any) {
				if sftpx.Lanes(moved) > 4 { // more than one connection has
					once.Do(func() { conns.cutLast(); cut = true })
				}
			})
			require.True(t, cut, "there was another connection")
		})
	}
}

// A source that is replaced while it is opened on further lanes is read on those that have the version that was pinned.
func TestLanesReadOneVersion(t *testing.T) {
	t.Parallel()
	server, c, _ := far(t, unchanged, 0)
	path := filepath.Join(server.Dir, "a")
	data := random(t, 28*mebibyte)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	r := remote(t, c)
	src, err := r.Open(t.Context(), path)
	require.NoError(t, err)
	other := filepath.Join(server.Dir, "b")
	require.NoError(t, os.WriteFile(other, random(t, len(data)), 0o600))
	require.NoError(t, os.Chtimes(other, time.Time{}, time.Unix(1_700_000_000, 0)))
	require.NoError(t, os.Rename(other, path))
	got := make([]byte, len(data))
	require.NoError(t, inWindows(len(data), src.Concurrency(), func(off int64, n int) error {
		return src.ReadWindow(t.Context(), got[off:off+int64(n)], off)
	}))
	require.Equal(t, data, got)
	require.Equal(t, 1, sftpx.Lanes(src))
	require.NoError(t, src.Close())
}
