package transfertest_test

import (
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/transfertest"
)

// readAll reads a file in one request.
func readAll(client *sftp.Client, name string, n int) ([]byte, error) {
	f, err := client.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	got := make([]byte, n)
	_, err = f.ReadAt(got, 0)
	return got, err
}

func TestQuota(t *testing.T) {
	t.Parallel()
	srv, client, data := setup(t, 1<<20, transfertest.SFTPFaults{DiskSpace: 256 << 10, Quota: true})
	require.Equal(t, transfertest.StatusQuotaExceeded, status(t, upload(client, "/b", data)))
	info, err := srv.Stat("/b")
	require.NoError(t, err)
	require.LessOrEqual(t, info.Size(), int64(256<<10))
	vfs, err := client.StatVFS("/")
	require.NoError(t, err)
	require.Greater(t, vfs.FreeSpace(), uint64(1<<30))
}

func TestNoReopen(t *testing.T) {
	t.Parallel()
	srv, client, data := setup(t, 10, transfertest.SFTPFaults{NoReopen: true})
	_, err := client.OpenFile("/a", os.O_WRONLY)
	require.Equal(t, transfertest.StatusFailure, status(t, err))
	require.NoError(t, upload(client, "/b", data))
	require.NoError(t, upload(client, "/b", data), "emptied")
	got, err := srv.ReadFile("/b")
	require.NoError(t, err)
	require.Equal(t, data, got)
}

func TestAppendOnly(t *testing.T) {
	t.Parallel()
	srv, client, _ := setup(t, 10, transfertest.SFTPFaults{AppendOnly: true})
	f, err := client.OpenFile("/a", os.O_WRONLY)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("xx"), 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	info, err := srv.Stat("/a")
	require.NoError(t, err)
	require.EqualValues(t, 12, info.Size())
}

func TestNoSetstat(t *testing.T) {
	t.Parallel()
	_, client, _ := setup(t, 1, transfertest.SFTPFaults{NoSetstat: true})
	require.Equal(t, transfertest.StatusOpUnsupported, status(t, client.Chmod("/a", 0o600)))
	require.Equal(t, transfertest.StatusOpUnsupported, status(t, client.Chtimes("/a", time.Now(), time.Now())))
}

func TestWriteOnly(t *testing.T) {
	t.Parallel()
	srv, client, data := setup(t, 10, transfertest.SFTPFaults{WriteOnly: true})
	require.NoError(t, upload(client, "/b", data))
	for _, name := range []string{"/a", "/b"} {
		_, err := client.Stat(name)
		require.ErrorIs(t, err, fs.ErrPermission)
		_, err = client.Open(name)
		require.ErrorIs(t, err, fs.ErrPermission)
	}
	_, err := client.Stat("/")
	require.NoError(t, err)
	require.Equal(t, []string{"/a", "/b"}, srv.Files())
}

func TestLosesFiles(t *testing.T) {
	t.Parallel()
	srv, client, data := setup(t, 10, transfertest.SFTPFaults{LosesFiles: true})
	require.NoError(t, upload(client, "/b", data))
	require.Equal(t, []string{"/a"}, srv.Files())
}

func TestLyingRename(t *testing.T) {
	t.Parallel()
	srv, client, _ := setup(t, 10, transfertest.SFTPFaults{LyingRename: true})
	require.NoError(t, client.PosixRename("/a", "/b"))
	require.Equal(t, []string{"/a"}, srv.Files())
	require.NoError(t, client.Rename("/a", "/b"))
	require.Equal(t, []string{"/b"}, srv.Files())
}

// A file is given to the first who opens it, and to nobody else until it is offered anew.
func TestOpenOnce(t *testing.T) {
	t.Parallel()
	srv, client, data := setup(t, 10, transfertest.SFTPFaults{OpenOnce: true})
	_, err := client.Stat("/a")
	require.NoError(t, err)
	got, err := readAll(client, "/a", 10)
	require.NoError(t, err)
	require.Equal(t, data, got)
	_, err = client.Open("/a")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = client.Stat("/a")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, srv.WriteFile("/a", data))
	_, err = readAll(client, "/a", 10)
	require.NoError(t, err)
}

func TestStatConsumes(t *testing.T) {
	t.Parallel()
	_, client, _ := setup(t, 10, transfertest.SFTPFaults{StatConsumes: true})
	_, err := client.Stat("/a")
	require.NoError(t, err, "it is not open")
	f, err := client.Open("/a")
	require.NoError(t, err)
	defer f.Close()
	_, err = f.ReadAt(make([]byte, 10), 0)
	require.NoError(t, err)
	_, err = f.Stat()
	require.NoError(t, err)
	_, err = f.ReadAt(make([]byte, 10), 0)
	require.ErrorContains(t, err, "extracted")
}

// A client that waits for each answer is served, one that does not is refused.
func TestOneRequest(t *testing.T) {
	t.Parallel()
	srv, client, data := setup(t, 1<<20, transfertest.SFTPFaults{OneRequest: true})
	require.Error(t, upload(client, "/b", data))
	patient := dial(t, srv)
	f, err := patient.OpenFile("/c", os.O_WRONLY|os.O_CREATE)
	require.NoError(t, err)
	_, err = f.WriteAt(data, 0) // without concurrent writes, one after the other
	require.NoError(t, err)
	require.NoError(t, f.Close())
	got, err := srv.ReadFile("/c")
	require.NoError(t, err)
	require.Equal(t, data, got)
}

func TestHalfOpen(t *testing.T) {
	t.Parallel()
	c, far := pair(t, transfertest.ConnFaults{HalfOpen: true})
	n, err := c.Write(make([]byte, 1000))
	require.NoError(t, err, "the kernel takes it")
	require.Equal(t, 1000, n)
	require.EqualValues(t, 1000, c.BytesWritten())
	require.True(t, c.Frozen())
	_, err = far.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
	_, err = c.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, far.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
	_, err = far.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	c.Cut()
	_, err = c.Write([]byte("x"))
	require.ErrorIs(t, err, transfertest.ErrCut)
}
