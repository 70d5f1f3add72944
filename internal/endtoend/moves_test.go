package endtoend

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/sftpx"
)

// TestRealServers moves files of all shapes between a real S3 server and a real OpenSSH server.
func TestRealServers(t *testing.T) {
	t.Parallel()
	sshd, server := testenv.SSHD(t), testenv.S3(t)
	b := bucket{server.Client(t), server.NewBucket(t)}
	connector, err := sftpx.New(sftpx.Config{
		Addr: sshd.Addr, User: sshd.User, HostKeys: sshd.HostKeys, Auth: []sftpx.Auth{sftpx.PublicKey(sshd.Signer)}, MakeDirs: true,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, connector.Close()) })
	client := start(t, b, connector)

	sizes := []int{0, 1, 4096, window - 1, window, window + 1, 3*window + 7}
	var send, retrieve []string
	for i, size := range sizes {
		name := fmt.Sprintf("%d bytes, ü+%%.bin", size)
		b.put(t, "outbox/"+name, content(uint64(i), size))
		require.NoError(t, os.MkdirAll(filepath.Join(sshd.Dir, "pickup"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(sshd.Dir, "pickup", name), content(uint64(100+i), size), 0o600))
		send = append(send, b.name+"/outbox/"+name)
		retrieve = append(retrieve, "pickup/"+name)
	}
	sent := run(t, client, transfer.StartFileTransferInput{SendFilePaths: send, RemoteDirectoryPath: "new/in"})
	retrieved := run(t, client, transfer.StartFileTransferInput{RetrieveFilePaths: retrieve, LocalDirectoryPath: "/" + b.name + "/inbox"})
	for i, size := range sizes {
		name := filepath.Base(send[i])
		require.Equal(t, transfer.TransferTableStatusCompleted, sent[i].StatusCode, sent[i].FailureMessage)
		require.Equal(t, transfer.TransferTableStatusCompleted, retrieved[i].StatusCode, retrieved[i].FailureMessage)
		require.Equal(t, int64(size), sent[i].BytesTransferred)
		got, err := os.ReadFile(filepath.Join(sshd.Dir, "new/in", name))
		require.NoError(t, err)
		require.True(t, string(content(uint64(i), size)) == string(got), name)
		require.True(t, string(content(uint64(100+i), size)) == string(b.get(t, "inbox/"+name)), name)
	}
	b.requireNothingOpen(t)
	left, err := filepath.Glob(filepath.Join(sshd.Dir, "new/in", ".*"))
	require.NoError(t, err)
	require.Empty(t, left)
}
