package as2x

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

func TestNothingCanBeRetrieved(t *testing.T) {
	t.Parallel()
	sender := newSender(t, configOf(t, "http://127.0.0.1:1/"))
	out, err := sender.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{
		ConnectorID: "partner", RetrieveFilePaths: []string{"/a"}, LocalDirectoryPath: "/in",
	})
	require.NoError(t, err)
	_, err = sender.client.Wait(t.Context(), out.TransferID)
	require.NoError(t, err)
	require.Equal(t, transfer.UnsupportedOperationError, sender.result(t, out.TransferID).FailureCode)
}

func TestAMissingSourceHasAResultFile(t *testing.T) {
	t.Parallel()
	sender := newSender(t, configOf(t, "http://127.0.0.1:1/"))
	out, err := sender.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "partner", SendFilePaths: []string{"/out/a.edi"}})
	require.NoError(t, err)
	_, err = sender.client.Wait(t.Context(), out.TransferID)
	require.NoError(t, err)
	file, mdn := resultFile(t, sender.storage, "out/failed")
	require.Equal(t, transfer.SendFileNotFound, file.FailureCode)
	require.Equal(t, out.TransferID, file.TransferID)
	require.Nil(t, mdn)
	_, err = sender.storage.ReadFile(fmt.Sprintf("/out/failed/a.%s.edi.json", out.TransferID))
	require.NoError(t, err)
}

// TestResultFiles checks names and keys against AWS's.
func TestResultFiles(t *testing.T) {
	t.Parallel()
	partner := newPartner(t)
	cfg := configOf(t, partner.server.URL)
	cfg.MessageSubject = "orders of the day"
	sender := newSender(t, cfg)
	r := sender.send(t, "/out/orders.v2.edi", []byte("orders"))
	require.NoError(t, r.Err())
	file, mdn := resultFile(t, sender.storage, "out/processed")
	transferID := file.TransferID
	_, err := sender.storage.ReadFile(fmt.Sprintf("/out/processed/orders.v2.%s.%s.edi.json", transferID, file.AS2MessageID))
	require.NoError(t, err)
	n, err := parseNote(mdn)
	require.NoError(t, err)
	require.Equal(t, bareID(n.header.get("Message-ID")), file.MDNMessageID)
	require.NotEmpty(t, file.Timestamp)
	require.Equal(t, result{
		RequesterContentType: "application/edi-x12", MessageSubject: "orders of the day", RequesterFileName: "orders.v2.edi",
		AS2From: "US", AS2To: "PARTNER", ConnectorID: "partner", StatusCode: "COMPLETED",
		Disposition: "automatic-action/MDN-sent-automatically; processed", TransferSize: 6, MDNMessageID: file.MDNMessageID,
		MDNSubject: "Message Disposition Notification", TransferID: transferID, FilePath: "/out/orders.v2.edi",
		AS2MessageID: file.AS2MessageID, Timestamp: file.Timestamp,
	}, file)

	theirs, theirMDN := resultFile(t, partner.storage, "in/processed")
	require.Equal(t, "from-us", theirs.AgreementID)
	require.Equal(t, "127.0.0.1", theirs.ClientIP)
	require.Equal(t, file.AS2MessageID, theirs.AS2MessageID)
	require.Equal(t, "/in/orders.v2."+file.AS2MessageID+".edi", theirs.FilePath)
	require.True(t, bytes.Contains(theirMDN, []byte("Original-Message-ID: <"+file.AS2MessageID+">")))
	rows := partner.rows(t)
	require.Len(t, rows, 1)
	require.Equal(t, theirs.TransferID, rows[0].TransferID)
	require.Equal(t, "from-us", rows[0].ConnectorID)
	require.Equal(t, "US", rows[0].Partner)
	require.False(t, rows[0].Sent)
	require.Equal(t, fmt.Sprintf("%x", sha256.Sum256([]byte("orders"))), rows[0].SHA256)
}
