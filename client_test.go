package transfer_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

func TestLifeOfAClient(t *testing.T) {
	t.Parallel()
	client, err := transfer.New(transfer.Config{})
	require.NoError(t, err)
	require.NoError(t, client.Start(t.Context()))
	require.ErrorContains(t, client.Start(t.Context()), "started or shut down before")
	require.NoError(t, client.Shutdown(t.Context()))
	require.NoError(t, client.Shutdown(t.Context()), "twice is allowed")

	never, err := transfer.New(transfer.Config{})
	require.NoError(t, err)
	require.NoError(t, never.Shutdown(t.Context()), "without Start too")
	require.NoError(t, never.Shutdown(t.Context()))
	require.Error(t, never.Start(t.Context()))

	ctx, cancel := context.WithCancel(context.Background())
	b := setup(t)
	other := b.newClient()
	require.NoError(t, other.Start(ctx))
	cancel() // stops it like Shutdown
	var unavailable *transfer.ServiceUnavailableException
	require.Eventually(t, func() bool {
		_, err := other.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"a"}})
		return errors.As(err, &unavailable)
	}, 10*time.Second, time.Millisecond, "nobody would do the work")
	require.NoError(t, other.Shutdown(context.Background()))
	_, err = other.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"a"}})
	require.ErrorAs(t, err, &unavailable)
}

func TestNewNamesEveryWrongFieldAtOnce(t *testing.T) {
	t.Parallel()
	_, err := transfer.New(transfer.Config{
		Connectors:   map[string]transfer.Connector{"": nil, "typed": (*transfertest.Connector)(nil), "bad": transfertest.NewConnector(nil, transfertest.ConnectorOptions{MaxFiles: -1})},
		MaxPaths:     -2,
		MaxFiles:     -1,
		WindowSize:   10 << 20,
		MemoryBudget: 1 << 20,
		Lease:        time.Millisecond,
	})
	for _, part := range []string{`Connectors has the id ""`, "sftpx.New", `Connectors["typed"] is nil`, `Connectors["bad"] allows -1`, "MaxPaths is -2", "MaxFiles is -1", "MemoryBudget is 1048576", "Lease is 1ms"} {
		require.ErrorContains(t, err, part)
	}
}
