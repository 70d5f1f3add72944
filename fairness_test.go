package transfer_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// flood is partners of which some have a flood of files, each of which takes a minute, and one has few quick ones.
type flood struct {
	floods   int // partners with one
	files    int // in each flood
	limit    int // of files at once, of each partner
	maxFiles int // of the node
}

// quickTimes starts the floods, waits until all places are in use that are going to be, and returns how long after their start the ten
// quick files of the other partner were done, in order.
func (c flood) quickTimes(t *testing.T) (times []time.Duration) {
	local := transfer.NewMemory()
	partners := map[string]transfer.Connector{}
	partner := func(id string, delay time.Duration) {
		conn := transfertest.NewConnector(nil, transfertest.ConnectorOptions{MaxFiles: c.limit})
		conn.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Times: -1, Delay: delay})
		partners[id] = conn
	}
	partner("quick", time.Second)
	for i := range max(1, c.floods) {
		partner(fmt.Sprint("slow", i), time.Minute)
	}
	client, err := transfer.New(transfer.Config{Storage: local, Connectors: partners, MaxFiles: c.maxFiles})
	require.NoError(t, err)
	require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
	send := func(connector string, n int) string {
		paths := make([]string, n)
		for i := range paths {
			paths[i] = fmt.Sprintf("%s-%d", connector, i)
			local.WriteFile(paths[i], []byte{1})
		}
		out, err := client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: connector, SendFilePaths: paths})
		require.NoError(t, err)
		return out.TransferID
	}
	for i := range c.floods {
		send(fmt.Sprint("slow", i), c.files)
	}
	time.Sleep(10 * time.Second)
	synctest.Wait()
	began := time.Now()
	id := send("quick", 10)
	_, err = client.Wait(t.Context(), id)
	require.NoError(t, err)
	rows, err := client.ListTransfers().Transfer(id).All(t.Context())
	require.NoError(t, err)
	for _, r := range rows {
		require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode)
		times = append(times, r.FinishedAt.Sub(began).Round(10*time.Millisecond))
	}
	slices.Sort(times)
	require.NoError(t, client.Shutdown(t.Context()))
	return times
}

// Ten thousand files for a slow partner do not hold up ten for a quick one: they are done when they would be alone.
func TestAFloodForOnePartnerDoesNotStarveAnother(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]flood{
		"one":                   {floods: 1, files: 10_000, limit: 200, maxFiles: 64},
		"two":                   {floods: 2, files: 10_000, limit: 200, maxFiles: 128},
		"few places":            {floods: 1, files: 1000, limit: 200, maxFiles: 40},
		"limited":               {floods: 3, files: 1000, limit: 10, maxFiles: 64},
		"as many as are wanted": {floods: 1, files: 10, limit: 200, maxFiles: 64},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				alone := c
				alone.floods = 0
				require.Equal(t, alone.quickTimes(t), c.quickTimes(t))
			})
		})
	}
}

// With more floods, or fewer places, there are places left, although not as many as there are quick files: they take
// turns in them, and wait for no file of a flood.
func TestManyFloodsLeavePlaces(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		flood
		last time.Duration
	}{
		"two":        {flood{floods: 2, files: 1000, limit: 200, maxFiles: 64}, 2 * time.Second},
		"few places": {flood{floods: 1, files: 1000, limit: 200, maxFiles: 20}, 2 * time.Second},
		"five":       {flood{floods: 5, files: 1000, limit: 200, maxFiles: 64}, 11 * time.Second},
		"ten":        {flood{floods: 10, files: 1000, limit: 200, maxFiles: 64}, 11 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				times := test.quickTimes(t)
				require.LessOrEqual(t, times[9], test.last, "%v", times)
			})
		})
	}
}

// The only connector of a node has all of its places, and one of several with nothing else to do has half of them.
func TestPlacesOfOneConnector(t *testing.T) {
	t.Parallel()
	for connectors, want := range map[int]int{1: 16, 2: 8, 5: 8} {
		t.Run(fmt.Sprint("connectors=", connectors), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := setupLimited(t, 1000, transfer.Limits{}, func(c *transfer.Config) {
					c.MaxFiles = 16
					for i := 1; i < connectors; i++ {
						c.Connectors[fmt.Sprint("other", i)] = transfertest.NewConnector(nil, transfertest.ConnectorOptions{})
					}
				})
				b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Times: -1, Delay: time.Minute})
				var paths []string
				for i := range 100 {
					paths = append(paths, fmt.Sprint(i))
					b.local.WriteFile(paths[i], []byte{1})
				}
				b.run2(transfer.StartFileTransferInput{SendFilePaths: paths})
				require.Equal(t, want, b.partner.PeakRemotes())
			})
		})
	}
}

// A node with fewer places than connectors uses them all.
func TestFewPlacesAreAllUsed(t *testing.T) {
	t.Parallel()
	for maxFiles := 1; maxFiles <= 4; maxFiles++ {
		t.Run(fmt.Sprint("MaxFiles=", maxFiles), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				times := flood{floods: 6, files: 3, limit: 10, maxFiles: maxFiles}.quickTimes(t)
				require.Len(t, times, 10)
			})
		})
	}
}
