package transfer_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"log"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// A rule is a partner's flow under one name: here files are retrieved, verified, unpacked and sent on, and their sources
// archived at the partner. What fails is told to somebody.
func Example_rule() {
	ctx := context.Background()
	acme, second, ours := transfer.NewMemory(), transfer.NewMemory(), transfer.NewMemory()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte("order 1"))
	_ = w.Close()
	acme.WriteFile("/ready/orders.csv.gz", packed.Bytes())

	client, err := transfer.New(transfer.Config{
		Storage: ours,
		Connectors: map[string]transfer.Connector{
			"acme":   transfertest.NewConnector(acme, transfertest.ConnectorOptions{}),
			"second": transfertest.NewConnector(second, transfertest.ConnectorOptions{}),
		},
		Rules: map[string]transfer.Rule{"orders": {
			Direction: store.Retrieve, SourceDirectory: "/ready", TargetDirectory: "/inbox",
			After: []transfer.Task{
				transfer.VerifyTarget(),
				transfer.GunzipTarget(1 << 30),
				transfer.Call("count orders", true, func(_ context.Context, f *transfer.TaskFile) error {
					fmt.Println("received", f.TargetPath, f.Size, "bytes")
					return nil
				}),
				transfer.Forward("second", "/in"),
				transfer.MoveSource("/archive/{id}"), // names come again
			},
			OnError: []transfer.Task{transfer.Call("tell operations", false, func(_ context.Context, f *transfer.TaskFile) error {
				fmt.Println(f.SourcePath, "failed:", f.FailureMessage)
				return nil
			})},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Shutdown(ctx) }()

	for _, name := range []string{"orders.csv.gz", "none.csv.gz"} {
		out, err := client.StartFileTransfer(ctx, &transfer.StartFileTransferInput{
			ConnectorID: "acme", RuleName: "orders", RetrieveFilePaths: []string{name}, FollowID: "orders of today",
		})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := client.Wait(ctx, out.TransferID); err != nil {
			log.Fatal(err)
		}
	}
	rows, err := client.ListTransfers().FollowID("orders of today").Partner("second").All(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Wait(ctx, rows[0].TransferID); err != nil {
		log.Fatal(err)
	}
	fmt.Println("acme has", acme.Paths(), "and second has", second.Paths())

	// Output:
	// received /inbox/orders.csv 7 bytes
	// /ready/none.csv.gz failed: open source /ready/none.csv.gz on test://partner: file does not exist
	// acme has [archive/1/orders.csv.gz] and second has [in/orders.csv]
}
