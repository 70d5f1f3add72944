package cms_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

// BenchmarkEncrypt and BenchmarkDecrypt show bytes per second, of 16 MiB at a time.
func BenchmarkEncrypt(b *testing.B) {
	content := make([]byte, 16<<20)
	for _, c := range []cms.Cipher{cms.AES128CBC, cms.AES256CBC, cms.AES256GCM, cms.DESEDE3CBC} {
		b.Run(string(c), func(b *testing.B) {
			o := cms.EncryptOptions{
				Cipher: c, Size: int64(len(content)), Recipients: []cms.Recipient{{Certificate: the(b, alice).cert}},
			}
			b.SetBytes(o.Size)
			b.ReportAllocs()
			for b.Loop() {
				w, err := cms.Encrypt(io.Discard, o)
				require.NoError(b, err)
				_, err = w.Write(content)
				require.NoError(b, err)
				require.NoError(b, w.Close())
			}
		})
	}
}

func BenchmarkDecrypt(b *testing.B) {
	content := make([]byte, 16<<20)
	a := the(b, alice)
	for _, c := range []cms.Cipher{cms.AES128CBC, cms.AES256CBC, cms.AES256GCM, cms.DESEDE3CBC} {
		b.Run(string(c), func(b *testing.B) {
			raw := encrypt(b, content, cms.EncryptOptions{
				Cipher: c, Size: int64(len(content)), Recipients: []cms.Recipient{{Certificate: a.cert}},
			})
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := cms.Decrypt(bytes.NewReader(raw), []cms.KeyPair{a.pair()}, cms.Limits{})
				require.NoError(b, err)
				n, err := io.Copy(io.Discard, r)
				require.NoError(b, err)
				require.EqualValues(b, len(content), n)
			}
		})
	}
}
