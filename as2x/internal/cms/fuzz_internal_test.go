package cms

import (
	"bytes"
	"compress/zlib"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// fuzzLimits are small, so that they are met.
var fuzzLimits = Limits{Depth: 16, Header: 64 << 10, Content: 64 << 10}

// readWhole reads a content to its end.
func readWhole(r io.Reader, open func(io.Reader) (io.Reader, error)) ([]byte, error) {
	content, err := open(r)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(content)
}

// requireSame checks that nothing depends on how the input arrives, that errors are of the published kinds, and that
// the content stays within its limit.
func requireSame(t *testing.T, raw []byte, open func(io.Reader) (io.Reader, error)) ([]byte, error) {
	t.Helper()
	got, err := readWhole(bytes.NewReader(raw), open)
	slow, errSlow := readWhole(iotest.OneByteReader(bytes.NewReader(raw)), open)
	require.Equal(t, err, errSlow)
	require.Equal(t, got, slow)
	require.LessOrEqual(t, len(got), int(fuzzLimits.Content)+16)
	if err != nil {
		known := false
		for _, kind := range []error{ErrMalformed, ErrLimit, ErrUnsupported, ErrNoRecipient, ErrDecrypt} {
			known = known || errors.Is(err, kind)
		}
		require.True(t, known, "an error of no kind: %v", err)
	}
	return got, err
}

// openKey takes an encrypted key for the key itself, so that a fuzzer gets through.
type openKey struct{}

func (openKey) Public() crypto.PublicKey { return nil }

func (openKey) Decrypt(_ io.Reader, encrypted []byte, o crypto.DecrypterOpts) ([]byte, error) {
	//lint:ignore SA1019 this is what Decrypt asks with
	if p, ok := o.(*rsa.PKCS1v15DecryptOptions); ok && len(encrypted) > p.SessionKeyLen {
		return encrypted[:p.SessionKeyLen], nil
	}
	return encrypted, nil
}

// fuzzCertificate is the one for which openssl and Bouncy Castle made the corpus.
func fuzzCertificate(f *testing.F) *x509.Certificate {
	f.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "fuzz.crt"))
	require.NoError(f, err)
	cert, err := x509.ParseCertificate(raw)
	require.NoError(f, err)
	return cert
}

// sealed encrypts for openKey, with a key of zeros that 3DES takes too.
func sealed(f *testing.F, c Cipher, to *x509.Certificate, indefinite bool) []byte {
	f.Helper()
	content := []byte("a content of more than one block")
	o := EncryptOptions{Cipher: c, Size: int64(len(content)), Indefinite: indefinite}
	spec := c.spec()
	block, err := spec.open(make([]byte, spec.key))
	require.NoError(f, err)
	info, err := Recipient{Certificate: to}.info(make([]byte, 64))
	require.NoError(f, err)
	iv := make([]byte, spec.iv)
	var made bytes.Buffer
	e, err := o.encrypter(&made, spec, block, iv)
	require.NoError(f, err)
	head, mac := o.frame(spec, [][]byte{info}, iv)
	e.tail, e.mac = head.tail, mac
	made.Write(head.head)
	_, err = e.Write(content)
	require.NoError(f, err)
	require.NoError(f, e.Close())
	return made.Bytes()
}

func FuzzDecrypt(f *testing.F) {
	cert := fuzzCertificate(f)
	pairs := []KeyPair{{Certificate: cert, Key: openKey{}}}
	for _, c := range []Cipher{AES128CBC, AES256CBC, DESEDE3CBC, AES128GCM} {
		for _, indefinite := range []bool{false, true} {
			raw := sealed(f, c, cert, indefinite)
			r, err := Decrypt(bytes.NewReader(raw), pairs, fuzzLimits)
			require.NoError(f, err)
			got, err := io.ReadAll(r)
			require.NoError(f, err)
			require.Equal(f, "a content of more than one block", string(got))
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		// a key of another length is a random one, whose garbage differs each time
		got, err := readWhole(bytes.NewReader(raw), func(r io.Reader) (io.Reader, error) {
			return Decrypt(r, pairs, fuzzLimits)
		})
		if err == nil || errors.Is(err, ErrDecrypt) {
			require.Less(t, len(got), len(raw))
			return
		}
		_, _ = requireSame(t, raw, func(r io.Reader) (io.Reader, error) { return Decrypt(r, pairs, fuzzLimits) })
	})
}

func FuzzDecompress(f *testing.F) {
	for _, content := range []string{"", "a", "all work and no play all work and no play"} {
		var data, streamed bytes.Buffer
		w := zlib.NewWriter(&data)
		_, err := io.WriteString(w, content)
		require.NoError(f, errors.Join(err, w.Close()))
		f.Add(append(CompressedHeader(int64(data.Len())), data.Bytes()...))
		c, err := Compress(&streamed)
		require.NoError(f, err)
		_, err = io.WriteString(c, content)
		require.NoError(f, errors.Join(err, c.Close()))
		f.Add(streamed.Bytes())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, _ = requireSame(t, raw, func(r io.Reader) (io.Reader, error) { return Decompress(r, fuzzLimits) })
	})
}

func FuzzReadSigned(f *testing.F) {
	pin := fuzzCertificate(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var signed *Signed
		content, err := requireSame(t, raw, func(r io.Reader) (io.Reader, error) {
			var content bytes.Buffer
			var err error
			signed, err = ReadSigned(r, &content, fuzzLimits)
			return &content, err
		})
		if err != nil {
			return
		}
		digest := func(h crypto.Hash) ([]byte, error) { return hashed(h, []byte("the content")), nil }
		for _, h := range signed.Hashes() {
			require.True(t, h.Available())
		}
		_, _ = signed.Verify(signed.Certificates, digest)
		verified, err := signed.Verify([]*x509.Certificate{pin}, digest)
		require.Equal(t, err == nil, verified != nil)
		if err == nil && !signed.Detached && content[0] != tagSet { // see Verify on attributes that are a content
			require.Equal(t, "the content", string(content), "nothing else was ever signed with this key")
		}
	})
}
