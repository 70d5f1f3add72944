package awsapi_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/transfer"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/awsapi"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// A program that was written for AWS, in a test without AWS: all that changes is its endpoint.
func ExampleNewHandler() {
	storage := transfer.NewMemory()
	storage.WriteFile("/bucket/invoices.csv", []byte("1;2;3"))
	engine, err := transfer.New(transfer.Config{
		Storage:    storage,
		Connectors: map[string]transfer.Connector{"c-0123456789abcdef0": transfertest.NewConnector(nil, transfertest.ConnectorOptions{})},
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
	handler, err := awsapi.NewHandler(engine, awsapi.Config{
		AccessKeys: awsapi.StaticKeys{"AKIDEXAMPLE": {SecretKey: "only for this test"}},
	})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()

	client := sdk.New(sdk.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(server.URL),
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "only for this test", ""),
		HTTPClient:   server.Client(),
	})
	started, err := client.StartFileTransfer(ctx, &sdk.StartFileTransferInput{
		ConnectorId:   aws.String("c-0123456789abcdef0"),
		SendFilePaths: []string{"/bucket/invoices.csv"},
	})
	if err != nil {
		panic(err)
	}
	if _, err := engine.Wait(ctx, *started.TransferId); err != nil {
		panic(err)
	}
	results, err := client.ListFileTransferResults(ctx, &sdk.ListFileTransferResultsInput{
		ConnectorId: aws.String("c-0123456789abcdef0"),
		TransferId:  started.TransferId,
	})
	if err != nil {
		panic(err)
	}
	for _, r := range results.FileTransferResults {
		fmt.Println(*r.FilePath, r.StatusCode)
	}
	// Output: /bucket/invoices.csv COMPLETED
}
