package sftpx_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/storagetest"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// start returns a server with faults and a connector to it.
func start(t *testing.T, faults transfertest.SFTPFaults) (*transfertest.SFTPServer, *sftpx.Connector) {
	t.Helper()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Faults: faults})
	return server, connect(t, config(server))
}

func requireServerFile(t *testing.T, server *transfertest.SFTPServer, path string, want []byte) {
	t.Helper()
	got, err := server.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// What a server answers decides the cause of the failure.
func TestCauses(t *testing.T) {
	t.Parallel()
	create := func(t *testing.T, r transfer.Remote) error {
		_, err := r.Create(t.Context(), "/in/b", transfer.CreateOptions{Size: 1, WindowSize: 1, Key: storagetest.NewKey()})
		return err
	}
	deliver := func(t *testing.T, r transfer.Remote) error {
		return storagetest.Write(t.Context(), r, "/in/b", []byte("x"), transfer.CreateOptions{})
	}
	open := func(t *testing.T, r transfer.Remote) error {
		src, err := r.Open(t.Context(), "/in/a")
		if err == nil {
			_ = src.Close()
		}
		return err
	}
	const failure, denied = transfertest.StatusFailure, transfertest.StatusPermissionDenied
	for name, c := range map[string]struct {
		op     transfertest.SFTPOp
		status transfertest.SFTPStatus
		do     func(*testing.T, transfer.Remote) error
		code   transfer.Code
	}{
		"stat denied":          {transfertest.SFTPStat, denied, open, transfer.PermissionDenied},
		"stat fails":           {transfertest.SFTPStat, failure, open, transfer.UnknownError},
		"open denied":          {transfertest.SFTPOpen, denied, open, transfer.PermissionDenied},
		"open: no such path":   {transfertest.SFTPOpen, 10, open, transfer.FileNotFound},
		"open: a directory":    {transfertest.SFTPOpen, 24, open, transfer.IsDirectory},
		"open: unsupported":    {transfertest.SFTPOpen, transfertest.StatusOpUnsupported, open, transfer.UnsupportedOperationError},
		"create denied":        {transfertest.SFTPOpen, denied, create, transfer.PermissionDenied},
		"create: no directory": {transfertest.SFTPOpen, transfertest.StatusNoSuchFile, create, transfer.DirectoryNotFound},
		"create fails":         {transfertest.SFTPOpen, failure, create, transfer.UnknownError},
		"write denied":         {transfertest.SFTPWrite, denied, deliver, transfer.PermissionDenied},
		"write fails":          {transfertest.SFTPWrite, failure, deliver, transfer.UnknownError},
		"write: no space":      {transfertest.SFTPWrite, transfertest.StatusNoSpace, deliver, transfer.NoSpace},
		"write: over quota":    {transfertest.SFTPWrite, transfertest.StatusQuotaExceeded, deliver, transfer.NoSpace},
		"close fails":          {transfertest.SFTPClose, failure, deliver, transfer.UnknownError},
		"close: over quota":    {transfertest.SFTPClose, transfertest.StatusQuotaExceeded, deliver, transfer.NoSpace},
		"create: exists":       {transfertest.SFTPOpen, transfertest.StatusFileExists, create, transfer.FileExists},
		"create: read-only":    {transfertest.SFTPOpen, 12, create, transfer.PermissionDenied},
		"rename denied":        {transfertest.SFTPPosixRename, denied, deliver, transfer.PermissionDenied},
		"rename fails":         {transfertest.SFTPPosixRename, failure, deliver, transfer.RenameError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, conn := start(t, transfertest.SFTPFaults{})
			require.NoError(t, server.MkdirAll("/in"))
			require.NoError(t, server.WriteFile("/in/a", []byte("x")))
			server.Inject(transfertest.SFTPRule{Op: c.op, Status: c.status, Times: 1, Message: "no \x1b[31m\x00" + strings.Repeat("!", 1000)})
			err := c.do(t, remote(t, conn))
			require.Error(t, err)
			require.Equal(t, c.code, transfer.CodeOf(err), err.Error())
			require.ErrorContains(t, err, "/in/")
			require.ErrorContains(t, err, server.Addr())
			require.NotContains(t, err.Error(), "\x1b")
			require.Less(t, len(err.Error()), 1000)
			require.Equal(t, []string{"/in/a"}, server.Files(), "something was left behind")
		})
	}
}

// Servers that know no code for a full disk say it in words.
func TestFullDiskInWords(t *testing.T) {
	t.Parallel()
	for _, words := range []string{"write /a: no space left on device", "Quota exceeded"} {
		server, c := start(t, transfertest.SFTPFaults{})
		server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPWrite, Status: transfertest.StatusFailure, Message: words})
		require.Equal(t, transfer.NoSpace, transfer.CodeOf(upload(t, c, "/a", []byte("x"))), words)
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	server, c := start(t, transfertest.SFTPFaults{DiskSpace: mebibyte})
	err := upload(t, c, "/a", random(t, 3*mebibyte))
	require.ErrorIs(t, err, transfer.NoSpace)
	require.True(t, transfer.CodeOf(err).Retryable())
	require.Empty(t, server.Files())
}

func TestMissingDirectories(t *testing.T) {
	t.Parallel()
	server, c := start(t, transfertest.SFTPFaults{})
	err := upload(t, c, "/new/deep/a", []byte("x"))
	require.Equal(t, transfer.DirectoryNotFound, transfer.CodeOf(err))
	require.ErrorContains(t, err, "MakeDirs")
	cfg := config(server)
	cfg.MakeDirs = true
	c = connect(t, cfg)
	require.NoError(t, upload(t, c, "/new/deep/a", []byte("x")))
	require.NoError(t, upload(t, c, "relative/b", []byte("y")))
	requireServerFile(t, server, "/relative/b", []byte("y"))
}

func TestTempNames(t *testing.T) {
	t.Parallel()
	for pattern, temp := range map[string]string{
		"": "/in/.transfer-KEY.part", "%n.%k.tmp": "/in/a.KEY.tmp", "../tmp/%k": "/tmp/KEY", "/tmp/%n-%k": "/tmp/a-KEY",
	} {
		t.Run(pattern, func(t *testing.T) {
			t.Parallel()
			server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
			require.NoError(t, server.MkdirAll("/in"))
			require.NoError(t, server.MkdirAll("/tmp"))
			cfg := config(server)
			cfg.TempName = pattern
			k, o := begin(t, remote(t, connect(t, cfg)), "/in/a", 1, 1)
			require.Equal(t, []string{strings.ReplaceAll(temp, "KEY", o.Key)}, server.Files())
			require.NoError(t, k.WriteWindow(t.Context(), []byte("x"), 0))
			require.NoError(t, k.Commit(t.Context(), noSum))
			require.Equal(t, []string{"/in/a"}, server.Files())
		})
	}
}

// Without posix-rename an old file is removed first, if the server's rename does not replace it.
func TestReplaceWithoutPosixRename(t *testing.T) {
	t.Parallel()
	server, c := start(t, transfertest.SFTPFaults{NoPosixRename: true})
	require.NoError(t, server.WriteFile("/a", []byte("old")))
	require.NoError(t, server.MkdirAll("/directory"))
	require.False(t, remote(t, c).Features().AtomicReplace)
	require.NoError(t, upload(t, c, "/a", []byte("new")))
	requireServerFile(t, server, "/a", []byte("new"))
	require.ErrorIs(t, upload(t, c, "/directory", []byte("new")), transfer.IsDirectory)
	require.Equal(t, []string{"/a"}, server.Files())
}

// A server that advertises posix-rename, but cannot do it, is asked for a plain rename.
func TestPosixRenameIsAdvertisedOnly(t *testing.T) {
	t.Parallel()
	server, c := start(t, transfertest.SFTPFaults{})
	require.NoError(t, server.WriteFile("/a", []byte("old")))
	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPPosixRename, Status: transfertest.StatusOpUnsupported})
	require.NoError(t, upload(t, c, "/a", []byte("new")))
	requireServerFile(t, server, "/a", []byte("new"))

	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPRemove, Status: transfertest.StatusPermissionDenied, Path: "a"})
	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPRmdir, Status: transfertest.StatusPermissionDenied, Path: "a"})
	err := upload(t, c, "/a", []byte("newer"))
	require.Error(t, err, "the old file cannot be removed")
	requireServerFile(t, server, "/a", []byte("new"))
	require.Equal(t, []string{"/a"}, server.Files())
}

func TestServerThatCannotRename(t *testing.T) {
	t.Parallel()
	server, c := start(t, transfertest.SFTPFaults{NoRename: true})
	err := upload(t, c, "/a", []byte("new"))
	require.Equal(t, transfer.RenameError, transfer.CodeOf(err))
	require.ErrorContains(t, err, "RenameDirect")
	require.Empty(t, server.Files())

	cfg := config(server)
	cfg.RenameMode = sftpx.RenameDirect
	c = connect(t, cfg)
	require.False(t, remote(t, c).Features().AtomicReplace)
	data := random(t, 3*mebibyte)
	require.NoError(t, upload(t, c, "/a", data))
	requireServerFile(t, server, "/a", data)
	k, _ := begin(t, remote(t, c), "/b", 10, 10)
	require.Contains(t, server.Files(), "/b")
	require.NoError(t, k.Abort(t.Context()))
	require.Equal(t, []string{"/a"}, server.Files())
}

// The answer to a rename is lost, but not the file: a second delivery would find it there.
func TestLostAnswerToRename(t *testing.T) {
	t.Parallel()
	for _, policy := range []transfer.Overwrite{transfer.OverwriteReplace, transfer.OverwriteFail} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			server, c := start(t, transfertest.SFTPFaults{})
			server.Inject(transfertest.SFTPRule{
				Op: transfertest.SFTPRename | transfertest.SFTPPosixRename, Cut: true, Times: 1,
				Do: func(q transfertest.SFTPRequest) {
					data, err := server.ReadFile(q.Path)
					if err := errors.Join(err, server.WriteFile(q.Target, data), server.Remove(q.Path)); err != nil {
						t.Error(err)
					}
				},
			})
			require.NoError(t, storagetest.Write(t.Context(), remote(t, c), "/a", []byte("new"), transfer.CreateOptions{Overwrite: policy}))
			requireServerFile(t, server, "/a", []byte("new"))
		})
	}
	t.Run("before it was done", func(t *testing.T) {
		t.Parallel()
		server, c := start(t, transfertest.SFTPFaults{})
		require.NoError(t, server.WriteFile("/a", []byte("old")))
		server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPPosixRename, Cut: true, Times: 1})
		require.ErrorIs(t, upload(t, c, "/a", []byte("new")), transfer.ConnectionLost)
		require.Equal(t, []string{"/a"}, server.Files())
		requireServerFile(t, server, "/a", []byte("old"))
	})
}

// A partner whose software takes files at once has still got them.
func TestPartnerTakesTheFileAtOnce(t *testing.T) {
	t.Parallel()
	server, c := start(t, transfertest.SFTPFaults{Take: "a"})
	require.NoError(t, upload(t, c, "/a", []byte("new")))
	require.Equal(t, []byte("new"), server.Taken()["/a"])
	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPStat, Status: transfertest.StatusPermissionDenied})
	require.NoError(t, upload(t, c, "/b", []byte("new")), "a directory that may only be written")
}

// A server that says OK to every WRITE and stores nothing is found out.
func TestServerLies(t *testing.T) {
	t.Parallel()
	server, c := start(t, transfertest.SFTPFaults{})
	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPWrite, Pretend: true})
	require.ErrorIs(t, upload(t, c, "/a", []byte("new")), transfer.SizeMismatch)
	require.Empty(t, server.Files())
}

// A mailbox server hands out a file once, to a client that sends nothing but READ between OPEN and CLOSE.
func TestMailbox(t *testing.T) {
	t.Parallel()
	server, c := start(t, transfertest.SFTPFaults{ReadOnce: true, Sequential: true})
	want := random(t, 3*mebibyte+1)
	require.NoError(t, server.WriteFile("/a", want))
	got, err := download(t, c, "/a")
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Empty(t, server.Files())
	require.Equal(t, 1, server.Requests(transfertest.SFTPStat|transfertest.SFTPLstat|transfertest.SFTPFstat))
	require.Zero(t, server.Requests(transfertest.SFTPOther|transfertest.SFTPSetstat|transfertest.SFTPFsetstat))
}

// A file that became shorter since it was opened fails; one that is not as empty as the server says is not taken.
func TestSizeOfSource(t *testing.T) {
	t.Parallel()
	server, c := start(t, transfertest.SFTPFaults{})
	require.NoError(t, server.WriteFile("/a", random(t, 2*mebibyte)))
	require.NoError(t, server.WriteFile("/empty", nil))
	src, err := remote(t, c).Open(t.Context(), "/a")
	require.NoError(t, err)
	require.NoError(t, server.WriteFile("/a", random(t, mebibyte+1)))
	err = src.ReadWindow(t.Context(), make([]byte, 2*mebibyte), 0)
	require.Equal(t, transfer.SizeMismatch, transfer.CodeOf(err))
	require.NoError(t, src.Close())
	got, err := download(t, c, "/empty")
	require.NoError(t, err)
	require.Empty(t, got)

	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPOpen, Path: "/empty", Do: func(transfertest.SFTPRequest) {
		_ = server.WriteFile("/empty", []byte("x"))
	}})
	_, err = download(t, c, "/empty")
	require.Equal(t, transfer.SizeMismatch, transfer.CodeOf(err))
	require.Eventually(t, func() bool { return server.OpenHandles() == 0 }, eventually, often)
}

func TestNoRegularFile(t *testing.T) {
	t.Parallel()
	server := testenv.SSHD(t)
	r := remote(t, connect(t, sshdConfig(server)))
	link := filepath.Join(server.Dir, "link")
	require.NoError(t, os.Symlink(server.Dir, link))
	for _, path := range []string{server.Dir, link, "/dev/null", "."} {
		_, err := r.Open(t.Context(), path)
		require.Equal(t, transfer.IsDirectory, transfer.CodeOf(err), path)
	}
	for path, said := range map[string]string{"": "empty", "a\x00b": "NUL"} {
		_, err := r.Open(t.Context(), path)
		require.ErrorContains(t, err, said)
		_, err = r.Create(t.Context(), path, transfer.CreateOptions{Key: storagetest.NewKey()})
		require.ErrorContains(t, err, said)
	}
	_, err := r.Create(t.Context(), "/a/", transfer.CreateOptions{Key: storagetest.NewKey()})
	require.ErrorIs(t, err, transfer.IsDirectory)
	_, err = r.Create(t.Context(), "/a", transfer.CreateOptions{Key: "../../etc"})
	require.ErrorContains(t, err, "no key")
}

// A temporary file is removed even if its connection has broken.
func TestAbortOverNewConnection(t *testing.T) {
	t.Parallel()
	server, c := start(t, transfertest.SFTPFaults{})
	k, _ := begin(t, remote(t, c), "/a", 20, 10)
	require.NoError(t, k.WriteWindow(t.Context(), random(t, 10), 0))
	server.CutConnections()
	require.NoError(t, k.Abort(t.Context()))
	require.NoError(t, k.Close())
	require.Empty(t, server.Files())

	k, _ = begin(t, remote(t, c), "/b", 20, 10)
	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPRemove, Cut: true, Times: 1})
	require.NoError(t, k.Abort(t.Context()), "broken while it is removed")
	require.Empty(t, server.Files())

	k, _ = begin(t, remote(t, c), "/c", 20, 10)
	server.Stop()
	require.ErrorIs(t, k.Abort(within(t, promptly)), transfer.ConnectionRefused)
	require.NoError(t, k.Close())
}

func TestAbortIsBounded(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	c := connect(t, config(server))
	k, _ := begin(t, remote(t, c), "/a", 20, 10)
	server.SetFaults(transfertest.SFTPFaults{Silent: true, Conn: transfertest.ConnFaults{Frozen: true}})
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	started := time.Now()
	require.Error(t, k.Abort(ctx))
	require.NoError(t, k.Close())
	require.Less(t, time.Since(started), promptly)
}

// Handles are closed in good order whatever happens, for servers that take offence at clients who leave without.
func TestHandlesAreClosed(t *testing.T) {
	t.Parallel()
	server, c := start(t, transfertest.SFTPFaults{})
	require.NoError(t, server.WriteFile("/a", random(t, 10)))
	r := remote(t, c)
	src, err := r.Open(t.Context(), "/a")
	require.NoError(t, err)
	k, _ := begin(t, r, "/b", 10, 10)
	require.Equal(t, 2, server.OpenHandles())
	require.NoError(t, src.Close())
	require.NoError(t, k.Close())
	require.NoError(t, k.Close())
	require.Zero(t, server.OpenHandles())
	k, _ = begin(t, r, "/c", 10, 10)
	require.NoError(t, k.Abort(t.Context()))
	require.NoError(t, k.Abort(t.Context()))
	require.Zero(t, server.OpenHandles())
}

func TestDeliveryOnOpenSSH(t *testing.T) {
	t.Parallel()
	server := testenv.SSHD(t)
	cfg := sshdConfig(server)
	cfg.Fsync = true
	c := connect(t, cfg)
	want := random(t, 3*mebibyte+17)
	require.NoError(t, upload(t, c, "relative.bin", want))
	got, err := os.ReadFile(filepath.Join(server.Dir, "relative.bin"))
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = download(t, c, "relative.bin")
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.NoError(t, os.Mkdir(filepath.Join(server.Dir, "directory"), 0o700))
	err = upload(t, c, "directory", want)
	require.Equal(t, transfer.IsDirectory, transfer.CodeOf(err))
	var names []string
	require.NoError(t, fs.WalkDir(os.DirFS(server.Dir), ".", func(path string, _ fs.DirEntry, err error) error {
		names = append(names, path)
		return err
	}))
	require.Equal(t, []string{".", "directory", "relative.bin"}, names)
}
