package sftpx_test

import (
	"context"
	"fmt"
	"log"
	"os"
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

// finding returns the reason that a report gives for a field.
func finding(t *testing.T, r *sftpx.ConnectionReport, field string) sftpx.Finding {
	t.Helper()
	for _, f := range r.Findings {
		if f.Field == field {
			return f
		}
	}
	require.Fail(t, "no finding", field)
	return sftpx.Finding{}
}

func TestTestConnectionOnOpenSSH(t *testing.T) {
	t.Parallel()
	server := testenv.SSHD(t, "Ciphers aes256-ctr", "MACs hmac-sha2-256")
	c := connect(t, sshdConfig(server))
	r, err := c.TestConnection(t.Context(), nil)
	require.NoError(t, err)
	require.Contains(t, r.Server, "OpenSSH")
	require.Contains(t, server.HostKeys[0], r.HostKey)
	require.True(t, strings.HasPrefix(r.HostKeyFingerprint, "SHA256:"))
	require.NotEmpty(t, r.KeyExchange)
	require.Equal(t, []string{"ssh-ed25519", "aes256-ctr", "hmac-sha2-256"}, []string{r.HostKeyAlgorithm, r.Cipher, r.MAC})
	require.Equal(t, []string{"publickey"}, r.AuthMethods)
	require.Equal(t, 3, r.SFTPVersion)
	require.Equal(t, "1", r.Extensions["posix-rename@openssh.com"])
	require.Equal(t, "2", r.Extensions["statvfs@openssh.com"])
	require.Equal(t, server.Dir, r.Home)
	require.Positive(t, r.RoundTrip)
	require.Empty(t, filesIn(t, server.Dir), "nothing was asked for, nothing is written")

	r, err = c.TestConnection(t.Context(), &sftpx.TestConnectionInput{ProbeDirectory: server.Dir})
	require.NoError(t, err)
	require.Equal(t, sftpx.Profile{TempName: ".transfer-%k.part"}, r.Profile)
	require.Contains(t, finding(t, r, "RenameMode").Reason, "in one step")
	require.Contains(t, finding(t, r, "NoResume").Reason, "in the middle")
	require.Empty(t, filesIn(t, server.Dir))
	require.Empty(t, r.Leftovers)

	_, err = c.TestConnection(t.Context(), &sftpx.TestConnectionInput{ProbeDirectory: server.Dir + "/none"})
	require.ErrorIs(t, err, transfer.FileNotFound)
	_, err = c.TestConnection(t.Context(), &sftpx.TestConnectionInput{ProbeDirectory: "\x00"})
	require.ErrorContains(t, err, "TestConnectionInput.ProbeDirectory")
}

// A probe finds out what is wrong with a server, and a connector with the suggested profile delivers to it.
func TestProbe(t *testing.T) {
	t.Parallel()
	const temp = ".transfer-%k.part"
	for name, c := range map[string]struct {
		faults transfertest.SFTPFaults
		rules  []transfertest.SFTPRule
		want   sftpx.Profile
	}{
		"perfect":         {},
		"no posix-rename": {faults: transfertest.SFTPFaults{NoPosixRename: true}},
		"posix-rename lies": {
			faults: transfertest.SFTPFaults{LyingRename: true}, want: sftpx.Profile{RenameMode: sftpx.RenameReplace}},
		"posix-rename fails": {
			faults: transfertest.SFTPFaults{NoReplace: true}, want: sftpx.Profile{RenameMode: sftpx.RenameReplace}},
		"no rename": {faults: transfertest.SFTPFaults{NoRename: true}, want: sftpx.Profile{RenameMode: sftpx.RenameDirect}},
		"nothing is removed": {
			faults: transfertest.SFTPFaults{NoPosixRename: true},
			rules: []transfertest.SFTPRule{{Op: transfertest.SFTPRemove | transfertest.SFTPRmdir, Times: 2,
				Status: transfertest.StatusPermissionDenied}},
			want: sftpx.Profile{RenameMode: sftpx.RenamePlain}},
		"no reopening": {faults: transfertest.SFTPFaults{NoReopen: true}, want: sftpx.Profile{NoResume: true}},
		"appends":      {faults: transfertest.SFTPFaults{AppendOnly: true}, want: sftpx.Profile{NoResume: true}},
		"short reads":  {faults: transfertest.SFTPFaults{MaxRead: 10_000}, want: sftpx.Profile{MaxPacket: 10_000}},
		"one request":  {faults: transfertest.SFTPFaults{OneRequest: true}, want: sftpx.Profile{Sequential: true}},
		"drop box": {
			faults: transfertest.SFTPFaults{WriteOnly: true}, want: sftpx.Profile{NoResume: true, Verify: sftpx.VerifyNone}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, conn := start(t, c.faults)
			require.NoError(t, server.MkdirAll("/probe"))
			for _, rule := range c.rules {
				server.Inject(rule)
			}
			r, err := conn.TestConnection(t.Context(), &sftpx.TestConnectionInput{ProbeDirectory: "/probe"})
			require.NoError(t, err)
			c.want.TempName = temp
			require.Equal(t, c.want, r.Profile, "%+v", r.Findings)
			require.Empty(t, server.Files())
			require.Empty(t, r.Leftovers)
			require.Eventually(t, func() bool { return server.Connections() == 0 }, eventually, often)

			cfg := config(server)
			cfg.Profile = r.Profile
			require.NoError(t, upload(t, connect(t, cfg), "/a", random(t, mebibyte)))
		})
	}
}

func TestProbeKeepsWhatIsConfigured(t *testing.T) {
	t.Parallel()
	p := sftpx.Profile{
		RenameMode: sftpx.RenamePosix, Verify: sftpx.VerifyStrict, TempName: "%k.tmp", ReadOnce: true, Sequential: true,
		PreserveTimes: true, FileMode: 0o640,
	}
	server, c := profiled(t, transfertest.SFTPFaults{OneRequest: true}, p)
	r, err := c.TestConnection(t.Context(), &sftpx.TestConnectionInput{ProbeDirectory: "/"})
	require.NoError(t, err)
	require.Equal(t, p, r.Profile)

	server.SetFaults(transfertest.SFTPFaults{NoSetstat: true})
	r, err = c.TestConnection(t.Context(), &sftpx.TestConnectionInput{ProbeDirectory: "/"})
	require.NoError(t, err)
	require.False(t, r.Profile.PreserveTimes)
	require.Zero(t, r.Profile.FileMode)
}

// A probe that fails says why, reports what was found before, and leaves nothing behind if it can.
func TestProbeFails(t *testing.T) {
	t.Parallel()
	remove := transfertest.SFTPRemove | transfertest.SFTPRmdir
	for name, c := range map[string]struct {
		faults    transfertest.SFTPFaults
		rule      transfertest.SFTPRule
		code      transfer.Code
		leftovers int
	}{
		"full disk":         {faults: transfertest.SFTPFaults{DiskSpace: -1, Quota: true}, code: transfer.NoSpace},
		"denied":            {rule: transfertest.SFTPRule{Op: transfertest.SFTPOpen, Status: transfertest.StatusPermissionDenied}, code: transfer.PermissionDenied},
		"lies":              {rule: transfertest.SFTPRule{Op: transfertest.SFTPWrite, Pretend: true}, code: transfer.SizeMismatch},
		"cut while reading": {rule: transfertest.SFTPRule{Op: transfertest.SFTPRead, Nth: 2, Cut: true}, code: transfer.ConnectionLost},
		"cut while renaming": {rule: transfertest.SFTPRule{Op: transfertest.SFTPPosixRename, Cut: true},
			code: transfer.ConnectionLost},
		"nothing is removed": {rule: transfertest.SFTPRule{Op: remove, Path: "*.old", Status: transfertest.StatusPermissionDenied}, leftovers: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, conn := start(t, c.faults)
			server.Inject(c.rule)
			r, err := conn.TestConnection(t.Context(), &sftpx.TestConnectionInput{ProbeDirectory: "/"})
			require.Equal(t, c.code, transfer.CodeOf(err), "%v", err)
			require.NotNil(t, r)
			require.NotEmpty(t, r.HostKey)
			require.Len(t, server.Files(), c.leftovers)
			require.Len(t, r.Leftovers, c.leftovers)
		})
	}
}

// A key that is not pinned is shown, so that it can be compared and pinned; also one of a type that is not.
func TestTestConnectionShowsTheOfferedKey(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]transfertest.HostKeyType{"same type": transfertest.Ed25519, "another type": transfertest.RSA} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := transfertest.StartSFTP(t, transfertest.SFTPOptions{HostKeyTypes: []transfertest.HostKeyType{kind}})
			other := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
			cfg := config(server)
			cfg.HostKeys = other.HostKeys()
			r, err := connect(t, cfg).TestConnection(t.Context(), nil)
			require.Nil(t, r)
			require.Equal(t, transfer.HostKeyMismatch, transfer.CodeOf(err))
			_, _, key, _, _, parsed := ssh.ParseKnownHosts([]byte(server.HostKeys()[0]))
			require.NoError(t, parsed)
			line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
			require.ErrorContains(t, err, line)
			require.ErrorContains(t, err, ssh.FingerprintSHA256(key))
			require.Zero(t, server.Stats().Logins)

			cfg.HostKeys = []string{line}
			r, err = connect(t, cfg).TestConnection(t.Context(), nil)
			require.NoError(t, err)
			require.Equal(t, line, r.HostKey)
		})
	}
}

func TestTestConnectionIsBounded(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Faults: transfertest.SFTPFaults{Silent: true}})
	cfg := config(server)
	cfg.ConnectTimeout = soon
	c := connect(t, cfg)
	_, err := c.TestConnection(within(t, longAfter), nil)
	require.Equal(t, transfer.ConnectTimeout, transfer.CodeOf(err))
	server.SetFaults(transfertest.SFTPFaults{})
	mute := server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPRealpath, Mute: true})
	_, err = c.TestConnection(within(t, longAfter), nil)
	require.Equal(t, transfer.ConnectTimeout, transfer.CodeOf(err))
	require.ErrorContains(t, err, "Config.ConnectTimeout")
	mute.Remove()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.TestConnection(ctx, nil)
	require.ErrorIs(t, err, context.Canceled)

	hold := server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPRealpath, Mute: true})
	cfg.ConnectTimeout = -1
	c = connect(t, cfg)
	ended := make(chan error)
	go func() {
		_, err := c.TestConnection(within(t, longAfter), nil)
		ended <- err
	}()
	<-hold.Hit()
	require.NoError(t, c.Close())
	require.ErrorContains(t, <-ended, "connector is closed")
	_, err = c.TestConnection(t.Context(), nil)
	require.ErrorContains(t, err, "connector is closed")
}

func TestTestConnectionReportsWaysToLogIn(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{MultiFactor: true, Password: "secret"})
	cfg := config(server)
	cfg.Auth = append(cfg.Auth, sftpx.Password(func(context.Context) (string, error) { return "secret", nil }))
	r, err := connect(t, cfg).TestConnection(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, []string{"publickey", "password"}, r.AuthMethods)
}

// A new partner is looked at once, and what suits the server is put into the configuration.
func ExampleConnector_TestConnection() {
	cfg := sftpx.Config{
		Addr: "sftp.example.com", User: "alice",
		Auth:     []sftpx.Auth{sftpx.Password(func(context.Context) (string, error) { return os.Getenv("ACME_PASSWORD"), nil })},
		HostKeys: []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPTZNLEZBwuEO9CJwuiLPMRLP9fC0qWBw3JZq5QmhGbP"},
	}
	conn, err := sftpx.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	report, err := conn.TestConnection(ctx, &sftpx.TestConnectionInput{ProbeDirectory: "/upload/test"})
	if err != nil {
		log.Print(err) // with the key that the server offered, if it is not an accepted one
		return
	}
	fmt.Println(report.Server, report.HostKeyFingerprint, report.AuthMethods, report.RoundTrip)
	for _, f := range report.Findings {
		fmt.Println(f.Field, f.Value, f.Reason)
	}
	cfg.Profile = report.Profile
}
