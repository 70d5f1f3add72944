package transfer_test

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/storagetest"
)

func newDir(t testing.TB) (*transfer.Directory, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root")
	require.NoError(t, os.Mkdir(path, 0o755))
	d, err := transfer.Dir(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d, path
}

// tree returns the slash-separated paths of everything below path.
func tree(t testing.TB, path string) []string {
	t.Helper()
	var names []string
	require.NoError(t, filepath.WalkDir(path, func(name string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed while the tree was walked
		}
		if name != path {
			names = append(names, filepath.ToSlash(strings.TrimPrefix(name, path+"/")))
		}
		return err
	}))
	return names
}

func TestDirStorage(t *testing.T) {
	t.Parallel()
	d, path := newDir(t)
	storagetest.Run(t, func(*testing.T) transfer.Storage { return d }, storagetest.Options{
		Resume:      true,
		Directories: true,
		Leftovers:   func(t *testing.T) []string { return tree(t, path) },
	})
}

func TestDirConstructor(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	fifo := filepath.Join(folder, "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	for _, path := range []string{filepath.Join(folder, "missing"), file, fifo, ""} {
		_, err := transfer.Dir(path)
		require.ErrorIs(t, err, transfer.DirectoryNotFound, path)
	}
}

// TestDirEscapes builds every way out of a directory, as a folder on the way and as the file itself.
func TestDirEscapes(t *testing.T) {
	t.Parallel()
	d, path := newDir(t)
	outside := filepath.Join(filepath.Dir(path), "outside")
	require.NoError(t, os.MkdirAll(filepath.Join(outside, "sub"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(path, "in"), 0o755))
	for link, target := range map[string]string{
		"absolute": outside, "relative": "../outside", "up": "..", "in/deep": "../../outside", "chain": "in/deep",
		"file-absolute": filepath.Join(outside, "secret"), "file-relative": "../outside/secret", "root": "/",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(path, link)))
	}
	before := tree(t, filepath.Dir(path))
	for _, name := range []string{
		"../outside/secret", "/../outside/secret", "in/../../outside/secret", "..", "absolute/secret", "relative/secret",
		"up/outside/secret", "in/deep/secret", "chain/secret", "file-absolute", "file-relative", "root" + outside + "/secret",
		"chain/../../outside/secret",
	} {
		_, err := d.Open(t.Context(), name)
		require.Error(t, err, name)
		require.Equal(t, transfer.PathEscapes, transfer.CodeOf(err), "open %s: %v", name, err)
	}
	for _, name := range []string{
		"../outside/new", "/../new", "in/../../new", "absolute/new", "relative/sub/new", "up/new", "in/deep/new",
		"chain/missing/new", "root/tmp/new-file-of-transfer",
	} {
		err := storagetest.Write(t.Context(), d, name, []byte("new"), transfer.CreateOptions{})
		require.Error(t, err, name)
		require.Equal(t, transfer.PathEscapes, transfer.CodeOf(err), "create %s: %v", name, err)
	}
	require.Equal(t, before, tree(t, filepath.Dir(path)))
}

func TestDirSymlinksInside(t *testing.T) {
	t.Parallel()
	d, path := newDir(t)
	require.NoError(t, os.Mkdir(filepath.Join(path, "real"), 0o755))
	for link, target := range map[string]string{"folder": "real", "file": "real/a", "loop": "loop", "dangling": "missing"} {
		require.NoError(t, os.Symlink(target, filepath.Join(path, link)))
	}
	require.NoError(t, storagetest.Write(t.Context(), d, "folder/a", []byte("a"), transfer.CreateOptions{}))
	got, err := storagetest.Read(t.Context(), d, "file")
	require.NoError(t, err)
	require.Equal(t, "a", string(got))

	_, err = d.Open(t.Context(), "loop")
	require.ErrorIs(t, err, transfer.PathNotFound)
	_, err = d.Open(t.Context(), "dangling")
	require.ErrorIs(t, err, transfer.FileNotFound)
	err = storagetest.Write(t.Context(), d, "loop/x", []byte("a"), transfer.CreateOptions{})
	require.ErrorIs(t, err, transfer.PathNotFound)
	err = storagetest.Write(t.Context(), d, "dangling/x", []byte("a"), transfer.CreateOptions{})
	require.ErrorIs(t, err, transfer.DirectoryNotFound)

	require.NoError(t, storagetest.Write(t.Context(), d, "file", []byte("b"), transfer.CreateOptions{}))
	got, err = storagetest.Read(t.Context(), d, "real/a")
	require.NoError(t, err)
	require.Equal(t, "a", string(got), "a link at the target was followed")
	for _, link := range []string{"loop", "dangling"} {
		o := transfer.CreateOptions{Overwrite: transfer.OverwriteFail}
		require.ErrorIs(t, storagetest.Write(t.Context(), d, link, nil, o), transfer.FileExists)
	}
}

func TestDirOpensRegularFilesOnly(t *testing.T) {
	t.Parallel()
	d, path := newDir(t)
	require.NoError(t, syscall.Mkfifo(filepath.Join(path, "fifo"), 0o600))
	require.NoError(t, os.Symlink("fifo", filepath.Join(path, "link")))
	for _, name := range []string{"fifo", "link"} {
		_, err := d.Open(t.Context(), name)
		require.ErrorIs(t, err, transfer.UnsupportedOperationError)
	}
	for _, name := range []string{"", "/", ".", "a/.."} {
		_, err := d.Open(t.Context(), name)
		require.ErrorIs(t, err, transfer.IsDirectory, name)
		err = storagetest.Write(t.Context(), d, name, nil, transfer.CreateOptions{})
		require.ErrorIs(t, err, transfer.IsDirectory, name)
	}
	_, err := d.Open(t.Context(), "nul\x00byte")
	require.ErrorIs(t, err, transfer.PathNotFound)
	err = storagetest.Write(t.Context(), d, strings.Repeat("x", 300), nil, transfer.CreateOptions{})
	require.ErrorIs(t, err, transfer.PathNotFound)
	_, err = d.Open(t.Context(), "/in/missing")
	require.EqualError(t, err, "open /in/missing: FILE_NOT_FOUND: no such file or directory")
}

func TestDirTargetIsDirectory(t *testing.T) {
	t.Parallel()
	d, path := newDir(t)
	require.NoError(t, os.Mkdir(filepath.Join(path, "folder"), 0o755))
	require.ErrorIs(t, storagetest.Write(t.Context(), d, "folder", nil, transfer.CreateOptions{}), transfer.IsDirectory)
	require.NoError(t, os.WriteFile(filepath.Join(path, "file"), nil, 0o600))
	err := storagetest.Write(t.Context(), d, "file/x", nil, transfer.CreateOptions{})
	require.Equal(t, transfer.DirectoryNotFound, transfer.CodeOf(err))
	err = storagetest.Write(t.Context(), d, "file/x/y", nil, transfer.CreateOptions{})
	require.Equal(t, transfer.DirectoryNotFound, transfer.CodeOf(err))

	sink := begin(t, d, "late", []byte("a"), transfer.CreateOptions{})
	require.NoError(t, os.Mkdir(filepath.Join(path, "late"), 0o755))
	require.ErrorIs(t, sink.Commit(t.Context(), sha256.Sum256([]byte("a"))), transfer.IsDirectory)
	require.NoError(t, errors.Join(sink.Abort(t.Context()), sink.Close()))
	require.Equal(t, []string{"file", "folder", "late"}, tree(t, path))
}

// begin creates a sink for data and writes all of it.
func begin(t *testing.T, d *transfer.Directory, path string, data []byte, o transfer.CreateOptions) transfer.Sink {
	t.Helper()
	o.Size, o.WindowSize = int64(len(data)), max(o.WindowSize, 1)
	if o.Key == "" {
		o.Key = storagetest.NewKey()
	}
	sink, err := d.Create(t.Context(), path, o)
	require.NoError(t, err)
	for off := int64(0); off < o.Size; off += o.WindowSize {
		require.NoError(t, sink.WriteWindow(t.Context(), data[off:min(off+o.WindowSize, o.Size)], off))
	}
	return sink
}

func TestDirCreatesAndRemovesParents(t *testing.T) {
	t.Parallel()
	d, path := newDir(t)
	require.NoError(t, os.Mkdir(filepath.Join(path, "old"), 0o755))
	sink := begin(t, d, "old/new/newer/a", []byte("a"), transfer.CreateOptions{})
	require.NoError(t, errors.Join(sink.Abort(t.Context()), sink.Close()))
	require.Equal(t, []string{"old"}, tree(t, path))

	o := transfer.CreateOptions{Key: storagetest.NewKey()}
	sink = begin(t, d, "x/y/a", []byte("a"), o)
	o.Checkpoint = sink.Checkpoint()
	require.NoError(t, sink.Close())
	sink = begin(t, d, "x/y/a", []byte("a"), o)
	require.NoError(t, os.WriteFile(filepath.Join(path, "x", "other"), nil, 0o600))
	require.NoError(t, errors.Join(sink.Abort(t.Context()), sink.Close()))
	require.Equal(t, []string{"old", "x", "x/other"}, tree(t, path))
}

func TestDirFileMode(t *testing.T) {
	t.Parallel()
	d, path := newDir(t)
	require.NoError(t, storagetest.Write(t.Context(), d, "new/a", []byte("a"), transfer.CreateOptions{}))
	info, err := os.Stat(filepath.Join(path, "new", "a"))
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&^0o644)
	info, err = os.Stat(filepath.Join(path, "new"))
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&^0o755)
}

// TestDirSourceChangedInPlace covers what Storage's own methods cannot do to a file.
func TestDirPreserveTimes(t *testing.T) {
	t.Parallel()
	changed := time.Date(2020, 2, 29, 12, 30, 15, 123456000, time.UTC)
	for _, c := range []struct {
		name     string
		preserve bool
		modTime  time.Time
		kept     bool
	}{
		{"asked", true, changed, true}, {"not asked", false, changed, false}, {"not known", true, time.Time{}, false},
	} {
		for _, policy := range []transfer.Overwrite{transfer.OverwriteReplace, transfer.OverwriteFail} {
			t.Run(c.name+" "+string(policy), func(t *testing.T) {
				t.Parallel()
				d, path := newDir(t)
				d.PreserveTimes = c.preserve
				o := transfer.CreateOptions{Overwrite: policy, ModTime: c.modTime}
				require.NoError(t, storagetest.Write(t.Context(), d, "new/a", []byte("content"), o))
				info, err := os.Stat(filepath.Join(path, "new", "a"))
				require.NoError(t, err)
				require.Equal(t, c.kept, info.ModTime().Equal(changed), "%s", info.ModTime())
			})
		}
	}
}

func TestDirSourceChangedInPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(path string) error
		code   transfer.Code
	}{
		"truncated": {func(path string) error { return os.Truncate(path, 10) }, transfer.SourceChanged},
		"grown":     {func(path string) error { return os.Truncate(path, 1000) }, transfer.SourceChanged},
		"touched":   {func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) }, transfer.SourceChanged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, path := newDir(t)
			file := filepath.Join(path, "a")
			require.NoError(t, os.WriteFile(file, make([]byte, 100), 0o600))
			source, err := d.Open(t.Context(), "a")
			require.NoError(t, err)
			defer func() { require.NoError(t, source.Close()) }()
			require.NoError(t, source.ReadWindow(t.Context(), make([]byte, 50), 0))
			require.NoError(t, c.change(file))
			require.ErrorIs(t, source.ReadWindow(t.Context(), make([]byte, 50), 50), c.code)
		})
	}
}

// TestDirLostBytes resumes after what a crash of the machine may leave: a file of the right length without its bytes.
func TestDirLostBytes(t *testing.T) {
	t.Parallel()
	data := []byte(strings.Repeat("content ", 100))
	for name, damage := range map[string]func(path string) error{
		"zeros":     func(path string) error { return errors.Join(os.Truncate(path, 100), os.Truncate(path, 800)) },
		"shorter":   func(path string) error { return os.Truncate(path, 799) },
		"longer":    func(path string) error { return os.Truncate(path, 801) },
		"removed":   os.Remove,
		"directory": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
		"link":      func(path string) error { return errors.Join(os.Rename(path, path+"x"), os.Symlink(path+"x", path)) },
		"fifo":      func(path string) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, path := newDir(t)
			o := transfer.CreateOptions{Key: storagetest.NewKey(), WindowSize: 300}
			sink := begin(t, d, "a", data, o)
			o.Checkpoint, o.Size = sink.Checkpoint(), int64(len(data))
			require.NoError(t, sink.Close())
			require.NoError(t, damage(filepath.Join(path, ".transfer-"+o.Key+".part")))
			_, err := d.Create(t.Context(), "a", o)
			require.Equal(t, transfer.CheckpointLost, transfer.CodeOf(err))
			o.Checkpoint = nil
			require.NoError(t, storagetest.Write(t.Context(), d, "a", data, o))
			got, err := storagetest.Read(t.Context(), d, "a")
			require.NoError(t, err)
			require.Equal(t, data, got)
		})
	}
}

// TestDirTwins lets two sinks of one delivery run, as when a process has lost its lease and does not know it yet.
func TestDirTwins(t *testing.T) {
	t.Parallel()
	data := []byte("content")
	sum := sha256.Sum256(data)
	for _, policy := range []transfer.Overwrite{transfer.OverwriteReplace, transfer.OverwriteFail} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			d, path := newDir(t)
			o := transfer.CreateOptions{Key: storagetest.NewKey(), Overwrite: policy, WindowSize: 4}
			zombie := begin(t, d, "resumed", data, o)
			resumed := o
			resumed.Checkpoint = zombie.Checkpoint()
			successor := begin(t, d, "resumed", data, resumed)
			require.NoError(t, zombie.Commit(t.Context(), sum))
			require.NoError(t, successor.Commit(t.Context(), sum), "the file is there as it should be")
			require.NoError(t, errors.Join(zombie.Close(), successor.Close()))

			zombie = begin(t, d, "restarted", data, o)
			o.Size = int64(len(data))
			successor, err := d.Create(t.Context(), "restarted", o)
			require.NoError(t, err)
			require.ErrorIs(t, zombie.Commit(t.Context(), sum), transfer.SizeMismatch, "a zombie published its successor's file")
			require.NoError(t, errors.Join(zombie.Abort(t.Context()), zombie.Close()))
			require.NoError(t, successor.WriteWindow(t.Context(), data[:4], 0))
			require.NoError(t, successor.WriteWindow(t.Context(), data[4:], 4))
			require.NoError(t, successor.Commit(t.Context(), sum))
			require.NoError(t, successor.Close())
			require.Equal(t, []string{"restarted", "resumed"}, tree(t, path))
			got, err := storagetest.Read(t.Context(), d, "restarted")
			require.NoError(t, err)
			require.Equal(t, data, got)
		})
	}
}

// TestDirRivals lets two deliveries that must not replace a file end at the same moment, often. It runs where syncing
// takes no time, so that they meet.
func TestDirRivals(t *testing.T) {
	t.Parallel()
	path, err := os.MkdirTemp("/dev/shm", "transfer")
	if err != nil {
		path = t.TempDir()
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(path)) })
	d, err := transfer.Dir(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Close()) }()
	for range 1000 {
		var errs, aborting [2]error
		var group sync.WaitGroup
		start := make(chan struct{})
		for i := range errs {
			sink := begin(t, d, "a", []byte("a"), transfer.CreateOptions{Overwrite: transfer.OverwriteFail})
			group.Go(func() {
				<-start
				errs[i] = sink.Commit(t.Context(), sha256.Sum256([]byte("a")))
				aborting[i] = sink.Abort(t.Context())
			})
		}
		close(start)
		group.Wait()
		require.NoError(t, errors.Join(aborting[:]...))
		require.ErrorIs(t, errors.Join(errs[0], errs[1]), transfer.FileExists)
		require.True(t, errs[0] == nil || errs[1] == nil, "%v", errs)
		require.NoError(t, os.Remove(filepath.Join(path, "a")))
	}
	require.Empty(t, tree(t, path))
}

func TestDirFullDisk(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path).CombinedOutput(); err != nil {
		t.Skipf("skipped: cannot mount a tmpfs (run as root): %v: %s", err, out)
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", path).Run()) })
	d, err := transfer.Dir(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Close()) }()
	require.NoError(t, storagetest.Write(t.Context(), d, "a", make([]byte, 1000), transfer.CreateOptions{}))
	err = storagetest.Write(t.Context(), d, "new/a", make([]byte, 2<<20), transfer.CreateOptions{})
	require.Error(t, err)
	require.Equal(t, transfer.NoSpace, transfer.CodeOf(err))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Equal(t, []string{"a"}, tree(t, path))
}

func TestDirReadOnly(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("skipped: root may write everywhere")
	}
	d, path := newDir(t)
	require.NoError(t, os.Chmod(path, 0o555))
	for _, name := range []string{"a", "new/a"} {
		err := storagetest.Write(t.Context(), d, name, []byte("a"), transfer.CreateOptions{})
		require.Equal(t, transfer.PermissionDenied, transfer.CodeOf(err))
	}
	require.Empty(t, tree(t, path))
}

func TestDirReadOnlyFileSystem(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m,ro", "tmpfs", path).CombinedOutput(); err != nil {
		t.Skipf("skipped: cannot mount a tmpfs (run as root): %v: %s", err, out)
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", path).Run()) })
	d, err := transfer.Dir(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Close()) }()
	for _, name := range []string{"a", "new/a"} {
		err := storagetest.Write(t.Context(), d, name, []byte("a"), transfer.CreateOptions{})
		require.Equal(t, transfer.PermissionDenied, transfer.CodeOf(err))
	}
}
