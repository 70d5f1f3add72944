package sftpx_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// secret returns a password that is always the same.
func secret(s string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return s, nil }
}

// certify returns the line of a certificate for key.
func certify(t *testing.T, ca, key ssh.Signer, principal string) []byte {
	t.Helper()
	cert := &ssh.Certificate{
		Key: key.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{principal},
		ValidBefore: uint64(time.Now().Add(time.Hour).Unix()),
	}
	require.NoError(t, cert.SignCert(rand.Reader, ca))
	return ssh.MarshalAuthorizedKey(cert)
}

func certificate(t *testing.T, ca ssh.Signer, principal string) ssh.Signer {
	t.Helper()
	return certificateFor(t, ca, newSigner(t), principal)
}

func certificateFor(t *testing.T, ca, key ssh.Signer, principal string) ssh.Signer {
	t.Helper()
	signer, err := sftpx.Certificate(key, certify(t, ca, key, principal))
	require.NoError(t, err)
	return signer
}

func answers(list ...string) sftpx.Auth {
	return sftpx.KeyboardInteractive(func(_ context.Context, _, _ string, questions []string, _ []bool) ([]string, error) {
		return list[:len(questions)], nil
	})
}

func TestLogin(t *testing.T) {
	t.Parallel()
	key, rsaKey, ca := newSigner(t), newRSASigner(t), newSigner(t)
	ring, ringKey := newAgent(t)
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{
		User: "alice", Password: "geheim",
		AuthorizedKeys: []ssh.PublicKey{key.PublicKey(), rsaKey.PublicKey(), ringKey}, TrustedUserCAs: []ssh.PublicKey{ca.PublicKey()},
		Prompts: []transfertest.Prompt{{Text: "Code: ", Answer: "42"}},
	})
	for name, c := range map[string]struct {
		user string
		auth []sftpx.Auth
		ok   bool
	}{
		"key":                   {"alice", []sftpx.Auth{sftpx.PublicKey(key)}, true},
		"RSA key":               {"alice", []sftpx.Auth{sftpx.PublicKey(rsaKey)}, true},
		"other key":             {"alice", []sftpx.Auth{sftpx.PublicKey(newSigner(t))}, false},
		"second key":            {"alice", []sftpx.Auth{sftpx.PublicKey(newSigner(t), key)}, true},
		"key of a second list":  {"alice", []sftpx.Auth{sftpx.PublicKey(newSigner(t)), sftpx.PublicKey(key)}, true},
		"other user":            {"bob", []sftpx.Auth{sftpx.PublicKey(key), sftpx.Password(secret("geheim"))}, false},
		"certificate":           {"alice", []sftpx.Auth{sftpx.PublicKey(certificate(t, ca, "alice"))}, true},
		"certificate of bob":    {"alice", []sftpx.Auth{sftpx.PublicKey(certificate(t, ca, "bob"))}, false},
		"password":              {"alice", []sftpx.Auth{sftpx.Password(secret("geheim"))}, true},
		"wrong password":        {"alice", []sftpx.Auth{sftpx.Password(secret("falsch"))}, false},
		"password after a key":  {"alice", []sftpx.Auth{sftpx.PublicKey(newSigner(t)), sftpx.Password(secret("geheim"))}, true},
		"questions":             {"alice", []sftpx.Auth{answers("42")}, true},
		"wrong answer":          {"alice", []sftpx.Auth{answers("43")}, false},
		"agent":                 {"alice", []sftpx.Auth{sftpx.Agent(ring)}, true},
		"agent's chosen key":    {"alice", []sftpx.Auth{sftpx.Agent(ring, ringKey)}, true},
		"empty agent, then key": {"alice", []sftpx.Auth{sftpx.Agent(agent.NewKeyring()), sftpx.PublicKey(key)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(server)
			cfg.User, cfg.Auth = c.user, c.auth
			r, err := connect(t, cfg).Connect(t.Context())
			if !c.ok {
				require.ErrorIs(t, err, transfer.AuthenticationFailed)
				require.NotContains(t, err.Error(), "geheim")
				require.NotContains(t, err.Error(), "falsch")
				return
			}
			require.NoError(t, err)
			require.NoError(t, r.Close())
		})
	}
}

// newAgent returns an agent with one key.
func newAgent(t *testing.T) (agent.Agent, ssh.PublicKey) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	ring := agent.NewKeyring()
	require.NoError(t, ring.Add(agent.AddedKey{PrivateKey: key}))
	public, err := ssh.NewPublicKey(key.Public())
	require.NoError(t, err)
	return ring, public
}

// A wrong password is tried once for each connection: accounts are locked after a few.
func TestPasswordIsTriedOnce(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{
		Password: "right", Prompts: []transfertest.Prompt{{Text: "Password: ", Answer: "right"}},
	})
	var asked atomic.Int32
	cfg := config(server)
	cfg.Auth = []sftpx.Auth{sftpx.Password(func(context.Context) (string, error) {
		asked.Add(1)
		return "wrong", nil
	})}
	_, err := connect(t, cfg).Connect(t.Context())
	require.ErrorIs(t, err, transfer.AuthenticationFailed)
	require.ErrorContains(t, err, "tried: password")
	require.EqualValues(t, 1, asked.Load())
}

// A server that asks for the password by keyboard-interactive gets it.
func TestPasswordByQuestion(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prompts []transfertest.Prompt
		ok      bool
	}{
		"hidden":  {[]transfertest.Prompt{{Text: "Password: ", Answer: "right"}}, true},
		"wrong":   {[]transfertest.Prompt{{Text: "Password: ", Answer: "other"}}, false},
		"visible": {[]transfertest.Prompt{{Text: "Name: ", Answer: "right", Echo: true}}, false},
		"two":     {[]transfertest.Prompt{{Text: "Password: ", Answer: "right"}, {Text: "Code: ", Answer: "right"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Prompts: c.prompts})
			cfg := config(server)
			cfg.Auth = []sftpx.Auth{sftpx.PublicKey(newSigner(t)), sftpx.Password(secret("right"))}
			_, err := connect(t, cfg).Connect(t.Context())
			if c.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, transfer.AuthenticationFailed)
			require.NotContains(t, err.Error(), "right")
		})
	}
}

func TestTwoFactors(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]transfertest.SFTPOptions{
		"password": {MultiFactor: true, Password: "right"},
		"question": {MultiFactor: true, Prompts: []transfertest.Prompt{{Text: "Password: ", Answer: "right"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := transfertest.StartSFTP(t, o)
			cfg := config(server)
			cfg.Auth = append(cfg.Auth, sftpx.Password(secret("right")))
			remote(t, connect(t, cfg))
			cfg.Auth = cfg.Auth[:1]
			_, err := connect(t, cfg).Connect(t.Context())
			require.ErrorIs(t, err, transfer.AuthenticationFailed)
		})
	}
}

// A password that we cannot get is no refusal: it may be there later.
func TestPasswordSourceFails(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Password: "right"})
	broken := errors.New("vault is sealed")
	cfg := config(server)
	cfg.Auth = []sftpx.Auth{sftpx.Password(func(context.Context) (string, error) { return "", broken })}
	_, err := connect(t, cfg).Connect(t.Context())
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, transfer.AuthenticationFailed)
	require.True(t, transfer.CodeOf(err).Retryable())
}

func TestPasswordIsAskedForWithinConnectTimeout(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Password: "right"})
	cfg := config(server)
	cfg.ConnectTimeout = 100 * time.Millisecond
	cfg.Auth = []sftpx.Auth{sftpx.Password(func(ctx context.Context) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	})}
	_, err := connect(t, cfg).Connect(t.Context())
	require.ErrorIs(t, err, transfer.ConnectTimeout)
}

func TestParsePrivateKey(t *testing.T) {
	t.Parallel()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	open, err := ssh.MarshalPrivateKey(key, "")
	require.NoError(t, err)
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("open sesame"))
	require.NoError(t, err)
	public, err := ssh.NewPublicKey(key.Public())
	require.NoError(t, err)
	for name, c := range map[string]struct {
		block      *pem.Block
		passphrase string
		problem    string
	}{
		"open": {open, "", ""}, "protected": {locked, "open sesame", ""},
		"without passphrase": {locked, "", "give its passphrase"}, "wrong passphrase": {locked, "x", "is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			signer, err := sftpx.ParsePrivateKey(pem.EncodeToMemory(c.block), []byte(c.passphrase))
			if c.problem != "" {
				require.ErrorContains(t, err, c.problem)
				return
			}
			require.NoError(t, err)
			require.Equal(t, public.Marshal(), signer.PublicKey().Marshal())
		})
	}
	_, err = sftpx.ParsePrivateKey([]byte("nonsense"), nil)
	require.Error(t, err)
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	key, ca := newSigner(t), newSigner(t)
	for name, line := range map[string][]byte{
		"nonsense": []byte("nonsense"), "a key": ssh.MarshalAuthorizedKey(key.PublicKey()),
		"of another key": certify(t, ca, newSigner(t), "alice"),
	} {
		_, err := sftpx.Certificate(key, line)
		require.ErrorContains(t, err, "sftpx:", name)
	}
}

// requireSecured checks what the audit trail gets to know of a session with OpenSSH.
func requireSecured(t *testing.T, s transfer.SessionInfo, user string) {
	t.Helper()
	require.Equal(t, "sftp", s.Protocol)
	require.Contains(t, s.Server, "SSH-2.0-OpenSSH")
	require.Equal(t, user, s.User)
	require.Regexp(t, `^SHA256:[A-Za-z0-9+/]{43}$`, s.HostKey)
	require.NotEmpty(t, s.HostKeyType)
	require.NotEmpty(t, s.KeyExchange)
	require.NotEmpty(t, s.Cipher)
	require.Equal(t, s.MAC == "", strings.Contains(s.Cipher, "gcm") || strings.Contains(s.Cipher, "poly1305"), "%+v", s)
}

func TestLoginOnOpenSSH(t *testing.T) {
	t.Parallel()
	ca := newSigner(t)
	trusted := filepath.Join(t.TempDir(), "ca.pub")
	require.NoError(t, os.WriteFile(trusted, ssh.MarshalAuthorizedKey(ca.PublicKey()), 0o600))
	server := testenv.SSHD(t, "TrustedUserCAKeys "+trusted)
	cfg := sshdConfig(server)
	cfg.Auth = []sftpx.Auth{sftpx.PublicKey(certificate(t, ca, server.User))}
	r := remote(t, connect(t, cfg))
	require.Contains(t, r.Features().Server, "SSH-2.0-OpenSSH")
	require.True(t, r.Features().AtomicReplace)
	require.True(t, r.Features().Resume)
	requireSecured(t, r.Features().Session, server.User)
	cfg.Auth = []sftpx.Auth{sftpx.PublicKey(certificateFor(t, ca, newRSASigner(t), server.User))}
	remote(t, connect(t, cfg))
	cfg.Auth = []sftpx.Auth{sftpx.PublicKey(certificate(t, ca, "somebody"), newSigner(t))}
	_, err := connect(t, cfg).Connect(t.Context())
	require.ErrorIs(t, err, transfer.AuthenticationFailed)
}

func TestAgentSocket(t *testing.T) {
	t.Parallel()
	ring, key := newAgent(t)
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{AuthorizedKeys: []ssh.PublicKey{key}})
	path := filepath.Join(t.TempDir(), "agent.sock")
	serveAgent(t, path, ring)
	cfg := config(server)
	cfg.Auth = []sftpx.Auth{sftpx.AgentSocket(path)}
	remote(t, connect(t, cfg))
	cfg.Auth = []sftpx.Auth{sftpx.AgentSocket(path, key)}
	remote(t, connect(t, cfg))
	for _, c := range []struct {
		auth    sftpx.Auth
		problem string
	}{
		{sftpx.AgentSocket(path + ".missing"), "reach ssh-agent"},
		{sftpx.AgentSocket(path, newSigner(t).PublicKey()), "none of the keys"},
	} {
		cfg.Auth = []sftpx.Auth{c.auth}
		_, err := connect(t, cfg).Connect(t.Context())
		require.ErrorContains(t, err, c.problem)
		require.NotErrorIs(t, err, transfer.AuthenticationFailed)
	}
}

// serveAgent serves ring on a Unix socket until the test ends.
func serveAgent(t *testing.T, path string, ring agent.Agent) {
	t.Helper()
	listener, err := net.Listen("unix", path)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = agent.ServeAgent(ring, conn) // ends when the client closes
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
}
