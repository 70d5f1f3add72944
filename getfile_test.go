package transfer_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

func TestGetFile(t *testing.T) {
	t.Parallel()
	files := store.NewMemory()
	client, err := transfer.New(transfer.Config{
		Store: files, Connectors: map[string]transfer.Connector{"acme": transfertest.NewConnector(nil, transfertest.ConnectorOptions{})},
	})
	require.NoError(t, err)
	started, err := client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{
		ConnectorID: "acme", SendFilePaths: []string{"/a", "/b", "/c"}, RuleName: "out",
	})
	require.NoError(t, err)
	rows, err := client.ListTransfers().Transfer(started.TransferID).All(t.Context())
	require.NoError(t, err)
	require.Len(t, rows, 3)
	for _, row := range rows {
		got, err := client.GetFile(t.Context(), row.FileID)
		require.NoError(t, err)
		require.Equal(t, row, *got)
		require.Equal(t, row.Record(), got.Record())
	}
	for _, id := range []int64{0, -1, math.MinInt64, rows[2].FileID + 1, math.MaxInt64} {
		_, err := client.GetFile(t.Context(), id)
		var unknown *transfer.ResourceNotFoundException
		require.ErrorAs(t, err, &unknown, "%d", id)
		require.Equal(t, "File", unknown.ResourceType)
	}
	require.NoError(t, files.Close())
	_, err = client.GetFile(t.Context(), rows[0].FileID)
	var unavailable *transfer.ServiceUnavailableException
	require.ErrorAs(t, err, &unavailable)
}
