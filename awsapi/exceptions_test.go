package awsapi_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	sdk "github.com/aws/aws-sdk-go-v2/service/transfer"
	"github.com/aws/aws-sdk-go-v2/service/transfer/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/awsapi"
	"github.com/seed62b9dc43/transfer/transfertest"
)

func start(s *service, t *testing.T) (*sdk.StartFileTransferOutput, error) {
	return s.sdk.StartFileTransfer(t.Context(), &sdk.StartFileTransferInput{ConnectorId: aws.String(acme), SendFilePaths: []string{"/bucket/a"}})
}

func list(s *service, t *testing.T, in sdk.ListFileTransferResultsInput) error {
	in.ConnectorId = aws.String(acme)
	_, err := s.sdk.ListFileTransferResults(t.Context(), &in)
	return err
}

// requireStatus checks how an error came: its HTTP status, and that it names its request.
func requireStatus(t *testing.T, err error, status int) *awshttp.ResponseError {
	t.Helper()
	var response *awshttp.ResponseError
	require.ErrorAs(t, err, &response)
	require.Equal(t, status, response.HTTPStatusCode())
	require.NotEmpty(t, response.ServiceRequestID())
	return response
}

func TestResourceNotFoundException(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var missing *types.ResourceNotFoundException
	_, err := s.sdk.StartFileTransfer(t.Context(), &sdk.StartFileTransferInput{ConnectorId: aws.String("c-00000000000000000"), SendFilePaths: []string{"/bucket/a"}})
	require.ErrorAs(t, err, &missing)
	requireStatus(t, err, http.StatusBadRequest)
	require.Equal(t, "c-00000000000000000", *missing.Resource)
	require.Equal(t, "Connector", *missing.ResourceType)

	err = list(s, t, sdk.ListFileTransferResultsInput{TransferId: aws.String("none")})
	require.ErrorAs(t, err, &missing)
	require.Equal(t, "none", *missing.Resource)
	require.Equal(t, "Transfer", *missing.ResourceType)
}

func TestInvalidRequestException(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var invalid *types.InvalidRequestException
	_, err := s.sdk.StartFileTransfer(t.Context(), &sdk.StartFileTransferInput{ConnectorId: aws.String(acme)})
	require.ErrorAs(t, err, &invalid, "a rule that no model has")
	requireStatus(t, err, http.StatusBadRequest)
	require.Contains(t, *invalid.Message, "SendFilePaths and RetrieveFilePaths are both empty")

	_, err = s.sdk.StartFileTransfer(t.Context(), &sdk.StartFileTransferInput{
		ConnectorId: aws.String(acme), SendFilePaths: []string{"/a", ""}, RemoteDirectoryPath: aws.String("a\nb"),
	})
	require.ErrorAs(t, err, &invalid, "two constraints of the model")
	require.Equal(t, "2 validation errors detected: "+
		"Value '' at 'sendFilePaths.2.member' failed to satisfy constraint: Member must have length greater than or equal to 1; "+
		"Value 'a\uFFFDb' at 'remoteDirectoryPath' failed to satisfy constraint: Member must satisfy regular expression pattern: (.)+", *invalid.Message)

	out, err := start(s, t)
	require.NoError(t, err)
	err = list(s, t, sdk.ListFileTransferResultsInput{TransferId: out.TransferId, NextToken: aws.String("bad")})
	require.ErrorAs(t, err, &invalid, "this operation has no InvalidNextTokenException")

	for _, id := range []*string{aws.String(acme), createSFTP(t, s)} {
		_, err = s.sdk.StartFileTransfer(t.Context(), &sdk.StartFileTransferInput{
			ConnectorId: id, SendFilePaths: []string{"/a"}, CustomHttpHeaders: []types.CustomHttpHeader{{Key: aws.String("X-A"), Value: aws.String("b")}},
		})
		require.ErrorAs(t, err, &invalid)
		require.Contains(t, *invalid.Message, "AS2 connectors only")
	}
}

// TestThrottlingException: the message that the model has no member for is there all the same.
func TestThrottlingException(t *testing.T) {
	t.Parallel()
	s := setup(t, func(c *awsapi.Config) { c.MaxRequestsPerSecond, c.Burst = 0.001, 2 })
	for range 2 {
		_, err := start(s, t)
		require.NoError(t, err)
	}
	_, err := start(s, t)
	var throttled *types.ThrottlingException
	require.ErrorAs(t, err, &throttled)
	require.Regexp(t, `^(9[0-9]{2}|1000)$`, *throttled.RetryAfterSeconds)
	response := requireStatus(t, err, http.StatusBadRequest).Response.Header
	require.Equal(t, "Rate exceeded: at most 0.001 requests per second", response.Get("X-Amzn-Error-Message"))
	require.Equal(t, *throttled.RetryAfterSeconds, response.Get("Retry-After"))
	require.Regexp(t, `^(9[0-9]{2}|1000)[0-9]{3}$`, response.Get("X-Amz-Retry-After"))

	err = list(s, t, sdk.ListFileTransferResultsInput{TransferId: aws.String("none")})
	var unmodelled smithy.APIError
	require.ErrorAs(t, err, &unmodelled, "an operation whose model has no ThrottlingException")
	require.Equal(t, "ThrottlingException", unmodelled.ErrorCode())
	require.Equal(t, "Rate exceeded: at most 0.001 requests per second", unmodelled.ErrorMessage())
}

type brokenKeys struct{}

func (brokenKeys) AccessKey(context.Context, string) (awsapi.AccessKey, error) {
	return awsapi.AccessKey{}, errors.New("the vault at 10.0.0.1 is sealed")
}

// TestFailuresInside are answered without what they are about, which is in the log.
func TestFailuresInside(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := setup(t, func(c *awsapi.Config) {
		c.AccessKeys, c.Logger = brokenKeys{}, slog.New(slog.NewTextHandler(&log, nil))
	})
	_, err := start(s, t)
	var internal *types.InternalServiceError
	require.ErrorAs(t, err, &internal)
	requireStatus(t, err, http.StatusInternalServerError)
	require.Equal(t, "An internal error occurred.", *internal.Message)
	require.Contains(t, log.String(), "the vault at 10.0.0.1 is sealed")
}

func TestServiceUnavailableException(t *testing.T) {
	t.Parallel()
	var unavailable *types.ServiceUnavailableException
	s := setup(t, func(c *awsapi.Config) { c.Timeout = 20 * time.Millisecond })
	s.store.Inject(transfertest.StoreRule{Op: transfertest.OpCreateTransfer, Nth: 1, Err: errors.New("no connection to db.internal")})
	_, err := start(s, t)
	require.ErrorAs(t, err, &unavailable)
	requireStatus(t, err, http.StatusInternalServerError)
	require.NotContains(t, err.Error(), "db.internal")

	s.store.Inject(transfertest.StoreRule{Op: transfertest.OpCreateTransfer, Hold: make(chan struct{})})
	_, err = start(s, t)
	require.ErrorAs(t, err, &unavailable, "the store did not answer in time")
	require.Contains(t, *unavailable.Message, "not answered in time")
}

// TestUnknownOperation: AWS has operations that we do not have, and more to come.
func TestUnknownOperation(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, err := s.sdk.ListServers(t.Context(), &sdk.ListServersInput{})
	var unknown smithy.APIError
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, "UnknownOperationException", unknown.ErrorCode())
	requireStatus(t, err, http.StatusNotFound)

	for name, change := range map[string]func(*http.Request){
		"no target":     func(r *http.Request) { r.Header.Del("X-Amz-Target") },
		"other service": func(r *http.Request) { r.Header.Set("X-Amz-Target", "S3.StartFileTransfer") },
		"other method":  func(r *http.Request) { r.Method = http.MethodGet },
	} {
		r := newRequest(t)
		change(r)
		status, code, _ := answerOf(t, s.handler, r)
		require.Equal(t, http.StatusNotFound, status, name)
		require.Equal(t, "UnknownOperationException", code, name)
	}
	r := newRequest(t)
	r.Header.Set("Content-Type", "application/json")
	status, _, _ := answerOf(t, s.handler, r)
	require.Equal(t, http.StatusUnsupportedMediaType, status)
}

func TestNewHandlerNamesEveryWrongField(t *testing.T) {
	t.Parallel()
	_, err := awsapi.NewHandler(newClient(t), awsapi.Config{
		Region: "us/east", AccountID: "1", ClockSkew: time.Hour, MaxRequestsPerSecond: -1, Burst: -1, MaxBody: 10, MaxBodies: 10,
		MaxRequests: -1, ReadTimeout: -1, Timeout: -1,
	})
	for _, field := range []string{"AccessKeys is nil", "Region is", "AccountID is", "ClockSkew is", "MaxRequestsPerSecond is -1", "Burst is -1",
		"MaxBodies is 10", "MaxRequests is -1", "ReadTimeout is", "Timeout is"} {
		require.ErrorContains(t, err, "awsapi: Config."+field)
	}
	_, err = awsapi.NewHandler(nil, awsapi.Config{AccessKeys: awsapi.NoSignature})
	require.ErrorContains(t, err, "Client is nil")
}
