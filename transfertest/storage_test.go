package transfertest_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/storagetest"
	"github.com/seed62b9dc43/transfer/transfertest"
)

var errBroken = errors.New("broken")

const key = "0123456789abcdef"

// deliver moves data as the engine does, in windows of four bytes.
func deliver(ctx context.Context, storage transfer.Storage, path string, data []byte) (err error) {
	sink, err := storage.Create(ctx, path, transfer.CreateOptions{Size: int64(len(data)), WindowSize: 4, Key: key})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.Close()) }()
	for off := 0; off < len(data); off += 4 {
		if err := sink.WriteWindow(ctx, data[off:min(off+4, len(data))], int64(off)); err != nil {
			return errors.Join(err, sink.Abort(ctx))
		}
	}
	if err := sink.Commit(ctx, sha256.Sum256(data)); err != nil {
		return errors.Join(err, sink.Abort(ctx))
	}
	return nil
}

func fetch(ctx context.Context, storage transfer.Storage, path string) (data []byte, err error) {
	source, err := storage.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	data = make([]byte, source.Info().Size)
	for off := 0; off < len(data); off += 4 {
		if err := source.ReadWindow(ctx, data[off:min(off+4, len(data))], int64(off)); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// Every call that can fail is made to fail, once; nothing stays open, and the next attempt succeeds.
func TestStorageFailsEverywhere(t *testing.T) {
	t.Parallel()
	data := []byte("0123456789")
	for _, c := range []struct {
		op  transfertest.Op
		nth int
	}{
		{transfertest.OpOpen, 1},
		{transfertest.OpReadWindow, 1},
		{transfertest.OpReadWindow, 3},
		{transfertest.OpCloseSource, 1},
		{transfertest.OpCreate, 1},
		{transfertest.OpWriteWindow, 2},
		{transfertest.OpCommit, 1},
		{transfertest.OpCloseSink, 1},
	} {
		for _, done := range []bool{false, true} {
			t.Run(c.op.String(), func(t *testing.T) {
				t.Parallel()
				memory := transfer.NewMemory()
				memory.WriteFile("/a", data)
				storage := transfertest.NewStorage(memory)
				fault := storage.Inject(transfertest.Rule{Op: c.op, Nth: c.nth, Err: errBroken, Done: done})
				move := func() error {
					got, err := fetch(t.Context(), storage, "/a")
					if err != nil {
						return err
					}
					require.Equal(t, data, got)
					return deliver(t.Context(), storage, "/b", data)
				}
				require.ErrorIs(t, move(), errBroken)
				require.Equal(t, 1, fault.Hits())
				require.Zero(t, storage.OpenSources())
				require.Zero(t, storage.OpenSinks())
				require.NoError(t, move())
				require.Empty(t, storage.Violations())
				got, err := memory.ReadFile("/b")
				require.NoError(t, err)
				require.Equal(t, data, got)
			})
		}
	}
}

func TestStorageWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		storage := transfertest.NewStorage(nil)
		require.NoError(t, deliver(t.Context(), storage, "/a", []byte("data")))
		open := func(ctx context.Context) (time.Duration, error) {
			start := time.Now()
			_, err := fetch(ctx, storage, "/a")
			return time.Since(start), err
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()

		delay := storage.Inject(transfertest.Rule{Op: transfertest.OpReadWindow, Delay: time.Second})
		took, err := open(ctx)
		require.NoError(t, err)
		require.Equal(t, time.Second, took)
		delay.Remove()

		release := make(chan struct{})
		time.AfterFunc(2*time.Second, func() { close(release) })
		hold := storage.Inject(transfertest.Rule{Op: transfertest.OpCloseSource, Hold: release})
		took, err = open(ctx)
		require.NoError(t, err)
		require.Equal(t, 2*time.Second, took)
		hold.Remove()

		storage.Inject(transfertest.Rule{Op: transfertest.OpOpen, Path: "a", Block: true})
		took, err = open(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Minute-3*time.Second, took)
	})
}

func TestStorageCounts(t *testing.T) {
	t.Parallel()
	storage := transfertest.NewStorage(nil)
	require.NoError(t, deliver(t.Context(), storage, "/a", []byte("0123456789")))
	source, err := storage.Open(t.Context(), "/a")
	require.NoError(t, err)
	sink, err := storage.Create(t.Context(), "/b", transfer.CreateOptions{Size: 1, WindowSize: 1, Key: key})
	require.NoError(t, err)
	require.Equal(t, 1, storage.OpenSources())
	require.Equal(t, 1, storage.OpenSinks())
	require.Equal(t, 3, storage.Calls(transfertest.OpWriteWindow))
	require.Equal(t, 3, storage.Calls(transfertest.OpOpen|transfertest.OpCreate))
	require.NoError(t, source.Close())
	require.NoError(t, sink.Abort(t.Context()))
	require.NoError(t, sink.Close())
	require.Zero(t, storage.OpenSources()+storage.OpenSinks())
	require.Equal(t, 11, storage.Calls(0))
	require.Empty(t, storage.Violations())
}

func TestStorageViolations(t *testing.T) {
	t.Parallel()
	storage := transfertest.NewStorage(nil)
	ctx := t.Context()
	sink, err := storage.Create(ctx, "/a", transfer.CreateOptions{Size: 10, WindowSize: 4, Key: key})
	require.NoError(t, err)
	_ = sink.WriteWindow(ctx, []byte("123"), 1)
	_ = sink.WriteWindow(ctx, []byte("1234"), 8)
	_ = sink.Abort(ctx)
	_ = sink.WriteWindow(ctx, []byte("1234"), 4)
	_ = sink.Commit(ctx, [32]byte{})
	_ = sink.Close()
	_ = sink.Close()
	_ = sink.Abort(ctx)
	require.Equal(t, []string{
		"sink of /a: window of 3 bytes at 1, where windows have 4",
		"sink of /a: window of 4 bytes at 8, where there are 10",
		"sink of /a: window of 4 bytes at 8, where windows have 4",
		"sink of /a: window at 4 after Commit or Abort",
		"sink of /a: Commit after Commit or Abort",
		"sink of /a: closed twice",
		"sink of /a: Abort after Close",
	}, storage.Violations())
	require.Zero(t, storage.OpenSinks())
}

// Without rules, neither the decorator nor the connector changes anything.
func TestConformance(t *testing.T) {
	t.Parallel()
	storage := transfertest.NewStorage(nil)
	storagetest.Run(t, func(*testing.T) transfer.Storage { return storage }, storagetest.Options{Resume: true, Directories: true, Implied: true})
	t.Cleanup(func() { require.Zero(t, storage.OpenSources()+storage.OpenSinks()) })
}

func TestConnectorConformance(t *testing.T) {
	t.Parallel()
	connector := transfertest.NewConnector(nil, transfertest.ConnectorOptions{})
	t.Cleanup(func() { require.Zero(t, connector.OpenRemotes()+connector.OpenSources()+connector.OpenSinks()) })
	storagetest.Run(t, func(t *testing.T) transfer.Storage {
		remote, err := connector.Connect(t.Context())
		require.NoError(t, err)
		return remote
	}, storagetest.Options{Resume: true, Directories: true, Implied: true})
}

func TestConnector(t *testing.T) {
	t.Parallel()
	memory := transfer.NewMemory()
	connector := transfertest.NewConnector(memory, transfertest.ConnectorOptions{Partner: "ACME", MaxFiles: 2})
	require.Equal(t, transfer.ConnectorInfo{URL: "test://partner", Partner: "ACME", MaxFiles: 2}, connector.Info())

	refused := &transfer.Error{Op: "dial", Code: transfer.ConnectionRefused}
	connector.Inject(transfertest.Rule{Op: transfertest.OpConnect, Times: 1, Err: refused})
	_, err := connector.Connect(t.Context())
	require.ErrorIs(t, err, transfer.ConnectionRefused)
	require.Zero(t, connector.OpenRemotes())

	remote, err := connector.Connect(t.Context())
	require.NoError(t, err)
	require.True(t, remote.Features().Resume)
	require.NoError(t, deliver(t.Context(), remote, "/in/a", []byte("content")))
	got, err := memory.ReadFile("/in/a")
	require.NoError(t, err)
	require.Equal(t, "content", string(got))

	connector.Inject(transfertest.Rule{Op: transfertest.OpReadWindow, Nth: 2, Err: errBroken})
	_, err = fetch(t.Context(), remote, "/in/a")
	require.ErrorIs(t, err, errBroken)

	second, err := connector.Connect(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, connector.OpenRemotes())
	require.NoError(t, second.Close())
	require.NoError(t, remote.Close())
	require.Zero(t, connector.OpenRemotes())
	require.Equal(t, 2, connector.PeakRemotes())
	require.Equal(t, 3, connector.Calls(transfertest.OpConnect))
	require.Empty(t, connector.Violations())

	_, err = remote.Open(t.Context(), "/in/a")
	require.ErrorIs(t, err, transfer.ConnectionLost)
	require.NoError(t, remote.Close())
	require.Equal(t, []string{"remote: Open /in/a after Close", "remote: closed twice"}, connector.Violations())
}

func TestConnectEndsWithItsContext(t *testing.T) {
	t.Parallel()
	connector := transfertest.NewConnector(nil, transfertest.ConnectorOptions{})
	connector.Inject(transfertest.Rule{Op: transfertest.OpConnect, Block: true})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := connector.Connect(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestRemoteViolations(t *testing.T) {
	t.Parallel()
	memory := transfer.NewMemory()
	memory.WriteFile("/a", nil)
	connector := transfertest.NewConnector(memory, transfertest.ConnectorOptions{})
	remote, err := connector.Connect(t.Context())
	require.NoError(t, err)
	for range 2 {
		_, err = remote.Open(t.Context(), "/a")
		require.NoError(t, err)
	}
	require.NoError(t, remote.Close())
	require.Equal(t, []string{
		"remote: Open /a while it serves another file", "remote: closed with 2 open files",
	}, connector.Violations())
	require.Equal(t, 2, connector.OpenSources())
}
