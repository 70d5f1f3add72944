package transfer_test

import (
	"context"
	"fmt"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// Files go from our storage to a partner. Here both live in memory; package sftpx has the connector for SFTP servers,
// Dir and package s3x have storages that stay.
func Example_sendFiles() {
	ctx := context.Background()
	storage := transfer.NewMemory()
	storage.WriteFile("/outbox/orders.csv", []byte("id;item\n1;bolt\n"))
	storage.WriteFile("/outbox/empty.csv", nil)
	acme := transfer.NewMemory()

	client, err := transfer.New(transfer.Config{
		Storage: storage,
		Connectors: map[string]transfer.Connector{
			"acme": transfertest.NewConnector(acme, transfertest.ConnectorOptions{}),
		},
	})
	if err != nil {
		panic(err)
	}
	if err := client.Start(ctx); err != nil {
		panic(err)
	}

	started, err := client.StartFileTransfer(ctx, &transfer.StartFileTransferInput{
		ConnectorID:         "acme",
		SendFilePaths:       []string{"/outbox/orders.csv", "/outbox/empty.csv"},
		RemoteDirectoryPath: "/in",
	})
	if err != nil {
		panic(err)
	}
	summary, err := client.Wait(ctx, started.TransferID)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%d of %d files arrived: %q\n", summary.Completed, summary.Files, acme.Paths())

	if err := client.Shutdown(ctx); err != nil {
		panic(err)
	}
	// Output:
	// 2 of 2 files arrived: ["in/empty.csv" "in/orders.csv"]
}
