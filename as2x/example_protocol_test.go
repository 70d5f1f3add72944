package as2x_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/as2x"
)

// A connector to the factory is made while the program runs, as data. What it names by ids is the program's.
func ExampleProtocol() {
	ctx := context.Background()
	shopKey, factoryKey := newPair("shop"), newPair("factory")
	storage := transfer.NewMemory()
	protocol := as2x.Protocol(as2x.Config{Results: storage, ResponseTimeout: time.Minute}, as2x.Profiles{
		Local: map[string]as2x.Local{"p-shop": {AS2ID: "SHOP", Signing: []as2x.KeyPair{shopKey}}},
		Partner: map[string]as2x.Partner{"p-factory": {
			AS2ID: "FACTORY", Signing: []as2x.Certificate{factoryKey.Certificate}, Encryption: []as2x.Certificate{factoryKey.Certificate},
		}},
	})
	client := must(transfer.New(transfer.Config{
		Storage: storage, Secrets: transfer.SecretsEnv("SECRET_"),
		Protocols: map[string]transfer.Protocol{"https": protocol, "http": protocol},
	}))
	created := must(client.CreateConnector(ctx, &transfer.CreateConnectorInput{
		URL:            "https://as2.factory.example/receive",
		ProtocolConfig: json.RawMessage(`{"LocalProfileId": "p-shop", "PartnerProfileId": "p-factory", "BasicAuthSecretId": "factory"}`),
	}))
	described := must(client.DescribeConnector(ctx, &transfer.DescribeConnectorInput{ConnectorID: created.ConnectorID}))
	fmt.Println(described.Connector.Status)

	_, err := client.CreateConnector(ctx, &transfer.CreateConnectorInput{
		URL:            "http://as2.factory.example/receive",
		ProtocolConfig: json.RawMessage(`{"LocalProfileId": "p-shop", "PartnerProfileId": "p-factory", "EncryptionAlgorithm": "NONE"}`),
	})
	fmt.Println(err)
	// Output:
	// ACTIVE
	// InvalidRequestException: ProtocolConfig.EncryptionAlgorithm is NONE with an URL that is not https (use AES256_CBC, or https)
}
