package transfer_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// A file that failed has a code of AWS's, and a finer cause where there is one. Its error is both, so that a program can
// ask for the one it cares about.
func ExampleConnectorFileTransferResult_Err() {
	ctx := context.Background()
	storage := transfer.NewMemory()
	storage.WriteFile("/outbox/orders.csv", []byte("id;item\n1;bolt\n"))
	acme := transfertest.NewConnector(nil, transfertest.ConnectorOptions{URL: "sftp://alice@sftp.example.com:22"})
	acme.Inject(transfertest.Rule{
		Op:  transfertest.OpConnect,
		Err: &transfer.Error{Op: "dial", Path: "sftp.example.com:22", Code: transfer.ConnectionRefused},
	})

	client, err := transfer.New(transfer.Config{
		Storage:    storage,
		Connectors: map[string]transfer.Connector{"acme": acme},
		Retry:      transfer.RetryPolicy{MaxAttempts: 1}, // by default, it would be tried again for a while
	})
	if err != nil {
		panic(err)
	}
	if err := client.Start(ctx); err != nil {
		panic(err)
	}

	started, err := client.StartFileTransfer(ctx, &transfer.StartFileTransferInput{
		ConnectorID:   "acme",
		SendFilePaths: []string{"/outbox/orders.csv"},
	})
	if err != nil {
		panic(err)
	}
	if _, err := client.Wait(ctx, started.TransferID); err != nil {
		panic(err)
	}
	page, err := client.ListFileTransferResults(ctx, &transfer.ListFileTransferResultsInput{
		ConnectorID: "acme",
		TransferID:  started.TransferID,
	})
	if err != nil {
		panic(err)
	}
	r := page.FileTransferResults[0]
	fmt.Println(r.StatusCode, r.FailureCode, r.FailureDetail)
	fmt.Println("connection error:", errors.Is(r.Err(), transfer.ConnectionError))
	fmt.Println("refused:", errors.Is(r.Err(), transfer.ConnectionRefused))
	fmt.Println("worth another transfer later:", r.Retryable())

	if err := client.Shutdown(ctx); err != nil {
		panic(err)
	}
	// Output:
	// FAILED CONNECTION_ERROR CONNECTION_REFUSED
	// connection error: true
	// refused: true
	// worth another transfer later: true
}
