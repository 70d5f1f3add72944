//go:build unix

package endtoend

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/watch"
)

// write makes a file and the directories above it.
func write(t *testing.T, path string, data []byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, data, 0o644))
}

// disks is our storage: two directories under prefixes.
func disks(t *testing.T) (storage transfer.Storage, inbox, outbox string) {
	t.Helper()
	inbox, outbox = t.TempDir(), t.TempDir()
	mounts := map[string]transfer.Storage{}
	for prefix, dir := range map[string]string{"/in": inbox, "/out": outbox} {
		d, err := transfer.Dir(dir)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, d.Close()) })
		mounts[prefix] = d
	}
	storage, err := transfer.Mount(mounts)
	require.NoError(t, err)
	return storage, inbox, outbox
}

// TestMarkedFilesBetweenDirectories: a partner's tree comes, file by file as their markers say that they are whole, into a
// tree of ours, and a tree of ours goes to the same directory of the partner at the same time.
func TestMarkedFilesBetweenDirectories(t *testing.T) {
	t.Parallel()
	f := newFlow(t, "")
	storage, inbox, outbox := disks(t)
	unmark := transfer.Call("remove marker", true, func(ctx context.Context, file *transfer.TaskFile) error {
		err := file.Source().RemovePath(ctx, file.SourcePath+".ok")
		if transfer.CodeOf(err) == transfer.FileNotFound {
			return nil
		}
		return err
	})
	p := f.assemble(t, nil, storage, transfer.Config{Rules: map[string]transfer.Rule{
		"in": {Direction: store.Retrieve, SourceDirectory: f.Drop, TargetDirectory: "/in/new", After: []transfer.Task{
			transfer.VerifyTarget(), unmark, transfer.DeleteSource(), transfer.MoveTarget("/in/done/{id}"),
		}},
		"out": {Direction: store.Send, SourceDirectory: "/out", TargetDirectory: f.Drop, Before: []transfer.Task{transfer.MakeTargetDirectory()}, After: []transfer.Task{
			transfer.MoveSource("/out/.sent"),
		}},
	}}, map[string]watch.Watch{
		"in": {
			Selection: watch.Selection{ConnectorID: "acme", Directory: ".", Patterns: []string{"**/*.csv"}}, Delivery: watch.Delivery{RuleName: "in"},
			Schedule: watch.Schedule{Every: time.Second}, Guard: watch.Guard{Marker: "{name}.ok"},
		},
		"out": {
			Selection: watch.Selection{ConnectorID: "bank", Directory: ".", Patterns: []string{"**"}}, Delivery: watch.Delivery{RuleName: "out"},
			Schedule: watch.Schedule{Every: time.Second},
		},
	})
	theirs := map[string][]byte{"a.csv": content(1, 1000), "eu/de/b.csv": content(2, 3*window), "eu/c.csv": nil}
	for name, data := range theirs {
		write(t, filepath.Join(f.Drop, name), data)
	}
	ours := map[string][]byte{"x.pdf": content(3, 2*window), "deep/er/y.pdf": content(4, 10)}
	for name, data := range ours {
		write(t, filepath.Join(outbox, name), data)
	}
	p.start(t)
	done := func(rule string, n int64) func() bool {
		return func() bool {
			got, err := p.client.ListTransfers().Rule(rule).Status(transfer.StatusDone).Count(t.Context())
			require.NoError(t, err)
			return got == n
		}
	}
	require.Eventually(t, done("out", 2), time.Minute, 20*time.Millisecond)
	require.Equal(t, 3, p.nextLook(t, "in").Waiting, "for their markers")
	require.True(t, done("in", 0)())
	for name := range theirs {
		write(t, filepath.Join(f.Drop, name+".ok"), nil)
	}
	require.Eventually(t, done("in", 3), time.Minute, 20*time.Millisecond)

	rows, err := p.client.ListTransfers().Rule("in").All(t.Context())
	require.NoError(t, err)
	for _, r := range rows {
		name, err := filepath.Rel(f.Drop, r.FilePath)
		require.NoError(t, err)
		require.Equal(t, "/in/new/"+name, r.TargetPath)
		requireSame(t, filepath.Join(inbox, "done", strconv.FormatInt(r.FileID, 10), filepath.Base(name)), theirs[name])
	}
	for name, data := range ours {
		requireSame(t, filepath.Join(f.Drop, name), data)
		requireSame(t, filepath.Join(outbox, ".sent", filepath.Base(name)), data)
	}
	require.Equal(t, len(theirs), countFiles(t, inbox))
	require.Equal(t, len(ours), countFiles(t, outbox))
	require.Equal(t, len(ours), countFiles(t, f.Drop))
	p.requireQuiet(t, "out", 2)
	p.requireQuiet(t, "in", 3)
}

func requireSame(t *testing.T, path string, data []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got), path)
}
