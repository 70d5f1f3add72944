package transfer

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// newDelivery is a delivery of one byte to name that is ready to be published.
func newDelivery(t *testing.T, d *Directory, name, key string) Sink {
	t.Helper()
	sink, err := d.Create(t.Context(), name, CreateOptions{Size: 1, WindowSize: 10, Key: strings.Repeat(key, 32)})
	require.NoError(t, err)
	require.NoError(t, sink.WriteWindow(t.Context(), []byte(key), 0))
	return sink
}

func TestADirectoryThatIsReplacedGetsNothingThatWasMeantForItsPath(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	in, old := filepath.Join(root, "in"), filepath.Join(root, "old")
	require.NoError(t, os.Mkdir(in, 0o755))
	d, err := Dir(root)
	require.NoError(t, err)
	early := newDelivery(t, d, "in/a", "a")

	require.NoError(t, os.Rename(in, old)) // as a program does that takes all files at once
	require.NoError(t, os.Mkdir(in, 0o755))
	late := newDelivery(t, d, "in/b", "b")

	require.ErrorContains(t, early.Commit(t.Context(), [sha256.Size]byte{}), "the directory was replaced")
	require.NoError(t, early.Abort(t.Context()))
	require.NoError(t, late.Commit(t.Context(), [sha256.Size]byte{}))
	require.Empty(t, names(t, old), "neither the file nor its temporary one")
	require.Equal(t, []string{"b"}, names(t, in))
	require.NoError(t, early.Close())
	require.NoError(t, late.Close())
	require.Empty(t, d.folders, "no handle stays open")
}

func TestDeliveriesToOneDirectoryShareItsHandleAndItsSync(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	d, err := Dir(root)
	require.NoError(t, err)
	one, two := newDelivery(t, d, "in/deep/a", "a").(*dirSink), newDelivery(t, d, "in/deep/b", "b").(*dirSink)
	require.Same(t, one.folder, two.folder)

	one.folder.disk.Lock() // as while another turn is under way
	ended := make(chan error, 2)
	for _, s := range []Sink{one, two} {
		go func() { ended <- s.Commit(t.Context(), [sha256.Size]byte{}) }()
	}
	require.Eventually(t, func() bool {
		one.folder.mu.Lock()
		defer one.folder.mu.Unlock()
		return one.folder.next != nil && len(names(t, filepath.Join(root, "in/deep"))) == 2 && names(t, filepath.Join(root, "in/deep"))[1] == "b"
	}, 30*time.Second, time.Millisecond)
	require.Empty(t, ended, "nobody is done before the entries last")
	one.folder.disk.Unlock()

	require.NoError(t, <-ended)
	require.NoError(t, <-ended)
	require.NoError(t, one.Close())
	require.Same(t, two.folder, d.folders["in/deep"], "the other still uses it")
	require.NoError(t, two.Close())
	require.Empty(t, d.folders)
	require.Nil(t, two.folder)
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}
