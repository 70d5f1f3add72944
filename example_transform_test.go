package transfer_test

import (
	"context"
	"fmt"
	"log"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// Files go out compressed, and come in decompressed, without a copy of them on our side.
func Example_transform() {
	ctx := context.Background()
	outbox, partner := transfer.NewMemory(), transfer.NewMemory()
	outbox.WriteFile("outbox/report.csv", []byte("id;amount\n1;100\n"))
	client, err := transfer.New(transfer.Config{
		Storage:    outbox,
		Connectors: map[string]transfer.Connector{"acme": transfertest.NewConnector(partner, transfertest.ConnectorOptions{})},
		Rules: map[string]transfer.Rule{
			"out": {Transforms: []transfer.Transform{transfer.Gzip(0)}, SourceDirectory: "outbox", TargetDirectory: "in"},
			"in":  {Transforms: []transfer.Transform{transfer.Gunzip(transfer.GunzipOptions{MaxSize: 1 << 30})}},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Shutdown(ctx) }()
	for _, in := range []transfer.StartFileTransferInput{
		{ConnectorID: "acme", RuleName: "out", SendFilePaths: []string{"report.csv"}},
		{ConnectorID: "acme", RuleName: "in", RetrieveFilePaths: []string{"in/report.csv.gz"}, LocalDirectoryPath: "back"},
	} {
		out, err := client.StartFileTransfer(ctx, &in)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := client.Wait(ctx, out.TransferID); err != nil {
			log.Fatal(err)
		}
	}
	back, err := outbox.ReadFile("back/report.csv")
	fmt.Println(partner.Paths(), err)
	fmt.Printf("%s", back)
	// Output:
	// [in/report.csv.gz] <nil>
	// id;amount
	// 1;100
}
