package awsapi_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/internal/testenv"
)

// refusal is an exception as AWS's JavaScript SDK shows it.
type refusal struct {
	Name, Message, Resource, Fault string
	Status                         int
	Modelled                       bool
}

// TestJavaScriptSDK runs testdata/sdk.cjs, which knows nothing of us but the endpoint in its environment.
func TestJavaScriptSDK(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.local.WriteFile("/bucket/a.csv", []byte("a"))
	s.local.WriteFile("/bucket/b.csv", []byte("b"))
	stdout := testenv.NodeScript(t, "testdata/sdk.cjs", "AWS_ENDPOINT_URL="+s.url, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID="+keyID,
		"AWS_SECRET_ACCESS_KEY="+secretKey)
	var saw struct {
		ConnectorID, TransferID string
		Connector               struct {
			Arn, URL, Status string
			SftpConfig       struct{ MaxConcurrentConnections int }
			Tags             []struct{ Key, Value string }
		}
		Tested           struct{ Status, StatusMessage string }
		Files            []struct{ FilePath, StatusCode, FailureCode string }
		Invalid, Missing refusal
		Thief            refusal
	}
	require.NoError(t, json.Unmarshal(stdout, &saw), string(stdout))
	require.Regexp(t, `^c-[0-9a-f]{17}$`, saw.ConnectorID)
	require.Equal(t, "arn:aws:transfer:us-east-1:000000000000:connector/"+saw.ConnectorID, saw.Connector.Arn)
	require.Equal(t, "sftp://partner.example ACTIVE", saw.Connector.URL+" "+saw.Connector.Status)
	require.Equal(t, 2, saw.Connector.SftpConfig.MaxConcurrentConnections)
	require.Equal(t, []struct{ Key, Value string }{{"team", "edi"}}, saw.Connector.Tags)
	require.Equal(t, "Connection succeeded", saw.Tested.StatusMessage)
	require.Equal(t, []struct{ FilePath, StatusCode, FailureCode string }{
		{"/bucket/a.csv", "COMPLETED", ""}, {"/bucket/b.csv", "COMPLETED", ""}, {"/bucket/none.csv", "FAILED", "SEND_FILE_NOT_FOUND"},
	}, saw.Files)
	data, err := s.remote.ReadFile("/in/b.csv")
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
