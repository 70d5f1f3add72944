package sftpx_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/storagetest"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// A server that refuses to write into the middle of a file starts again at zero, and is remembered.
func TestServerThatCannotResume(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]transfertest.SFTPRule{
		"refuses to open":  {Op: transfertest.SFTPOpen, Nth: 3, Status: transfertest.StatusOpUnsupported},
		"refuses to write": {Op: transfertest.SFTPWrite, Nth: 2, Status: transfertest.StatusFailure},
		"refuses to read":  {Op: transfertest.SFTPRead, Status: transfertest.StatusPermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, c := start(t, transfertest.SFTPFaults{})
			server.Inject(rule)
			k, o := begin(t, remote(t, c), "/a", 20, 10)
			require.NoError(t, k.WriteWindow(t.Context(), random(t, 10), 0))
			o.Checkpoint = k.Checkpoint()
			require.NoError(t, k.Close())
			r := remote(t, c)
			_, err := r.Create(t.Context(), "/a", o)
			require.Equal(t, transfer.CheckpointLost, transfer.CodeOf(err))
			require.Equal(t, name != "refuses to write", r.Features().Resume, "it might be locked")
			require.Eventually(t, func() bool { return server.OpenHandles() == 0 }, eventually, often)
			want := random(t, 20)
			o.Checkpoint = nil
			require.NoError(t, storagetest.Write(t.Context(), r, "/a", want, o))
			requireServerFile(t, server, "/a", want)
			require.Equal(t, name == "refuses to read", r.Features().Resume, "it was not locked")
		})
	}
}

// Under its final name a delivery meets its own file when it goes on, which is no reason to refuse it.
func TestResumeUnderTheFinalName(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	cfg := config(server)
	cfg.RenameMode = sftpx.RenameDirect
	c := connect(t, cfg)
	want := random(t, 20)
	o := transfer.CreateOptions{Size: 20, WindowSize: 10, Key: storagetest.NewKey(), Overwrite: transfer.OverwriteFail}
	k, err := remote(t, c).Create(t.Context(), "/a", o)
	require.NoError(t, err)
	require.NoError(t, k.WriteWindow(t.Context(), want[:10], 0))
	require.NoError(t, k.Close())
	_, err = remote(t, c).Create(t.Context(), "/a", o)
	require.ErrorIs(t, err, transfer.FileExists)
	o.Checkpoint = k.Checkpoint()
	k, err = remote(t, c).Create(t.Context(), "/a", o)
	require.NoError(t, err)
	require.NoError(t, k.WriteWindow(t.Context(), want[10:], 10))
	require.NoError(t, k.Commit(t.Context(), noSum))
	require.NoError(t, k.Close())
	requireServerFile(t, server, "/a", want)
}

// Whatever is wrong with a checkpoint, the delivery starts again.
func TestDamagedCheckpoints(t *testing.T) {
	t.Parallel()
	server, c := start(t, transfertest.SFTPFaults{})
	k, o := begin(t, remote(t, c), "/a", 25, 10)
	require.NoError(t, k.WriteWindow(t.Context(), random(t, 10), 0))
	good := string(k.Checkpoint())
	require.NoError(t, k.Close())
	for name, checkpoint := range map[string]string{
		"no JSON":         "x",
		"another file":    strings.Replace(good, "/.transfer", "/etc/.transfer", 1),
		"nothing written": strings.Replace(good, "10", "0", 1),
		"half a window":   strings.Replace(good, "10", "5", 1),
		"less than none":  strings.Replace(good, "10", "-10", 1),
		"too much":        strings.Replace(good, "10", "30", 1),
		"not all arrived": strings.Replace(good, "10", "20", 1),
	} {
		o.Checkpoint = []byte(checkpoint)
		_, err := remote(t, c).Create(t.Context(), "/a", o)
		require.Equal(t, transfer.CheckpointLost, transfer.CodeOf(err), name)
	}
	o.Checkpoint = []byte(good)
	temp := server.Files()[0]
	require.NoError(t, server.WriteFile(temp, random(t, 26)))
	_, err := remote(t, c).Create(t.Context(), "/a", o)
	require.Equal(t, transfer.CheckpointLost, transfer.CodeOf(err), "longer than the file")
	require.NoError(t, server.WriteFile(temp, random(t, 25)))
	k, err = remote(t, c).Create(t.Context(), "/a", o)
	require.NoError(t, err, "as long as the file, with a tail that was not acknowledged")
	want := random(t, 25)
	for off := range 3 {
		require.NoError(t, k.WriteWindow(t.Context(), want[off*10:min(off*10+10, 25)], int64(off*10)))
	}
	require.NoError(t, k.Commit(t.Context(), noSum))
	requireServerFile(t, server, "/a", want)
}

// A resume that fails because the network does keeps its checkpoint.
func TestResumeOverBrokenConnection(t *testing.T) {
	t.Parallel()
	server, c := start(t, transfertest.SFTPFaults{})
	k, o := begin(t, remote(t, c), "/a", 20, 10)
	want := random(t, 20)
	require.NoError(t, k.WriteWindow(t.Context(), want[:10], 0))
	o.Checkpoint = k.Checkpoint()
	server.CutConnections()
	err := k.WriteWindow(t.Context(), want[10:], 10)
	require.Equal(t, transfer.ConnectionLost, transfer.CodeOf(err))
	require.Equal(t, o.Checkpoint, k.Checkpoint())
	require.NoError(t, k.Close())

	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPOpen, Cut: true, Times: 1})
	_, err = remote(t, c).Create(t.Context(), "/a", o)
	require.Equal(t, transfer.ConnectionLost, transfer.CodeOf(err))
	k, err = remote(t, c).Create(t.Context(), "/a", o)
	require.NoError(t, err)
	require.NoError(t, k.WriteWindow(t.Context(), want[10:], 10))
	require.NoError(t, k.Commit(t.Context(), noSum))
	requireServerFile(t, server, "/a", want)
}
