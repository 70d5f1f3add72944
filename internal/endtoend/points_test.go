package endtoend

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// TestEveryFailurePointOfSFTP sends and retrieves a file of three windows, again and again, while one request after the
// other goes wrong in one of the ways in which requests do. Each time the file is delivered whole, or it has failed with a
// code and nothing is left behind.
func TestEveryFailurePointOfSFTP(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]transfertest.SFTPRule{
		"failure":        {Status: transfertest.StatusFailure},
		"denied":         {Status: transfertest.StatusPermissionDenied},
		"cut":            {Cut: true},
		"cut when done":  {Cut: true, Done: true},
		"never answered": {Mute: true},
	} {
		for way, send := range map[string]bool{"send": true, "retrieve": false} {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
				require.NoError(t, server.MkdirAll("/in"))
				at := rule // a copy for each way
				for n := 1; ; n++ {
					at.Nth = n
					if !failAt(t, server, send, at) {
						require.Greater(t, n, 6, "no request was struck")
						return
					}
				}
			})
		}
	}
}

// failAt moves the file while rule holds, and reports whether it struck.
func failAt(t *testing.T, server *transfertest.SFTPServer, send bool, rule transfertest.SFTPRule) (struck bool) {
	const size, small = 90_000, 40_000
	data := content(uint64(rule.Nth), size)
	local, states := transfer.NewMemory(), store.NewMemory()
	connector := partner(t, server, func(c *sftpx.Config) {
		c.OperationTimeout, c.StallTimeout, c.KeepAlive = 200*time.Millisecond, 200*time.Millisecond, -1
		c.MaxConnections = 1
	})
	cfg := transfer.Config{
		Storage: local, Store: states, Connectors: map[string]transfer.Connector{"acme": connector}, WindowSize: small,
		PollInterval: 5 * time.Millisecond, Retry: transfer.RetryPolicy{FirstDelay: time.Millisecond, MaxDelay: time.Millisecond},
	}
	name := fmt.Sprintf("%d.bin", rule.Nth)
	in := transfer.StartFileTransferInput{SendFilePaths: []string{name}, RemoteDirectoryPath: "/in"}
	if local.WriteFile(name, data); !send {
		local.Remove(name)
		require.NoError(t, server.WriteFile("/out/"+name, data))
		in = transfer.StartFileTransferInput{RetrieveFilePaths: []string{"/out/" + name}, LocalDirectoryPath: "in"}
	}
	point := server.Inject(rule)
	defer point.Remove()
	r := runOnce(t, cfg, in)
	point.Remove()

	got, err := server.ReadFile("/in/" + name)
	if !send {
		got, err = local.ReadFile("in/" + name)
	}
	at := fmt.Sprintf("request %d: %s %s %s", rule.Nth, r.FailureCode, r.FailureDetail, r.FailureMessage)
	if r.StatusCode == transfer.TransferTableStatusCompleted {
		require.NoError(t, err, at)
		require.True(t, bytes.Equal(data, got), at)
	} else {
		require.False(t, rule.Cut || rule.Mute, at)
		require.NotEqual(t, transfer.UnknownError, r.FailureCode, at)
		require.Error(t, err, at)
	}
	sweepUp(t, cfg)
	require.Empty(t, temporary(server.Files()), at)
	require.Empty(t, local.Partials(), at)
	require.Eventually(t, func() bool { return server.OpenHandles() == 0 }, 10*time.Second, time.Millisecond, at)
	return point.Hits() > 0
}

// runOnce moves one file with a client of its own.
func runOnce(t *testing.T, cfg transfer.Config, in transfer.StartFileTransferInput) transfer.ConnectorFileTransferResult {
	t.Helper()
	client, err := transfer.New(cfg)
	require.NoError(t, err)
	require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
	defer func() { require.NoError(t, client.Shutdown(context.WithoutCancel(t.Context()))) }()
	results := run(t, client, in)
	require.Len(t, results, 1)
	return results[0]
}

// sweepUp starts a client, which sweeps at once, and waits until nothing is left to sweep.
func sweepUp(t *testing.T, cfg transfer.Config) {
	t.Helper()
	litter := func() int {
		files, err := cfg.Store.ListFiles(t.Context(), store.Query{Litter: true})
		require.NoError(t, err)
		return len(files)
	}
	if litter() == 0 {
		return
	}
	client, err := transfer.New(cfg)
	require.NoError(t, err)
	require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
	defer func() { require.NoError(t, client.Shutdown(context.WithoutCancel(t.Context()))) }()
	require.Eventually(t, func() bool { return litter() == 0 }, 10*time.Second, time.Millisecond)
}
