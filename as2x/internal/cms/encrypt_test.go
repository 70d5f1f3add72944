package cms_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

func TestEncryptOptions(t *testing.T) {
	t.Parallel()
	a := the(t, alice)
	unnamed := *a.cert
	unnamed.SubjectKeyId = nil
	for want, o := range map[string]cms.EncryptOptions{
		"Cipher is":               {Cipher: "ROT13", Size: 1, Recipients: []cms.Recipient{{Certificate: a.cert}}},
		"Recipients is empty":     {Cipher: cms.AES128CBC, Size: 1},
		"Certificate is nil":      {Cipher: cms.AES128CBC, Size: 1, Recipients: []cms.Recipient{{}}},
		"needs one with an RSA":   {Cipher: cms.AES128CBC, Size: 1, Recipients: []cms.Recipient{{Certificate: the(t, carol).cert}}},
		"no key at all":           {Cipher: cms.AES128CBC, Size: 1, Recipients: []cms.Recipient{{Certificate: &x509.Certificate{}}}},
		"OAEP is":                 {Cipher: cms.AES128CBC, Size: 1, Recipients: []cms.Recipient{{Certificate: a.cert, OAEP: crypto.MD4}}},
		"use SHA-1 or SHA-2":      {Cipher: cms.AES128CBC, Size: 1, Recipients: []cms.Recipient{{Certificate: a.cert, OAEP: crypto.MD5}}},
		"no subject key":          {Cipher: cms.AES128CBC, Size: 1, Recipients: []cms.Recipient{{Certificate: &unnamed, ByKeyID: true}}},
		"Size is -2":              {Cipher: cms.AES128CBC, Size: -2, Recipients: []cms.Recipient{{Certificate: a.cert}}},
		"Size is 922337203685477": {Cipher: cms.AES128CBC, Size: 1<<63 - 1, Recipients: []cms.Recipient{{Certificate: a.cert}}},
		"GCM takes no more than":  {Cipher: cms.AES128GCM, Size: 1 << 36, Recipients: []cms.Recipient{{Certificate: a.cert}}},
	} {
		_, err := cms.Encrypt(io.Discard, o)
		_, errSize := cms.EncryptedSize(o)
		if want == "no key at all" {
			want = "key of type <nil>"
		}
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, errSize, want)
	}
	_, err := cms.EncryptedSize(cms.EncryptOptions{
		Cipher: cms.AES128CBC, Size: -1, Recipients: []cms.Recipient{{Certificate: a.cert}},
	})
	require.ErrorContains(t, err, "size is not known")
}

// TestEncryptLongContents begins contents that are too long for one length of 31 bits.
func TestEncryptLongContents(t *testing.T) {
	t.Parallel()
	for size, want := range map[int64]string{
		100: "\x30\x82", 2_000_000_000: "\x30\x84", 1 << 31: "\x30\x80", 1 << 50: "\x30\x80",
	} {
		o := cms.EncryptOptions{Cipher: cms.AES128CBC, Size: size, Recipients: []cms.Recipient{{Certificate: the(t, alice).cert}}}
		var head bytes.Buffer
		_, err := cms.Encrypt(&head, o)
		require.NoError(t, err)
		require.Equal(t, want, head.String()[:2], "%d bytes", size)
		total, err := cms.EncryptedSize(o)
		require.NoError(t, err)
		require.Greater(t, total, size)
		require.Less(t, total, size+size/1000+2000)
	}
}

// TestEncryptChecksSize writes more and less than was said.
func TestEncryptChecksSize(t *testing.T) {
	t.Parallel()
	for _, c := range []cms.Cipher{cms.AES128CBC, cms.AES128GCM} {
		for _, indefinite := range []bool{false, true} {
			o := cms.EncryptOptions{
				Cipher: c, Size: 10, Indefinite: indefinite, Recipients: []cms.Recipient{{Certificate: the(t, alice).cert}},
			}
			w, err := cms.Encrypt(io.Discard, o)
			require.NoError(t, err)
			_, err = w.Write(make([]byte, 9))
			require.NoError(t, err)
			require.ErrorContains(t, w.Close(), "shorter than EncryptOptions.Size by 1 bytes")
			require.Error(t, w.Close())

			w, err = cms.Encrypt(io.Discard, o)
			require.NoError(t, err)
			_, err = w.Write(make([]byte, 11))
			require.ErrorContains(t, err, "longer than EncryptOptions.Size")
			require.Error(t, w.Close(), "what failed once fails to its end")

			w, err = cms.Encrypt(io.Discard, o)
			require.NoError(t, err)
			_, err = w.Write(make([]byte, 10))
			require.NoError(t, err)
			require.NoError(t, w.Close())
			require.NoError(t, w.Close())
			_, err = w.Write([]byte{1})
			require.ErrorContains(t, err, "after Close")
		}
	}
}

// failing takes a number of bytes.
type failing struct{ left int }

var errFull = errors.New("no space left")

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// TestWritersPassErrorsOn writes to places that fill up at any point.
func TestWritersPassErrorsOn(t *testing.T) {
	t.Parallel()
	a := the(t, alice)
	content := randomBytes(100_000)
	for name, open := range map[string]func(io.Writer) (io.WriteCloser, error){
		"CBC": func(w io.Writer) (io.WriteCloser, error) {
			return cms.Encrypt(w, cms.EncryptOptions{Cipher: cms.AES128CBC, Size: -1, Recipients: []cms.Recipient{{Certificate: a.cert}}})
		},
		"GCM": func(w io.Writer) (io.WriteCloser, error) {
			return cms.Encrypt(w, cms.EncryptOptions{Cipher: cms.AES128GCM, Size: 100_000, Recipients: []cms.Recipient{{Certificate: a.cert}}})
		},
		"zlib": cms.Compress,
	} {
		for full := 0; full < 100_000; full += 9_999 {
			require.ErrorIs(t, write(open, &failing{left: full}, content), errFull, "%s full after %d bytes", name, full)
		}
		require.NoError(t, write(open, &failing{left: 1 << 20}, content))
	}
}

func write(open func(io.Writer) (io.WriteCloser, error), to io.Writer, content []byte) error {
	w, err := open(to)
	if err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	return w.Close()
}
