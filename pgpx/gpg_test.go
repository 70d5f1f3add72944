package pgpx_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/pgpx"
)

// gnu is a partner who uses GnuPG, knows us, and has keys of these algorithms.
type gnu struct {
	*testenv.GPG
	public, private string
}

func newGnu(t *testing.T, algorithm, usage string) gnu {
	t.Helper()
	g := gnu{GPG: testenv.NewGPG(t)}
	g.Run(t, nil, "--passphrase", string(passphrase), "--quick-gen-key", "gnu@example.com", algorithm, usage, "0")
	g.public = string(g.Run(t, nil, "--armor", "--export", "gnu@example.com"))
	g.private = string(g.Run(t, nil, "--passphrase", string(passphrase), "--armor", "--export-secret-keys", "gnu@example.com"))
	g.Run(t, []byte(us().public), "--import")
	return g
}

func TestGnuPG(t *testing.T) {
	t.Parallel()
	for _, key := range []struct{ algorithm, usage string }{{"default", "default"}, {"rsa3072", "sign,encrypt"}} {
		t.Run(key.algorithm, func(t *testing.T) {
			t.Parallel()
			g := newGnu(t, key.algorithm, key.usage)
			for size, armor := range map[int]bool{0: true, 1: false, 50_000: true, 100_000: false} {
				t.Run(fmt.Sprint(size, " bytes, armor ", armor), func(t *testing.T) {
					g.reads(t, content(size), armor)
					g.writes(t, content(size), armor)
				})
			}
		})
	}
}

// reads has GnuPG decrypt what we encrypt, and verify our signature.
func (g gnu) reads(t *testing.T, data []byte, armor bool) {
	t.Helper()
	e := encrypt(t, pgpx.EncryptOptions{Recipients: []string{g.public}, Signer: us().private, Armor: armor})
	secret := must(through(e, data))
	status := filepath.Join(t.TempDir(), "status")
	plain := g.Run(t, secret, "--passphrase", string(passphrase), "--status-file", status, "--decrypt")
	require.True(t, bytes.Equal(data, plain))
	said, err := os.ReadFile(status)
	require.NoError(t, err)
	require.Contains(t, string(said), "GOODSIG")
	require.Contains(t, string(said), "DECRYPTION_OKAY")
}

// writes has us decrypt what GnuPG encrypts and signs.
func (g gnu) writes(t *testing.T, data []byte, armor bool) {
	t.Helper()
	d := decrypt(t, pgpx.DecryptOptions{Keys: []string{us().private}, Signers: []string{g.public}})
	for _, more := range [][]string{{}, {"--compress-algo", "none"}, {"--compress-algo", "bzip2"}} {
		args := append([]string{"--passphrase", string(passphrase), "--recipient", "us@example.com"}, more...)
		if armor {
			args = append(args, "--armor")
		}
		plain, err := through(d, g.Run(t, data, append(args, "--sign", "--encrypt")...))
		require.NoError(t, err, "%v", more)
		require.True(t, bytes.Equal(data, plain), "%v", more)
		_, err = through(d, g.Run(t, data, append(args, "--encrypt")...))
		require.ErrorContains(t, err, "not signed", "%v", more)
	}
}

func TestGnuPGKeysOfOurs(t *testing.T) {
	t.Parallel()
	g := newGnu(t, "default", "default")
	d := decrypt(t, pgpx.DecryptOptions{Keys: []string{g.private}, Passphrase: ask})
	secret := must(through(encrypt(t, pgpx.EncryptOptions{Recipients: []string{g.public, us().public}, Signer: g.private, Passphrase: ask}), content(1000)))
	require.Equal(t, content(1000), must(through(d, secret)))
}

func TestGnuPGWithWeakCiphers(t *testing.T) {
	t.Parallel()
	g := newGnu(t, "default", "default")
	d := decrypt(t, pgpx.DecryptOptions{Keys: []string{us().private}})
	for _, weak := range []string{"3DES", "CAST5"} {
		secret := g.Run(t, content(1000), "--recipient", "us@example.com", "--cipher-algo", weak, "--encrypt")
		_, err := through(d, secret)
		require.ErrorContains(t, err, "other than AES", weak)
		require.Equal(t, transfer.ReadFileError, transfer.CodeOf(err))
	}
}
