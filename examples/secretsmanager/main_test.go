package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/transfertest"
)

// TestSecretsManager runs the program with a server in place of AWS's, whose secret is rotated.
func TestSecretsManager(t *testing.T) {
	partner := transfertest.StartSFTP(t, transfertest.SFTPOptions{User: "alice", Password: "the new one"})
	var password atomic.Value
	password.Store("the old one")
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		var in struct {
			SecretID string `json:"SecretId"`
		}
		_ = json.NewDecoder(q.Body).Decode(&in)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if q.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" || in.SecretID != "aws/transfer/acme" {
			w.Header().Set("X-Amzn-ErrorType", "ResourceNotFoundException")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"Message":"Secrets Manager can't find the specified secret."}`))
			return
		}
		secret, _ := json.Marshal(map[string]any{"Username": "alice", "Password": password.Load()})
		answer, _ := json.Marshal(map[string]string{"Name": in.SecretID, "SecretString": string(secret)})
		_, _ = w.Write(answer)
	}))
	defer aws.Close()
	t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws.URL)
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "key")
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")

	test := func(secret string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), []string{"-url", "sftp://" + partner.Addr(), "-secret", secret, "-host-key", partner.HostKeys()[0]}, &out)
		return out.String(), err
	}
	_, err := test("aws/transfer/other")
	require.ErrorContains(t, err, `secret "aws/transfer/other": file does not exist`)
	_, err = test("aws/transfer/acme")
	require.ErrorContains(t, err, "AUTHENTICATION_FAILED")
	require.NotContains(t, err.Error(), "the old one")
	password.Store("the new one")
	out, err := test("aws/transfer/acme")
	require.NoError(t, err)
	require.Equal(t, "Connection succeeded\n", out)
	_, err = test("")
	require.ErrorContains(t, err, "SftpConfig.UserSecretID is empty")
}
