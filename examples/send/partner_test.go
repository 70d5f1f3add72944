package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// TestFullPartner shows what a program sees of a partner's fault, without a network of its own or any server.
func TestFullPartner(t *testing.T) {
	t.Parallel()
	storage := transfer.NewMemory()
	storage.WriteFile("/outbox/orders.csv", []byte("id;item\n1;bolt\n"))
	client, err := transfer.New(transfer.Config{
		Storage: storage,
		Connectors: map[string]transfer.Connector{
			"full": fullPartner(t),
			"fine": transfertest.NewConnector(nil, transfertest.ConnectorOptions{}),
		},
		Retry: transfer.RetryPolicy{MaxAttempts: 1}, // a test that waits for a failure need not wait for ten
	})
	require.NoError(t, err)
	require.NoError(t, client.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, client.Shutdown(t.Context())) })

	require.NoError(t, send(t, client, "fine").Err())
	full := send(t, client, "full")
	require.ErrorIs(t, full.Err(), transfer.NoSpace)
	require.True(t, full.Retryable())
}

// send sends the one file and returns its result.
func send(t *testing.T, client *transfer.Client, connectorID string) transfer.ConnectorFileTransferResult {
	t.Helper()
	started, err := client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{
		ConnectorID: connectorID, SendFilePaths: []string{"/outbox/orders.csv"},
	})
	require.NoError(t, err)
	_, err = client.Wait(t.Context(), started.TransferID)
	require.NoError(t, err)
	page, err := client.ListFileTransferResults(t.Context(), &transfer.ListFileTransferResultsInput{
		ConnectorID: connectorID, TransferID: started.TransferID,
	})
	require.NoError(t, err)
	require.Len(t, page.FileTransferResults, 1)
	return page.FileTransferResults[0]
}

// fullPartner is a server of this test's own whose disk is full.
func fullPartner(t *testing.T) transfer.Connector {
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	server.Inject(transfertest.SFTPRule{
		Op: transfertest.SFTPWrite, Status: transfertest.StatusFailure, Message: "no space left on device",
	})
	connector, err := sftpx.New(sftpx.Config{
		Addr: server.Addr(), User: server.User(), HostKeys: server.HostKeys(),
		Auth: []sftpx.Auth{sftpx.PublicKey(server.Signer())},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connector.Close() })
	return connector
}
