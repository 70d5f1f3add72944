package transfer_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// Several storages become one: what is retrieved to /inbox lands in a directory of this machine, everything else in
// memory. A storage of S3 buckets is mounted the same way.
func ExampleMount() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "inbox")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	inbox, err := transfer.Dir(folder)
	if err != nil {
		panic(err)
	}
	defer inbox.Close()
	storage, err := transfer.Mount(map[string]transfer.Storage{
		"/inbox": inbox,
		"/":      transfer.NewMemory(),
	})
	if err != nil {
		panic(err)
	}

	acme := transfer.NewMemory()
	acme.WriteFile("/out/invoices.xml", []byte("<invoices/>"))
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
		RetrieveFilePaths:  []string{"/out/invoices.xml"},
		LocalDirectoryPath: "/inbox/acme",
	})
	if err != nil {
		panic(err)
	}
	if _, err := client.Wait(ctx, started.TransferID); err != nil {
		panic(err)
	}
	if err := client.Shutdown(ctx); err != nil {
		panic(err)
	}

	content, err := os.ReadFile(filepath.Join(folder, "acme", "invoices.xml"))
	fmt.Println(string(content), err)
	// Output:
	// <invoices/> <nil>
}
