package as2x_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log"
	"math/big"
	"net/http/httptest"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/as2x"
)

// newPair makes a key and its certificate. A real one comes from a file, and its certificate goes to the partner.
func newPair(name string) as2x.KeyPair {
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return as2x.KeyPair{Certificate: as2x.Certificate{Certificate: must(x509.ParseCertificate(der))}, Key: key}
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// The shop sends orders to the factory, which runs a Receiver. Both sides know each other's certificates.
func Example() {
	ctx := context.Background()
	shopKey, factoryKey := newPair("shop"), newPair("factory")
	shop := as2x.Local{AS2ID: "SHOP", Signing: []as2x.KeyPair{shopKey}, Decryption: []as2x.KeyPair{shopKey}}
	factory := as2x.Local{AS2ID: "FACTORY", Signing: []as2x.KeyPair{factoryKey}, Decryption: []as2x.KeyPair{factoryKey}}

	// The factory.
	inbox := transfer.NewMemory()
	theirs := must(transfer.New(transfer.Config{Storage: inbox}))
	receiver := must(as2x.NewReceiver(as2x.ReceiverConfig{
		Agreements: []as2x.Agreement{{
			ID: "orders", Local: factory, Directory: "in", PreserveFilename: true,
			Partner: as2x.Partner{AS2ID: "SHOP", Signing: []as2x.Certificate{shopKey.Certificate}},
		}},
		Storage: inbox,
		Records: &as2x.Records{Storage: inbox, Directory: "as2"},
		Client:  theirs,
	}))
	server := httptest.NewServer(receiver)
	defer server.Close()

	// The shop.
	outbox := transfer.NewMemory()
	outbox.WriteFile("/out/orders.edi", []byte("UNB+UNOC:3+SHOP+FACTORY'"))
	connector := must(as2x.New(as2x.Config{
		URL: server.URL, Local: shop, Compression: as2x.CompressionZLIB, Results: outbox,
		Partner: as2x.Partner{
			AS2ID: "FACTORY", Signing: []as2x.Certificate{factoryKey.Certificate}, Encryption: []as2x.Certificate{factoryKey.Certificate},
		},
	}))
	client := must(transfer.New(transfer.Config{Storage: outbox, Connectors: map[string]transfer.Connector{"factory": connector}}))
	must(0, client.Start(ctx))
	started := must(client.StartFileTransfer(ctx, &transfer.StartFileTransferInput{ConnectorID: "factory", SendFilePaths: []string{"/out/orders.edi"}}))
	summary := must(client.Wait(ctx, started.TransferID))
	fmt.Println("completed:", summary.Completed)
	fmt.Println("result files:", len(outbox.Paths())-1)

	fmt.Printf("received: %s\n", must(inbox.ReadFile("/in/orders.edi")))
	for row, err := range theirs.ListTransfers().Each(ctx) {
		fmt.Println(must(row, err).Partner, row.FilePath, row.StatusCode)
	}
	must(0, client.Shutdown(ctx))
	must(0, connector.Close())
	must(0, receiver.Close(ctx))
	// Output:
	// completed: 1
	// result files: 2
	// received: UNB+UNOC:3+SHOP+FACTORY'
	// SHOP orders.edi COMPLETED
}
