package transfer_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// overSFTP makes clients, not started, between a storage in memory and a real SFTP server.
func overSFTP(t *testing.T, change func(*sftpx.Config)) (srv *transfertest.SFTPServer, local *transfer.Memory, newClient func() *transfer.Client) {
	srv = transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	cfg := sftpx.Config{Addr: srv.Addr(), User: srv.User(), Auth: []sftpx.Auth{sftpx.PublicKey(srv.Signer())}, HostKeys: srv.HostKeys()}
	change(&cfg)
	conn, err := sftpx.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	local = transfer.NewMemory()
	rows := store.NewMemory()
	newClient = func() *transfer.Client {
		client, err := transfer.New(transfer.Config{
			Storage: local, Store: rows, Connectors: map[string]transfer.Connector{"acme": conn}, WindowSize: 1000,
			PollInterval: 10 * time.Millisecond, ProgressInterval: 10 * time.Millisecond,
		})
		require.NoError(t, err)
		return client
	}
	return srv, local, newClient
}

// A file is cancelled that was partly delivered under its final name; by then that name is somebody else's.
func TestSweepingLeavesTheFilesOfOthersAloneOverSFTP(t *testing.T) {
	t.Parallel()
	srv, local, newClient := overSFTP(t, func(c *sftpx.Config) { c.RenameMode = sftpx.RenameDirect })
	first := newClient()
	require.NoError(t, first.Start(context.WithoutCancel(t.Context())))
	local.WriteFile("a.bin", content(1, 20_000))
	hold := srv.Inject(transfertest.SFTPRule{Op: transfertest.SFTPWrite, Nth: 8, Times: -1, Delay: 20 * time.Millisecond})
	out, err := first.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"a.bin"}, RemoteDirectoryPath: "/"})
	require.NoError(t, err)
	<-hold.Hit()
	require.NoError(t, first.Shutdown(t.Context()))
	_, err = first.CancelTransfer(t.Context(), &transfer.ControlInput{TransferID: out.TransferID})
	require.NoError(t, err)

	theirs := content(9, 50_000)
	require.NoError(t, srv.WriteFile("/a.bin", theirs))
	second := newClient()
	require.NoError(t, second.Start(context.WithoutCancel(t.Context()))) // it sweeps at once
	defer func() { require.NoError(t, second.Shutdown(context.Background())) }()
	require.Never(t, func() bool {
		got, err := srv.ReadFile("/a.bin")
		return err != nil || !bytes.Equal(got, theirs)
	}, time.Second, 10*time.Millisecond, "somebody else's file is gone")
}

// As many files as the connector allows are read back at once.
func TestReadingBackOverSFTP(t *testing.T) {
	t.Parallel()
	srv, local, newClient := overSFTP(t, func(c *sftpx.Config) { c.MaxConnections, c.FilesPerConnection = 1, 2 })
	client := newClient()
	require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
	srv.Inject(transfertest.SFTPRule{Op: transfertest.SFTPPosixRename, Delay: 50 * time.Millisecond})
	local.WriteFile("a.bin", content(1, 100))
	local.WriteFile("b.bin", content(2, 100))
	out, err := client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{
		ConnectorID: "acme", SendFilePaths: []string{"a.bin", "b.bin"}, RemoteDirectoryPath: "/", Verify: transfer.VerifyReadBack,
	})
	require.NoError(t, err)
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	s, err := client.Wait(ctx, out.TransferID)
	_ = client.Shutdown(endedContext(t))
	require.NoError(t, err, "%+v", s)
}
