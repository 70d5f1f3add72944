package transfertest_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/transfertest"
)

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromSigner(key)
	require.NoError(t, err)
	return signer
}

// certify returns key with a user certificate for the principal.
func certify(t *testing.T, ca, key ssh.Signer, principal string) ssh.Signer {
	t.Helper()
	cert := &ssh.Certificate{
		Key: key.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{principal},
		ValidAfter: uint64(time.Now().Add(-time.Hour).Unix()), ValidBefore: uint64(time.Now().Add(time.Hour).Unix()),
	}
	require.NoError(t, cert.SignCert(rand.Reader, ca))
	signer, err := ssh.NewCertSigner(cert, key)
	require.NoError(t, err)
	return signer
}

func TestLogin(t *testing.T) {
	t.Parallel()
	key, ca := newSigner(t), newSigner(t)
	srv := transfertest.StartSFTP(t, transfertest.SFTPOptions{
		User: "alice", Password: "secret",
		AuthorizedKeys: []ssh.PublicKey{key.PublicKey()}, TrustedUserCAs: []ssh.PublicKey{ca.PublicKey()},
		Prompts: []transfertest.Prompt{{Text: "Code: ", Answer: "42"}},
	})
	answer := func(a string) ssh.AuthMethod {
		return ssh.KeyboardInteractive(func(_, _ string, q []string, _ []bool) ([]string, error) {
			return []string{a}[:len(q)], nil
		})
	}
	for name, c := range map[string]struct {
		user string
		auth ssh.AuthMethod
		ok   bool
	}{
		"signer":              {"alice", ssh.PublicKeys(srv.Signer()), true},
		"authorized key":      {"alice", ssh.PublicKeys(key), true},
		"other key":           {"alice", ssh.PublicKeys(newSigner(t)), false},
		"other user":          {"bob", ssh.PublicKeys(key), false},
		"certificate":         {"alice", ssh.PublicKeys(certify(t, ca, newSigner(t), "alice")), true},
		"of another user":     {"alice", ssh.PublicKeys(certify(t, ca, newSigner(t), "bob")), false},
		"of another CA":       {"alice", ssh.PublicKeys(certify(t, newSigner(t), newSigner(t), "alice")), false},
		"password":            {"alice", ssh.Password("secret"), true},
		"wrong password":      {"alice", ssh.Password("geheim"), false},
		"keyboard":            {"alice", answer("42"), true},
		"keyboard, bad reply": {"alice", answer("43"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := srv.ClientConfig()
			config.User, config.Auth = c.user, []ssh.AuthMethod{c.auth}
			conn, err := ssh.Dial("tcp", srv.Addr(), config)
			if !c.ok {
				require.ErrorContains(t, err, "unable to authenticate")
				return
			}
			require.NoError(t, err)
			require.NoError(t, conn.Close())
		})
	}
}

func TestMultiFactor(t *testing.T) {
	t.Parallel()
	srv := transfertest.StartSFTP(t, transfertest.SFTPOptions{Password: "secret", MultiFactor: true})
	config := srv.ClientConfig()
	for name, auth := range map[string][]ssh.AuthMethod{
		"key only":      {ssh.PublicKeys(srv.Signer())},
		"password only": {ssh.Password("secret")},
	} {
		config.Auth = auth
		_, err := ssh.Dial("tcp", srv.Addr(), config)
		require.ErrorContains(t, err, "unable to authenticate", name)
	}
	dial(t, srv)
}

func TestOptionsSayTheFix(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]transfertest.SFTPOptions{
		`try "SSH-2.0-ACME"`:        {Version: "ACME"},
		"set Password or Prompts":   {MultiFactor: true},
		"try Ed25519, ECDSA or RSA": {HostKeyTypes: []transfertest.HostKeyType{"dsa"}},
		"no such file":              {Dir: "/does/not/exist"},
	} {
		_, err := transfertest.NewSFTPServer(o)
		require.ErrorContains(t, err, want)
	}
}

func TestRefuseLogin(t *testing.T) {
	t.Parallel()
	srv := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	srv.SetFaults(transfertest.SFTPFaults{RefuseLogin: true})
	_, err := ssh.Dial("tcp", srv.Addr(), srv.ClientConfig())
	require.ErrorContains(t, err, "unable to authenticate")
	srv.SetFaults(transfertest.SFTPFaults{})
	dial(t, srv)
}

// A pinned Ed25519 key fails with x/crypto's defaults where the server has an ECDSA key too.
func TestHostKeyPin(t *testing.T) {
	t.Parallel()
	srv := transfertest.StartSFTP(t, transfertest.SFTPOptions{
		HostKeyTypes: []transfertest.HostKeyType{transfertest.ECDSA, transfertest.Ed25519, transfertest.RSA},
	})
	keys := srv.HostPublicKeys()
	require.Len(t, keys, 3)
	config := srv.ClientConfig()
	config.HostKeyCallback = ssh.FixedHostKey(keys[1])

	config.HostKeyAlgorithms = nil
	_, err := ssh.Dial("tcp", srv.Addr(), config)
	require.ErrorContains(t, err, "host key mismatch")

	config.HostKeyAlgorithms = []string{ssh.KeyAlgoED25519}
	conn, err := ssh.Dial("tcp", srv.Addr(), config)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

func TestRotateHostKeys(t *testing.T) {
	t.Parallel()
	srv := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	old, lines := srv.ClientConfig(), srv.HostKeys()
	require.NoError(t, srv.RotateHostKeys())
	_, err := ssh.Dial("tcp", srv.Addr(), old)
	require.ErrorContains(t, err, "host key")
	require.NotEqual(t, lines, srv.HostKeys())
	dial(t, srv)
}

func TestHostKeysLookLikeSSHKeyscan(t *testing.T) {
	t.Parallel()
	keyscan, err := exec.LookPath("ssh-keyscan")
	if err != nil {
		testenv.Skip(t, "no ssh-keyscan on this machine (apt-get install openssh-client)")
	}
	srv := transfertest.StartSFTP(t, transfertest.SFTPOptions{
		HostKeyTypes: []transfertest.HostKeyType{transfertest.ECDSA, transfertest.Ed25519},
	})
	_, port, err := net.SplitHostPort(srv.Addr())
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), keyscan, "-p", port, "-t", "ecdsa,ed25519", "127.0.0.1").Output()
	require.NoError(t, err)
	require.ElementsMatch(t, srv.HostKeys(), strings.Split(strings.TrimSpace(string(out)), "\n"))
}

// A server with old algorithms only has nothing in common with a client of today.
func TestAlgorithms(t *testing.T) {
	t.Parallel()
	srv := transfertest.StartSFTP(t, transfertest.SFTPOptions{
		SSH: ssh.Config{KeyExchanges: []string{ssh.InsecureKeyExchangeDH1SHA1}, RekeyThreshold: 1 << 20},
	})
	config := srv.ClientConfig()
	config.Config = ssh.Config{}
	_, err := ssh.Dial("tcp", srv.Addr(), config)
	require.ErrorContains(t, err, "no common algorithm")

	client := dial(t, srv) // it rekeys every MiB
	want := random(t, 8<<20)
	require.NoError(t, srv.WriteFile("/a", want))
	require.Equal(t, want, download(t, client, "/a", len(want)))
}

// download reads as careful clients do.
func download(t *testing.T, client *sftp.Client, name string, size int) []byte {
	t.Helper()
	f, err := client.Open(name)
	require.NoError(t, err)
	defer f.Close()
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	require.NoError(t, err)
	return b[:n]
}
