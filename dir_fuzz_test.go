package transfer_test

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/storagetest"
)

// FuzzDirPath checks that no path leads out of the directory, for reading or for writing.
func FuzzDirPath(f *testing.F) {
	for _, path := range []string{
		"a", "/a/b", "../outside", "/../secret", "up/secret", "in/../../secret", "absolute/secret", "secret-link", "up/in/a",
		"in/./a//b/", "", "nul\x00", "..\\secret", "loop/a", "up/root/a", ".transfer-0123456789abcdef.part",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, name string) {
		d, path := newDir(t)
		parent := filepath.Dir(path)
		secret := filepath.Join(parent, "secret")
		require.NoError(t, os.WriteFile(secret, []byte("secret"), 0o600))
		require.NoError(t, os.Mkdir(filepath.Join(path, "in"), 0o755))
		for link, target := range map[string]string{"up": "..", "absolute": parent, "secret-link": "../secret", "loop": "loop"} {
			require.NoError(t, os.Symlink(target, filepath.Join(path, link)))
		}
		got, err := storagetest.Read(t.Context(), d, name)
		if err == nil {
			require.NotEqual(t, "secret", string(got))
		}
		err = storagetest.Write(t.Context(), d, name, []byte("new"), transfer.CreateOptions{})
		if err == nil {
			got, err := storagetest.Read(t.Context(), d, name)
			require.NoError(t, err)
			require.Equal(t, "new", string(got))
		}
		entries, err := os.ReadDir(parent)
		require.NoError(t, err)
		require.Len(t, entries, 2, "something was created outside")
		kept, err := os.ReadFile(secret)
		require.NoError(t, err)
		require.Equal(t, "secret", string(kept))
		for _, left := range tree(t, path) {
			isTarget := strings.HasSuffix(name, filepath.Base(left))
			require.True(t, isTarget || !strings.HasSuffix(left, ".part"), "left behind: %s", left)
		}
	})
}

// FuzzDirCheckpoint goes on from any checkpoint, over any temporary file. What is published is the content, whatever it
// went on from, and nothing else is touched.
func FuzzDirCheckpoint(f *testing.F) {
	const content, key = "0123456789", "0123456789abcdef"
	path := f.TempDir()
	d, err := transfer.Dir(path)
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, d.Close()) })
	o := transfer.CreateOptions{Size: int64(len(content)), WindowSize: 4, Key: key}
	sink, err := d.Create(f.Context(), "a", o)
	require.NoError(f, err)
	for i := range 3 {
		off := int64(i * 4)
		require.NoError(f, sink.WriteWindow(f.Context(), []byte(content[off:min(off+4, 10)]), off))
		f.Add(sink.Checkpoint(), []byte(content))
		f.Add(sink.Checkpoint(), []byte(content[:3]))
		f.Add(sink.Checkpoint(), []byte("0123xxxx89"))
	}
	require.NoError(f, errors.Join(sink.Abort(f.Context()), sink.Close()))
	f.Add([]byte(`{"size":10,"window":4,"windows":1,"chain":0,"made":1000000}`), []byte(content))
	f.Add([]byte(`{"size":10,"window":4,"windows":-1,"made":-1}`), []byte{})
	f.Add([]byte(`{"size":10,"window":4,"windows":9223372036854775807}`), []byte(content))
	f.Fuzz(func(t *testing.T, checkpoint, temporary []byte) {
		temp := filepath.Join(path, ".transfer-"+key+".part")
		require.NoError(t, os.WriteFile(temp, temporary, 0o600))
		o := o
		o.Checkpoint = checkpoint
		sink, err := d.Create(t.Context(), "a", o)
		if err != nil {
			require.Equal(t, transfer.CheckpointLost, transfer.CodeOf(err))
			o.Checkpoint = nil
			sink, err = d.Create(t.Context(), "a", o)
			require.NoError(t, err)
		}
		for off := int64(0); off < 10; off += 4 {
			require.NoError(t, sink.WriteWindow(t.Context(), []byte(content[off:min(off+4, 10)]), off))
		}
		require.NoError(t, sink.Commit(t.Context(), sha256.Sum256([]byte(content))))
		require.NoError(t, sink.Close())
		got, err := os.ReadFile(filepath.Join(path, "a"))
		require.NoError(t, err)
		require.Equal(t, content, string(got))
		require.Equal(t, []string{"a"}, tree(t, path))
	})
}
