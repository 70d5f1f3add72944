package sftpx_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// requireConnectFails checks the code of a failed Connect, and that the message names the server.
func requireConnectFails(t *testing.T, cfg sftpx.Config, code transfer.Code, said ...string) {
	t.Helper()
	_, err := connect(t, cfg).Connect(t.Context())
	require.Error(t, err)
	require.Equal(t, code, transfer.CodeOf(err), err.Error())
	for _, text := range append(said, "connect "+cfg.Addr) {
		require.ErrorContains(t, err, text)
	}
	require.Less(t, len(err.Error()), 1000)
}

func TestHandshakeFailures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults transfertest.SFTPFaults
		code   transfer.Code
		said   string
	}{
		"connection refused":    {transfertest.SFTPFaults{Refuse: true}, transfer.PartnerBusy, "hung up"},
		"cut in its greeting":   {transfertest.SFTPFaults{Conn: transfertest.ConnFaults{CutAfterWritten: 10}}, transfer.PartnerBusy, "hung up"},
		"cut in the handshake":  {transfertest.SFTPFaults{Conn: transfertest.ConnFaults{CutAfterWritten: 900}}, transfer.PartnerBusy, "hung up"},
		"login refused":         {transfertest.SFTPFaults{RefuseLogin: true}, transfer.AuthenticationFailed, "tried: publickey"},
		"no SFTP":               {transfertest.SFTPFaults{NoSubsystem: true}, transfer.UnsupportedOperationError, "refuses to start SFTP"},
		"a login script prints": {transfertest.SFTPFaults{Greeting: "\x1b[1mWelcome!\n"}, transfer.ConnectionError, "start SFTP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Faults: c.faults})
			requireConnectFails(t, config(server), c.code, c.said)
		})
	}
}

func TestNoSessionsOnOpenSSH(t *testing.T) {
	t.Parallel()
	requireConnectFails(t, sshdConfig(testenv.SSHD(t, "MaxSessions 0")), transfer.PartnerBusy, "open a channel")
}

// ConnectTimeout bounds whatever the server keeps us waiting for.
func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string]transfertest.SFTPFaults{
		"silent":                  {Silent: true},
		"frozen in the handshake": {Conn: transfertest.ConnFaults{FreezeAfterWritten: 700}},
		"frozen after the login":  {Conn: transfertest.ConnFaults{FreezeAfterRead: 2500}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Faults: faults})
			cfg := config(server)
			cfg.ConnectTimeout = 300 * time.Millisecond
			started := time.Now()
			requireConnectFails(t, cfg, transfer.ConnectTimeout, "300ms")
			require.Less(t, time.Since(started), 5*time.Second)
		})
	}
}

func TestConnectIsBoundedByItsContext(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Faults: transfertest.SFTPFaults{Silent: true}})
	c := connect(t, config(server))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	started := time.Now()
	_, err := c.Connect(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, transfer.TimeoutError, transfer.CodeOf(err))
	require.Less(t, time.Since(started), 5*time.Second)
	_, err = c.Connect(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	server.Stop()
	requireConnectFails(t, config(server), transfer.ConnectionRefused)
}

func TestHostDoesNotExist(t *testing.T) {
	t.Parallel()
	cfg := validConfig()
	cfg.Addr = "nosuchhost.invalid:22"
	requireConnectFails(t, cfg, transfer.HostNotFound)
}

func TestNotAnSSHServer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		greeting string
		code     transfer.Code
	}{
		"says nothing sensible": {strings.Repeat("HTTP/1.1 400 Bad Request\r\n", 2000), transfer.ConnectionError},
		"hangs up":              {"220 ftp ready\r\n", transfer.PartnerBusy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := validConfig()
			cfg.Dial = func(context.Context, string, string) (net.Conn, error) {
				ours, theirs := net.Pipe()
				go func() {
					_, _ = theirs.Read(make([]byte, 1024))
					_, _ = theirs.Write([]byte(c.greeting))
					_ = theirs.Close()
				}()
				return ours, nil
			}
			cfg.Addr = "sftp.example.com:22"
			requireConnectFails(t, cfg, c.code)
		})
	}
}

func TestDialErrorsKeepTheirCode(t *testing.T) {
	t.Parallel()
	cfg := validConfig()
	cfg.Addr = "sftp.example.com:22"
	cfg.Dial = func(context.Context, string, string) (net.Conn, error) {
		return nil, &transfer.Error{Op: "proxy", Code: transfer.PartnerBusy}
	}
	requireConnectFails(t, cfg, transfer.PartnerBusy, "proxy")
}

func TestAlgorithms(t *testing.T) {
	t.Parallel()
	old := ssh.Config{
		KeyExchanges: []string{ssh.InsecureKeyExchangeDH14SHA1}, Ciphers: []string{ssh.InsecureCipherAES128CBC},
		MACs: []string{ssh.HMACSHA1},
	}
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{SSH: old})
	cfg := config(server)
	requireConnectFails(t, cfg, transfer.KeyExchangeFailed, ssh.InsecureKeyExchangeDH14SHA1, ssh.KeyExchangeCurve25519,
		"LegacyAlgorithms")
	cfg.Algorithms = sftpx.LegacyAlgorithms
	remote(t, connect(t, cfg))
}

// A server of ten years ago signs with its RSA key by SHA-1 only, and takes no other signature from us.
func TestRSAWithSHA1(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{HostKeyTypes: []transfertest.HostKeyType{transfertest.RSA}})
	cfg := config(server)
	remote(t, connect(t, cfg))
	cfg.Algorithms = sftpx.LegacyAlgorithms
	remote(t, connect(t, cfg))

	sha1, err := ssh.NewSignerWithAlgorithms(newRSASigner(t), []string{ssh.KeyAlgoRSA})
	require.NoError(t, err)
	server = transfertest.StartSFTP(t, transfertest.SFTPOptions{HostKeys: []ssh.Signer{sha1}})
	cfg = config(server)
	requireConnectFails(t, cfg, transfer.KeyExchangeFailed, "SHA-1", "LegacyAlgorithms")
	cfg.Algorithms = sftpx.LegacyAlgorithms
	remote(t, connect(t, cfg))
}

// Nothing that could be used to log in is logged.
func TestLogger(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Password: "geheim"})
	var text lockedText
	cfg := config(server)
	cfg.Auth = []sftpx.Auth{sftpx.Password(secret("geheim"))}
	cfg.Logger = slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := connect(t, cfg)
	remote(t, c)
	require.NoError(t, c.Close())
	server.Stop()
	_, _ = connect(t, cfg).Connect(t.Context())
	require.Contains(t, text.String(), "sftp connection made")
	require.Contains(t, text.String(), "sftp connection ended")
	require.Contains(t, text.String(), "sftp connection failed")
	require.Contains(t, text.String(), "SSH-2.0-transfertest")
	require.NotContains(t, text.String(), "geheim")
}
