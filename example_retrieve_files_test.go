package transfer_test

import (
	"context"
	"fmt"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// Files come from a partner to our storage. The files of a transfer do not wait for each other: one is missing, and the
// others arrive. Results come in the order of the request.
func Example_retrieveFiles() {
	ctx := context.Background()
	acme := transfer.NewMemory()
	acme.WriteFile("/out/invoices.xml", []byte("<invoices/>"))
	acme.WriteFile("/out/notes.txt", []byte("see you in June"))
	storage := transfer.NewMemory()

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
		ConnectorID:        "acme",
		RetrieveFilePaths:  []string{"/out/invoices.xml", "/out/missing.xml", "/out/notes.txt"},
		LocalDirectoryPath: "/inbox",
	})
	if err != nil {
		panic(err)
	}
	if _, err := client.Wait(ctx, started.TransferID); err != nil {
		panic(err)
	}

	results := transfer.NewListFileTransferResultsPaginator(client, &transfer.ListFileTransferResultsInput{
		ConnectorID: "acme",
		TransferID:  started.TransferID,
	})
	for r, err := range results.All(ctx) {
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s: %s %d %q\n", r.FilePath, r.StatusCode, r.BytesTransferred, r.FailureCode)
	}
	fmt.Printf("%q\n", storage.Paths())

	if err := client.Shutdown(ctx); err != nil {
		panic(err)
	}
	// Output:
	// /out/invoices.xml: COMPLETED 11 ""
	// /out/missing.xml: FAILED 0 "RETRIEVE_FILE_NOT_FOUND"
	// /out/notes.txt: COMPLETED 15 ""
	// ["inbox/invoices.xml" "inbox/notes.txt"]
}
