package watch_test

import (
	"context"
	"fmt"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
	"github.com/seed62b9dc43/transfer/watch"
)

// A Watcher retrieves what a partner puts into a directory, once each, as soon as the marker says that it is complete.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	partner, ours, state := transfer.NewMemory(), transfer.NewMemory(), store.NewMemory()
	client, err := transfer.New(transfer.Config{
		Storage: ours,
		Store:   state,
		Connectors: map[string]transfer.Connector{
			"acme": transfertest.NewConnector(partner, transfertest.ConnectorOptions{}), // sftpx.New in real life
		},
	})
	if err != nil {
		panic(err)
	}
	watcher, err := watch.New(watch.Config{
		Client: client,
		Watches: map[string]watch.Watch{
			"orders": {
				Selection: watch.Selection{ConnectorID: "acme", Direction: store.Retrieve, Directory: "/outbox", Patterns: []string{"**/*.csv"}},
				Delivery:  watch.Delivery{TargetDirectory: "/orders", Ledger: transfer.LedgerSkip},
				Schedule:  watch.Schedule{Every: time.Second},
				Guard:     watch.Guard{Marker: "{name}.done"},
			},
		},
	})
	if err != nil {
		panic(err)
	}
	partner.WriteFile("/outbox/june/orders.csv", []byte("1;2;3"))
	partner.WriteFile("/outbox/june/orders.csv.done", nil)
	partner.WriteFile("/outbox/half.csv", []byte("1;"))

	if err := client.Start(ctx); err != nil {
		panic(err)
	}
	if err := watcher.Start(ctx); err != nil {
		panic(err)
	}
	var status *watch.Status
	for status == nil || status.Started == 0 && ctx.Err() == nil {
		if status, err = watcher.Status(ctx, "orders"); err != nil {
			panic(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if _, err := client.Wait(ctx, status.TransferIDs[0]); err != nil {
		panic(err)
	}
	fmt.Println(ours.Paths())

	if err := watcher.Shutdown(ctx); err != nil {
		panic(err)
	}
	if err := client.Shutdown(ctx); err != nil {
		panic(err)
	}
	// Output: [orders/june/orders.csv]
}
