package sftpx_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sort"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/storagetest"
)

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestPeer(t *testing.T) {
	if os.Getenv("PEER") == "" {
		t.Skip()
	}
	server := testenv.SSHD(t, "Ciphers aes128-gcm@openssh.com")
	r := remote(t, connect(t, sshdConfig(server)))
	conn, err := ssh.Dial("tcp", server.Addr, &ssh.ClientConfig{User: server.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(server.Signer)}, HostKeyCallback: func(string, net.Addr, ssh.PublicKey) error { return nil }})
	require.NoError(t, err)
	defer conn.Close()
	client, err := sftp.NewClient(conn, sftp.MaxPacketUnchecked(255<<10))
	require.NoError(t, err)
	defer client.Close()
	size := int64(256 << 20)
	window := int64(8 << 20)
	p := make([]byte, window)
	up := filepath.Join(server.Dir, "up")
	down := filepath.Join(server.Dir, "down")
	require.NoError(t, os.WriteFile(down, make([]byte, size), 0o600))
	ourUp := func() {
		k, err := r.Create(t.Context(), up, transfer.CreateOptions{Size: size, WindowSize: window, Key: storagetest.NewKey()})
		require.NoError(t, err)
		for off := int64(0); off < size; off += window {
			require.NoError(t, k.WriteWindow(t.Context(), p, off))
		}
		require.NoError(t, k.Commit(t.Context(), [sha256.Size]byte{}))
		require.NoError(t, k.Close())
	}
	bareUp := func() {
		f, err := client.OpenFile(up+"2", os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
		require.NoError(t, err)
		_, err = f.ReadFromWithConcurrency(io.LimitReader(zeros{}, size), 64)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	ourDown := func() {
		src, err := r.Open(t.Context(), down)
		require.NoError(t, err)
		for off := int64(0); off < size; off += window {
			require.NoError(t, src.ReadWindow(t.Context(), p, off))
		}
		require.NoError(t, src.Close())
	}
	bareDown := func() {
		f, err := client.Open(down)
		require.NoError(t, err)
		n, err := f.WriteTo(io.Discard)
		require.NoError(t, err)
		require.Equal(t, size, n)
		require.NoError(t, f.Close())
	}
	timeOf := func(f func()) float64 { s := time.Now(); f(); return time.Since(s).Seconds() }
	var ru, rd, ou, od, bu, bd []float64
	for range 9 {
		a, b := timeOf(ourUp), timeOf(bareUp)
		c, d := timeOf(ourDown), timeOf(bareDown)
		ru, rd = append(ru, b/a), append(rd, d/c)
		ou, bu, od, bd = append(ou, a), append(bu, b), append(od, c), append(bd, d)
	}
	med := func(x []float64) float64 { sort.Float64s(x); return x[len(x)/2] }
	mb := float64(size) / 1e6
	fmt.Printf("up: ours %.0f bare %.0f MB/s ratio %.2f; down: ours %.0f bare %.0f ratio %.2f\n", mb/med(ou), mb/med(bu), med(ru), mb/med(od), mb/med(bd), med(rd))
}
