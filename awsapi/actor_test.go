package awsapi_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/transfer"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// TestTheAuditTrailNamesTheAccessKey is about who has asked.
func TestTheAuditTrailNamesTheAccessKey(t *testing.T) {
	t.Parallel()
	s := &service{partner: transfertest.NewConnector(nil, transfertest.ConnectorOptions{})}
	s.start(t, transfer.Config{Audit: true, Connectors: map[string]transfer.Connector{acme: s.partner}, PollInterval: 10 * time.Millisecond})
	out, err := s.sdk.StartFileTransfer(t.Context(), &sdk.StartFileTransferInput{ConnectorId: aws.String(acme), SendFilePaths: []string{"/bucket/a"}})
	require.NoError(t, err)
	for r, err := range s.client.AuditTrail(t.Context(), transfer.AuditQuery{TransferID: *out.TransferId}) {
		require.NoError(t, err)
		require.Equal(t, transfer.AuditStartTransfer, r.Action)
		require.Equal(t, "access key "+keyID, r.Actor)
		return
	}
	require.Fail(t, "there is no record")
}
