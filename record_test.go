package transfer_test

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// tally is a store that counts the calls by which the engine works with it.
type tally struct {
	store.Store
	claims, updates atomic.Int64
}

func (c *tally) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claimed, error) {
	c.claims.Add(1)
	return c.Store.Claim(ctx, r)
}

func (c *tally) Update(ctx context.Context, changes []store.Change) ([]error, error) {
	c.updates.Add(1)
	return c.Store.Update(ctx, changes)
}

// crowd is a client that moves up to 64 files at once to one partner.
func crowd(t *testing.T) (*tally, *transfertest.Connector, *transfer.Client, *transfer.Memory) {
	t.Helper()
	calls := &tally{Store: store.NewMemory()}
	local := transfer.NewMemory()
	partner := transfertest.NewConnector(transfer.NewMemory(), transfertest.ConnectorOptions{MaxFiles: 64})
	client, err := transfer.New(transfer.Config{Storage: local, Store: calls, Connectors: map[string]transfer.Connector{"acme": partner}})
	require.NoError(t, err)
	require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() { require.NoError(t, client.Shutdown(context.WithoutCancel(t.Context()))) })
	return calls, partner, client, local
}

func sendMany(t *testing.T, client *transfer.Client, local *transfer.Memory, n int) string {
	t.Helper()
	paths := make([]string, n)
	for i := range paths {
		paths[i] = fmt.Sprintf("outbox/%d", i)
		local.WriteFile(paths[i], []byte(paths[i]))
	}
	out, err := client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: paths})
	require.NoError(t, err)
	return out.TransferID
}

func TestManySmallFilesShareCallsToTheStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		calls, partner, client, local := crowd(t)
		var n atomic.Int64
		partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Do: func(transfertest.Call) {
			time.Sleep(5*time.Millisecond + time.Duration(n.Add(1)%50)*100*time.Microsecond) // they end one after the other
		}})
		summary, err := client.Wait(t.Context(), sendMany(t, client, local, 2000))
		require.NoError(t, err)
		require.Equal(t, 2000, summary.Completed)
		require.Less(t, calls.updates.Load(), int64(500), "one for each file would be 2,000")
		require.Less(t, calls.claims.Load(), int64(500), "one for each file would be 2,000")
	})
}

func TestOneSlowFileDoesNotHoldUpTheRest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, partner, client, local := crowd(t)
		var n atomic.Int64
		partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Do: func(transfertest.Call) {
			if n.Add(1) == 1 {
				time.Sleep(time.Minute)
			}
			time.Sleep(5 * time.Millisecond)
		}})
		id := sendMany(t, client, local, 2000)
		time.Sleep(time.Second) // of the bubble
		counts, err := client.ListTransfers().Transfer(id).Status(transfer.StatusDone).Count(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1999, counts, "all but one, by 64 at once in 5 ms and a little each")
		_, err = client.Wait(t.Context(), id)
		require.NoError(t, err)
	})
}

func TestMaxFilesMayBeAsLargeAsItGets(t *testing.T) {
	t.Parallel()
	local := transfer.NewMemory()
	partner := transfertest.NewConnector(transfer.NewMemory(), transfertest.ConnectorOptions{MaxFiles: math.MaxInt})
	client, err := transfer.New(transfer.Config{Storage: local, MaxFiles: math.MaxInt, Connectors: map[string]transfer.Connector{"acme": partner}})
	require.NoError(t, err)
	require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
	summary, err := client.Wait(t.Context(), sendMany(t, client, local, 3000))
	require.NoError(t, err)
	require.Equal(t, 3000, summary.Completed)
	require.NoError(t, client.Shutdown(t.Context()))
}
