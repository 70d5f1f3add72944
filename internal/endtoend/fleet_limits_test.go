//go:build unix

package endtoend

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// TestLimitsHoldOverAllNodes: however many nodes there are, a partner never has more files at once than its connector
// allows, and has as many.
func TestLimitsHoldOverAllNodes(t *testing.T) {
	t.Parallel()
	for _, name := range sorted(queues) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open := queues[name](t)
			limits := map[string]int{"two": 2, "one": 1}
			f := newFleet(t, limits)
			for _, p := range f.partners {
				p.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Delay: time.Millisecond})
			}
			watched := open(t)
			submitter := f.node(t, watched)
			for range 4 {
				f.startNode(t, open(t))
			}

			requests := []*transfer.StartFileTransferInput{
				f.write("two", "two-small", sizes(25, 1000)...),
				f.write("one", "one-small", sizes(15, 1000)...),
				f.write("two", "two-large", sizes(10, 3<<16)...),
				f.write("one", "one-large", sizes(5, 3<<16)...),
			}
			var ids []string
			for _, in := range requests {
				out, err := submitter.StartFileTransfer(t.Context(), in)
				require.NoError(t, err)
				ids = append(ids, out.TransferID)
			}
			awaitDone(t, watched, 55, func() {
				for id, limit := range limits {
					require.LessOrEqual(t, len(running(t, watched, id)), limit, id)
				}
			})
			for i, in := range requests {
				for _, r := range f.requireDelivered(t, submitter, in, ids[i]) {
					require.Equal(t, 1, r.Attempts)
				}
			}
			for id, limit := range limits {
				require.Equal(t, limit, f.partners[id].PeakRemotes(), "files at once at partner %s", id)
			}
		})
	}
}

// awaitDone calls look until n files are done.
func awaitDone(t *testing.T, st store.Store, n int64, look func()) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(fleetPatience); ; <-poll.C {
		look()
		counts, err := st.CountFiles(t.Context(), store.Query{})
		require.NoError(t, err)
		if counts[store.Done] == n {
			return
		}
		require.True(t, time.Now().Before(deadline), "not done in time: %v", counts)
	}
}
