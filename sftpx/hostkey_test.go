package sftpx_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/transfertest"
)

const ed25519Key = "AAAAC3NzaC1lZDI1NTE5AAAAIPTZNLEZBwuEO9CJwuiLPMRLP9fC0qWBw3JZq5QmhGbP"

var hostKeyLines = map[string]string{ // line to what the error says
	"sftp.example.com ssh-ed25519 " + ed25519Key:                      "",
	"[sftp.example.com]:2222,192.0.2.1 ssh-ed25519 " + ed25519Key:     "",
	"|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|abc= ssh-ed25519 " + ed25519Key:  "",
	"ssh-ed25519 " + ed25519Key:                                       "",
	"ssh-ed25519 " + ed25519Key + " made for us":                      "",
	"host ssh-ed25519 " + ed25519Key + " a comment":                   "",
	"\thost  ssh-ed25519\t" + ed25519Key + "  \r\n":                   "",
	"# host:22 SSH-2.0-OpenSSH_9.2\n\nhost ssh-ed25519 " + ed25519Key: "",
	"":                                    "is empty",
	"# comment":                           "is empty",
	"nonsense":                            "not a host key",
	"host ssh-ed25519":                    "not a host key",
	ed25519Key:                            "not a host key",
	"host ssh-rsa " + ed25519Key:          "not a host key",
	"host ssh-ed25519 " + ed25519Key[:40]: "not a host key",
	"a b ssh-ed25519 " + ed25519Key:       "not a host key",
	"@revoked host ssh-ed25519 " + ed25519Key:         "a line with @revoked",
	"@cert-authority * ssh-ed25519 " + ed25519Key:     "a line with @cert-authority",
	"-----BEGIN OPENSSH PRIVATE KEY-----":             "a PEM file",
	"SHA256:uNiVztksCsDhcc0u9e8BrJXwXSHf5JI8kH3Y7":    "a fingerprint",
	"ssh-ed25519-cert-v01@openssh.com AAAA":           "not a host key",
	"\x1b[31mred\x1b[0m \u202ebackwards ssh-dss AAAA": "not a host key",
}

func TestHostKeyLine(t *testing.T) {
	t.Parallel()
	for line, problem := range hostKeyLines {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			cfg := validConfig()
			cfg.HostKeys = []string{line}
			c, err := sftpx.New(cfg)
			if problem != "" {
				require.ErrorContains(t, err, problem)
				require.ErrorContains(t, err, "sftpx: Config.HostKeys")
				require.NotContains(t, err.Error(), "\x1b")
				return
			}
			require.NoError(t, err)
			require.NoError(t, c.Close())
		})
	}
}

func FuzzHostKeyLine(f *testing.F) {
	for line := range hostKeyLines {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		cfg := validConfig()
		cfg.HostKeys = []string{line}
		c, err := sftpx.New(cfg)
		if err == nil {
			require.NoError(t, c.Close())
			return
		}
		for text := range strings.Lines(err.Error()) {
			require.Contains(t, text, "sftpx: Config.HostKeys")
			require.Less(t, len(text), 400)
		}
	})
}

func newSigner(t testing.TB) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromSigner(key)
	require.NoError(t, err)
	return signer
}

func line(key ssh.PublicKey) string { return "host " + string(ssh.MarshalAuthorizedKey(key)) }

func allKinds(t *testing.T) *transfertest.SFTPServer {
	return transfertest.StartSFTP(t, transfertest.SFTPOptions{
		HostKeyTypes: []transfertest.HostKeyType{transfertest.ECDSA, transfertest.Ed25519, transfertest.RSA},
	})
}

// Each of a server's keys can be pinned alone, whichever the server likes best.
func TestPinOfAnyKind(t *testing.T) {
	t.Parallel()
	server := allKinds(t)
	for _, pin := range server.HostKeys() {
		t.Run(strings.Fields(pin)[1], func(t *testing.T) {
			t.Parallel()
			cfg := config(server)
			cfg.HostKeys = []string{pin}
			remote(t, connect(t, cfg))
		})
	}
}

func TestPinOfAnyKindOnOpenSSH(t *testing.T) {
	t.Parallel()
	server := testenv.SSHD(t)
	for _, pin := range server.HostKeys {
		t.Run(strings.Fields(pin)[1], func(t *testing.T) {
			t.Parallel()
			cfg := sshdConfig(server)
			cfg.HostKeys = []string{pin}
			remote(t, connect(t, cfg))
		})
	}
}

func requireHostKeyMismatch(t *testing.T, cfg sftpx.Config, said ...string) {
	t.Helper()
	_, err := connect(t, cfg).Connect(t.Context())
	require.ErrorIs(t, err, transfer.HostKeyMismatch)
	require.Equal(t, transfer.HostKeyMismatch, transfer.CodeOf(err))
	for _, text := range append(said, cfg.Addr) {
		require.ErrorContains(t, err, text)
	}
}

func TestWrongHostKey(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	other := newSigner(t).PublicKey()
	cfg := config(server)
	cfg.HostKeys = []string{line(other)}
	requireHostKeyMismatch(t, cfg, "ssh-ed25519 "+ssh.FingerprintSHA256(server.HostPublicKeys()[0]),
		ssh.FingerprintSHA256(other), "Config.HostKeys")
	require.Zero(t, server.Stats().Logins)
}

// A server without any key of the pinned kind is not the right one either.
func TestHostKeyOfAnotherKind(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{HostKeyTypes: []transfertest.HostKeyType{transfertest.ECDSA}})
	cfg := config(server)
	cfg.HostKeys = []string{line(newSigner(t).PublicKey())}
	requireHostKeyMismatch(t, cfg, "no key of an accepted type", ssh.KeyAlgoECDSA256)
}

// A partner that changes its key is reached without a break if both are pinned.
func TestHostKeyRotation(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	old := config(server)
	remote(t, connect(t, old))
	require.NoError(t, server.RotateHostKeys())
	requireHostKeyMismatch(t, old)
	both := old
	both.HostKeys = append(server.HostKeys(), old.HostKeys...)
	remote(t, connect(t, both))
}

func writeKnownHosts(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "known_hosts")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return path
}

func TestKnownHosts(t *testing.T) {
	t.Parallel()
	server := allKinds(t)
	keys := server.HostPublicKeys()
	host := knownhosts.Normalize(server.Addr())
	other := line(newSigner(t).PublicKey())
	for name, lines := range map[string][]string{
		"one":           {knownhosts.Line([]string{host}, keys[1])},
		"all":           server.HostKeys(),
		"hashed":        {knownhosts.HashHostname(host) + " " + string(ssh.MarshalAuthorizedKey(keys[1]))},
		"pattern":       {"* " + string(ssh.MarshalAuthorizedKey(keys[1]))},
		"beside others": {other, server.HostKeys()[2]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(server)
			cfg.HostKeys, cfg.KnownHosts = nil, []string{writeKnownHosts(t, lines...)}
			remote(t, connect(t, cfg))
		})
	}
	t.Run("of another host", func(t *testing.T) {
		t.Parallel()
		cfg := config(server)
		cfg.HostKeys, cfg.KnownHosts = nil, []string{writeKnownHosts(t, other)}
		_, err := sftpx.New(cfg)
		require.ErrorContains(t, err, "Config.KnownHosts has no key for "+server.Addr())
	})
	t.Run("wrong", func(t *testing.T) {
		t.Parallel()
		cfg := config(server)
		cfg.HostKeys, cfg.KnownHosts = nil, []string{writeKnownHosts(t, knownhosts.Line([]string{host}, newSigner(t).PublicKey()))}
		requireHostKeyMismatch(t, cfg, ssh.FingerprintSHA256(keys[1]))
	})
	t.Run("revoked beats pinned", func(t *testing.T) {
		t.Parallel()
		cfg := config(server)
		cfg.HostKeys = server.HostKeys()[1:2]
		cfg.KnownHosts = []string{writeKnownHosts(t, "@revoked * "+string(ssh.MarshalAuthorizedKey(keys[1])))}
		requireHostKeyMismatch(t, cfg, "revoke")
	})
}

func TestKnownHostsAuthority(t *testing.T) {
	t.Parallel()
	authority, key := newSigner(t), newSigner(t)
	cert := &ssh.Certificate{
		Key: key.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{"127.0.0.1"},
		ValidBefore: uint64(time.Now().Add(time.Hour).Unix()),
	}
	require.NoError(t, cert.SignCert(rand.Reader, authority))
	certified, err := ssh.NewCertSigner(cert, key)
	require.NoError(t, err)
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{HostKeys: []ssh.Signer{certified}})
	cfg := config(server)
	cfg.HostKeys = nil
	cfg.KnownHosts = []string{writeKnownHosts(t, "@cert-authority * "+string(ssh.MarshalAuthorizedKey(authority.PublicKey())))}
	remote(t, connect(t, cfg))
	cfg.KnownHosts = []string{writeKnownHosts(t, "@cert-authority * "+string(ssh.MarshalAuthorizedKey(newSigner(t).PublicKey())))}
	requireHostKeyMismatch(t, cfg, ssh.FingerprintSHA256(authority.PublicKey()))
}
