package endtoend

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// failure is something that goes wrong at the partner's and how it must be reported.
type failure struct {
	faults transfertest.SFTPFaults
	rule   *transfertest.SFTPRule
	spoil  func(t *testing.T, server *transfertest.SFTPServer, cfg *sftpx.Config)

	send, retrieve transfer.Code // empty: not tried
	detail         transfer.Code
	limit          time.Duration // after which it must have failed
}

var failures = map[string]failure{
	"wrong host key": {
		spoil: func(t *testing.T, _ *transfertest.SFTPServer, cfg *sftpx.Config) {
			cfg.HostKeys = transfertest.StartSFTP(t, transfertest.SFTPOptions{}).HostKeys()
		},
		send: transfer.ConnectionError, retrieve: transfer.ConnectionError, detail: transfer.HostKeyMismatch, limit: 3 * time.Second,
	},
	"wrong password": {
		spoil: func(_ *testing.T, _ *transfertest.SFTPServer, cfg *sftpx.Config) {
			cfg.Auth = []sftpx.Auth{sftpx.Password(func(context.Context) (string, error) { return "wrong", nil })}
		},
		send: transfer.ConnectionError, retrieve: transfer.ConnectionError, detail: transfer.AuthenticationFailed, limit: 3 * time.Second,
	},
	"name that does not resolve": {
		spoil: func(_ *testing.T, _ *transfertest.SFTPServer, cfg *sftpx.Config) { cfg.Addr = "no-such-host.invalid" },
		send:  transfer.ConnectionError, retrieve: transfer.ConnectionError, detail: transfer.HostNotFound, limit: 3 * time.Second,
	},
	"closed port": {
		spoil: func(t *testing.T, _ *transfertest.SFTPServer, cfg *sftpx.Config) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			cfg.Addr = listener.Addr().String()
			require.NoError(t, listener.Close())
		},
		send: transfer.ConnectionError, retrieve: transfer.ConnectionError, detail: transfer.ConnectionRefused, limit: 3 * time.Second,
	},
	"server that says nothing": {
		faults: transfertest.SFTPFaults{Silent: true},
		send:   transfer.TimeoutError, retrieve: transfer.TimeoutError, detail: transfer.ConnectTimeout, limit: 4 * time.Second,
	},
	"server that freezes while it is written to": {
		faults: transfertest.SFTPFaults{Conn: transfertest.ConnFaults{FreezeAfterRead: 6 << 20}},
		send:   transfer.TimeoutError, detail: transfer.Stalled, limit: 10 * time.Second,
	},
	"server that freezes while it is read": {
		faults:   transfertest.SFTPFaults{Conn: transfertest.ConnFaults{FreezeAfterWritten: 6 << 20}},
		retrieve: transfer.TimeoutError, detail: transfer.Stalled, limit: 10 * time.Second,
	},
	"connection cut while it is written to": {
		faults: transfertest.SFTPFaults{Conn: transfertest.ConnFaults{CutAfterRead: 6 << 20}, ConnTimes: 1},
		send:   transfer.ConnectionError, detail: transfer.ConnectionLost, limit: 10 * time.Second,
	},
	"connection cut while it is read": {
		faults:   transfertest.SFTPFaults{Conn: transfertest.ConnFaults{CutAfterWritten: 6 << 20}, ConnTimes: 1},
		retrieve: transfer.ConnectionError, detail: transfer.ConnectionLost, limit: 10 * time.Second,
	},
	"no permission": {
		rule: &transfertest.SFTPRule{Op: transfertest.SFTPOpen, Status: transfertest.StatusPermissionDenied},
		send: transfer.WriteFileError, retrieve: transfer.ReadFileError, detail: transfer.PermissionDenied, limit: 3 * time.Second,
	},
	"full disk": {
		faults: transfertest.SFTPFaults{DiskSpace: 6 << 20},
		send:   transfer.WriteFileError, detail: transfer.NoSpace, limit: 5 * time.Second,
	},
	"quota": {
		faults: transfertest.SFTPFaults{DiskSpace: 6 << 20, Quota: true},
		send:   transfer.WriteFileError, detail: transfer.NoSpace, limit: 5 * time.Second,
	},
	"refusal that comes only with the CLOSE": {
		rule: &transfertest.SFTPRule{Op: transfertest.SFTPClose, Path: ".transfer-*", Status: transfertest.StatusPermissionDenied},
		send: transfer.WriteFileError, detail: transfer.PermissionDenied, limit: 5 * time.Second,
	},
	"server that acknowledges everything and keeps nothing": {
		faults: transfertest.SFTPFaults{LosesFiles: true},
		send:   transfer.RenameError, limit: 5 * time.Second,
	},
	"half-open connection": {
		spoil: func(_ *testing.T, server *transfertest.SFTPServer, cfg *sftpx.Config) {
			var first atomic.Pointer[transfertest.Conn]
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				wrapped := transfertest.WrapConn(conn, transfertest.ConnFaults{})
				first.CompareAndSwap(nil, wrapped)
				return wrapped, nil
			}
			server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPWrite | transfertest.SFTPRead, Nth: 100, Do: func(transfertest.SFTPRequest) {
				first.Load().Set(transfertest.ConnFaults{HalfOpen: true})
			}})
		},
		send: transfer.TimeoutError, retrieve: transfer.TimeoutError, detail: transfer.Stalled, limit: 10 * time.Second,
	},
	"source cut short while it is read": {
		spoil: func(_ *testing.T, server *transfertest.SFTPServer, _ *sftpx.Config) {
			server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPRead, Nth: 100, Do: func(transfertest.SFTPRequest) {
				_ = server.WriteFile("/pickup/a.bin", content(1, window))
			}})
		},
		retrieve: transfer.ReadFileError, detail: transfer.SizeMismatch, limit: 5 * time.Second,
	},
	"missing directory": {
		spoil: func(_ *testing.T, server *transfertest.SFTPServer, _ *sftpx.Config) { _ = server.Remove("/in") },
		send:  transfer.DirectoryNotFound, limit: 3 * time.Second,
	},
	"missing file": {
		spoil: func(_ *testing.T, server *transfertest.SFTPServer, _ *sftpx.Config) {
			_ = server.Remove("/pickup/a.bin")
		},
		retrieve: transfer.RetrieveFileNotFound, limit: 3 * time.Second,
	},
	"rename refused": {
		rule: &transfertest.SFTPRule{Op: transfertest.SFTPPosixRename | transfertest.SFTPRename, Status: transfertest.StatusPermissionDenied},
		send: transfer.WriteFileError, detail: transfer.PermissionDenied, limit: 5 * time.Second,
	},
}

// TestEachFailureHasItsCodeAndLeavesNothingBehind moves a file of three windows, from and to S3, past each failure.
// That no goroutine stays is checked for the whole package.
func TestEachFailureHasItsCodeAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	data := content(1, 2*window+1)
	for name, f := range failures {
		for way, want := range map[string]transfer.Code{"send": f.send, "retrieve": f.retrieve} {
			if want == "" {
				continue
			}
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Password: "right"})
				require.NoError(t, server.MkdirAll("/in"))
				require.NoError(t, server.WriteFile("/pickup/a.bin", data))
				b := fakeS3(t)
				b.put(t, "outbox/a.bin", data)
				server.SetFaults(f.faults)
				if f.rule != nil {
					server.Inject(*f.rule)
				}
				client := start(t, b, partner(t, server, func(cfg *sftpx.Config) {
					if f.spoil != nil {
						f.spoil(t, server, cfg)
					}
				}))
				in := transfer.StartFileTransferInput{SendFilePaths: []string{"/ours/outbox/a.bin"}, RemoteDirectoryPath: "/in"}
				if way == "retrieve" {
					in = transfer.StartFileTransferInput{RetrieveFilePaths: []string{"/pickup/a.bin"}, LocalDirectoryPath: "/ours/inbox"}
				}

				began := time.Now()
				r := run(t, client, in)[0]
				took := time.Since(began)

				require.Equal(t, want, r.FailureCode, r.FailureMessage)
				require.Equal(t, f.detail, r.FailureDetail, r.FailureMessage)
				require.Contains(t, r.FailureMessage, "a.bin")
				require.Less(t, took, f.limit+raceAllowance, "the time limit of the failure")
				server.SetFaults(transfertest.SFTPFaults{})
				names := server.Files()
				require.Empty(t, temporary(names), "temporary files at the partner's")
				require.NotContains(t, names, "/in/a.bin")
				b.requireNothingOpen(t)
				t.Logf("%s / %s after %v: %s", r.FailureCode, r.FailureDetail, took.Round(time.Millisecond), r.FailureMessage)
			})
		}
	}
}

// raceAllowance is for slow machines and the race detector; the limits themselves are the configured ones.
const raceAllowance = 15 * time.Second

func TestMissingObjectIsSendFileNotFound(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	b := fakeS3(t)
	r := run(t, start(t, b, partner(t, server, nil)), transfer.StartFileTransferInput{
		SendFilePaths: []string{"/ours/none", "/nobucket/x", "ours"},
	})
	for _, each := range r {
		t.Log(each.FailureMessage)
	}
	require.Equal(t, transfer.SendFileNotFound, r[0].FailureCode)
	require.Equal(t, transfer.TransferTableStatusFailed, r[1].StatusCode)
	require.Equal(t, transfer.TransferTableStatusFailed, r[2].StatusCode)
	require.Zero(t, server.Connections(), "the partner is not bothered")
}

func TestDownloadsAreWholeFromServersThatAnswerShort(t *testing.T) {
	t.Parallel()
	data := content(2, 2*window+12345)
	for name, longest := range map[string]int{"5,000 bytes": 5000, "16 KiB": 16 << 10, "32 KiB": 32 << 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Faults: transfertest.SFTPFaults{MaxRead: longest}})
			require.NoError(t, server.WriteFile("/pickup/a.bin", data))
			b := fakeS3(t)
			client := start(t, b, partner(t, server, nil))
			r := run(t, client, transfer.StartFileTransferInput{RetrieveFilePaths: []string{"/pickup/a.bin"}, LocalDirectoryPath: "/ours/inbox"})[0]
			require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
			require.Equal(t, int64(len(data)), r.BytesTransferred)
			require.True(t, string(data) == string(b.get(t, "inbox/a.bin")), "byte-identical")
		})
	}
}
