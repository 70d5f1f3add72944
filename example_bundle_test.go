package transfer_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"log"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// The reports of a day go as one ZIP file, which is packed while it is sent: there is no copy of it on our side.
func Example_bundle() {
	ctx := context.Background()
	ours, partner := transfer.NewMemory(), transfer.NewMemory()
	ours.WriteFile("reports/berlin.csv", []byte("id;amount\n1;100\n"))
	ours.WriteFile("reports/madrid.csv", []byte("id;amount\n2;250\n"))
	client, err := transfer.New(transfer.Config{
		Storage:    ours,
		Connectors: map[string]transfer.Connector{"acme": transfertest.NewConnector(partner, transfertest.ConnectorOptions{})},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Shutdown(ctx) }()

	out, err := client.StartFileTransfer(ctx, &transfer.StartFileTransferInput{
		ConnectorID: "acme", RemoteDirectoryPath: "/in", BundleName: "reports-2024-05-06.zip",
		SendFilePaths: []string{"reports/berlin.csv", "reports/madrid.csv"},
	})
	if err != nil {
		log.Fatal(err)
	}
	summary, err := client.Wait(ctx, out.TransferID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(partner.Paths(), summary.Completed)

	data, err := partner.ReadFile("/in/reports-2024-05-06.zip")
	if err != nil {
		log.Fatal(err)
	}
	bundle, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range bundle.File {
		fmt.Println(f.Name, f.UncompressedSize64)
	}
	// Output:
	// [in/reports-2024-05-06.zip] 1
	// berlin.csv 16
	// madrid.csv 16
}
