package transfer_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// A partner gets 2 MB and five files a second at most, and is left alone outside of its hours.
func Example_limits() {
	ctx := context.Background()
	storage := transfer.NewMemory()
	storage.WriteFile("urgent.csv", []byte("1;2;3\n"))

	hours := []transfer.TimeWindow{{
		Days: []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday},
		From: "22:00", To: "06:00", // of the next day
	}}
	limits := transfer.Limits{BytesPerSecond: 2_000_000, FilesPerSecond: 5, Open: hours}
	client, err := transfer.New(transfer.Config{
		Storage: storage,
		Connectors: map[string]transfer.Connector{ // with sftpx.New: sftpx.Config.Limits
			"bank": transfertest.NewConnector(nil, transfertest.ConnectorOptions{Limits: &limits}),
			"shop": transfertest.NewConnector(nil, transfertest.ConnectorOptions{}),
		},
		Limits: transfer.Limits{BytesPerSecond: 50_000_000}, // of this node, over all connectors
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Start(ctx); err != nil {
		log.Fatal(err)
	}
	started, err := client.StartFileTransfer(ctx, &transfer.StartFileTransferInput{
		ConnectorID: "shop", SendFilePaths: []string{"urgent.csv"}, Priority: store.High,
	})
	if err != nil {
		log.Fatal(err)
	}
	summary, err := client.Wait(ctx, started.TransferID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("completed:", summary.Completed)
	if err := client.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}

	_, err = transfer.New(transfer.Config{Limits: transfer.Limits{BytesPerSecond: 5, Open: []transfer.TimeWindow{{From: "8:00", To: "18:00"}}}})
	fmt.Println(err)
	// Output:
	// completed: 1
	// transfer: Config.Limits.BytesPerSecond is 5 (use 1000 or more, or 0 for no limit)
	// transfer: Config.Limits.Open[0].From is "8:00" (use "HH:MM", from "00:00" to "23:59"; a window to midnight ends at "00:00")
}
