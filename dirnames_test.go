package transfer_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// entriesOf returns the entries of a directory by name.
func entriesOf(t *testing.T, d transfer.Directories, dir string) map[string]transfer.DirectoryEntry {
	t.Helper()
	entries := map[string]transfer.DirectoryEntry{}
	require.NoError(t, d.ListDirectory(t.Context(), dir, func(e transfer.DirectoryEntry) bool {
		require.NotContains(t, entries, e.Name)
		entries[e.Name] = e
		return true
	}))
	return entries
}

func namesIn(t *testing.T, d transfer.Directories, dir string) []string {
	t.Helper()
	return slices.Sorted(maps.Keys(entriesOf(t, d, dir)))
}

func TestDirListsLinksAsWhatTheyLeadTo(t *testing.T) {
	t.Parallel()
	d, path := newDir(t)
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "secret"), []byte("secret"), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(path, "in/deep"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(path, "in/file"), []byte("12345"), 0o600))
	require.NoError(t, syscall.Mkfifo(filepath.Join(path, "in/deep/pipe"), 0o600))
	for link, target := range map[string]string{
		"file": "../file", "dir": "../../in", "nowhere": "none", "out": "../../../secret", "absolute": path + "/in/file",
		"loop": "loop", "up": "../..", "topipe": "pipe",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(path, "in/deep", link)))
	}
	all := entriesOf(t, d, "in/deep")
	require.Equal(t, []string{"dir", "file", "up"}, slices.Sorted(maps.Keys(all)))
	require.True(t, all["dir"].Directory && all["up"].Directory)
	require.Equal(t, []any{false, int64(5)}, []any{all["file"].Directory, all["file"].Size})
	require.Equal(t, []string{"deep", "file"}, namesIn(t, d, "in/deep/dir"))

	require.NoError(t, d.MovePath(t.Context(), "in/deep/out", "in/out"))
	require.NoError(t, d.RemovePath(t.Context(), "in/out"))
	require.NoError(t, d.RemovePath(t.Context(), "in/deep/file"))
	require.FileExists(t, filepath.Join(path, "in/file"), "what a link leads to is not removed")
	require.FileExists(t, filepath.Join(filepath.Dir(path), "secret"))
}

// Only what may be a delivery's is hidden.
func TestDirHidesTemporaryFiles(t *testing.T) {
	t.Parallel()
	d, path := newDir(t)
	const key = "0123456789abcdef"
	shown := []string{".transfer-.part", ".transfer-" + key, key + ".part", ".transfer-" + key[:15] + ".part", ".transfer-" + key[:15] + "x.part"}
	for _, name := range append(shown, ".transfer-"+key+".part", ".transfer-"+key+key+key+key+".part") {
		require.NoError(t, os.WriteFile(filepath.Join(path, name), nil, 0o600))
	}
	require.ElementsMatch(t, shown, namesIn(t, d, "/"))
}

func TestDirDoesNotLeaveItself(t *testing.T) {
	t.Parallel()
	d, path := newDir(t)
	outside := filepath.Join(filepath.Dir(path), "outside")
	require.NoError(t, os.MkdirAll(filepath.Join(outside, "sub"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(path, "file"), nil, 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(path, "link")))
	before := tree(t, filepath.Dir(path))
	ctx := t.Context()
	for _, way := range []string{"../outside", "link", "link/sub", "a/../../outside/sub"} {
		for call, err := range map[string]error{
			"list":    d.ListDirectory(ctx, way, func(transfer.DirectoryEntry) bool { return true }),
			"remove":  d.RemovePath(ctx, way+"/sub"),
			"move":    d.MovePath(ctx, way+"/sub", "here"),
			"move to": d.MovePath(ctx, "file", way+"/there"),
			"make":    d.MakeDirectory(ctx, way+"/new"),
		} {
			require.Equal(t, transfer.PathEscapes, transfer.CodeOf(err), "%s %s: %v", call, way, err)
		}
	}
	require.Equal(t, before, tree(t, filepath.Dir(path)))
}

func TestDirNamesFail(t *testing.T) {
	t.Parallel()
	d, path := newDir(t)
	require.NoError(t, os.MkdirAll(filepath.Join(path, "full/in"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(path, "file"), nil, 0o600))
	ctx := t.Context()
	all := func(transfer.DirectoryEntry) bool { return true }
	for name, c := range map[string]struct {
		want transfer.Code
		err  error
	}{
		"list a file":               {transfer.DirectoryNotFound, d.ListDirectory(ctx, "file", all)},
		"list nothing":              {transfer.DirectoryNotFound, d.ListDirectory(ctx, "none", all)},
		"list a name with NUL":      {transfer.PathNotFound, d.ListDirectory(ctx, "a\x00", all)},
		"remove what is full":       {transfer.DeleteError, d.RemovePath(ctx, "full")},
		"remove the root":           {transfer.DeleteError, d.RemovePath(ctx, "/")},
		"remove below a file":       {transfer.FileNotFound, d.RemovePath(ctx, "file/below")},
		"move to a file":            {transfer.FileExists, d.MovePath(ctx, "full", "file")},
		"move to the root":          {transfer.FileExists, d.MovePath(ctx, "full", "/")},
		"move to no directory":      {transfer.DirectoryNotFound, d.MovePath(ctx, "file", "none/file")},
		"move below a file":         {transfer.DirectoryNotFound, d.MovePath(ctx, "full", "file/below")},
		"move from below a file":    {transfer.FileNotFound, d.MovePath(ctx, "file/below", "new")},
		"make what is a file":       {transfer.FileExists, d.MakeDirectory(ctx, "file")},
		"make a name with a NUL":    {transfer.PathNotFound, d.MakeDirectory(ctx, "a\x00")},
		"make what is below a file": {transfer.DirectoryNotFound, d.MakeDirectory(ctx, "file/below/it")},
	} {
		require.Equal(t, c.want, transfer.CodeOf(c.err), "%s: %v", name, c.err)
	}
	require.Error(t, d.MovePath(ctx, "full", "full/in/itself"))
	require.Error(t, d.MovePath(ctx, "/", "new"))
	require.NoError(t, d.MakeDirectory(ctx, "/"))
	require.Equal(t, []string{"file", "full"}, namesIn(t, d, ""))
}
