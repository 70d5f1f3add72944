package sftpx_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// names lists a directory and returns its entries by name.
func names(t testing.TB, r transfer.Remote, dir string) map[string]transfer.DirectoryEntry {
	t.Helper()
	all := map[string]transfer.DirectoryEntry{}
	require.NoError(t, r.ListDirectory(t.Context(), dir, func(e transfer.DirectoryEntry) bool {
		require.NotContains(t, all, e.Name)
		all[e.Name] = e
		return true
	}))
	return all
}

func TestListDirectory(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Home: "/home"})
	for i := range 250 { // more than one answer
		require.NoError(t, server.WriteFile(fmt.Sprintf("in/%03d", i), make([]byte, i)))
	}
	require.NoError(t, server.MkdirAll("in/dir/below"))
	changed := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	require.NoError(t, server.SetModTime("in/007", changed))
	r := remote(t, connect(t, config(server)))
	all := names(t, r, "in")
	require.Len(t, all, 251)
	require.Equal(t, transfer.DirectoryEntry{Name: "007", Size: 7, ModTime: changed}, all["007"])
	require.True(t, all["dir"].Directory)
	require.Equal(t, all, names(t, r, "/home/in/"))

	n := 0
	asked := server.Requests(transfertest.SFTPReaddir)
	require.NoError(t, r.ListDirectory(t.Context(), "in", func(transfer.DirectoryEntry) bool { n++; return n < 5 }))
	require.Equal(t, 5, n)
	require.Equal(t, asked+1, server.Requests(transfertest.SFTPReaddir), "no more is asked for than is wanted")
	require.Zero(t, server.OpenHandles())

	for _, dir := range []string{"in/none", "in/007"} {
		require.Error(t, r.ListDirectory(t.Context(), dir, nil), dir)
	}
	require.ErrorIs(t, r.ListDirectory(t.Context(), "in/none", nil), transfer.FileNotFound)
	require.Error(t, r.ListDirectory(t.Context(), "", nil))
	require.Error(t, r.ListDirectory(t.Context(), "a\x00", nil))
	require.Zero(t, server.OpenHandles())
}

func TestListDirectoryLeavesOutOurUnfinishedDeliveries(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef0123456789abcdef"
	for name, c := range map[string]struct {
		pattern string
		mode    sftpx.RenameMode
		ours    []string
		others  []string
	}{
		"by default":        {"", 0, []string{".transfer-" + key + ".part"}, []string{".transfer-x.part", ".transfer-" + key + ".part2", "a.part"}},
		"after the target":  {"%n.%k.tmp", 0, []string{"a.csv." + key + ".tmp", key + "." + key + ".tmp"}, []string{"a.csv.tmp", "." + key + ".tmp", "a.csv." + key + "xtmp"}},
		"elsewhere":         {"../in/tmp-%k", 0, []string{"tmp-" + key}, []string{"x-tmp-" + key}},
		"in a directory":    {"up/%k", 0, nil, []string{key}},
		"absolutely":        {"/home/in/%k", 0, []string{key}, []string{key + ".csv"}},
		"by the key alone":  {"%n.%k", 0, nil, []string{"a.csv." + key}},
		"without temporary": {"", sftpx.RenameDirect, nil, []string{".transfer-" + key + ".part"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Home: "/home"})
			for _, file := range append(c.ours, c.others...) {
				require.NoError(t, server.WriteFile("/home/in/"+file, []byte("x")))
			}
			cfg := config(server)
			cfg.TempName, cfg.RenameMode = c.pattern, c.mode
			found := slices.Sorted(maps.Keys(names(t, remote(t, connect(t, cfg)), "/home/in")))
			require.ElementsMatch(t, c.others, found)
		})
	}
}

func TestListDirectoryFails(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	require.NoError(t, server.WriteFile("in/a", nil))
	c := connect(t, config(server))
	r := remote(t, c)
	any := func(transfer.DirectoryEntry) bool { return true }
	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPReaddir, Times: 1, Status: transfertest.StatusPermissionDenied})
	require.ErrorIs(t, r.ListDirectory(t.Context(), "/in", any), transfer.PermissionDenied)
	require.Zero(t, server.OpenHandles())
	hold := make(chan struct{})
	defer close(hold)
	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPReaddir, Times: 1, Hold: hold})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, r.ListDirectory(ctx, "/in", any), context.DeadlineExceeded)
	r = remote(t, c)
	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPReaddir, Times: 1, Cut: true})
	require.ErrorIs(t, r.ListDirectory(t.Context(), "/in", any), transfer.ConnectionLost)
	require.Len(t, names(t, remote(t, c), "/in"), 1)
}

func TestRemoveAndMovePath(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	for _, path := range []string{"in/a", "in/b", "in/c"} {
		require.NoError(t, server.WriteFile(path, []byte(path)))
	}
	require.NoError(t, server.MkdirAll("in/empty"))
	r := remote(t, connect(t, config(server)))
	ctx := t.Context()
	require.NoError(t, r.RemovePath(ctx, "in/a"))
	require.NoError(t, r.RemovePath(ctx, "in/empty"))
	require.Error(t, r.RemovePath(ctx, "in"), "not empty")
	require.ErrorIs(t, r.RemovePath(ctx, "in/a"), transfer.FileNotFound)
	require.NoError(t, r.MovePath(ctx, "in/b", "in/d"))
	require.ErrorIs(t, r.MovePath(ctx, "in/c", "in/d"), transfer.FileExists)
	require.ErrorIs(t, r.MovePath(ctx, "in/none", "in/e"), transfer.FileNotFound)
	data, err := server.ReadFile("in/d")
	require.NoError(t, err)
	require.Equal(t, "in/b", string(data))
	require.NoError(t, r.MovePath(ctx, "in", "out"))
	require.Equal(t, []string{"/out/c", "/out/d"}, server.Files())
	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPRename, Times: 1, Status: transfertest.StatusPermissionDenied})
	require.ErrorIs(t, r.MovePath(ctx, "out/c", "out/e"), transfer.PermissionDenied)
	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPLstat, Times: 1, Cut: true})
	err = r.MovePath(ctx, "out/c", "out/e")
	require.ErrorIs(t, err, transfer.ConnectionLost)
	require.False(t, errors.Is(err, transfer.FileExists))
	require.Equal(t, []string{"/out/c", "/out/d"}, server.Files())
}

func TestDirectoriesOnOpenSSH(t *testing.T) {
	t.Parallel()
	server := testenv.SSHD(t)
	for i := range 1200 {
		require.NoError(t, os.WriteFile(filepath.Join(server.Dir, fmt.Sprintf("file-%04d-%0100d", i, i)), nil, 0o600))
	}
	inside := filepath.Join(server.Dir, "dir")
	require.NoError(t, os.Mkdir(inside, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(inside, "a"), []byte("12345"), 0o600))
	require.NoError(t, os.Symlink("dir", filepath.Join(server.Dir, "to-dir")))
	require.NoError(t, os.Symlink("dir/a", filepath.Join(server.Dir, "to-file")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(server.Dir, "to-nothing")))
	require.NoError(t, os.WriteFile(filepath.Join(server.Dir, "back\\slash\n\xff"), nil, 0o600))
	r := remote(t, connect(t, sshdConfig(server)))
	all := names(t, r, server.Dir)
	require.Len(t, all, 1205)
	require.True(t, all["dir"].Directory)
	require.True(t, all["to-dir"].Directory)
	require.Equal(t, []any{false, int64(5)}, []any{all["to-file"].Directory, all["to-file"].Size})
	require.False(t, all["to-nothing"].Directory)
	require.Contains(t, all, "back\\slash\n\xff")
	require.NoError(t, r.MovePath(t.Context(), inside+"/a", inside+"/b"))
	require.ErrorIs(t, r.MovePath(t.Context(), inside+"/b", server.Dir+"/to-nothing"), transfer.FileExists)
	require.Error(t, r.RemovePath(t.Context(), inside))
	require.NoError(t, r.RemovePath(t.Context(), inside+"/b"))
	require.NoError(t, r.RemovePath(t.Context(), inside))
	left := names(t, r, server.Dir)
	require.Len(t, left, 1204)
	require.NotContains(t, slices.Sorted(func(yield func(string) bool) {
		for name := range left {
			if !yield(name) {
				return
			}
		}
	}), "dir")
}
