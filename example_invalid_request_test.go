package transfer_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// A request that is wrong is refused as a whole, with everything that is wrong about it.
func ExampleInvalidRequestException() {
	client, err := transfer.New(transfer.Config{
		Connectors: map[string]transfer.Connector{
			"acme": transfertest.NewConnector(nil, transfertest.ConnectorOptions{}),
		},
	})
	if err != nil {
		panic(err)
	}

	_, err = client.StartFileTransfer(context.Background(), &transfer.StartFileTransferInput{
		ConnectorID:       "acme",
		RetrieveFilePaths: []string{"/out/a.csv", "/archive/a.csv", "/out/"},
		Overwrite:         "MAYBE",
	})
	var invalid *transfer.InvalidRequestException
	if errors.As(err, &invalid) {
		for _, f := range invalid.Fields {
			fmt.Printf("%s: %s\n", f.Name, f.Problem)
		}
	}

	_, err = client.StartFileTransfer(context.Background(), &transfer.StartFileTransferInput{
		ConnectorID:   "emca",
		SendFilePaths: []string{"/outbox/a.csv"},
	})
	var unknown *transfer.ResourceNotFoundException
	if errors.As(err, &unknown) {
		fmt.Println(unknown.ResourceType, unknown.Resource)
	}
	// Output:
	// Overwrite: is not a policy (use REPLACE, FAIL or SKIP)
	// LocalDirectoryPath: is required with RetrieveFilePaths (say where the files go)
	// RetrieveFilePaths[1]: has the same target as RetrieveFilePaths[0], "a.csv" (start two transfers)
	// RetrieveFilePaths[2]: names a directory (name a file)
	// Connector emca
}
