package transfer_test

import (
	"context"
	"fmt"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// A file is cancelled while it runs; later everything of that night that did not arrive is sent again.
func ExampleClient_CancelTransfer() {
	ctx := context.Background()
	storage := transfer.NewMemory()
	storage.WriteFile("/outbox/film.mov", make([]byte, 4000))
	acme := transfertest.NewConnector(nil, transfertest.ConnectorOptions{})
	slow := acme.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 3, Block: true}) // the third window never ends

	client, err := transfer.New(transfer.Config{
		Storage:          storage,
		Connectors:       map[string]transfer.Connector{"acme": acme},
		WindowSize:       1000,
		ProgressInterval: 10 * time.Millisecond,
	})
	if err != nil {
		panic(err)
	}
	if err := client.Start(ctx); err != nil {
		panic(err)
	}
	started, err := client.StartFileTransfer(ctx, &transfer.StartFileTransferInput{
		ConnectorID:   "acme",
		SendFilePaths: []string{"/outbox/film.mov"},
	})
	if err != nil {
		panic(err)
	}
	<-slow.Hit()

	if _, err := client.CancelTransfer(ctx, &transfer.ControlInput{TransferID: started.TransferID}); err != nil {
		panic(err)
	}
	if _, err := client.Wait(ctx, started.TransferID); err != nil {
		panic(err)
	}
	missing := client.ListTransfers().Partner("acme").Status(transfer.StatusInError)
	rows, err := missing.All(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println(rows[0].FilePath, rows[0].StatusCode, rows[0].FailureCode)

	again, err := client.RetryTransfer(ctx, &transfer.RetryTransferInput{Files: &missing, Cancelled: true})
	if err != nil {
		panic(err)
	}
	summary, err := client.Wait(ctx, again.Transfers[0].TransferID)
	if err != nil {
		panic(err)
	}
	fmt.Println("sent again:", summary.Completed, "of", summary.Files)
	if err := client.Shutdown(ctx); err != nil {
		panic(err)
	}
	// Output:
	// /outbox/film.mov FAILED CANCELLED
	// sent again: 1 of 1
}
