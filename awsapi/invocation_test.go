package awsapi_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdk "github.com/aws/aws-sdk-go-v2/service/transfer"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/awsapi"
)

// losing is a network that loses the first answer.
type losing struct {
	client http.Client
	sent   int
}

func (l *losing) Do(r *http.Request) (*http.Response, error) {
	response, err := l.client.Do(r)
	if l.sent++; l.sent == 1 && err == nil {
		_ = response.Body.Close()
		response.Body, response.StatusCode = http.NoBody, http.StatusBadGateway
	}
	return response, err
}

// TestLostAnswer: what the SDK tries again is not done again.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	s := setup(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	network := &losing{client: http.Client{Transport: transport}}
	client := newSDK(t, s.url, func(o *sdk.Options) { o.HTTPClient, o.RetryMaxAttempts = network, 3 })
	in := &sdk.StartFileTransferInput{ConnectorId: aws.String(acme), SendFilePaths: []string{"/bucket/a"}}
	first, err := client.StartFileTransfer(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, 2, network.sent)
	n, err := s.client.ListTransfers().Count(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	row, err := s.client.ListTransfers().All(t.Context())
	require.NoError(t, err)
	require.Equal(t, *first.TransferId, row[0].TransferID)

	second, err := client.StartFileTransfer(t.Context(), in)
	require.NoError(t, err)
	require.NotEqual(t, *first.TransferId, *second.TransferId, "another call is another transfer")
}

// TestInvocationIDs: only a UUID counts, only if it is signed, and never against the request.
func TestInvocationIDs(t *testing.T) {
	t.Parallel()
	const id, other = "01234567-89ab-4def-8123-456789abcdef", "01234567-89ab-4def-8123-456789abcde0"
	s := setup(t, func(c *awsapi.Config) { c.AccessKeys = awsapi.NoSignature })
	started := func(id, body string) {
		t.Helper()
		r := newRequestFor(t, "StartFileTransfer", body)
		r.Header.Set("Amz-Sdk-Invocation-Id", id)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	}
	count := func(want int64) {
		t.Helper()
		n, err := s.client.ListTransfers().Count(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	const a, b = `{"ConnectorId":"` + acme + `","SendFilePaths":["/a"]}`, `{"ConnectorId":"` + acme + `","SendFilePaths":["/b"]}`
	started(id, a)
	started(id, a)
	count(1)
	started(id, b)
	count(2)
	started(other, a)
	count(3)
	for range 2 {
		started("1", a)
	}
	count(5)
}

// TestUnsignedInvocationIDs: somebody in between could have put them there.
func TestUnsignedInvocationIDs(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for range 2 {
		r := newRequestFor(t, "StartFileTransfer", `{"ConnectorId":"`+acme+`","SendFilePaths":["/a"]}`)
		signBody(t, r, `{"ConnectorId":"`+acme+`","SendFilePaths":["/a"]}`)
		r.Header.Set("Amz-Sdk-Invocation-Id", "01234567-89ab-4def-8123-456789abcdef")
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	}
	n, err := s.client.ListTransfers().Count(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
}

func signBody(t *testing.T, r *http.Request, body string) {
	t.Helper()
	sum := sha256.Sum256([]byte(body))
	key := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secretKey}
	require.NoError(t, v4.NewSigner().SignHTTP(t.Context(), key, r, hex.EncodeToString(sum[:]), "transfer", "us-east-1", time.Now()))
}
