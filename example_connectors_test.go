package transfer_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// A partner that is added while the program runs: created, tested, trusted and used.
func Example_connectors() {
	ctx := context.Background()
	partner, err := transfertest.NewSFTPServer(transfertest.SFTPOptions{User: "alice", Password: "open sesame"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer partner.Close()

	dir, err := os.MkdirTemp("", "secrets")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	secret := `{"Username": "alice", "Password": "open sesame"}`
	if err := os.WriteFile(filepath.Join(dir, "acme.json"), []byte(secret), 0o600); err != nil {
		fmt.Println(err)
		return
	}

	storage := transfer.NewMemory()
	storage.WriteFile("/outbox/orders.csv", []byte("id;item\n"))
	client, err := transfer.New(transfer.Config{
		Storage:   storage,
		Protocols: map[string]transfer.Protocol{"sftp": sftpx.Protocol(sftpx.Config{})},
		Secrets:   transfer.SecretsDir(dir),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := client.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	defer client.Shutdown(ctx)

	acme, err := client.CreateConnector(ctx, &transfer.CreateConnectorInput{
		URL:        "sftp://" + partner.Addr(),
		SftpConfig: &transfer.SftpConnectorConfig{UserSecretID: "acme.json"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	test, err := client.TestConnection(ctx, &transfer.TestConnectionInput{ConnectorID: acme.ConnectorID})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(test.Status, test.FailureDetail)

	// Ask the partner, by telephone, whether this is the fingerprint of their key.
	_, err = client.UpdateConnector(ctx, &transfer.UpdateConnectorInput{
		ConnectorID: acme.ConnectorID,
		SftpConfig:  &transfer.SftpConnectorConfig{TrustedHostKeys: []string{test.SftpConnectionDetails.HostKey}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	started, err := client.StartFileTransfer(ctx, &transfer.StartFileTransferInput{
		ConnectorID: acme.ConnectorID, SendFilePaths: []string{"/outbox/orders.csv"}, RemoteDirectoryPath: "/",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	summary, err := client.Wait(ctx, started.TransferID)
	fmt.Println(summary.Completed, "of", summary.Files, err)
	fmt.Println(partner.Files())
	// Output:
	// ERROR HOST_KEY_MISMATCH
	// 1 of 1 <nil>
	// [/orders.csv]
}
