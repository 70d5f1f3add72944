package transfer_test

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

func TestRecordReceived(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sum := sha256.Sum256([]byte("x"))
	in := transfer.ReceivedFile{
		ConnectorID: "from-acme", Key: "<1@acme>", Partner: "ACME", SourcePath: "orders.edi", TargetPath: "/in/orders.edi",
		Size: 1, SHA256: sum[:], RuleName: "edi", Metadata: map[string]string{"as2-message-id": "1@acme"},
	}
	id, err := b.client.RecordReceived(t.Context(), &in)
	require.NoError(t, err)
	again, err := b.client.RecordReceived(t.Context(), &in)
	require.NoError(t, err)
	require.Equal(t, id, again)

	var rows []string
	for row, err := range b.client.ListTransfers().Each(t.Context()) {
		require.NoError(t, err)
		rows = append(rows, row.TransferID)
	}
	require.Equal(t, []string{id}, rows)
	out, err := b.client.ListFileTransferResults(t.Context(), &transfer.ListFileTransferResultsInput{ConnectorID: "from-acme", TransferID: id})
	require.NoError(t, err)
	r := out.FileTransferResults[0]
	require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode)
	require.Equal(t, store.Done, r.State)
	require.Equal(t, "orders.edi", r.FilePath)
	require.Equal(t, "/in/orders.edi", r.TargetPath)
	require.EqualValues(t, 1, r.BytesTransferred)
	require.Equal(t, fmt.Sprintf("%x", sum), r.SHA256)

	in.Key, in.Failure, in.Message, in.SHA256, in.Size = "<2@acme>", transfer.DecryptFailed, "no key of ours", nil, -1
	id, err = b.client.RecordReceived(t.Context(), &in)
	require.NoError(t, err)
	out, err = b.client.ListFileTransferResults(t.Context(), &transfer.ListFileTransferResultsInput{ConnectorID: "from-acme", TransferID: id})
	require.NoError(t, err)
	r = out.FileTransferResults[0]
	require.Equal(t, transfer.DecryptFailed, r.FailureCode)
	require.Equal(t, "no key of ours", r.FailureMessage)
	require.Equal(t, store.Failed, r.State)
}

func TestRecordReceivedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			_, err := b.client.RecordReceived(t.Context(), &transfer.ReceivedFile{ConnectorID: "in", Key: fmt.Sprint(i), SourcePath: "a", Size: 1})
			require.NoError(t, err)
		})
	}
	all.Wait()
	counts, err := b.store.CountFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Equal(t, map[store.State]int64{store.Done: 40}, counts)
}

func TestRecordReceivedRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.client.RecordReceived(t.Context(), &transfer.ReceivedFile{ConnectorID: "acme", SourcePath: "a\nb"})
	var invalid *transfer.InvalidRequestException
	require.ErrorAs(t, err, &invalid)
	var names []string
	for _, f := range invalid.Fields {
		names = append(names, f.Name)
	}
	require.Equal(t, []string{"Key", "SourcePath", "ConnectorID"}, names)
}
