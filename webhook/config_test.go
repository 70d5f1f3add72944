package webhook_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/webhook"
)

func TestConfigNamesEveryWrongField(t *testing.T) {
	t.Parallel()
	_, err := webhook.New(webhook.Config{
		URL: "http://user:hunter2@receiver.example/x", Format: webhook.FormatEventBridge, Progress: true, Timeout: 2 * time.Minute, Discard: []int{429, 500},
		Header: http.Header{"webhook-id": {"x"}, "content-type": {"x"}, "a b": {"x"}, "X": {"a\r\nb"}},
	})
	for _, part := range []string{
		"URL has a user", "Secrets is nil", "Progress is set", "Timeout is 2m0s", "Discard has 429", "Discard has 500",
		`Header has "webhook-id"`, `Header has "content-type"`, `Header has the name "a b"`, `Header "X" has a value`,
	} {
		require.ErrorContains(t, err, part)
	}
	require.NotContains(t, err.Error(), "hunter2")
}

func TestConfigOfURL(t *testing.T) {
	t.Parallel()
	for url, problem := range map[string]string{
		"https://receiver.example/hook?x=1": "",
		"http://127.0.0.1:80/hook":          "",
		"http://[::1]/hook":                 "",
		"http://localhost/hook":             "",
		"http://receiver.example/hook":      "is http, and receiver.example is not this machine",
		"http://127.0.0.1.example/":         "is http",
		"ftp://receiver.example":            `has the scheme "ftp"`,
		"https:///x":                        "is not a URL",
		"https://:443/x":                    "is not a URL",
		"receiver.example":                  "is not a URL",
		"":                                  "is not a URL",
		"https://a.example/#b":              "has a fragment",
	} {
		_, err := webhook.New(webhook.Config{URL: url, Secrets: noSecrets})
		if problem == "" {
			require.NoError(t, err, url)
		} else {
			require.ErrorContains(t, err, "URL "+problem, url)
		}
	}
	_, err := webhook.New(webhook.Config{URL: "http://receiver.example/hook", Secrets: noSecrets, AllowInsecure: true})
	require.NoError(t, err)
}

func noSecrets(context.Context) ([]webhook.Secret, error) { return nil, nil }
