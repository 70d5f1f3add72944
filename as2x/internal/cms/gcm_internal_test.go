package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGCM compares the stream's tags with those of crypto/cipher over whole messages.
func TestGCM(t *testing.T) {
	t.Parallel()
	key, nonce := make([]byte, 32), make([]byte, gcmNonce)
	_, _ = rand.Read(key)
	_, _ = rand.Read(nonce)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	whole, err := cipher.NewGCM(block)
	require.NoError(t, err)
	for _, size := range []int{0, 1, 15, 16, 17, 31, 32, chunkSize - 1, chunkSize, chunkSize + 1, 3*chunkSize + 100} {
		for _, auth := range [][]byte{nil, []byte("a"), make([]byte, 16), make([]byte, 1000)} {
			content := make([]byte, size)
			_, _ = rand.Read(content)
			want := whole.Seal(nil, nonce, content, auth)
			g, err := newGCM(block, nonce)
			require.NoError(t, err)
			s := gcmSealer{g}
			var got []byte
			rest := content
			for ; len(rest) > chunkSize; rest = rest[chunkSize:] {
				s.seal(rest[:chunkSize])
				got = append(got, rest[:chunkSize]...)
			}
			got = append(got, s.last(rest)...)
			require.Equal(t, want, append(got, s.sum(auth)...), "%d bytes, %d authenticated", size, len(auth))
		}
	}
}
