package transfer_test

import (
	"context"
	"fmt"
	"log"
	"path"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// A listing is a loop: it can be left at any time, and holds one item in memory however large the directory is.
func Example_listDirectory() {
	theirs := transfer.NewMemory() // the partner's files
	theirs.WriteFile("/outbox/a.csv", []byte("1,2"))
	theirs.WriteFile("/outbox/2024/b.csv", []byte("3"))
	theirs.WriteFile("/outbox/readme.txt", nil)
	client, err := transfer.New(transfer.Config{
		Connectors: map[string]transfer.Connector{"acme": transfertest.NewConnector(theirs, transfertest.ConnectorOptions{})},
	})
	if err != nil {
		log.Fatal(err)
	}

	in := &transfer.ListDirectoryInput{ConnectorID: "acme", Path: "/outbox", Recursive: true}
	for f, err := range client.ListDirectory(context.Background(), in) {
		if err != nil {
			log.Fatal(err)
		}
		if !f.Directory && path.Ext(f.Path) == ".csv" {
			fmt.Println(f.Path, f.Size)
		}
		if f.Truncated {
			fmt.Println("there is more")
		}
	}
	// Output:
	// /outbox/a.csv 3
	// /outbox/2024/b.csv 1
}
