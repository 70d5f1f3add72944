package pgpx_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// FuzzDecrypt reads what anybody may send. Nothing but what the partner has signed comes out.
func FuzzDecrypt(f *testing.F) {
	plain := []byte("hello")
	for _, armor := range []bool{false, true} {
		f.Add(must(through(forUs(f, armor), plain)))
	}
	f.Add([]byte(us().public))
	f.Add([]byte{0xd2, 0xff, 0xff, 0xff, 0xff, 0xff})
	d := fromPartner(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		made, err := through(d, data)
		if err == nil {
			require.True(t, bytes.Equal(plain, made))
			return
		}
		require.NotEqual(t, transfer.UnknownError, transfer.CodeOf(err), "%v", err)
	})
}
