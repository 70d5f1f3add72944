package awsapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/transfer"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/awsapi"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

const (
	acme      = "c-0123456789abcdef0"
	keyID     = "AKIDEXAMPLE"
	secretKey = "a secret of the tests"
)

// service is a handler over a client with one partner, behind a real HTTP server, and AWS's SDK as its user.
type service struct {
	local, remote *transfer.Memory
	partner       *transfertest.Connector
	store         *transfertest.Store
	client        *transfer.Client
	handler       http.Handler
	url           string
	sdk           *sdk.Client
}

// setup starts a service. The client moves files; nothing is left when t ends.
func setup(t *testing.T, change ...func(*awsapi.Config)) *service {
	t.Helper()
	s := &service{local: transfer.NewMemory(), remote: transfer.NewMemory(), store: transfertest.NewStore(store.NewMemory())}
	s.partner = transfertest.NewConnector(s.remote, transfertest.ConnectorOptions{URL: "sftp://alice@partner.example"})
	s.start(t, transfer.Config{
		Storage:      s.local,
		Store:        s.store,
		Connectors:   map[string]transfer.Connector{acme: s.partner},
		Protocols:    map[string]transfer.Protocol{"sftp": protocol{s.partner}, "https": protocol{s.partner}},
		PollInterval: 10 * time.Millisecond,
		Retry:        transfer.RetryPolicy{MaxAttempts: 1},
	}, change...)
	return s
}

func (s *service) start(t *testing.T, cfg transfer.Config, change ...func(*awsapi.Config)) {
	t.Helper()
	var err error
	s.client, err = transfer.New(cfg)
	require.NoError(t, err)
	require.NoError(t, s.client.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() { require.NoError(t, s.client.Shutdown(context.Background())) })
	s.handler = newHandler(t, s.client, change...)
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	s.url = server.URL
	s.sdk = newSDK(t, s.url)
}

func newHandler(t *testing.T, client *transfer.Client, change ...func(*awsapi.Config)) http.Handler {
	t.Helper()
	cfg := awsapi.Config{AccessKeys: awsapi.StaticKeys{keyID: {SecretKey: secretKey}}}
	for _, f := range change {
		f(&cfg)
	}
	handler, err := awsapi.NewHandler(client, cfg)
	require.NoError(t, err)
	return handler
}

// newSDK returns AWS's client for the service at url, which tries each request once.
func newSDK(t *testing.T, url string, change ...func(*sdk.Options)) *sdk.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return sdk.New(sdk.Options{
		Region:           "us-east-1",
		BaseEndpoint:     aws.String(url),
		Credentials:      credentials.NewStaticCredentialsProvider(keyID, secretKey, ""),
		HTTPClient:       &http.Client{Transport: transport},
		RetryMaxAttempts: 1,
	}, change...)
}

// wait returns when the transfer has ended.
func (s *service) wait(t *testing.T, transferID *string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := s.client.Wait(ctx, aws.ToString(transferID))
	require.NoError(t, err)
}
