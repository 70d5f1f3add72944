package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// Results tell how far files have come while they run. Wait with a bounded context is a pause that ends early when all
// is done.
func ExampleClient_Wait() {
	ctx := context.Background()
	storage := transfer.NewMemory()
	storage.WriteFile("/outbox/film.mov", make([]byte, 4000))
	acme := transfertest.NewConnector(nil, transfertest.ConnectorOptions{})
	hold := make(chan struct{})
	acme.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 3, Hold: hold}) // the third window takes long

	client, err := transfer.New(transfer.Config{
		Storage:          storage,
		Connectors:       map[string]transfer.Connector{"acme": acme},
		WindowSize:       1000,
		WindowsPerFile:   1,
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

	for halfway, done := false, false; !done; {
		pause, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		_, err := client.Wait(pause, started.TransferID)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			panic(err)
		}
		done = err == nil
		page, err := client.ListFileTransferResults(ctx, &transfer.ListFileTransferResultsInput{
			ConnectorID: "acme",
			TransferID:  started.TransferID,
		})
		if err != nil {
			panic(err)
		}
		r := page.FileTransferResults[0]
		if done || r.BytesTransferred == 2000 && !halfway {
			fmt.Printf("%s, %d of %d bytes, %d windows\n", r.StatusCode, r.BytesTransferred, r.Size, r.Rank)
		}
		if r.BytesTransferred == 2000 && !halfway {
			halfway = true
			close(hold)
		}
	}

	if err := client.Shutdown(ctx); err != nil {
		panic(err)
	}
	// Output:
	// IN_PROGRESS, 2000 of 4000 bytes, 2 windows
	// COMPLETED, 4000 of 4000 bytes, 4 windows
}
