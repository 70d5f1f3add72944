package transfer_test

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// FuzzGunzip decompresses what anybody may send: it ends, within its limit, and never takes a part for the whole.
func FuzzGunzip(f *testing.F) {
	for _, data := range [][]byte{nil, {0x1f, 0x8b}, packed(f, nil), packed(f, []byte("hello")), append(packed(f, []byte("a")), packed(f, []byte("b"))...)} {
		f.Add(data)
	}
	const most = 1 << 20
	gunzip := transfer.Gunzip(transfer.GunzipOptions{MaxSize: most})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := gunzip.Reader(context.Background(), transfer.Content{Reader: bytes.NewReader(data), Size: int64(len(data))})
		if err != nil {
			require.Equal(t, transfer.IntegrityError, transfer.CodeOf(err))
			return
		}
		made, err := io.ReadAll(r)
		require.NoError(t, r.Close())
		require.LessOrEqual(t, len(made), most)
		if err != nil {
			code := transfer.CodeOf(err)
			require.True(t, code == transfer.IntegrityError || code == transfer.ReadFileError, "%v", err)
			return
		}
		require.LessOrEqual(t, int64(len(made)), gunzip.MaxSize(int64(len(data))))
		for _, cut := range []int{1, len(data) / 2} { // a part of what is whole is not
			if part := data[:len(data)-cut]; len(part) > 0 && isWhole(gunzip, part) {
				require.Contains(t, string(data[1:]), "\x1f\x8b", "only a whole member may be left out")
			}
		}
	})
}

func isWhole(gunzip transfer.Transform, data []byte) bool {
	r, err := gunzip.Reader(context.Background(), transfer.Content{Reader: bytes.NewReader(data)})
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, r)
	return err == nil && r.Close() == nil
}
