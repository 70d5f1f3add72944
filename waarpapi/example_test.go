package waarpapi_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
	"github.com/seed62b9dc43/transfer/waarpapi"
)

// A client of Waarp's REST API sends a file by a rule and asks what was delivered.
func Example() {
	ctx := context.Background()
	storage := transfer.NewMemory()
	storage.WriteFile("/outbox/orders.csv", []byte("1;bolt\n"))
	client, err := transfer.New(transfer.Config{
		Storage:    storage,
		Connectors: map[string]transfer.Connector{"acme": transfertest.NewConnector(nil, transfertest.ConnectorOptions{})},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Start(ctx); err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Shutdown(ctx) }()

	handler, err := waarpapi.NewHandler(client, waarpapi.Config{
		Users: waarpapi.StaticUsers{"erp": {Password: "a secret of the ERP", Roles: waarpapi.RoleRead | waarpapi.RoleTransfer}},
		Rules: map[string]waarpapi.Rule{
			"orders": {Direction: waarpapi.Send, LocalDirectory: "/outbox", RemoteDirectory: "/in"},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(handler) // yours has TLS, and limits for headers
	defer server.Close()

	ask := func(method, path, body string) string {
		r, err := http.NewRequestWithContext(ctx, method, server.URL+path, strings.NewReader(body))
		if err != nil {
			log.Fatal(err)
		}
		r.SetBasicAuth("erp", "a secret of the ERP")
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			log.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			log.Fatal(err)
		}
		if uri := answer.Header.Get("transferURI"); uri != "" {
			return uri
		}
		return string(text)
	}
	fmt.Println(ask("POST", "/v2/transfers", `{"ruleName":"orders","filename":"orders.csv","requested":"acme"}`))
	rows, err := client.ListTransfers().Rule("orders").All(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.Wait(ctx, rows[0].TransferID); err != nil {
		log.Fatal(err)
	}
	fmt.Println(ask("GET", "/v2/transfers?status=DONE&partner=acme&countOrder=true", ""))
	fmt.Println(ask("GET", "/v2/transfers?startTrans=yesterday", ""))
	fmt.Println(ask("PUT", "/v2/transfers/1/cancel", ""))

	// Output:
	// /v2/transfers/1_acme
	// {"totalResults":1}
	// {"errors":[{"message":"Query parameter 'startTrans' : illegal value 'yesterday'.","errorCode":4}]}
	// {"errors":[{"message":"User : not allowed to do this (it needs the role CONTROL).","errorCode":0}]}
}
