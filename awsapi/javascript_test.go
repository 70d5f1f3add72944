package awsapi_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// refusal is an exception as AWS's JavaScript SDK shows it.
type refusal struct {
	Name, Message, Resource, Fault string
	Status                         int
	Modelled                       bool
}

// secrets are in memory.
type secrets map[string]string

func (s secrets) Secret(_ context.Context, id string) ([]byte, error) { return []byte(s[id]), nil }

// TestJavaScriptSDK runs testdata/sdk.cjs, which knows nothing of us but the endpoint in its environment, against a server
// for SFTP.
func TestJavaScriptSDK(t *testing.T) {
	t.Parallel()
	partner, err := transfertest.NewSFTPServer(transfertest.SFTPOptions{Password: "open sesame"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, partner.Close()) })
	require.NoError(t, partner.WriteFile("/in/of yesterday.csv", nil))
	s := &service{local: transfer.NewMemory()}
	s.start(t, transfer.Config{
		Storage:      s.local,
		Protocols:    map[string]transfer.Protocol{"sftp": sftpx.Protocol(sftpx.Config{})},
		Secrets:      secrets{"acme": `{"Username":"partner","Password":"open sesame"}`},
		PollInterval: 10 * time.Millisecond,
	})
	s.local.WriteFile("/bucket/a.csv", []byte("a"))
	s.local.WriteFile("/bucket/b.csv", []byte("b"))
	stdout := testenv.NodeScript(t, "testdata/sdk.cjs", "AWS_ENDPOINT_URL="+s.url, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID="+keyID,
		"AWS_SECRET_ACCESS_KEY="+secretKey, "PARTNER_URL=sftp://"+partner.Addr())
	var saw struct {
		ConnectorID, TransferID string
		Connector               struct {
			Arn, URL, Status string
			SftpConfig       struct{ MaxConcurrentConnections int }
			Tags             []struct{ Key, Value string }
		}
		Untrusted, Tested struct{ Status, StatusMessage string }
		Files             []struct{ FilePath, StatusCode, FailureCode string }
		Invalid, Missing  refusal
		Thief             refusal
	}
	require.NoError(t, json.Unmarshal(stdout, &saw), string(stdout))
	require.Regexp(t, `^c-[0-9a-f]{17}$`, saw.ConnectorID)
	require.Equal(t, "arn:aws:transfer:us-east-1:000000000000:connector/"+saw.ConnectorID, saw.Connector.Arn)
	require.Equal(t, "sftp://"+partner.Addr()+" ACTIVE", saw.Connector.URL+" "+saw.Connector.Status)
	require.Equal(t, 2, saw.Connector.SftpConfig.MaxConcurrentConnections)
	require.Equal(t, []struct{ Key, Value string }{{"team", "edi"}}, saw.Connector.Tags)
	require.Equal(t, "ERROR", saw.Untrusted.Status, "before its host key was")
	require.Equal(t, "OK: Connection succeeded", saw.Tested.Status+": "+saw.Tested.StatusMessage)
	require.Equal(t, []struct{ FilePath, StatusCode, FailureCode string }{
		{"/bucket/a.csv", "COMPLETED", ""}, {"/bucket/b.csv", "COMPLETED", ""}, {"/bucket/none.csv", "FAILED", "SEND_FILE_NOT_FOUND"},
	}, saw.Files)
	data, err := partner.ReadFile("/in/b.csv")
	require.NoError(t, err)
	require.Equal(t, "b", string(data))

	require.Equal(t, "InvalidRequestException", saw.Invalid.Name)
	require.Equal(t, "1 validation error detected: Value [0 members] at 'sendFilePaths' failed to satisfy constraint: Member must have length greater than or equal to 1", saw.Invalid.Message)
	require.Equal(t, 400, saw.Invalid.Status)
	require.True(t, saw.Invalid.Modelled)
	require.Equal(t, "ResourceNotFoundException", saw.Missing.Name)
	require.Equal(t, saw.ConnectorID, saw.Missing.Resource)
	require.Equal(t, "client", saw.Missing.Fault)
	require.Equal(t, "InvalidSignatureException", saw.Thief.Name)
	require.Equal(t, 403, saw.Thief.Status)
}
