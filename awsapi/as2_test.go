package awsapi_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/transfer"
	"github.com/aws/aws-sdk-go-v2/service/transfer/types"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/as2x"
	"github.com/seed62b9dc43/transfer/awsapi"
)

const (
	ourProfile     = "p-0123456789abcdef0"
	partnerProfile = "p-0123456789abcdef1"
)

func newPair(t *testing.T, name string) as2x.KeyPair {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return as2x.KeyPair{Certificate: as2x.Certificate{Certificate: certificate}, Key: key}
}

// as2Partner is a partner's server, which asks for the password "opensesame", and what both sides know of each other.
type as2Partner struct {
	inbox    *transfer.Memory
	server   *httptest.Server
	profiles as2x.Profiles
	requests chan http.Header
}

func newAS2Partner(t *testing.T) *as2Partner {
	t.Helper()
	us, them := newPair(t, "us"), newPair(t, "partner")
	p := &as2Partner{inbox: transfer.NewMemory(), requests: make(chan http.Header, 10)}
	receiver, err := as2x.NewReceiver(as2x.ReceiverConfig{
		Agreements: []as2x.Agreement{{
			ID: "orders", Directory: "in", PreserveFilename: true,
			Local:   as2x.Local{AS2ID: "PARTNER", Signing: []as2x.KeyPair{them}, Decryption: []as2x.KeyPair{them}},
			Partner: as2x.Partner{AS2ID: "US", Signing: []as2x.Certificate{us.Certificate}},
		}},
		Storage: p.inbox, Records: &as2x.Records{Storage: transfer.NewMemory()},
	})
	require.NoError(t, err)
	p.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests <- r.Header.Clone()
		if _, password, _ := r.BasicAuth(); password != "opensesame" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		receiver.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		p.server.Close()
		require.NoError(t, receiver.Close(context.Background()))
	})
	p.profiles = as2x.Profiles{
		Local: map[string]as2x.Local{ourProfile: {AS2ID: "US", Signing: []as2x.KeyPair{us}}},
		Partner: map[string]as2x.Partner{partnerProfile: {
			AS2ID: "PARTNER", Signing: []as2x.Certificate{them.Certificate}, Encryption: []as2x.Certificate{them.Certificate},
			TLS: []*x509.Certificate{p.server.Certificate()},
		}},
	}
	return p
}

// TestAS2 is the life of an AS2 connector, by AWS's SDK and with AWS's limits, up to a partner's server.
func TestAS2(t *testing.T) {
	partner := newAS2Partner(t)
	t.Setenv("TRANSFER_TEST_ACME_AS2", `{"Username":"us","Password":"opensesame"}`)
	s := &service{local: transfer.NewMemory()}
	s.start(t, transfer.Config{
		Storage: s.local, Secrets: transfer.SecretsEnv("TRANSFER_TEST_"), Retry: transfer.RetryPolicy{MaxAttempts: 1},
		Protocols: map[string]transfer.Protocol{"https": as2x.Protocol(as2x.Config{SpoolDir: t.TempDir()}, partner.profiles)},
	}, func(c *awsapi.Config) { c.Strict = true })

	config := &types.As2ConnectorConfig{
		LocalProfileId: aws.String(ourProfile), PartnerProfileId: aws.String(partnerProfile), MessageSubject: aws.String("Orders"),
		Compression: types.CompressionEnumZlib, EncryptionAlgorithm: types.EncryptionAlgAes128Cbc, SigningAlgorithm: types.SigningAlgSha512,
		MdnSigningAlgorithm: types.MdnSigningAlgSha384, MdnResponse: types.MdnResponseSync, BasicAuthSecretId: aws.String("acme/as2"),
		PreserveContentType: types.PreserveContentTypeEnabled,
	}
	created, err := s.sdk.CreateConnector(t.Context(), &sdk.CreateConnectorInput{
		AccessRole: aws.String(role), Url: aws.String(partner.server.URL + "/as2"), As2Config: config,
	})
	require.NoError(t, err)
	id := created.ConnectorId
	known := describe(t, s, id)
	require.Equal(t, types.ConnectorStatusActive, known.Status)
	require.Equal(t, config, known.As2Config)
	tested, err := s.sdk.TestConnection(t.Context(), &sdk.TestConnectionInput{ConnectorId: id})
	require.NoError(t, err)
	require.Equal(t, "OK", *tested.Status, *tested.StatusMessage)

	result := s.sendAS2(t, id, "/a.edi", types.CustomHttpHeader{Key: aws.String("X-Route"), Value: aws.String("7")}, types.CustomHttpHeader{Key: aws.String("X-Empty")})
	require.Equal(t, types.TransferTableStatusCompleted, result.StatusCode, aws.ToString(result.FailureMessage))
	h := <-partner.requests
	require.Equal(t, []string{"Orders", "7"}, []string{h.Get("Subject"), h.Get("X-Route")})
	require.Contains(t, h, "X-Empty")
	data, err := partner.inbox.ReadFile("/in/a.edi")
	require.NoError(t, err)
	require.Equal(t, "x", string(data))

	_, err = s.sdk.UpdateConnector(t.Context(), &sdk.UpdateConnectorInput{
		ConnectorId: id, As2Config: &types.As2ConnectorConfig{MessageSubject: aws.String("Invoices"), BasicAuthSecretId: aws.String("")},
	})
	require.NoError(t, err)
	config.MessageSubject, config.BasicAuthSecretId = aws.String("Invoices"), aws.String("")
	require.Equal(t, config, describe(t, s, id).As2Config)
	result = s.sendAS2(t, id, "/b.edi")
	require.Equal(t, types.TransferTableStatusFailed, result.StatusCode)
	require.Equal(t, "HTTP_ERROR_RESPONSE_FROM_PARTNER", *result.FailureCode)
	h = <-partner.requests
	require.Equal(t, "Invoices", h.Get("Subject"))
	require.NotContains(t, h, "Authorization")

	_, err = s.sdk.UpdateConnector(t.Context(), &sdk.UpdateConnectorInput{
		ConnectorId: id, As2Config: &types.As2ConnectorConfig{LocalProfileId: aws.String("p-ffffffffffffffff0")},
	})
	var invalid *types.InvalidRequestException
	require.ErrorAs(t, err, &invalid)
	require.Contains(t, *invalid.Message, `ProtocolConfig.LocalProfileId "p-ffffffffffffffff0" is not known`)
	_, err = s.sdk.DeleteConnector(t.Context(), &sdk.DeleteConnectorInput{ConnectorId: id})
	require.NoError(t, err)
	_, err = s.sdk.StartFileTransfer(t.Context(), &sdk.StartFileTransferInput{ConnectorId: id, SendFilePaths: []string{"/a.edi"}})
	var missing *types.ResourceNotFoundException
	require.ErrorAs(t, err, &missing)
}

// sendAS2 sends a file and returns its result.
func (s *service) sendAS2(t *testing.T, id *string, path string, headers ...types.CustomHttpHeader) types.ConnectorFileTransferResult {
	t.Helper()
	s.local.WriteFile(path, []byte("x"))
	started, err := s.sdk.StartFileTransfer(t.Context(), &sdk.StartFileTransferInput{ConnectorId: id, SendFilePaths: []string{path}, CustomHttpHeaders: headers})
	require.NoError(t, err)
	s.wait(t, started.TransferId)
	results, err := s.sdk.ListFileTransferResults(t.Context(), &sdk.ListFileTransferResultsInput{ConnectorId: id, TransferId: started.TransferId})
	require.NoError(t, err)
	require.Len(t, results.FileTransferResults, 1)
	return results.FileTransferResults[0]
}
