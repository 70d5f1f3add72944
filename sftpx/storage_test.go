package sftpx_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/storagetest"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// connect returns a connector that is closed when the test ends.
func connect(t testing.TB, cfg sftpx.Config) *sftpx.Connector {
	t.Helper()
	c, err := sftpx.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// config is for a server in this process.
func config(s *transfertest.SFTPServer) sftpx.Config {
	return sftpx.Config{
		Addr: s.Addr(), User: s.User(), HostKeys: s.HostKeys(), Auth: []sftpx.Auth{sftpx.PublicKey(s.Signer())},
	}
}

// sshdConfig is for a real server.
func sshdConfig(s *testenv.SSHDServer) sftpx.Config {
	return sftpx.Config{
		Addr: s.Addr, User: s.User, HostKeys: s.HostKeys[:1], Auth: []sftpx.Auth{sftpx.PublicKey(s.Signer)},
	}
}

// remote returns a session that is closed when the test ends.
func remote(t testing.TB, c *sftpx.Connector) transfer.Remote {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := c.Connect(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func opener(c *sftpx.Connector) func(t *testing.T) transfer.Storage {
	return func(t *testing.T) transfer.Storage { return remote(t, c) }
}

func TestStorageOnOpenSSH(t *testing.T) {
	t.Parallel()
	server := testenv.SSHD(t)
	cfg := sshdConfig(server)
	cfg.MaxConnections = 8
	storagetest.Run(t, opener(connect(t, cfg)), storagetest.Options{
		Root: server.Dir, Resume: true, MissingParent: transfer.DirectoryNotFound, Directories: true, ListsUnfinished: true,
		Leftovers: func(t *testing.T) []string { return filesIn(t, server.Dir) },
	})
}

func TestStorageInProcess(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	cfg := config(server)
	cfg.MaxConnections = 8
	storagetest.Run(t, opener(connect(t, cfg)), storagetest.Options{
		Resume: true, MissingParent: transfer.DirectoryNotFound, Directories: true, ListsUnfinished: true,
	})
}

func TestStorageWithMakeDirs(t *testing.T) {
	t.Parallel()
	server := testenv.SSHD(t)
	cfg := sshdConfig(server)
	cfg.MaxConnections, cfg.MakeDirs, cfg.Fsync = 8, true, true
	storagetest.Run(t, opener(connect(t, cfg)), storagetest.Options{Root: server.Dir, Resume: true})
}

func TestStorageWithoutPosixRename(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{
		Faults: transfertest.SFTPFaults{NoPosixRename: true, NoReadWrite: true},
	})
	cfg := config(server)
	cfg.MaxConnections = 8
	storagetest.Run(t, opener(connect(t, cfg)), storagetest.Options{
		Resume: true, MissingParent: transfer.DirectoryNotFound, Directories: true, ListsUnfinished: true,
	})
}

func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		if os.IsNotExist(err) {
			return nil
		}
		return err
	})
	require.NoError(t, err)
	return names
}
