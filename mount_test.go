package transfer_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/storagetest"
)

func TestMountStorage(t *testing.T) {
	t.Parallel()
	m := transfer.NewMemory()
	mounts, err := transfer.Mount(map[string]transfer.Storage{"/": transfer.NewMemory(), "/mounted": m})
	require.NoError(t, err)
	storagetest.Run(t, func(*testing.T) transfer.Storage { return mounts }, storagetest.Options{
		Root:        "/mounted",
		Resume:      true,
		Directories: true, Implied: true,
		Leftovers: func(*testing.T) []string { return unfinished(m) },
	})
}

func TestMountRouting(t *testing.T) {
	t.Parallel()
	root, a, ab, deep := transfer.NewMemory(), transfer.NewMemory(), transfer.NewMemory(), transfer.NewMemory()
	mounts, err := transfer.Mount(map[string]transfer.Storage{"/": root, "a": a, "/ab/": ab, "/a/b//c": deep})
	require.NoError(t, err)
	for path, want := range map[string]struct {
		storage *transfer.Memory
		path    string
	}{
		"/a/x":          {a, "x"},
		"a/x":           {a, "x"},
		"//a//x":        {a, "x"},
		"/ab/x":         {ab, "x"},
		"/abc/x":        {root, "abc/x"},
		"/x":            {root, "x"},
		"/a/b/x":        {a, "b/x"},
		"/a/b/c/x":      {deep, "x"},
		"/a/b/cc/x":     {a, "b/cc/x"},
		"/a/../ab/x":    {ab, "x"},
		"/a/b/c/../d/x": {a, "b/d/x"},
		"/a/../x":       {root, "x"},
		"/ab/a/x":       {ab, "a/x"},
	} {
		require.NoError(t, storagetest.Write(t.Context(), mounts, path, []byte(path), transfer.CreateOptions{}))
		got, err := want.storage.ReadFile(want.path)
		require.NoError(t, err, path)
		require.Equal(t, path, string(got))
		got, err = storagetest.Read(t.Context(), mounts, path)
		require.NoError(t, err)
		require.Equal(t, path, string(got))
	}
	_, err = mounts.Open(t.Context(), "/a")
	require.ErrorIs(t, err, transfer.IsDirectory)
}

func TestMountUnknownPrefix(t *testing.T) {
	t.Parallel()
	mounts, err := transfer.Mount(map[string]transfer.Storage{"/in": transfer.NewMemory(), "/out": transfer.NewMemory()})
	require.NoError(t, err)
	for path, code := range map[string]transfer.Code{
		"/inbox/x": transfer.PathNotFound, "/": transfer.PathNotFound, "": transfer.PathNotFound, "x": transfer.PathNotFound,
		"/in/../x": transfer.PathNotFound, "/in/../../x": transfer.PathEscapes, "../in/x": transfer.PathEscapes,
	} {
		_, err := mounts.Open(t.Context(), path)
		require.Equal(t, code, transfer.CodeOf(err), path)
		if code == transfer.PathNotFound {
			require.ErrorContains(t, err, "/in, /out")
		}
		_, err = mounts.Create(t.Context(), path, transfer.CreateOptions{})
		require.Equal(t, code, transfer.CodeOf(err), path)
	}
	_, err = mounts.Open(t.Context(), "/in/missing")
	require.ErrorContains(t, err, "mount /in: open /missing: FILE_NOT_FOUND")
}

// keeper notes the paths that it is asked for.
type keeper struct {
	transfer.Storage
	paths []string
}

func (k *keeper) Open(_ context.Context, path string) (transfer.Source, error) {
	k.paths = append(k.paths, path)
	return nil, transfer.FileNotFound
}

func TestMountPassesNoDots(t *testing.T) {
	t.Parallel()
	k := &keeper{}
	mounts, err := transfer.Mount(map[string]transfer.Storage{"/in": k})
	require.NoError(t, err)
	for _, path := range []string{"/in/a/../b", "in/./b", "/in/../in/b", "/in//b/"} {
		_, err := mounts.Open(t.Context(), path)
		require.ErrorIs(t, err, transfer.FileNotFound)
	}
	require.Equal(t, []string{"/b", "/b", "/b", "/b"}, k.paths)
}

func TestMountRefusesBadPrefixes(t *testing.T) {
	t.Parallel()
	m := transfer.NewMemory()
	for name, c := range map[string]struct {
		storages map[string]transfer.Storage
		message  string
	}{
		"none":      {nil, `try {"/": storage}`},
		"nil":       {map[string]transfer.Storage{"/in": nil}, "transfer.Dir"},
		"duplicate": {map[string]transfer.Storage{"/in": m, "in/": m}, `"/in" and "in/" are the same`},
		"empty":     {map[string]transfer.Storage{"": m}, `try "/"`},
		"above":     {map[string]transfer.Storage{"/../in": m}, `try "/in"`},
	} {
		_, err := transfer.Mount(c.storages)
		require.ErrorContains(t, err, c.message, name)
	}
}
