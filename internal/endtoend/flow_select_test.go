//go:build unix

package endtoend

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/watch"
)

// selectVariable holds the folder of a process that runs selections.
const selectVariable = "TRANSFER_TEST_SELECT"

// deadlyListing is our storage, in which a process dies in the middle of a directory.
type deadlyListing struct {
	*transfer.Directory
	deaths string
}

func (d deadlyListing) ListDirectory(ctx context.Context, dir string, found func(transfer.DirectoryEntry) bool) error {
	return d.Directory.ListDirectory(ctx, dir, func(e transfer.DirectoryEntry) bool {
		if !e.Directory {
			dieOnce(d.deaths, "look")
		}
		return found(e)
	})
}

// deadlyStart is a store, on which a process dies once it has stored one of the transfers that it had planned.
type deadlyStart struct {
	store.Store
	deaths string
}

func (d deadlyStart) CreateTransfer(ctx context.Context, t store.Transfer, files []store.NewFile) (store.Transfer, error) {
	stored, err := d.Store.CreateTransfer(ctx, t, files)
	if err == nil {
		dieOnce(d.deaths, "start")
	}
	return stored, err
}

// selecting assembles a node that sends what is in our directories by night, or when it is asked to.
func (f *flow) selecting(t *testing.T, log *slog.Logger) parts {
	t.Helper()
	deaths := filepath.Join(f.dir, "deaths")
	f.wrap = func(s store.Store) store.Store { return deadlyStart{s, deaths} }
	ours, err := transfer.Dir(filepath.Join(f.dir, "ours"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ours.Close()) })
	reports := transfer.Rule{Direction: store.Send, TargetDirectory: f.Bank, Before: []transfer.Task{transfer.MakeTargetDirectory()}}
	return f.assemble(t, log, deadlyListing{ours, deaths}, transfer.Config{Rules: map[string]transfer.Rule{"reports": reports}}, map[string]watch.Watch{"nightly": {
		Selection: watch.Selection{ConnectorID: "acme", Directory: "nightly"},
		Delivery:  watch.Delivery{RuleName: "reports"},
		Schedule:  watch.Schedule{Cron: "30 2 * * *", Location: time.FixedZone("partner", 3600)},
	}})
}

// TestSelectWorker is not a test of its own: it is what the processes do that TestSelectionsOfProcessesThatDie has die.
func TestSelectWorker(t *testing.T) {
	dir := os.Getenv(selectVariable)
	if dir == "" {
		t.Log("only in a worker process")
		return
	}
	readFlow(t, dir).selecting(t, slog.New(slog.NewTextHandler(os.Stdout, nil))).serve(t)
}

// TestSelectionsOfProcessesThatDie has two nodes over PostgreSQL. Of whoever runs a selection that was asked for, one dies
// while it looks, and one after it has started some of the files: each is sent once, not before its time, and the watch
// of the night runs once beside it.
func TestSelectionsOfProcessesThatDie(t *testing.T) {
	t.Parallel()
	f := newFlow(t, testenv.Postgres(t))
	want := make(map[string][]byte)
	for i := range 30 {
		name := fmt.Sprintf("reports/%d/%02d.pdf", i%3, i)
		want[name] = content(uint64(i), 1000+i)
		write(t, filepath.Join(f.dir, "ours", name), want[name])
	}
	write(t, filepath.Join(f.dir, "ours/nightly/n.pdf"), content(99, 10))
	p := f.selecting(t, nil) // it only asks
	at := time.Now().Add(2 * time.Second)
	selection, err := p.watcher.StartSelection(t.Context(), &watch.StartSelectionInput{
		Selection: watch.Selection{ConnectorID: "bank", Directory: "reports", Patterns: []string{"**/*.pdf"}},
		Delivery:  watch.Delivery{RuleName: "reports"}, FollowID: "month end", StartAt: at,
	})
	require.NoError(t, err)
	require.NoError(t, p.watcher.Trigger(t.Context(), "nightly"))
	f.outlive(t, 2, "TestSelectWorker", selectVariable, func() bool {
		done, err := p.client.ListTransfers().Status(transfer.StatusDone, transfer.StatusInError).Count(t.Context())
		require.NoError(t, err)
		return done >= int64(len(want)+1)
	})
	deaths, err := os.ReadDir(filepath.Join(f.dir, "deaths"))
	require.NoError(t, err)
	require.Len(t, deaths, 2)

	var status *watch.SelectionStatus
	require.Eventually(t, func() bool {
		status, err = p.watcher.DescribeSelection(t.Context(), selection.SelectionID)
		require.NoError(t, err)
		return !status.FinishedAt.IsZero()
	}, time.Minute, 20*time.Millisecond)
	require.Equal(t, []any{watch.SelectionCompleted, len(want), int64(len(want)), 3}, []any{status.State, status.Found, status.Started, len(status.TransferIDs)}, status.Error)
	rows, err := p.client.ListTransfers().FollowID("month end").All(t.Context())
	require.NoError(t, err)
	require.Len(t, rows, len(want), "each file once")
	for _, r := range rows {
		require.NoError(t, r.Err())
		require.False(t, r.CreatedAt.Before(at.Add(-time.Second)), "by the database's clock")
		name, err := filepath.Rel("reports", r.FilePath)
		require.NoError(t, err)
		requireSame(t, filepath.Join(f.Bank, name), want[r.FilePath])
	}
	var nightly *watch.Status
	require.Eventually(t, func() bool {
		nightly, err = p.watcher.Status(t.Context(), "nightly")
		require.NoError(t, err)
		return nightly.Runs > 0
	}, time.Minute, 20*time.Millisecond)
	require.EqualValues(t, 1, nightly.Started)
	require.Equal(t, []any{1, 30}, []any{nightly.NextRun.UTC().Hour(), nightly.NextRun.UTC().Minute()}, "half past two there")
	requireSame(t, filepath.Join(f.Bank, "n.pdf"), content(99, 10))
	require.Equal(t, len(want)+1, countFiles(t, f.Bank))
}
