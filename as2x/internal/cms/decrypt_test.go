package cms_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

// counter counts what is read.
type counter struct {
	io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// TestDecryptFailsAlike breaks what only the private key can tell: paddings, keys and tags. Whatever it is, the one
// error comes, and only after all was read; or garbage, whose padding happens to be right.
func TestDecryptFailsAlike(t *testing.T) {
	t.Parallel()
	a := the(t, alice)
	content := randomBytes(1000)
	for name, test := range map[string]struct {
		cipher cms.Cipher
		oaep   crypto.Hash
		change func(raw []byte, encryptedKey int)
	}{
		"padding":           {cms.AES128CBC, 0, func(raw []byte, _ int) { raw[len(raw)-17] ^= 0x55 }},
		"padding 3DES":      {cms.DESEDE3CBC, 0, func(raw []byte, _ int) { raw[len(raw)-9] ^= 0x55 }},
		"last block":        {cms.AES256CBC, 0, func(raw []byte, _ int) { raw[len(raw)-1] ^= 0x80 }},
		"key":               {cms.AES128CBC, 0, func(raw []byte, at int) { raw[at+50] ^= 1 }},
		"key OAEP":          {cms.AES128CBC, crypto.SHA256, func(raw []byte, at int) { raw[at+50] ^= 1 }},
		"key beyond modulo": {cms.AES128CBC, 0, func(raw []byte, at int) { fill(raw[at:at+256], 0xff) }},
		"key of zeros":      {cms.AES128CBC, 0, func(raw []byte, at int) { fill(raw[at:at+256], 0) }},
		"key too short":     {cms.AES256CBC, 0, func(raw []byte, at int) { copy(raw[at:], encryptKey(a, 16)) }},
		"key too long":      {cms.AES128CBC, 0, func(raw []byte, at int) { copy(raw[at:], encryptKey(a, 32)) }},
		"GCM content":       {cms.AES128GCM, 0, func(raw []byte, _ int) { raw[len(raw)-100] ^= 1 }},
		"GCM tag":           {cms.AES128GCM, 0, func(raw []byte, _ int) { raw[len(raw)-1] ^= 1 }},
		"GCM key":           {cms.AES256GCM, 0, func(raw []byte, at int) { raw[at+50] ^= 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := encrypt(t, content, cms.EncryptOptions{
				Cipher: test.cipher, Size: 1000, Recipients: []cms.Recipient{{Certificate: a.cert, OAEP: test.oaep}},
			})
			at := bytes.Index(good, []byte{0x04, 0x82, 0x01, 0x00}) + 4 // the encrypted key
			failed := 0
			for range 30 {
				raw := bytes.Clone(good)
				test.change(raw, at)
				in := &counter{Reader: bytes.NewReader(raw)}
				r, err := cms.Decrypt(in, []cms.KeyPair{a.pair()}, cms.Limits{})
				require.NoError(t, err)
				got, err := readAll(r)
				require.Equal(t, len(raw), in.n)
				require.NotEqual(t, content, got)
				if err != nil {
					require.Equal(t, cms.ErrDecrypt, err)
					failed++
				}
			}
			require.Greater(t, failed, 20, "a random key has a right padding once in 256 times")
		})
	}
}

// TestDecryptEveryLastByte gives the padding each value.
func TestDecryptEveryLastByte(t *testing.T) {
	t.Parallel()
	a := the(t, alice)
	for c, block := range map[cms.Cipher]int{cms.AES128CBC: 16, cms.DESEDE3CBC: 8} {
		content := make([]byte, 4*block-1) // one byte of padding, over zeros
		good := encrypt(t, content, cms.EncryptOptions{
			Cipher: c, Size: int64(len(content)), Recipients: []cms.Recipient{{Certificate: a.cert}},
		})
		for change := range 256 {
			raw := bytes.Clone(good)
			raw[len(raw)-block-1] ^= byte(change)
			got, err := decrypt(raw, []cms.KeyPair{a.pair()}, cms.Limits{})
			if change == 0 {
				require.NoError(t, err)
				require.Equal(t, content, got)
				continue
			}
			require.Equal(t, cms.ErrDecrypt, err, "%s: a last byte of %#02x", c, 1^change)
		}
	}
}

func fill(b []byte, with byte) {
	for i := range b {
		b[i] = with
	}
}

// encryptKey encrypts a random key of n bytes.
func encryptKey(who identity, n int) []byte {
	//lint:ignore SA1019 this is the padding under test
	raw, _ := rsa.EncryptPKCS1v15(rand.Reader, who.cert.PublicKey.(*rsa.PublicKey), randomBytes(n))
	return raw
}

func TestDecryptSaysWhatIsNoSecret(t *testing.T) {
	t.Parallel()
	a, b := the(t, alice), the(t, bob)
	good := encrypt(t, sampleContent, cms.EncryptOptions{
		Cipher: cms.AES128CBC, Size: int64(len(sampleContent)), Recipients: []cms.Recipient{{Certificate: a.cert}},
	})
	_, err := decrypt(good, []cms.KeyPair{b.pair()}, cms.Limits{})
	require.Equal(t, cms.ErrNoRecipient, err)

	cipherID := []byte{0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02}
	_, err = decrypt(bytes.Replace(good, cipherID, []byte("\x60\x86\x48\x01\x65\x03\x04\x01\x63"), 1), []cms.KeyPair{a.pair()}, cms.Limits{})
	require.ErrorIs(t, err, cms.ErrUnsupported)
	require.ErrorContains(t, err, "content encryption 608648016503040163")

	_, err = decrypt(bytes.Replace(good, cipherID, []byte("\x60\x86\x48\x01\x65\x03\x04\x01\x06"), 1), []cms.KeyPair{a.pair()}, cms.Limits{})
	require.ErrorIs(t, err, cms.ErrMalformed, "GCM in EnvelopedData")

	rsaID := []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x04, 0x82}
	other := bytes.Clone(rsaID)
	other[8] = 0x63
	_, err = decrypt(bytes.Replace(good, rsaID, other, 1), []cms.KeyPair{a.pair()}, cms.Limits{})
	require.ErrorIs(t, err, cms.ErrUnsupported)

	_, err = decrypt(samples(t)["signed"].raw, []cms.KeyPair{a.pair()}, cms.Limits{})
	require.ErrorIs(t, err, cms.ErrMalformed)
}

// TestDecryptChoosesAmongKeys has several keys, as while a certificate is being replaced.
func TestDecryptChoosesAmongKeys(t *testing.T) {
	t.Parallel()
	a, b := the(t, alice), the(t, bob)
	for _, to := range []identity{a, b} {
		raw := encrypt(t, sampleContent, cms.EncryptOptions{
			Cipher: cms.AES128CBC, Size: -1, Recipients: []cms.Recipient{{Certificate: to.cert}},
		})
		got, err := decrypt(raw, []cms.KeyPair{a.pair(), b.pair()}, cms.Limits{})
		require.NoError(t, err)
		require.Equal(t, sampleContent, got)
	}
}

func TestDecryptNeedsKeys(t *testing.T) {
	t.Parallel()
	_, err := cms.Decrypt(bytes.NewReader(nil), nil, cms.Limits{})
	require.ErrorContains(t, err, "no key pair")
	_, err = cms.Decrypt(bytes.NewReader(nil), []cms.KeyPair{{Certificate: the(t, alice).cert}}, cms.Limits{})
	require.ErrorContains(t, err, "give both")
}

// TestDecryptByUnwrittenKeyID is named by the identifier that its key has by rule, though its certificate does not say so.
func TestDecryptByUnwrittenKeyID(t *testing.T) {
	t.Parallel()
	a := the(t, alice)
	raw := encrypt(t, sampleContent, cms.EncryptOptions{
		Cipher: cms.AES128CBC, Size: -1, Recipients: []cms.Recipient{{Certificate: a.cert, ByKeyID: true}},
	})
	silent := *a.cert
	silent.SubjectKeyId = nil
	got, err := decrypt(raw, []cms.KeyPair{{Certificate: &silent, Key: a.pair().Key}}, cms.Limits{})
	require.NoError(t, err)
	require.Equal(t, sampleContent, got)
	other := *the(t, bob).cert
	other.SubjectKeyId = nil
	_, err = decrypt(raw, []cms.KeyPair{{Certificate: &other, Key: a.pair().Key}}, cms.Limits{})
	require.ErrorIs(t, err, cms.ErrNoRecipient)
}
