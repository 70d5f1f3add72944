package awsapi_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/awsapi"
)

func eventRow() transfer.TransferRow {
	at := time.Date(2024, 1, 24, 18, 28, 7, 632_388_000, time.UTC)
	return transfer.TransferRow{
		ConnectorFileTransferResult: transfer.ConnectorFileTransferResult{
			FilePath: "testfile.txt", TargetPath: "/amzn-s3-demo-bucket/testfile.txt", StatusCode: transfer.TransferTableStatusCompleted,
			FileID: 7, BytesTransferred: 63533, Size: 63533, StartedAt: at, FinishedAt: at.Add(142_509 * time.Microsecond),
		},
		TransferID: "01234567-89ab-7def-8123-456789abcdef", ConnectorID: "c-fc68000012345aa18",
	}
}

var source = awsapi.EventSource{Region: "eu-west-1", AccountID: "123456789012", ConnectorURL: "sftp://partner.example"}

// TestEvent has the sample of AWS's user guide, member by member.
func TestEvent(t *testing.T) {
	t.Parallel()
	row := eventRow()
	text, err := awsapi.Event(&row, source)
	require.NoError(t, err)
	var id struct{ ID string }
	require.NoError(t, json.Unmarshal(text, &id))
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, id.ID)
	require.JSONEq(t, `{"version":"0","id":"`+id.ID+`","detail-type":"SFTP Connector File Retrieve Completed","source":"aws.transfer",
		"account":"123456789012","time":"2024-01-24T18:28:07Z","region":"eu-west-1",
		"resources":["arn:aws:transfer:eu-west-1:123456789012:connector/c-fc68000012345aa18"],
		"detail":{"operation":"RETRIEVE","connector-id":"c-fc68000012345aa18","transfer-id":"01234567-89ab-7def-8123-456789abcdef",
		"file-transfer-id":"01234567-89ab-7def-8123-456789abcdef/7","url":"sftp://partner.example","file-path":"testfile.txt",
		"status-code":"COMPLETED","local-directory-path":"/amzn-s3-demo-bucket","bytes":63533,"egress-type":"SERVICE_MANAGED",
		"start-timestamp":"2024-01-24T18:28:07.632388Z","end-timestamp":"2024-01-24T18:28:07.774897Z",
		"local-file-location":{"domain":"S3","bucket":"amzn-s3-demo-bucket","key":"testfile.txt"}}}`, string(text))

	again, err := awsapi.Event(&row, source)
	require.NoError(t, err)
	require.Equal(t, text, again)
	row.FileID++
	other, err := awsapi.Event(&row, source)
	require.NoError(t, err)
	require.NotContains(t, string(other), id.ID)
}

func TestEventOfAFailedFile(t *testing.T) {
	t.Parallel()
	row := eventRow()
	row.Sent, row.FilePath, row.TargetPath = true, "/amzn-s3-demo-bucket/out/testfile.txt", "testfile.txt"
	row.StatusCode, row.FailureCode, row.FailureMessage, row.StartedAt = transfer.TransferTableStatusFailed, transfer.ConnectionError, "Unknown Host", time.Time{}
	text, err := awsapi.Event(&row, awsapi.EventSource{})
	require.NoError(t, err)
	var e struct {
		DetailType string `json:"detail-type"`
		Resources  []string
		Detail     map[string]any
	}
	require.NoError(t, json.Unmarshal(text, &e))
	require.Equal(t, "SFTP Connector File Send Failed", e.DetailType)
	require.Equal(t, []string{"arn:aws:transfer:us-east-1:000000000000:connector/c-fc68000012345aa18"}, e.Resources)
	require.Equal(t, map[string]any{
		"operation": "SEND", "connector-id": "c-fc68000012345aa18", "transfer-id": row.TransferID, "file-transfer-id": row.TransferID + "/7",
		"file-path": "/amzn-s3-demo-bucket/out/testfile.txt", "status-code": "FAILED", "failure-code": "CONNECTION_ERROR", "failure-message": "Unknown Host",
		"end-timestamp": "2024-01-24T18:28:07.774897Z", "remote-directory-path": "", "bytes": 0.0, "egress-type": "SERVICE_MANAGED",
	}, e.Detail)
}

func TestNoEventBeforeTheEnd(t *testing.T) {
	t.Parallel()
	for _, status := range []transfer.TransferTableStatus{transfer.TransferTableStatusQueued, transfer.TransferTableStatusInProgress, ""} {
		row := eventRow()
		row.StatusCode = status
		_, err := awsapi.Event(&row, source)
		require.ErrorIs(t, err, awsapi.ErrNotFinished)
	}
}
