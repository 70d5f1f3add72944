package transfertest_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"testing"

	"github.com/pkg/sftp"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer/transfertest"
)

// dial connects a plain client, as users have it.
func dial(t *testing.T, srv *transfertest.SFTPServer, opts ...sftp.ClientOption) *sftp.Client {
	t.Helper()
	conn, err := ssh.Dial("tcp", srv.Addr(), srv.ClientConfig())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	client, err := sftp.NewClient(conn, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// random returns n bytes that are nowhere alike.
func random(t testing.TB, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	_, err := rand.Read(b)
	require.NoError(t, err)
	return b
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]transfertest.SFTPOptions{
		"memory":    {},
		"directory": {Dir: t.TempDir()},
		"home":      {Home: "/home/partner"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := transfertest.StartSFTP(t, opts)
			client := dial(t, srv)
			want := random(t, 3<<20+17)

			up, err := client.Create("up.bin")
			require.NoError(t, err)
			_, err = up.ReadFromWithConcurrency(bytes.NewReader(want), 64)
			require.NoError(t, err)
			require.NoError(t, up.Close())
			got, err := srv.ReadFile("up.bin")
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got))

			require.NoError(t, srv.WriteFile("down.bin", want))
			down, err := client.Open("down.bin")
			require.NoError(t, err)
			got, err = io.ReadAll(down)
			require.NoError(t, err)
			require.NoError(t, down.Close())
			require.True(t, bytes.Equal(want, got))
			require.Zero(t, srv.OpenHandles())
		})
	}
}
