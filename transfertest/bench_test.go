package transfertest_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/pkg/sftp"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer/transfertest"
)

func BenchmarkSFTP(b *testing.B) {
	const size, window = 64 << 20, 8 << 20
	srv := transfertest.StartSFTP(b, transfertest.SFTPOptions{})
	conn, err := ssh.Dial("tcp", srv.Addr(), srv.ClientConfig())
	require.NoError(b, err)
	defer conn.Close()
	client, err := sftp.NewClient(conn)
	require.NoError(b, err)
	defer client.Close()
	data := random(b, size)
	require.NoError(b, srv.WriteFile("a", data))

	b.Run("download", func(b *testing.B) {
		b.SetBytes(size)
		buf := make([]byte, window)
		for b.Loop() {
			f, err := client.Open("a")
			require.NoError(b, err)
			for off := int64(0); off < size; off += window {
				n, err := f.ReadAt(buf, off)
				require.NoError(b, err)
				require.Equal(b, window, n)
			}
			require.NoError(b, f.Close())
		}
	})
	b.Run("upload", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			f, err := client.Create("b")
			require.NoError(b, err)
			r := bytes.NewReader(data)
			for r.Len() > 0 {
				_, err := f.ReadFromWithConcurrency(io.LimitReader(r, window), 64)
				require.NoError(b, err)
			}
			require.NoError(b, f.Close())
		}
	})
}
