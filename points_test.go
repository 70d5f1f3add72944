package transfer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// counted counts the files that were published in a storage.
type counted struct {
	transfer.Storage
	published *atomic.Int64
}

type countedSink struct {
	transfer.Sink
	published *atomic.Int64
}

func (c counted) Create(ctx context.Context, path string, o transfer.CreateOptions) (transfer.Sink, error) {
	s, err := c.Storage.Create(ctx, path, o)
	if err != nil {
		return nil, err
	}
	return countedSink{s, c.published}, nil
}

func (s countedSink) Commit(ctx context.Context, sum [sha256.Size]byte) error {
	err := s.Sink.Commit(ctx, sum)
	if err == nil {
		s.published.Add(1)
	}
	return err
}

// point is a file of three windows on its way, and what is going to fail.
type point struct {
	*bench
	store     *transfertest.Store
	send      bool
	data      []byte
	published atomic.Int64
}

func newPoint(t *testing.T, send bool) *point {
	p := &point{bench: &bench{t: t, local: transfer.NewMemory(), remote: transfer.NewMemory()}, send: send, data: content(1, 2500)}
	p.store = transfertest.NewStore(nil)
	p.bench.store = p.store
	p.storage = transfertest.NewStorage(counted{p.local, &p.published})
	p.partner = transfertest.NewConnector(counted{p.remote, &p.published}, transfertest.ConnectorOptions{URL: "sftp://alice@partner.example", MaxFiles: 4})
	p.client = p.newClient(func(c *transfer.Config) {
		c.ProgressInterval, c.PollInterval = time.Second, time.Second
		c.Retry = transfer.RetryPolicy{MaxAttempts: 5, MaxTime: time.Hour}
	})
	p.source().WriteFile("/out/a.bin", p.data)
	return p
}

func (p *point) source() *transfer.Memory {
	if p.send {
		return p.local
	}
	return p.remote
}

func (p *point) target() *transfer.Memory {
	if p.send {
		return p.remote
	}
	return p.local
}

// deliver starts the client, sends or retrieves the file, asking again while the store fails, and returns its result.
func (p *point) deliver() transfer.ConnectorFileTransferResult {
	t := p.t
	require.NoError(t, p.client.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(p.requireClean)
	in := transfer.StartFileTransferInput{ConnectorID: "acme", ClientToken: "once", RetrieveFilePaths: []string{"/out/a.bin"}, LocalDirectoryPath: "/in"}
	if p.send {
		in = transfer.StartFileTransferInput{ConnectorID: "acme", ClientToken: "once", SendFilePaths: []string{"/out/a.bin"}, RemoteDirectoryPath: "/in"}
	}
	id := patient(t, func() (string, error) {
		out, err := p.client.StartFileTransfer(t.Context(), &in)
		if err != nil {
			return "", err
		}
		return out.TransferID, nil
	})
	patient(t, func() (transfer.TransferSummary, error) { return p.client.Wait(t.Context(), id) })
	page := patient(t, func() (*transfer.ListFileTransferResultsOutput, error) {
		return p.client.ListFileTransferResults(t.Context(), &transfer.ListFileTransferResultsInput{ConnectorID: "acme", TransferID: id})
	})
	require.Len(t, page.FileTransferResults, 1)
	return page.FileTransferResults[0]
}

// patient repeats a call while the store is away.
func patient[T any](t *testing.T, call func() (T, error)) T {
	t.Helper()
	for range 10 {
		value, err := call()
		var away *transfer.ServiceUnavailableException
		if !errors.As(err, &away) {
			require.NoError(t, err)
			return value
		}
		time.Sleep(time.Second)
	}
	require.Fail(t, "the store never came back")
	panic("unreachable")
}

// requireWholeOrNothing requires that the file was delivered whole, once, or failed, and that nothing else is left behind
// once what is left behind was swept.
func (p *point) requireWholeOrNothing(r transfer.ConnectorFileTransferResult) {
	t := p.t
	if r.StatusCode == transfer.TransferTableStatusCompleted {
		got, err := p.target().ReadFile("/in/a.bin")
		require.NoError(t, err)
		require.True(t, bytes.Equal(p.data, got))
		sum := sha256.Sum256(p.data)
		require.Equal(t, hex.EncodeToString(sum[:]), r.SHA256)
		require.EqualValues(t, len(p.data), r.BytesTransferred)
		require.EqualValues(t, 1, p.published.Load(), "published more than once")
	} else {
		require.Equal(t, transfer.TransferTableStatusFailed, r.StatusCode)
		require.Zero(t, p.published.Load())
	}
	time.Sleep(2 * time.Hour)
	require.Empty(t, p.local.Partials())
	require.Empty(t, p.remote.Partials())
	require.Len(t, p.source().Paths(), 1)
	require.EqualValues(t, p.published.Load(), len(p.target().Paths()))
}

var storageCalls = []transfertest.Op{
	transfertest.OpOpen, transfertest.OpReadWindow, transfertest.OpCloseSource, transfertest.OpCreate, transfertest.OpWriteWindow,
	transfertest.OpCommit, transfertest.OpAbort, transfertest.OpCloseSink, transfertest.OpConnect, transfertest.OpCloseRemote,
}

// everyPoint runs one test for each n from 1 on, until nothing is struck any more.
func everyPoint(t *testing.T, name string, test func(t *testing.T, n int) *transfertest.Injection) {
	for n := 1; ; n++ {
		var struck bool
		t.Run(fmt.Sprintf("%s %d", name, n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { struck = test(t, n).Hits() > 0 })
		})
		if !struck || t.Failed() {
			return
		}
	}
}

func ways() map[string]bool { return map[string]bool{"send": true, "retrieve": false} }

func TestEveryFailurePointOfAStorage(t *testing.T) {
	t.Parallel()
	kinds := map[string]struct {
		err  error
		done bool
	}{
		"refused":         {err: fs.ErrPermission},
		"connection lost": {err: transfer.ConnectionLost},
		"answer lost":     {err: transfer.ConnectionLost, done: true},
	}
	for way, send := range ways() {
		for _, op := range storageCalls {
			for kind, how := range kinds {
				for _, side := range []string{"storage", "partner"} {
					everyPoint(t, fmt.Sprintf("%s/%v/%s/%s", way, op, side, kind), func(t *testing.T, n int) *transfertest.Injection {
						p := newPoint(t, send)
						inject := p.storage.Inject
						if side == "partner" {
							inject = p.partner.Inject
						}
						struck := inject(transfertest.Rule{Op: op, Nth: n, Err: how.err, Done: how.done})
						r := p.deliver()
						if how.err == transfer.ConnectionLost {
							require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
						}
						if r.StatusCode == transfer.TransferTableStatusFailed {
							require.Equal(t, transfer.PermissionDenied, r.FailureDetail)
						}
						p.requireWholeOrNothing(r)
						return struck
					})
				}
			}
		}
	}
}

func TestAPartnerThatIsGoneFromSomePointOn(t *testing.T) {
	t.Parallel()
	for way, send := range ways() {
		everyPoint(t, way, func(t *testing.T, n int) *transfertest.Injection {
			p := newPoint(t, send)
			gone := p.partner.Inject(transfertest.Rule{Nth: n, Times: -1, Err: transfer.ConnectionLost})
			r := p.deliver()
			if r.StatusCode == transfer.TransferTableStatusFailed {
				require.Equal(t, transfer.ConnectionError, r.FailureCode)
				require.Equal(t, transfer.ConnectionLost, r.FailureDetail)
			}
			gone.Remove()
			p.requireWholeOrNothing(r)
			return gone
		})
	}
}

func TestEveryFailurePointOfTheStore(t *testing.T) {
	t.Parallel()
	for way, send := range ways() {
		for _, done := range []bool{false, true} {
			everyPoint(t, fmt.Sprintf("%s/answer lost %v", way, done), func(t *testing.T, n int) *transfertest.Injection {
				p := newPoint(t, send)
				struck := p.store.Inject(transfertest.StoreRule{Nth: n, Err: errors.New("the database is away"), Done: done})
				r := p.deliver()
				require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
				p.requireWholeOrNothing(r)
				if n > 40 { // it goes on polling
					return &transfertest.Injection{}
				}
				return struck
			})
		}
	}
}
