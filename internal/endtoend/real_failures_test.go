package endtoend

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// smallDisk mounts a file system of 2 MiB in dir, which only root can.
func smallDisk(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("skipped: cannot mount a small file system (this needs root): %v %s", err, out)
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", dir).Run()) })
}

// TestRealServersFailClearly repeats with OpenSSH and versitygw what can be made to happen there.
func TestRealServersFailClearly(t *testing.T) {
	t.Parallel()
	sshd, server := testenv.SSHD(t), testenv.S3(t)
	b := bucket{server.Client(t), server.NewBucket(t)}
	b.put(t, "outbox/a.bin", content(1, 2*window+1))
	send := func(to string) transfer.StartFileTransferInput {
		return transfer.StartFileTransferInput{SendFilePaths: []string{b.name + "/outbox/a.bin"}, RemoteDirectoryPath: to}
	}
	for name, test := range map[string]struct {
		spoil        func(*testing.T, *sftpx.Config)
		in           transfer.StartFileTransferInput
		code, detail transfer.Code
	}{
		"wrong host key": {
			spoil: func(t *testing.T, c *sftpx.Config) {
				c.HostKeys = transfertest.StartSFTP(t, transfertest.SFTPOptions{}).HostKeys()
			},
			in: send(""), code: transfer.ConnectionError, detail: transfer.HostKeyMismatch,
		},
		"wrong password": {
			spoil: func(_ *testing.T, c *sftpx.Config) {
				c.Auth = []sftpx.Auth{sftpx.Password(func(context.Context) (string, error) { return "wrong", nil })}
			},
			in: send(""), code: transfer.ConnectionError, detail: transfer.AuthenticationFailed,
		},
		"missing directory": {in: send("none"), code: transfer.DirectoryNotFound},
		"missing file": {
			in:   transfer.StartFileTransferInput{RetrieveFilePaths: []string{"none"}, LocalDirectoryPath: b.name},
			code: transfer.RetrieveFileNotFound,
		},
		"directory": {
			in:   transfer.StartFileTransferInput{RetrieveFilePaths: []string{"/tmp"}, LocalDirectoryPath: b.name},
			code: transfer.ReadFileError, detail: transfer.IsDirectory,
		},
		"full disk": {
			spoil: func(t *testing.T, _ *sftpx.Config) { smallDisk(t, filepath.Join(sshd.Dir, "full")) },
			in:    send("full"), code: transfer.WriteFileError, detail: transfer.NoSpace,
		},
		"missing bucket": {
			spoil: func(t *testing.T, _ *sftpx.Config) {
				require.NoError(t, os.WriteFile(filepath.Join(sshd.Dir, "b.bin"), content(2, 2*window+1), 0o600))
			},
			in:   transfer.StartFileTransferInput{RetrieveFilePaths: []string{"b.bin"}, LocalDirectoryPath: "no-such-bucket"},
			code: transfer.PathNotFound,
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := sftpx.Config{
				Addr: sshd.Addr, User: sshd.User, HostKeys: sshd.HostKeys, Auth: []sftpx.Auth{sftpx.PublicKey(sshd.Signer)},
				ConnectTimeout: 10 * time.Second,
			}
			if test.spoil != nil {
				test.spoil(t, &cfg)
			}
			connector, err := sftpx.New(cfg)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, connector.Close()) })

			r := run(t, start(t, b, connector), test.in)[0]
			t.Logf("%s / %s: %s", r.FailureCode, r.FailureDetail, r.FailureMessage)
			require.Equal(t, test.code, r.FailureCode, r.FailureMessage)
			require.Equal(t, test.detail, r.FailureDetail, r.FailureMessage)
			left, err := filepath.Glob(filepath.Join(sshd.Dir, "full", ".*"))
			require.NoError(t, err)
			require.Empty(t, left, "temporary files")
			b.requireNothingOpen(t)
		})
	}
}
