package sftpx_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// neighbours begins 4 files on one slow connection, calls window for each, and cancels the first once all are under way.
// Once the first has let go the server is fast again.
func neighbours(t *testing.T, window func(ctx context.Context, t *testing.T, server *transfertest.SFTPServer, r transfer.Remote) func() error) []error {
	t.Helper()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	require.NoError(t, server.WriteFile("/a", random(t, 8*mebibyte)))
	cfg := config(server)
	cfg.MaxConnections = 1
	c := connect(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var moves []func() error
	for i := range 4 {
		owner := t.Context()
		if i == 0 {
			owner = ctx
		}
		moves = append(moves, window(owner, t, server, remote(t, c)))
	}
	server.SetFaults(transfertest.SFTPFaults{Conn: transfertest.ConnFaults{BytesPerSecond: 4 * mebibyte}})
	before := server.Requests(transfertest.SFTPRead | transfertest.SFTPWrite)
	errs := make([]error, len(moves))
	gone := make(chan struct{})
	var group sync.WaitGroup
	for i, move := range moves {
		group.Go(func() {
			if errs[i] = move(); i == 0 {
				close(gone)
			}
		})
	}
	require.Eventually(t, func() bool {
		return server.Requests(transfertest.SFTPRead|transfertest.SFTPWrite) > before+8
	}, eventually, often)
	cancel()
	<-gone
	server.SetFaults(transfertest.SFTPFaults{})
	group.Wait()
	require.Equal(t, 1, server.Stats().Accepted)
	return errs
}

// Who cancels one file in the middle of a window does not take down the connection of others, even where the rest of the
// window would take longer than anybody waits.
func TestCancelledFileSparesItsNeighbours(t *testing.T) {
	t.Parallel()
	for name, window := range map[string]func(context.Context, *testing.T, *transfertest.SFTPServer, transfer.Remote) func() error{
		"read": func(ctx context.Context, t *testing.T, _ *transfertest.SFTPServer, r transfer.Remote) func() error {
			src, err := r.Open(t.Context(), "/a")
			require.NoError(t, err)
			t.Cleanup(func() { _ = src.Close() })
			return func() error { return src.ReadWindow(ctx, make([]byte, 8*mebibyte), 0) }
		},
		"write": func(ctx context.Context, t *testing.T, _ *transfertest.SFTPServer, r transfer.Remote) func() error {
			k, _ := begin(t, r, "/b", 8*mebibyte, 8*mebibyte)
			return func() error { return k.WriteWindow(ctx, make([]byte, 8*mebibyte), 0) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			errs := neighbours(t, window)
			require.ErrorIs(t, errs[0], context.Canceled)
			for _, err := range errs[1:] {
				require.NoError(t, err)
			}
		})
	}
}

// After a cancellation the handle is closed and its CLOSE answered; what was acknowledged can be gone on from.
func TestCancelledFileClosesItsHandle(t *testing.T) {
	t.Parallel()
	server, c := start(t, transfertest.SFTPFaults{})
	r := remote(t, c)
	k, o := begin(t, r, "/b", 16*mebibyte, 8*mebibyte)
	require.NoError(t, k.WriteWindow(t.Context(), make([]byte, 8*mebibyte), 0))
	ctx, cancel := context.WithCancel(t.Context())
	held := make(chan struct{})
	rule := server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPWrite, Times: 1, Hold: held})
	ended := make(chan error)
	go func() { ended <- k.WriteWindow(ctx, make([]byte, 8*mebibyte), 8*mebibyte) }()
	<-rule.Hit()
	cancel()
	close(held)
	require.ErrorIs(t, <-ended, context.Canceled)
	require.NoError(t, k.Close())
	require.Zero(t, server.OpenHandles())
	require.Equal(t, 1, server.Requests(transfertest.SFTPClose))
	o.Checkpoint = k.Checkpoint()
	k, err := r.Create(t.Context(), "/b", o)
	require.NoError(t, err)
	require.NoError(t, k.WriteWindow(t.Context(), make([]byte, 8*mebibyte), 8*mebibyte))
	require.NoError(t, k.Commit(t.Context(), noSum))
	require.NoError(t, k.Close())
}
