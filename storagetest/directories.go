package storagetest

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// directoryCases check what a storage says of names, if Options.Directories says that it does.
func (s *suite) directoryCases() []testCase {
	return []testCase{
		{"a listing has each name once, with its size", s.listsNames},
		{"a listing looks into no directory below", s.listsOneLevel},
		{"odd names are listed as they are", s.listsOddNames},
		{"a listing of many names ends when it is told to", s.listsUntilTold},
		{"a missing directory cannot be listed", s.listsNothingMissing},
		{"an unfinished delivery is not listed", s.listsNothingUnfinished},
		{"a file is removed, and nothing else", s.removesFile},
		{"a directory is removed when it is empty", s.removesDirectory},
		{"a file is moved", s.movesFile},
		{"nothing is moved over what is there", s.movesOverNothing},
		{"what is not there cannot be moved", s.movesNothingMissing},
		{"a directory is moved with what is in it", s.movesDirectory},
		{"directories are made with those above them", s.makesDirectories},
		{"a context that has ended stops each call", s.directoriesEnd},
	}
}

// lent is the Directories under test: a live storage for each call.
type lent struct {
	s *suite
	t *testing.T
}

func (s *suite) lent(t *testing.T) lent { return lent{s, t} }

func (l lent) ask(call func(transfer.Directories) error) error {
	l.t.Helper()
	storage, done := l.s.lend(l.t)
	defer done()
	names, ok := storage.(transfer.Directories)
	require.True(l.t, ok, "the storage has no directories (Options.Directories says that it has)")
	return call(names)
}

func (l lent) ListDirectory(ctx context.Context, dir string, found func(transfer.DirectoryEntry) bool) error {
	return l.ask(func(d transfer.Directories) error { return d.ListDirectory(ctx, dir, found) })
}

func (l lent) RemovePath(ctx context.Context, path string) error {
	return l.ask(func(d transfer.Directories) error { return d.RemovePath(ctx, path) })
}

func (l lent) MovePath(ctx context.Context, from, to string) error {
	return l.ask(func(d transfer.Directories) error { return d.MovePath(ctx, from, to) })
}

func (l lent) MakeDirectory(ctx context.Context, path string) error {
	return l.ask(func(d transfer.Directories) error { return d.MakeDirectory(ctx, path) })
}

// list returns the entries of a directory by name.
func (s *suite) list(t *testing.T, dir string) map[string]transfer.DirectoryEntry {
	t.Helper()
	entries := map[string]transfer.DirectoryEntry{}
	require.NoError(t, s.lent(t).ListDirectory(t.Context(), dir, func(e transfer.DirectoryEntry) bool {
		require.NotContains(t, entries, e.Name, "listed twice")
		entries[e.Name] = e
		return true
	}))
	return entries
}

func (s *suite) requireNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	slices.Sort(want)
	require.Equal(t, want, slices.Sorted(maps.Keys(s.list(t, dir))))
}

// folder returns the path of a directory that nobody has used, in which files of these names are.
func (s *suite) folder(t *testing.T, label string, files ...string) string {
	t.Helper()
	dir := s.path(label)
	for _, name := range files {
		require.NoError(t, s.lent(t).MakeDirectory(t.Context(), path.Dir(dir+"/"+name)))
		s.write(t, dir+"/"+name, []byte("content of "+name))
	}
	return dir
}

func (s *suite) listsNames(t *testing.T) {
	begun := time.Now()
	dir := s.folder(t, "names", "a", "b.csv", "empty")
	s.write(t, dir+"/empty", nil)
	entries := s.list(t, dir)
	require.Len(t, entries, 3)
	for name, size := range map[string]int64{"a": 12, "b.csv": 16, "empty": 0} {
		e := entries[name]
		require.Equal(t, transfer.DirectoryEntry{Name: name, Size: size, ModTime: e.ModTime}, e)
		if !e.ModTime.IsZero() {
			require.WithinDuration(t, begun, e.ModTime, time.Hour)
		}
	}
	s.requireNames(t, dir+"/", "a", "b.csv", "empty")
	require.True(t, s.list(t, path.Dir(dir))[path.Base(dir)].Directory, "its parent does not list the directory")
}

func (s *suite) listsOneLevel(t *testing.T) {
	dir := s.folder(t, "levels", "a", "b/1", "b/2", "b/c/3", "ba")
	entries := s.list(t, dir)
	require.ElementsMatch(t, []string{"a", "b", "ba"}, slices.Collect(maps.Keys(entries)))
	require.True(t, entries["b"].Directory)
	require.False(t, entries["a"].Directory || entries["ba"].Directory)
	s.requireNames(t, dir+"/b", "1", "2", "c")
}

func (s *suite) listsOddNames(t *testing.T) {
	odd := []string{
		" ", " a", "a b", "a+b", "a%20b", "%", ".hidden", "...", "-f", "ü", "é", "e\u0301", "a#b?c=d&e", `"quoted"`, "it's", "<a>", "日本",
		`back\slash`, "*", "[a]", "~",
	}
	dir := s.folder(t, "odd", odd...)
	s.requireNames(t, dir, odd...)
	for _, name := range odd {
		s.requireContent(t, dir+"/"+name, []byte("content of "+name))
		require.NoError(t, s.lent(t).MovePath(t.Context(), dir+"/"+name, dir+"/moved "+name), name)
		s.requireContent(t, dir+"/moved "+name, []byte("content of "+name))
		require.NoError(t, s.lent(t).RemovePath(t.Context(), dir+"/moved "+name), name)
	}
}

func (s *suite) listsUntilTold(t *testing.T) {
	const n = 60
	files := make([]string, n)
	for i := range files {
		files[i] = fmt.Sprintf("%03d", i)
	}
	dir := s.folder(t, "many", files...)
	names := s.lent(t)
	for _, most := range []int{1, 7, n} {
		seen := 0
		require.NoError(t, names.ListDirectory(t.Context(), dir, func(transfer.DirectoryEntry) bool {
			seen++
			return seen < most
		}))
		require.Equal(t, most, seen)
	}
	s.requireNames(t, dir, files...)
}

func (s *suite) listsNothingMissing(t *testing.T) {
	dir := s.folder(t, "missing", "file")
	found := func(e transfer.DirectoryEntry) bool {
		t.Errorf("%q was listed", e.Name)
		return true
	}
	for _, missing := range []string{dir + "/none", dir + "/none/deeper", s.path("missing")} {
		err := s.lent(t).ListDirectory(t.Context(), missing, found)
		require.Error(t, err)
		require.Contains(t, []transfer.Code{transfer.FileNotFound, transfer.DirectoryNotFound}, transfer.CodeOf(err), "%v", err)
	}
	require.Error(t, s.lent(t).ListDirectory(t.Context(), dir+"/file", found), "a file")
}

func (s *suite) listsNothingUnfinished(t *testing.T) {
	if s.o.ListsUnfinished {
		t.Skip("skipped: declared in Options.ListsUnfinished")
	}
	dir := s.folder(t, "unfinished", "file")
	d := s.begin(t, dir+"/coming", content(s.size(2, 1)), transfer.CreateOptions{})
	s.requireNames(t, dir, "file")
	require.NoError(t, d.writeWindow(t.Context(), 0))
	s.requireNames(t, dir, "file")
	require.NoError(t, d.writeFrom(t.Context(), 1))
	s.requireNames(t, dir, "file")
	require.NoError(t, d.commit(t.Context()))
	s.requireNames(t, dir, "file", "coming")
}

func (s *suite) removesFile(t *testing.T) {
	dir := s.folder(t, "remove", "a", "ab", "b/a")
	require.NoError(t, s.lent(t).RemovePath(t.Context(), dir+"/a"))
	s.requireMissing(t, dir+"/a")
	s.requireNames(t, dir, "ab", "b")
	for _, missing := range []string{"/a", "/none", "/none/a"} {
		err := s.lent(t).RemovePath(t.Context(), dir+missing)
		require.ErrorIs(t, err, transfer.FileNotFound, missing)
		require.Equal(t, transfer.FileNotFound, transfer.CodeOf(err))
	}
	s.requireNames(t, dir+"/b", "a")
}

func (s *suite) removesDirectory(t *testing.T) {
	dir := s.folder(t, "remove-dir", "in/a", "in/b")
	require.Error(t, s.lent(t).RemovePath(t.Context(), dir+"/in"), "it is not empty")
	s.requireNames(t, dir+"/in", "a", "b")
	if s.o.Implied {
		return // it goes with its last file
	}
	require.NoError(t, s.lent(t).RemovePath(t.Context(), dir+"/in/a"))
	require.NoError(t, s.lent(t).RemovePath(t.Context(), dir+"/in/b"))
	require.NoError(t, s.lent(t).RemovePath(t.Context(), dir+"/in"))
	s.requireNames(t, dir)
}

func (s *suite) movesFile(t *testing.T) {
	dir := s.folder(t, "move", "a", "in/b")
	data := content(s.size(1, 3))
	s.write(t, dir+"/a", data)
	require.NoError(t, s.lent(t).MovePath(t.Context(), dir+"/a", dir+"/in/a2"))
	s.requireMissing(t, dir+"/a")
	s.requireContent(t, dir+"/in/a2", data)
	s.requireNames(t, dir, "in")
	s.requireNames(t, dir+"/in", "a2", "b")
}

func (s *suite) movesOverNothing(t *testing.T) {
	dir := s.folder(t, "move-over", "a", "b", "in/c")
	for _, taken := range []string{"/b", "/a"} {
		err := s.lent(t).MovePath(t.Context(), dir+"/a", dir+taken)
		require.ErrorIs(t, err, transfer.FileExists, taken)
		require.Equal(t, transfer.FileExists, transfer.CodeOf(err))
	}
	if !s.o.Flat {
		require.ErrorIs(t, s.lent(t).MovePath(t.Context(), dir+"/a", dir+"/in"), transfer.FileExists)
	}
	s.requireContent(t, dir+"/a", []byte("content of a"))
	s.requireContent(t, dir+"/b", []byte("content of b"))
}

func (s *suite) movesNothingMissing(t *testing.T) {
	dir := s.folder(t, "move-missing", "a")
	for _, missing := range []string{"/none", "/none/a"} {
		err := s.lent(t).MovePath(t.Context(), dir+missing, dir+"/b")
		require.ErrorIs(t, err, transfer.FileNotFound, missing)
	}
	s.requireNames(t, dir, "a")
}

func (s *suite) movesDirectory(t *testing.T) {
	dir := s.folder(t, "move-dir", "from/a", "from/in/b", "other")
	err := s.lent(t).MovePath(t.Context(), dir+"/from", dir+"/to")
	if s.o.Flat {
		require.ErrorIs(t, err, transfer.FileNotFound, "there are no directories")
		s.requireNames(t, dir, "from", "other")
		return
	}
	require.NoError(t, err)
	s.requireNames(t, dir, "other", "to")
	s.requireContent(t, dir+"/to/a", []byte("content of from/a"))
	s.requireContent(t, dir+"/to/in/b", []byte("content of from/in/b"))
}

func (s *suite) makesDirectories(t *testing.T) {
	dir := s.path("make")
	for range 2 {
		require.NoError(t, s.lent(t).MakeDirectory(t.Context(), dir+"/a/b/c"))
	}
	require.NoError(t, s.lent(t).MakeDirectory(t.Context(), dir+"/a"))
	s.write(t, dir+"/a/b/c/file", []byte("content"))
	s.requireNames(t, dir+"/a/b/c", "file")
	if s.o.Implied {
		return // there is nothing to be in the way of
	}
	require.NoError(t, s.lent(t).MakeDirectory(t.Context(), dir+"/a/d"))
	require.True(t, s.list(t, dir+"/a")["d"].Directory)
	s.requireNames(t, dir+"/a/d")
	require.Error(t, s.lent(t).MakeDirectory(t.Context(), dir+"/a/b/c/file"), "a file is there")
	require.Error(t, s.lent(t).MakeDirectory(t.Context(), dir+"/a/b/c/file/below"), "a file is above")
	s.requireContent(t, dir+"/a/b/c/file", []byte("content"))
}

func (s *suite) directoriesEnd(t *testing.T) {
	dir := s.folder(t, "ended", "a")
	for call, do := range map[string]func(context.Context, transfer.Directories) error{
		"list": func(ctx context.Context, names transfer.Directories) error {
			return names.ListDirectory(ctx, dir, func(transfer.DirectoryEntry) bool { return true })
		},
		"remove": func(ctx context.Context, names transfer.Directories) error { return names.RemovePath(ctx, dir+"/a") },
		"move": func(ctx context.Context, names transfer.Directories) error {
			return names.MovePath(ctx, dir+"/a", dir+"/b")
		},
		"make": func(ctx context.Context, names transfer.Directories) error { return names.MakeDirectory(ctx, dir+"/c") },
	} {
		require.ErrorIs(t, do(ended(t), s.lent(t)), context.Canceled, call)
	}
	s.requireNames(t, dir, "a")
}
