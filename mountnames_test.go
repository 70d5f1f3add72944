package transfer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// onlyStorage is a Storage without Directories.
type onlyStorage struct{ transfer.Storage }

func TestMountListsMountPoints(t *testing.T) {
	t.Parallel()
	in, deep := transfer.NewMemory(), transfer.NewMemory()
	in.WriteFile("a", []byte("12"))
	in.WriteFile("old/b", nil)
	deep.WriteFile("c", nil)
	mounts, err := transfer.Mount(map[string]transfer.Storage{"/in": in, "/x/y/deep": deep, "/in/old/z": deep})
	require.NoError(t, err)
	for dir, want := range map[string][]string{
		"/": {"in", "x"}, "": {"in", "x"}, "/x": {"y"}, "x/y/": {"deep"}, "/x/y/deep": {"c"}, "/in": {"a", "old"},
		"/in/old": {"b", "z"}, "/in/old/z": {"c"},
	} {
		require.Equal(t, want, namesIn(t, mounts, dir), dir)
	}
	require.True(t, entriesOf(t, mounts, "/")["in"].Directory)
	first := ""
	require.NoError(t, mounts.ListDirectory(t.Context(), "/", func(e transfer.DirectoryEntry) bool {
		first += e.Name
		return false
	}))
	require.Equal(t, "in", first)
	all := func(transfer.DirectoryEntry) bool { return true }
	require.ErrorIs(t, mounts.ListDirectory(t.Context(), "/none", all), transfer.PathNotFound)
	require.ErrorIs(t, mounts.ListDirectory(t.Context(), "/in/none", all), transfer.FileNotFound)
	require.ErrorIs(t, mounts.ListDirectory(t.Context(), "/../in", all), transfer.PathEscapes)
}

// What is mounted hides what the storage below has there.
func TestMountHidesWhatIsBelow(t *testing.T) {
	t.Parallel()
	root, in := transfer.NewMemory(), transfer.NewMemory()
	root.WriteFile("in", []byte("hidden"))
	root.WriteFile("file", nil)
	in.WriteFile("a", nil)
	mounts, err := transfer.Mount(map[string]transfer.Storage{"/": root, "/in": in, "/gone/there": in})
	require.NoError(t, err)
	require.Equal(t, []string{"file", "gone", "in"}, namesIn(t, mounts, "/"))
	require.True(t, entriesOf(t, mounts, "/")["in"].Directory)
	require.Equal(t, []string{"there"}, namesIn(t, mounts, "/gone"), "the root has no such directory")
}

func TestMountMovesWithinOneStorage(t *testing.T) {
	t.Parallel()
	in, old := transfer.NewMemory(), transfer.NewMemory()
	in.WriteFile("a", nil)
	in.WriteFile("x/b", nil)
	mounts, err := transfer.Mount(map[string]transfer.Storage{"/in": in, "/in/x/old": old, "/same": in})
	require.NoError(t, err)
	ctx := t.Context()
	for from, to := range map[string]string{
		"/in/a": "/in/x/old/a", "/in/x/old/a": "/in/a", "/in": "/in/y", "/in/x": "/in/y", "/same/a": "/in/c",
	} {
		require.ErrorIs(t, mounts.MovePath(ctx, from, to), transfer.UnsupportedOperationError, "%s to %s", from, to)
	}
	require.ErrorIs(t, mounts.MovePath(ctx, "/none", "/in/c"), transfer.PathNotFound)
	require.ErrorIs(t, mounts.MovePath(ctx, "/in/a", "/none"), transfer.PathNotFound)
	require.NoError(t, mounts.MovePath(ctx, "/in/a", "/in/y/a"))
	require.NoError(t, mounts.RemovePath(ctx, "/in/x/b"))
	require.Equal(t, []string{"y/a"}, in.Paths())
	for _, there := range []string{"/", "/in/x", "/in"} {
		require.NoError(t, mounts.MakeDirectory(ctx, there))
	}
	require.ErrorIs(t, mounts.MakeDirectory(ctx, "/none"), transfer.PathNotFound)
	require.ErrorIs(t, mounts.RemovePath(ctx, "/none"), transfer.PathNotFound)
}

func TestMountOfAStorageWithoutDirectories(t *testing.T) {
	t.Parallel()
	mounts, err := transfer.Mount(map[string]transfer.Storage{"/only": onlyStorage{transfer.NewMemory()}})
	require.NoError(t, err)
	ctx := t.Context()
	for _, err := range []error{
		mounts.ListDirectory(ctx, "/only", func(transfer.DirectoryEntry) bool { return true }),
		mounts.RemovePath(ctx, "/only/a"), mounts.MovePath(ctx, "/only/a", "/only/b"), mounts.MakeDirectory(ctx, "/only/a"),
	} {
		require.Equal(t, transfer.UnsupportedOperationError, transfer.CodeOf(err), "%v", err)
	}
	require.Equal(t, []string{"only"}, namesIn(t, mounts, "/"))
}
