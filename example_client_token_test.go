package transfer_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// A ClientToken makes StartFileTransfer repeatable: whoever does not know whether a call went through makes it again,
// and starts no second transfer.
func ExampleClient_StartFileTransfer_clientToken() {
	ctx := context.Background()
	client, err := transfer.New(transfer.Config{
		Connectors: map[string]transfer.Connector{
			"acme": transfertest.NewConnector(nil, transfertest.ConnectorOptions{}),
		},
	})
	if err != nil {
		panic(err)
	}

	in := &transfer.StartFileTransferInput{
		ConnectorID:   "acme",
		SendFilePaths: []string{"/outbox/orders.csv"},
		ClientToken:   "orders of 2 June",
	}
	first, err := client.StartFileTransfer(ctx, in)
	if err != nil {
		panic(err)
	}
	again, err := client.StartFileTransfer(ctx, in)
	if err != nil {
		panic(err)
	}
	fmt.Println("same transfer:", first.TransferID == again.TransferID)

	in.SendFilePaths = []string{"/outbox/other.csv"}
	_, err = client.StartFileTransfer(ctx, in)
	var invalid *transfer.InvalidRequestException
	fmt.Println("another request:", errors.As(err, &invalid))
	// Output:
	// same transfer: true
	// another request: true
}
