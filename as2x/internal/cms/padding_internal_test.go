package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPadding takes paddings off two blocks of plain text.
func TestPadding(t *testing.T) {
	t.Parallel()
	block, err := aes.NewCipher(make([]byte, 16))
	require.NoError(t, err)
	iv := make([]byte, aes.BlockSize)
	text := func(n int, padding ...byte) []byte {
		return append(bytes.Repeat([]byte("x"), n), padding...)
	}
	for name, test := range map[string]struct {
		plain []byte
		want  int // bytes of content; −1: the padding is wrong
	}{
		"one byte":               {text(31, 1), 31},
		"two bytes":              {text(30, 2, 2), 30},
		"a block":                {text(16, bytes.Repeat([]byte{16}, 16)...), 16},
		"nothing but padding":    {bytes.Repeat([]byte{16}, 16), 0},
		"zero":                   {text(31, 0), -1},
		"more than a block":      {append(bytes.Repeat([]byte{17}, 16), bytes.Repeat([]byte{17}, 16)...), -1},
		"two blocks":             {bytes.Repeat([]byte{32}, 32), -1},
		"255":                    {bytes.Repeat([]byte{255}, 32), -1},
		"another first byte":     {text(28, 3, 4, 4, 4), -1},
		"another byte within":    {text(28, 4, 4, 5, 4), -1},
		"more of them than said": {text(28, 2, 2, 2, 2), 30},
		"no whole block":         {text(15), -1},
		"nothing":                {nil, -1},
	} {
		sealed := bytes.Clone(test.plain)
		if len(sealed)%aes.BlockSize == 0 {
			cipher.NewCBCEncrypter(block, iv).CryptBlocks(sealed, sealed)
		}
		opener := &cbcOpener{cipher.NewCBCDecrypter(block, iv)}
		got := opener.last(sealed)
		if test.want < 0 {
			require.Nil(t, got, name)
			continue
		}
		require.NotNil(t, got, name)
		require.True(t, bytes.Equal(test.plain[:test.want], got), name)
	}
}
