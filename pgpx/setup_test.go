package pgpx_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/pgpx"
)

// identity is a pair of armored keys.
type identity struct{ public, private string }

var passphrase = []byte("correct horse")

// newIdentity makes a pair; the private key is locked where there is a passphrase.
func newIdentity(t testing.TB, name string, passphrase []byte, c *packet.Config) identity {
	t.Helper()
	e, err := openpgp.NewEntity(name, "", name+"@example.com", c)
	require.NoError(t, err)
	var id identity
	id.public = armored(t, openpgp.PublicKeyType, e.Serialize)
	if passphrase != nil {
		require.NoError(t, e.EncryptPrivateKeys(passphrase, c))
	}
	id.private = armored(t, openpgp.PrivateKeyType, func(w io.Writer) error { return e.SerializePrivateWithoutSigning(w, c) })
	return id
}

func armored(t testing.TB, kind string, write func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, kind, nil)
	require.NoError(t, err)
	require.NoError(t, errors.Join(write(w), w.Close()))
	return b.String()
}

// The identities of all tests.
var (
	us      = sync.OnceValue(func() identity { return newIdentity(dies{}, "us", nil, nil) })
	partner = sync.OnceValue(func() identity { return newIdentity(dies{}, "partner", passphrase, nil) })
	other   = sync.OnceValue(func() identity { return newIdentity(dies{}, "other", nil, nil) })
)

// dies stands for a test that is not there yet.
type dies struct{ testing.TB }

func (dies) Helper()               {}
func (dies) Errorf(string, ...any) { panic("cannot make keys") }
func (dies) FailNow()              { panic("cannot make keys") }

func ask() ([]byte, error) { return passphrase, nil }

// through returns what the transform makes of data.
func through(t transfer.Transform, data []byte) ([]byte, error) {
	return throughReader(t, bytes.NewReader(data))
}

func throughReader(t transfer.Transform, content io.Reader) ([]byte, error) {
	r, err := t.Reader(context.Background(), transfer.Content{Reader: content, Name: "a", Size: -1})
	if err != nil {
		return nil, err
	}
	made, err := io.ReadAll(r)
	return made, errors.Join(err, r.Close())
}

func encrypt(t testing.TB, o pgpx.EncryptOptions) transfer.Transform {
	t.Helper()
	e, err := pgpx.Encrypt(o)
	require.NoError(t, err)
	return e
}

func decrypt(t testing.TB, o pgpx.DecryptOptions) transfer.Transform {
	t.Helper()
	d, err := pgpx.Decrypt(o)
	require.NoError(t, err)
	return d
}

// forUs encrypts to us, signed by the partner.
func forUs(t testing.TB, armor bool) transfer.Transform {
	return encrypt(t, pgpx.EncryptOptions{Recipients: []string{us().public}, Signer: partner().private, Passphrase: ask, Armor: armor})
}

// fromPartner decrypts what the partner has signed.
func fromPartner(t testing.TB) transfer.Transform {
	return decrypt(t, pgpx.DecryptOptions{Keys: []string{us().private}, Signers: []string{partner().public}})
}

func content(n int) []byte {
	data := make([]byte, n)
	random := rand.NewChaCha8([32]byte{7})
	_, _ = random.Read(data)
	return data
}
