package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
	"github.com/seed62b9dc43/transfer/webhook"
)

// A receiver is told of every file that has ended, and checks who tells it.
func Example() {
	secret, err := webhook.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		panic(err)
	}
	told := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err == nil {
			err = webhook.Verify(r.Header, body, []webhook.Secret{secret}, webhook.DefaultTolerance)
		}
		var e transfer.Event
		if err == nil {
			err = json.Unmarshal(body, &e)
		}
		if err != nil {
			w.WriteHeader(http.StatusBadRequest) // it comes again
			return
		}
		told <- fmt.Sprint(e.Type, " ", e.FilePath) // a real one keeps e.ID too, to know what it was told before
	}))
	defer receiver.Close()

	sink, err := webhook.New(webhook.Config{URL: receiver.URL, Secrets: webhook.Secrets(secret)})
	if err != nil {
		panic(err)
	}
	defer func() { _ = sink.Close() }()
	storage := transfer.NewMemory()
	storage.WriteFile("/outbox/orders.csv", []byte("id;amount\n"))
	client, err := transfer.New(transfer.Config{
		Storage:    storage,
		Connectors: map[string]transfer.Connector{"acme": transfertest.NewConnector(nil, transfertest.ConnectorOptions{})},
		Sinks:      map[string]transfer.EventSink{"receiver": sink},
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
	fmt.Println(<-told)
	fmt.Println(<-told)
	if err := client.Shutdown(ctx); err != nil {
		panic(err)
	}
	// Output:
	// file.completed /outbox/orders.csv
	// transfer.finished
}
