package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/webhook"
)

const (
	firstSecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secondSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
)

// event is one to deliver.
func event() transfer.Event {
	return transfer.Event{
		ID: "0190a0b0-0000-8000-8000-000000000001", Type: transfer.EventFileCompleted, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		TransferID: "t", FileID: 7, ConnectorID: "c-1", Operation: "SEND", StatusCode: transfer.TransferTableStatusCompleted,
		FilePath: "/bucket/a.csv", TargetPath: "/in/a.csv", Size: 10, BytesTransferred: 10,
	}
}

// receive serves answer and returns a sink that delivers to it.
func receive(t *testing.T, answer http.HandlerFunc, change ...func(*webhook.Config)) *webhook.Sink {
	t.Helper()
	server := httptest.NewServer(answer)
	cfg := webhook.Config{URL: server.URL + "/hook/token-7?x=1", Secrets: webhook.Secrets(secret(t, firstSecret))}
	for _, f := range change {
		f(&cfg)
	}
	sink, err := webhook.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, sink.Close())
		server.Close()
	})
	return sink
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	sink := receive(t, func(w http.ResponseWriter, r *http.Request) {
		got, body = r, read(t, r)
		w.WriteHeader(http.StatusAccepted)
	}, func(c *webhook.Config) {
		c.Header = http.Header{"Authorization": {"Bearer x"}}
		c.Secrets = webhook.Secrets(secret(t, firstSecret), secret(t, secondSecret))
	})
	e := event()
	require.NoError(t, sink.Deliver(t.Context(), e))
	require.Equal(t, http.MethodPost, got.Method)
	require.Equal(t, "/hook/token-7?x=1", got.RequestURI)
	require.Equal(t, "application/json", got.Header.Get("Content-Type"))
	require.Equal(t, "Bearer x", got.Header.Get("Authorization"))
	require.Equal(t, e.ID, got.Header.Get("webhook-id"))
	for _, s := range []string{firstSecret, secondSecret} {
		require.NoError(t, webhook.Verify(got.Header, body, []webhook.Secret{secret(t, s)}, 0))
	}
	var back transfer.Event
	require.NoError(t, json.Unmarshal(body, &back))
	require.Equal(t, e, back)
	require.False(t, sink.WantsProgress())
}

func read(t *testing.T, r *http.Request) []byte {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	return body
}

func TestDeliverAsEventBridge(t *testing.T) {
	t.Parallel()
	bodies := make(chan []byte, 1)
	sink := receive(t, func(_ http.ResponseWriter, r *http.Request) { bodies <- read(t, r) }, func(c *webhook.Config) {
		c.Format, c.Source = webhook.FormatEventBridge, transfer.EventBridgeSource{Region: "eu-west-1", AccountID: "123456789012"}
	})
	var got struct {
		ID         string
		DetailType string `json:"detail-type"`
		Source     string
		Detail     map[string]any
	}
	e := event()
	require.NoError(t, sink.Deliver(t.Context(), e))
	require.NoError(t, json.Unmarshal(<-bodies, &got))
	require.Equal(t, "SFTP Connector File Send Completed", got.DetailType)
	require.Equal(t, e.ID, got.ID)
	require.Equal(t, "t/7", got.Detail["file-transfer-id"])
	e.Type, e.FileID, e.Files = transfer.EventTransferFinished, 0, 3
	require.NoError(t, sink.Deliver(t.Context(), e))
	require.NoError(t, json.Unmarshal(<-bodies, &got))
	require.Equal(t, "File Transfer Finished", got.DetailType)
	require.Equal(t, "transfer", got.Source)
	e.Type = transfer.EventFileProgress
	require.NoError(t, sink.Deliver(t.Context(), e), "AWS has no such event, so that there is nothing to send")
	require.Empty(t, bodies)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status  int
		header  string
		discard []int
		taken   bool
		after   time.Duration
	}{
		{status: 200, taken: true},
		{status: 204, taken: true},
		{status: 302},
		{status: 400},
		{status: 400, discard: []int{400, 410}, taken: true},
		{status: 410},
		{status: 429},
		{status: 429, header: "7", after: 7 * time.Second},
		{status: 500, header: "7"},
		{status: 503, header: "-7"},
		{status: 503, header: "120", after: 2 * time.Minute},
		{status: 503, header: "Thu, 01 Jan 1970 00:00:00 GMT"},
	} {
		t.Run(fmt.Sprint(test.status, test.header, test.discard), func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			sink := receive(t, func(w http.ResponseWriter, _ *http.Request) {
				calls.Add(1)
				w.Header().Set("Retry-After", test.header)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, "hostile")
			}, func(c *webhook.Config) { c.Discard = test.discard })
			err := sink.Deliver(t.Context(), event())
			require.EqualValues(t, 1, calls.Load())
			if test.taken {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, fmt.Sprint(test.status))
			for _, hidden := range []string{"hostile", "token-7", "x=1"} {
				require.NotContains(t, err.Error(), hidden)
			}
			var later *transfer.RetryLaterError
			require.Equal(t, test.after > 0, errors.As(err, &later))
			if later != nil {
				require.Equal(t, test.after, later.After)
			}
		})
	}
}

// TestAReceiverThatHangs is cut off, before its answer and in the middle of it.
func TestAReceiverThatHangs(t *testing.T) {
	t.Parallel()
	for _, begins := range []bool{false, true} {
		end := make(chan struct{})
		sink := receive(t, func(w http.ResponseWriter, r *http.Request) {
			if begins {
				w.WriteHeader(http.StatusInternalServerError)
				_ = http.NewResponseController(w).Flush()
			}
			select {
			case <-end:
			case <-r.Context().Done():
			}
		}, func(c *webhook.Config) { c.Timeout = 50 * time.Millisecond })
		require.Error(t, sink.Deliver(t.Context(), event()))
		close(end)
	}
}

func TestAnAnswerWithoutEnd(t *testing.T) {
	t.Parallel()
	sink := receive(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("x", 4096)); err != nil {
				return
			}
		}
	})
	require.NoError(t, sink.Deliver(t.Context(), event()))
}

// TestAnAnswerThatIsNone shows nothing of what came.
func TestAnAnswerThatIsNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"hostile\r\n\r\n", "HTTP/1.1 hostile\r\n\r\n", "HTTP/1.1 200 OK\r\nhostile\r\n\r\n", ""} {
		sink := receive(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		})
		err := sink.Deliver(t.Context(), event())
		require.ErrorContains(t, err, "call webhook at 127.0.0.1")
		require.NotContains(t, err.Error(), "hostile")
		require.NotContains(t, err.Error(), "token-7")
	}
}

func TestAReceiverThatIsNotThere(t *testing.T) {
	t.Parallel()
	sink, err := webhook.New(webhook.Config{URL: "http://127.0.0.1:1/token-7", Secrets: webhook.Secrets(secret(t, firstSecret))})
	require.NoError(t, err)
	err = sink.Deliver(t.Context(), event())
	require.ErrorContains(t, err, "call webhook at 127.0.0.1:1")
	require.NotContains(t, err.Error(), "token-7")
	require.NoError(t, sink.Close())
}

// TestAReceiverThatIsRefused has a Client that looks at addresses, as the package asks for.
func TestAReceiverThatIsRefused(t *testing.T) {
	t.Parallel()
	refuse := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("10.0.0.1 is private") }
	sink := receive(t, func(http.ResponseWriter, *http.Request) { t.Error("it was called") }, func(c *webhook.Config) {
		c.Client = &http.Client{Transport: &http.Transport{DialContext: refuse}}
	})
	require.ErrorContains(t, sink.Deliver(t.Context(), event()), "10.0.0.1 is private")
}

func TestSecretsThatAreMissing(t *testing.T) {
	t.Parallel()
	gone := errors.New("the vault is sealed")
	for _, secrets := range []func(context.Context) ([]webhook.Secret, error){
		noSecrets, webhook.Secrets(webhook.Secret{}), webhook.Secrets(make([]webhook.Secret, 11)...),
		func(context.Context) ([]webhook.Secret, error) { return nil, gone },
	} {
		sink := receive(t, func(http.ResponseWriter, *http.Request) { t.Error("it was called") }, func(c *webhook.Config) { c.Secrets = secrets })
		require.ErrorContains(t, sink.Deliver(t.Context(), event()), "fetch the secrets of webhook")
	}
}

func TestCertificatesAreChecked(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	sink, err := webhook.New(webhook.Config{URL: server.URL, Secrets: webhook.Secrets(secret(t, firstSecret))})
	require.NoError(t, err)
	require.ErrorContains(t, sink.Deliver(t.Context(), event()), "certificate", "nobody vouches for it")
	require.NoError(t, sink.Close())
	sink, err = webhook.New(webhook.Config{URL: server.URL, Secrets: webhook.Secrets(secret(t, firstSecret)), Client: server.Client()})
	require.NoError(t, err)
	require.ErrorContains(t, sink.Deliver(t.Context(), event()), "answered 404")
}
