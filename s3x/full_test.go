package s3x

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// TestFullServer delivers to versitygw on a disk that is full. It is not parallel, because the server takes its folder
// from the environment.
func TestFullServer(t *testing.T) {
	disk := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk).CombinedOutput(); err != nil {
		t.Skipf("skipped: cannot mount a tmpfs (run as root): %v: %s", err, out)
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", disk).Run()) })
	t.Setenv("TMPDIR", disk)
	t.Run("server", func(t *testing.T) { // so that it has ended before its disk goes
		s := real(t)
		d := begin(t, s.storage(t, Options{}), "multipart", random(int(s.window)*8), transfer.CreateOptions{})
		var err error
		for i := 0; err == nil && i < 8; i++ {
			err = d.write(t.Context(), i)
		}
		requireCode(t, transfer.NoSpace, err, "")
		require.True(t, transfer.CodeOf(err).Retryable())
		require.NoError(t, d.Abort(t.Context()), "there is room to tidy up")
		require.Zero(t, s.openUploads(t))

		s.window *= 6
		d = begin(t, s.storage(t, Options{}), "put", random(int(s.window)), transfer.CreateOptions{})
		d.writeAll(t)
		requireCode(t, transfer.NoSpace, d.commit(t.Context()), "")
		require.Empty(t, s.keys(t))
	})
}
