package transfer_test

import (
	"context"
	"fmt"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// A Go function that is told, at least once, of every file that has come to its end, and of every transfer. What it takes is
// safe: an event that it does not take comes again, also after a crash, as long as the Store keeps it.
func ExampleEventSink() {
	told := make(chan transfer.Event, 10)
	storage := transfer.NewMemory()
	storage.WriteFile("/outbox/orders.csv", []byte("id;amount\n1;9.90\n"))
	client, err := transfer.New(transfer.Config{
		Storage:    storage,
		Connectors: map[string]transfer.Connector{"acme": transfertest.NewConnector(nil, transfertest.ConnectorOptions{})},
		Sinks: map[string]transfer.EventSink{
			"billing": transfer.EventSinkFunc(func(_ context.Context, e transfer.Event) error {
				told <- e
				return nil
			}),
		},
	})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := client.Start(ctx); err != nil {
		panic(err)
	}
	_, err = client.StartFileTransfer(ctx, &transfer.StartFileTransferInput{
		ConnectorID: "acme", SendFilePaths: []string{"/outbox/orders.csv"}, RemoteDirectoryPath: "/in",
	})
	if err != nil {
		panic(err)
	}
	for range 2 {
		e := <-told
		fmt.Println(e.Type, e.StatusCode, e.TargetPath)
	}
	if err := client.Shutdown(ctx); err != nil {
		panic(err)
	}
	// Output:
	// file.completed COMPLETED /in/orders.csv
	// transfer.finished COMPLETED
}

// Hints about what this process does, such as for a progress bar. They are lost rather than waited for.
func ExampleClient_Subscribe() {
	storage := transfer.NewMemory()
	storage.WriteFile("/outbox/orders.csv", []byte("id;amount\n1;9.90\n"))
	client, err := transfer.New(transfer.Config{
		Storage:    storage,
		Connectors: map[string]transfer.Connector{"acme": transfertest.NewConnector(nil, transfertest.ConnectorOptions{})},
	})
	if err != nil {
		panic(err)
	}
	sub, err := client.Subscribe(transfer.SubscribeInput{ConnectorID: "acme"})
	if err != nil {
		panic(err)
	}
	defer sub.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := client.Start(ctx); err != nil {
		panic(err)
	}
	_, err = client.StartFileTransfer(ctx, &transfer.StartFileTransferInput{
		ConnectorID: "acme", SendFilePaths: []string{"/outbox/orders.csv"}, RemoteDirectoryPath: "/in",
	})
	if err != nil {
		panic(err)
	}
	for e := range sub.Events() {
		fmt.Println(e.Type, e.BytesTransferred)
		if e.Type == transfer.EventTransferFinished {
			break
		}
	}
	if err := client.Shutdown(ctx); err != nil {
		panic(err)
	}
	fmt.Println("lost:", sub.Lost())
	// Output:
	// file.started 0
	// file.completed 17
	// transfer.finished 0
	// lost: 0
}

// Who has asked for a file, and what became of it.
func ExampleClient_AuditTrail() {
	storage := transfer.NewMemory()
	storage.WriteFile("/outbox/orders.csv", []byte("id;amount\n1;9.90\n"))
	client, err := transfer.New(transfer.Config{
		Storage:    storage,
		Connectors: map[string]transfer.Connector{"acme": transfertest.NewConnector(nil, transfertest.ConnectorOptions{})},
		Audit:      true,
	})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := client.Start(ctx); err != nil {
		panic(err)
	}
	started, err := client.StartFileTransfer(transfer.WithActor(ctx, "alice"), &transfer.StartFileTransferInput{
		ConnectorID: "acme", SendFilePaths: []string{"/outbox/orders.csv"}, RemoteDirectoryPath: "/in",
	})
	if err != nil {
		panic(err)
	}
	if _, err := client.Wait(ctx, started.TransferID); err != nil {
		panic(err)
	}
	for r, err := range client.AuditTrail(ctx, transfer.AuditQuery{TransferID: started.TransferID}) {
		if err != nil {
			panic(err)
		}
		switch {
		case r.Asked != nil:
			fmt.Println(r.Action, "by", r.Actor, r.Asked.Paths)
		case r.File != nil:
			fmt.Println(r.Action, r.File.StatusCode, r.File.TargetPath, r.File.SHA256[:8])
		}
	}
	if err := client.Shutdown(ctx); err != nil {
		panic(err)
	}
	// Output:
	// START_FILE_TRANSFER by alice [/outbox/orders.csv]
	// FILE_FINISHED COMPLETED /in/orders.csv e4bbd8a2
}
