package awsapi_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/transfer"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/awsapi"
	"github.com/seed62b9dc43/transfer/transfertest"
)

const listBody = `{"ConnectorId":"c-0123456789abcdef0","TransferId":"none"}`

// newRequest returns an unsigned request for ListFileTransferResults of a transfer that does not exist.
func newRequest(t *testing.T) *http.Request {
	t.Helper()
	return newRequestFor(t, "ListFileTransferResults", listBody)
}

func newRequestFor(t *testing.T, operation, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://transfer.example/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "TransferService."+operation)
	return r
}

// sign signs as AWS's SDK does.
func sign(t *testing.T, r *http.Request, key aws.Credentials, region, name string, at time.Time) {
	t.Helper()
	sum := sha256.Sum256([]byte(listBody))
	require.NoError(t, v4.NewSigner().SignHTTP(t.Context(), key, r, hex.EncodeToString(sum[:]), name, region, at))
}

// answerOf returns the status and the code of what a handler answers: ResourceNotFoundException if it came through.
func answerOf(t *testing.T, h http.Handler, r *http.Request) (status int, code, message string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var e struct {
		Type    string `json:"__type"`
		Message string
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e))
	require.Equal(t, "application/x-amz-json-1.1", w.Header().Get("Content-Type"))
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, w.Header().Get("X-Amzn-Requestid"))
	require.Equal(t, e.Type, w.Header().Get("X-Amzn-Errortype"))
	return w.Code, e.Type, e.Message
}

func newClient(t *testing.T) *transfer.Client {
	t.Helper()
	client, err := transfer.New(transfer.Config{Connectors: map[string]transfer.Connector{acme: transfertest.NewConnector(nil, transfertest.ConnectorOptions{})}})
	require.NoError(t, err)
	return client
}

// TestSignatures changes one thing about a good request at a time.
func TestSignatures(t *testing.T) {
	t.Parallel()
	h := newHandler(t, newClient(t), func(c *awsapi.Config) {
		c.AccessKeys = awsapi.StaticKeys{
			keyID:     {SecretKey: secretKey},
			"SESSION": {SecretKey: secretKey, SessionToken: "token", Expires: time.Now().Add(time.Hour)},
			"EXPIRED": {SecretKey: secretKey, Expires: time.Now().Add(-time.Second)},
			"EMPTY":   {},
		}
	})
	good := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secretKey}
	replace := func(name, old, new string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, strings.Replace(r.Header.Get(name), old, new, 1)) }
	}
	for _, test := range []struct {
		name    string
		key     aws.Credentials
		region  string
		service string
		before  func(*http.Request)
		after   func(*http.Request)
		want    string
		says    string
	}{
		{name: "good", want: "ResourceNotFoundException"},
		{name: "any region", region: "eu-west-3", want: "ResourceNotFoundException"},
		{name: "session", key: aws.Credentials{AccessKeyID: "SESSION", SecretAccessKey: secretKey, SessionToken: "token"}, want: "ResourceNotFoundException"},
		{name: "path of a mount", before: func(r *http.Request) { r.RequestURI, r.URL.Path = "/api/a%20b/", "/api/a b/" }, want: "ResourceNotFoundException"},
		{name: "spaces in a header", before: func(r *http.Request) { r.Header.Set("X-Amz-Meta", "a  b   c") }, want: "ResourceNotFoundException"},
		{name: "header of a proxy", after: func(r *http.Request) { r.Header.Set("X-Amzn-Trace-Id", "Root=1") }, want: "ResourceNotFoundException"},
		{name: "body hash", before: func(r *http.Request) {
			sum := sha256.Sum256([]byte(listBody))
			r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
		}, want: "ResourceNotFoundException"},

		{name: "none", after: func(r *http.Request) { r.Header.Del("Authorization") }, want: "MissingAuthenticationTokenException"},
		{name: "other algorithm", after: replace("Authorization", "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), want: "IncompleteSignatureException"},
		{name: "no signature", after: replace("Authorization", "Signature=", "Sig="), want: "IncompleteSignatureException", says: "'Signature' parameter"},
		{name: "no credential", after: replace("Authorization", "Credential=", "Cred="), want: "IncompleteSignatureException", says: "'Credential' parameter"},
		{name: "parameter twice", after: replace("Authorization", "Credential=", "Signature=00, Credential="), want: "IncompleteSignatureException", says: "same parameter twice"},
		{name: "short credential", after: replace("Authorization", "/aws4_request", ""), want: "IncompleteSignatureException"},
		{name: "short signature", after: replace("Authorization", "Signature=", "Signature=00"), want: "IncompleteSignatureException"},
		{name: "not hexadecimal", after: replace("Authorization", "Signature=", "Signature=zz"), want: "IncompleteSignatureException"},
		{name: "headers out of order", after: replace("Authorization", "SignedHeaders=", "SignedHeaders=z;"), want: "IncompleteSignatureException", says: "names in order"},
		{name: "no date", after: func(r *http.Request) { r.Header.Del("X-Amz-Date") }, want: "IncompleteSignatureException"},
		{name: "bad date", after: func(r *http.Request) { r.Header.Set("X-Amz-Date", "today") }, want: "IncompleteSignatureException"},
		{name: "query", after: func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=00" }, want: "IncompleteSignatureException", says: "query string"},

		{name: "wrong secret", key: aws.Credentials{AccessKeyID: keyID, SecretAccessKey: "guess"}, want: "InvalidSignatureException", says: "does not match"},
		{name: "other service", service: "s3", want: "InvalidSignatureException", says: "correct service: 'transfer'"},
		{name: "other terminator", after: replace("Authorization", "aws4_request", "aws5_request"), want: "InvalidSignatureException", says: "valid terminator"},
		{name: "other region", after: replace("Authorization", "us-east-1", "us-west-2"), want: "InvalidSignatureException", says: "does not match"},
		{name: "other day", after: replace("Authorization", keyID+"/2", keyID+"/1"), want: "InvalidSignatureException", says: "Date in Credential scope"},
		{name: "host not signed", after: replace("Authorization", ";host;", ";"), want: "InvalidSignatureException", says: "'Host' or ':authority'"},
		{name: "target not signed", after: replace("Authorization", ";x-amz-target", ""), want: "InvalidSignatureException", says: "not signed: x-amz-target"},
		{name: "header not signed", after: func(r *http.Request) { r.Header.Set("X-Amz-More", "1") }, want: "InvalidSignatureException", says: "not signed: x-amz-more"},
		{name: "other host", after: func(r *http.Request) { r.Host = "other.example" }, want: "InvalidSignatureException"},
		{name: "other path", after: func(r *http.Request) { r.RequestURI = "/other" }, want: "InvalidSignatureException"},
		{name: "other operation", after: func(r *http.Request) { r.Header.Set("X-Amz-Target", "TransferService.StartFileTransfer") }, want: "InvalidSignatureException"},
		{name: "other body", after: func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(strings.Replace(listBody, "none", "nine", 1)))
		}, want: "InvalidSignatureException", says: "does not match"},
		{name: "wrong body hash", before: func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }, want: "InvalidSignatureException", says: "X-Amz-Content-Sha256"},
		{name: "second value", after: func(r *http.Request) { r.Header.Add("X-Amz-Target", "TransferService.StartFileTransfer") }, want: "InvalidSignatureException"},

		{name: "unknown key", key: aws.Credentials{AccessKeyID: "OTHER", SecretAccessKey: secretKey}, want: "UnrecognizedClientException"},
		{name: "key without secret", key: aws.Credentials{AccessKeyID: "EMPTY"}, want: "UnrecognizedClientException"},
		{name: "no session token", key: aws.Credentials{AccessKeyID: "SESSION", SecretAccessKey: secretKey}, want: "UnrecognizedClientException"},
		{name: "wrong session token", key: aws.Credentials{AccessKeyID: "SESSION", SecretAccessKey: secretKey, SessionToken: "guess"}, want: "UnrecognizedClientException"},
		{name: "unwanted session token", key: aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secretKey, SessionToken: "token"}, want: "UnrecognizedClientException"},
		{name: "expired key", key: aws.Credentials{AccessKeyID: "EXPIRED", SecretAccessKey: secretKey}, want: "ExpiredTokenException"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRequest(t)
			if test.before != nil {
				test.before(r)
			}
			key, region, name := good, "us-east-1", "transfer"
			if test.key.AccessKeyID != "" {
				key = test.key
			}
			if test.region != "" {
				region = test.region
			}
			if test.service != "" {
				name = test.service
			}
			sign(t, r, key, region, name, time.Now())
			if test.after != nil {
				test.after(r)
			}
			status, code, message := answerOf(t, h, r)
			require.Equal(t, test.want, code, message)
			require.Contains(t, message, test.says)
			require.NotContains(t, message, "secret of the tests")
			if code == "ResourceNotFoundException" {
				require.Equal(t, http.StatusBadRequest, status)
			} else {
				require.Equal(t, http.StatusForbidden, status)
			}
		})
	}
}

func TestClockSkew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // at midnight, 2000-01-01
		client := newClient(t)
		try := func(skew, off time.Duration) (code, message string) {
			h := newHandler(t, client, func(c *awsapi.Config) { c.ClockSkew = skew })
			r := newRequest(t)
			sign(t, r, aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secretKey}, "us-east-1", "transfer", time.Now().Add(off))
			_, code, message = answerOf(t, h, r)
			return code, message
		}
		for _, skew := range []time.Duration{0, time.Minute, 15 * time.Minute} {
			limit := max(skew, time.Minute)
			if skew == 0 {
				limit = 5 * time.Minute
			}
			for _, off := range []time.Duration{0, limit, -limit} {
				code, message := try(skew, off)
				require.Equal(t, "ResourceNotFoundException", code, "%v off: %s", off, message)
			}
			code, message := try(skew, -limit-time.Second)
			require.Equal(t, "InvalidSignatureException", code)
			require.Contains(t, message, "Signature expired: 1999")
			code, message = try(skew, limit+time.Second)
			require.Equal(t, "InvalidSignatureException", code)
			require.Contains(t, message, "Signature not yet current: 2000")
		}
		_, message := try(0, -6*time.Minute)
		require.Equal(t, "Signature expired: 19991231T235400Z is now earlier than 19991231T235500Z (20000101T000000Z - 5 min.)", message)
	})
}

func TestRegion(t *testing.T) {
	t.Parallel()
	h := newHandler(t, newClient(t), func(c *awsapi.Config) { c.Region = "eu-central-1" })
	for region, want := range map[string]string{"eu-central-1": "ResourceNotFoundException", "us-east-1": "InvalidSignatureException"} {
		r := newRequest(t)
		sign(t, r, aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secretKey}, region, "transfer", time.Now())
		_, code, _ := answerOf(t, h, r)
		require.Equal(t, want, code)
	}
}

// TestNoSignature: what nobody has to sign is asked for by name, and never what a Config is by accident.
func TestNoSignature(t *testing.T) {
	t.Parallel()
	_, err := awsapi.NewHandler(newClient(t), awsapi.Config{})
	require.ErrorContains(t, err, "AccessKeys is nil")

	open := newHandler(t, newClient(t), func(c *awsapi.Config) { c.AccessKeys = awsapi.NoSignature })
	_, code, _ := answerOf(t, open, newRequest(t))
	require.Equal(t, "ResourceNotFoundException", code)
	r := newRequest(t)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 nonsense")
	_, code, _ = answerOf(t, open, r)
	require.Equal(t, "ResourceNotFoundException", code)
}

func TestKeysArePrintedWithoutTheirSecrets(t *testing.T) {
	t.Parallel()
	cfg := awsapi.Config{AccessKeys: awsapi.StaticKeys{keyID: {SecretKey: secretKey, SessionToken: secretKey}}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(verb, cfg), secretKey, verb)
	}
}

// TestBadSignatureDoesNothing goes through the SDK, to the store.
func TestBadSignatureDoesNothing(t *testing.T) {
	t.Parallel()
	s := setup(t)
	thief := newSDK(t, s.url, func(o *sdk.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider(keyID, "guess", "")
	})
	_, err := thief.StartFileTransfer(t.Context(), &sdk.StartFileTransferInput{ConnectorId: aws.String(acme), SendFilePaths: []string{"/bucket/a"}})
	var refused smithy.APIError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "InvalidSignatureException", refused.ErrorCode())
	require.Contains(t, refused.ErrorMessage(), "does not match the signature you provided")
	n, err := s.client.ListTransfers().Count(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestAllow(t *testing.T) {
	t.Parallel()
	s := setup(t, func(c *awsapi.Config) {
		c.Allow = func(_ context.Context, key, operation string) bool {
			return key == keyID && operation == "ListFileTransferResults"
		}
	})
	_, err := s.sdk.StartFileTransfer(t.Context(), &sdk.StartFileTransferInput{ConnectorId: aws.String(acme), SendFilePaths: []string{"/bucket/a"}})
	var refused smithy.APIError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "AccessDeniedException", refused.ErrorCode())
	require.Equal(t, "Access key AKIDEXAMPLE is not authorized to perform: transfer:StartFileTransfer", refused.ErrorMessage())
	_, err = s.sdk.ListFileTransferResults(t.Context(), &sdk.ListFileTransferResultsInput{ConnectorId: aws.String(acme), TransferId: aws.String("x")})
	require.ErrorContains(t, err, "ResourceNotFoundException")
}
