package awsapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/transfer"
	"github.com/aws/aws-sdk-go-v2/service/transfer/types"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/awsapi"
	"github.com/seed62b9dc43/transfer/transfertest"
)

func padded(n int) string { return listBody + strings.Repeat(" ", n-len(listBody)) }

// TestMaxBody: as many bytes as allowed, and one more, announced or not.
func TestMaxBody(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{100, 4095, 4096, 4097, 8192, 100_000} {
		h := newHandler(t, newClient(t), func(c *awsapi.Config) {
			c.AccessKeys, c.MaxBody, c.MaxBodies = awsapi.NoSignature, int64(limit), int64(limit)+1
		})
		for _, announced := range []bool{true, false} {
			for n, want := range map[int]int{limit: http.StatusBadRequest, limit + 1: http.StatusRequestEntityTooLarge} {
				r := newRequestFor(t, "ListFileTransferResults", padded(n))
				if !announced {
					r.ContentLength = -1
				}
				status, code, _ := answerOf(t, h, r)
				require.Equal(t, want, status, "%d of %d bytes", n, limit)
				require.Contains(t, []string{"ResourceNotFoundException", "RequestEntityTooLargeException"}, code)
			}
		}
	}
}

// TestMaxRequests: one request more than are worked on at once is told to come back.
func TestMaxRequests(t *testing.T) {
	t.Parallel()
	s := setup(t, func(c *awsapi.Config) { c.MaxRequests = 2 })
	hold := make(chan struct{})
	rule := s.store.Inject(transfertest.StoreRule{Op: transfertest.OpCreateTransfer, Hold: hold})
	held := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := start(s, t)
			held <- err
		}()
	}
	require.Eventually(t, func() bool { return rule.Hits() == 2 }, 30*time.Second, time.Millisecond)
	_, err := start(s, t)
	var throttled *types.ThrottlingException
	require.ErrorAs(t, err, &throttled)
	require.Equal(t, "1", *throttled.RetryAfterSeconds)
	close(hold)
	for range 2 {
		require.NoError(t, <-held)
	}
	_, err = start(s, t)
	require.NoError(t, err)
}

// TestRate has each key's own limit, on the clock of a bubble.
func TestRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, newClient(t), func(c *awsapi.Config) {
			c.AccessKeys = awsapi.StaticKeys{"ONE": {SecretKey: secretKey}, "TWO": {SecretKey: secretKey}}
			c.MaxRequestsPerSecond, c.Burst = 2, 3
		})
		code := func(key string) string {
			r := newRequest(t)
			sign(t, r, aws.Credentials{AccessKeyID: key, SecretAccessKey: secretKey}, "us-east-1", "transfer", time.Now())
			_, code, _ := answerOf(t, h, r)
			return code
		}
		const through, throttled = "ResourceNotFoundException", "ThrottlingException"
		for range 3 {
			require.Equal(t, through, code("ONE"))
		}
		require.Equal(t, throttled, code("ONE"))
		require.Equal(t, through, code("TWO"), "another key")
		r := newRequest(t)
		sign(t, r, aws.Credentials{AccessKeyID: "ONE", SecretAccessKey: "guess"}, "us-east-1", "transfer", time.Now())
		_, refused, _ := answerOf(t, h, r)
		require.Equal(t, "InvalidSignatureException", refused, "nobody uses up another's requests")

		time.Sleep(499 * time.Millisecond)
		require.Equal(t, throttled, code("ONE"))
		time.Sleep(time.Millisecond)
		require.Equal(t, through, code("ONE"))
		require.Equal(t, throttled, code("ONE"))
		time.Sleep(time.Hour)
		for range 3 {
			require.Equal(t, through, code("ONE"))
		}
		require.Equal(t, throttled, code("ONE"), "no more than a burst is saved")
	})
}

// TestSDKComesBack: the SDK's own retries get a throttled request through.
func TestSDKComesBack(t *testing.T) {
	t.Parallel()
	s := setup(t, func(c *awsapi.Config) { c.MaxRequestsPerSecond, c.Burst = 20, 1 })
	patient := newSDK(t, s.url, func(o *sdk.Options) {
		o.RetryMaxAttempts = 100
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 100, 20*time.Millisecond })
	})
	for range 4 {
		_, err := patient.ListConnectors(t.Context(), &sdk.ListConnectorsInput{})
		require.NoError(t, err)
	}
}

// TestMounted is behind a prefix, in TLS and HTTP/2: the signature is for what the client has sent.
func TestMounted(t *testing.T) {
	t.Parallel()
	s := setup(t)
	server := httptest.NewUnstartedServer(http.StripPrefix("/transfer api/v1", s.handler))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	versions := make(chan string, 1)
	client := newSDK(t, server.URL+"/transfer%20api/v1", func(o *sdk.Options) {
		o.HTTPClient = noting{server.Client(), versions}
		o.Credentials = credentials.NewStaticCredentialsProvider(keyID, secretKey, "")
	})
	_, err := client.ListConnectors(t.Context(), &sdk.ListConnectorsInput{})
	require.NoError(t, err)
	require.Equal(t, "HTTP/2.0", <-versions)
}

// noting tells which version of HTTP a response came in.
type noting struct {
	client   *http.Client
	versions chan string
}

func (n noting) Do(r *http.Request) (*http.Response, error) {
	response, err := n.client.Do(r)
	if err == nil {
		n.versions <- response.Proto
	}
	return response, err
}

// TestClientThatIsGone is nobody's failure.
func TestClientThatIsGone(t *testing.T) {
	t.Parallel()
	h := newHandler(t, newClient(t), func(c *awsapi.Config) { c.AccessKeys = awsapi.NoSignature })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, code, _ := answerOf(t, h, newRequest(t).WithContext(ctx))
	require.Equal(t, "ServiceUnavailableException", code)
}
