package cms_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

// identity is a certificate with its key.
type identity struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (i identity) pair() cms.KeyPair {
	return cms.KeyPair{Certificate: i.cert, Key: i.key.(crypto.Decrypter)}
}

func (i identity) signer() cms.Signer { return cms.Signer{Certificate: i.cert, Key: i.key} }

// The identities of all tests, made once because RSA keys take long.
var (
	alice = sync.OnceValues(func() (identity, error) { return newIdentity("Alice", rsaKey) })
	bob   = sync.OnceValues(func() (identity, error) { return newIdentity("Bob", rsaKey) })
	carol = sync.OnceValues(func() (identity, error) { return newIdentity("Carol", ecdsaKey) })
)

func the(t testing.TB, who func() (identity, error)) identity {
	t.Helper()
	i, err := who()
	require.NoError(t, err)
	return i
}

func rsaKey() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }

func ecdsaKey() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

// newIdentity makes a self-signed certificate with a long serial number and a name with letters beyond ASCII.
func newIdentity(name string, newKey func() (crypto.Signer, error)) (identity, error) {
	key, err := newKey()
	if err != nil {
		return identity{}, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return identity{}, err
	}
	id := sha1.Sum(publicBits(public))
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 150))
	if err != nil {
		return identity{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, SubjectKeyId: id[:],
		Subject:   pkix.Name{CommonName: name, Organization: []string{"Städtische Wäscherei"}, Country: []string{"DE"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return identity{}, err
	}
	cert, err := x509.ParseCertificate(raw)
	return identity{cert, key}, err
}

// publicBits is the BIT STRING's content at the end of a SubjectPublicKeyInfo, of which Bouncy Castle makes a key's id.
func publicBits(info []byte) []byte {
	for _, prefix := range [][]byte{{0x03, 0x82, 0x01, 0x0f, 0}, {0x03, 0x42, 0}} {
		if at := bytes.Index(info, prefix); at >= 0 {
			return info[at+len(prefix):]
		}
	}
	return nil
}

// save writes a file into a folder and returns its path.
func save(t testing.TB, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

// savePEM writes certificate and key in PEM.
func (i identity) savePEM(t testing.TB, dir string) (cert, key string) {
	t.Helper()
	name := i.cert.Subject.CommonName
	cert = save(t, dir, name+".crt.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw}))
	return cert, save(t, dir, name+".key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: i.pkcs8(t)}))
}

// saveDER writes certificate and key in DER.
func (i identity) saveDER(t testing.TB, dir string) (cert, key string) {
	t.Helper()
	name := i.cert.Subject.CommonName
	return save(t, dir, name+".crt", i.cert.Raw), save(t, dir, name+".key", i.pkcs8(t))
}

func (i identity) pkcs8(t testing.TB) []byte {
	t.Helper()
	raw, err := x509.MarshalPKCS8PrivateKey(i.key)
	require.NoError(t, err)
	return raw
}

// randomBytes are bytes that do not compress.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// digest hashes a content as a caller of Verify does.
func digest(content []byte) func(crypto.Hash) ([]byte, error) {
	return func(h crypto.Hash) ([]byte, error) { return sum(h, content), nil }
}

func sum(h crypto.Hash, content []byte) []byte {
	hash := h.New()
	hash.Write(content)
	return hash.Sum(nil)
}

// encrypt encrypts a content that is written in uneven pieces, and checks the size that was said before.
func encrypt(t testing.TB, content []byte, o cms.EncryptOptions) []byte {
	t.Helper()
	var made bytes.Buffer
	w, err := cms.Encrypt(&made, o)
	require.NoError(t, err)
	for rest := content; len(rest) > 0; {
		n := min(len(rest), 4099)
		_, err := w.Write(rest[:n])
		require.NoError(t, err)
		rest = rest[n:]
	}
	require.NoError(t, w.Close())
	if o.Size >= 0 {
		size, err := cms.EncryptedSize(o)
		require.NoError(t, err)
		require.EqualValues(t, size, made.Len())
	}
	return made.Bytes()
}

// decrypt reads a content in uneven pieces.
func decrypt(raw []byte, pairs []cms.KeyPair, l cms.Limits) ([]byte, error) {
	r, err := cms.Decrypt(bytes.NewReader(raw), pairs, l)
	if err != nil {
		return nil, err
	}
	return readAll(r)
}

func decompress(raw []byte, l cms.Limits) ([]byte, error) {
	r, err := cms.Decompress(bytes.NewReader(raw), l)
	if err != nil {
		return nil, err
	}
	return readAll(r)
}

func readAll(r io.Reader) ([]byte, error) {
	var got bytes.Buffer
	_, err := io.CopyBuffer(struct{ io.Writer }{&got}, struct{ io.Reader }{r}, make([]byte, 777))
	return got.Bytes(), err
}

func compress(t testing.TB, content []byte) []byte {
	t.Helper()
	var made bytes.Buffer
	w, err := cms.Compress(&made)
	require.NoError(t, err)
	_, err = w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return made.Bytes()
}

func certificates(of ...identity) []*x509.Certificate {
	var all []*x509.Certificate
	for _, i := range of {
		all = append(all, i.cert)
	}
	return all
}
