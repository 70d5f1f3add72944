package awsapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/awsapi"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// What a rule of EventBridge would get, for each file of a transfer that has ended.
func ExampleEvent() {
	engine, err := transfer.New(transfer.Config{
		Connectors: map[string]transfer.Connector{"acme": transfertest.NewConnector(nil, transfertest.ConnectorOptions{})},
	})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := engine.Start(ctx); err != nil {
		panic(err)
	}
	defer func() { _ = engine.Shutdown(ctx) }()
	started, err := engine.StartFileTransfer(ctx, &transfer.StartFileTransferInput{
		ConnectorID: "acme", RetrieveFilePaths: []string{"/out/orders.csv"}, LocalDirectoryPath: "/bucket/in",
	})
	if err != nil {
		panic(err)
	}
	if _, err := engine.Wait(ctx, started.TransferID); err != nil {
		panic(err)
	}

	for row, err := range engine.ListTransfers().Transfer(started.TransferID).Each(ctx) {
		if err != nil {
			panic(err)
		}
		text, err := awsapi.Event(&row, awsapi.EventSource{Region: "eu-central-1", AccountID: "123456789012"})
		if err != nil {
			panic(err)
		}
		var event struct {
			DetailType string `json:"detail-type"`
			Detail     struct {
				Path string `json:"file-path"`
				Code string `json:"failure-code"`
			}
		}
		if err := json.Unmarshal(text, &event); err != nil {
			panic(err)
		}
		fmt.Println(event.DetailType, event.Detail.Path, event.Detail.Code)
	}
	// Output: SFTP Connector File Retrieve Failed /out/orders.csv RETRIEVE_FILE_NOT_FOUND
}
