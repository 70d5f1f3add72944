package transfer_test

import (
	"context"
	"fmt"
	"log"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// What failed for a partner, newest first, whichever transfers it was part of.
func Example_listTransfers() {
	ctx := context.Background()
	storage := transfer.NewMemory()
	storage.WriteFile("/outbox/a.csv", []byte("a;1\n"))
	client, err := transfer.New(transfer.Config{
		Storage:    storage,
		Connectors: map[string]transfer.Connector{"acme": transfertest.NewConnector(nil, transfertest.ConnectorOptions{})},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Shutdown(ctx) }()
	for _, day := range []string{"mon", "tue"} {
		started, err := client.StartFileTransfer(ctx, &transfer.StartFileTransferInput{
			ConnectorID: "acme", SendFilePaths: []string{"/outbox/a.csv", "/outbox/" + day + ".csv"}, Metadata: map[string]string{"day": day},
		})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := client.Wait(ctx, started.TransferID); err != nil {
			log.Fatal(err)
		}
	}

	failed := client.ListTransfers().Partner("acme").Status(transfer.StatusInError).OrderBy(transfer.DescID)
	for row, err := range failed.Each(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(row.FilePath, row.Metadata["day"], row.FailureCode)
	}
	done, err := client.ListTransfers().Status(transfer.StatusDone).Count(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(done, "delivered")

	// Output:
	// /outbox/tue.csv tue SEND_FILE_NOT_FOUND
	// /outbox/mon.csv mon SEND_FILE_NOT_FOUND
	// 2 delivered
}
