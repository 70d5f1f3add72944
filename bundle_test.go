package transfer_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

func TestBundle(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*testing.T, ...func(*transfer.Config)) *bench{"at once": setup, "in order": ordered} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := set(t)
			want := make(map[string][]byte)
			var paths []string
			for i, size := range []int{0, 1, 999, 1000, 5500, 40_000} {
				base := fmt.Sprintf("%d ä.csv", i)
				want[base] = content(uint64(i), size)
				paths = append(paths, fmt.Sprintf("out/%d/%s", i, base))
				b.local.WriteFile(paths[i], want[base])
			}
			id := b.start(transfer.StartFileTransferInput{SendFilePaths: paths, RemoteDirectoryPath: "in", BundleName: "all.zip", Verify: transfer.VerifyReadBack})
			_, err := b.client.Wait(t.Context(), id)
			require.NoError(t, err)
			results := b.results(id)
			require.Len(t, results, 1)
			require.Equal(t, "all.zip", results[0].FilePath)
			out, err := b.client.ListFileTransferResults(t.Context(), &transfer.ListFileTransferResultsInput{ConnectorID: "acme", TransferID: id})
			require.NoError(t, err)
			require.Equal(t, paths, out.BundledPaths)
			require.Equal(t, "in/all.zip", results[0].TargetPath)
			requireDelivered(t, results[0], b.remoteFile())
			require.Equal(t, want, unzipped(t, b.remoteFile()))
			require.Empty(t, b.remote.Partials())
		})
	}
}

func TestBundleByRule(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *transfer.Config) {
		c.Rules = map[string]transfer.Rule{"flow": {SourceDirectory: "out", TargetDirectory: "in", Transforms: []transfer.Transform{transfer.Gzip(0)}}}
	})
	b.local.WriteFile("out/a", []byte("x"))
	b.local.WriteFile("out/b", []byte("y"))
	r := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a", "b"}, BundleName: "all.zip", RuleName: "flow"})[0]
	require.Equal(t, "in/all.zip.gz", r.TargetPath)
	requireDelivered(t, r, b.remoteFile())
	require.Equal(t, map[string][]byte{"a": []byte("x"), "b": []byte("y")}, unzipped(t, unpacked(t, b.remoteFile())))
}

func TestBundleFailsAsAWhole(t *testing.T) {
	t.Parallel()
	in := transfer.StartFileTransferInput{SendFilePaths: []string{"a", "b"}, BundleName: "all.zip"}
	t.Run("a file is missing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.local.WriteFile("a", content(1, 3000))
		r := b.run(in)[0]
		require.Equal(t, transfer.SendFileNotFound, r.FailureCode)
		require.Contains(t, r.FailureMessage, "b")
		require.Zero(t, b.partner.Calls(transfertest.OpConnect), "the partner is not bothered")
	})
	t.Run("a file changes while another is read", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.local.WriteFile("a", content(1, 3000))
		b.local.WriteFile("b", content(2, 3000))
		b.storage.Inject(transfertest.Rule{Op: transfertest.OpReadWindow, Path: "a", Nth: 2, Times: 1, Do: func(transfertest.Call) { b.local.WriteFile("b", content(3, 3000)) }})
		b.requireNothing(b.run(in)[0], transfer.SourceChanged)
	})
	for _, op := range []transfertest.Op{transfertest.OpOpen, transfertest.OpReadWindow} {
		for nth := 1; nth <= 4; nth++ {
			t.Run(fmt.Sprint(op, " ", nth, " fails once"), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					b := ordered(t, retries)
					b.local.WriteFile("a", content(1, 3000))
					b.local.WriteFile("b", content(2, 3000))
					b.storage.Inject(transfertest.FailNth(op, nth, &transfer.Error{Op: "test", Code: transfer.ConnectionLost}))
					requireDelivered(t, b.outcome(b.start(in)), b.remoteFile())
					require.Equal(t, map[string][]byte{"a": content(1, 3000), "b": content(2, 3000)}, unzipped(t, b.remoteFile()))
					require.Empty(t, b.remote.Partials())
				})
			})
		}
	}
}

// A task about one source would take a file that has the bundle's name by chance, or do nothing without a word.
func TestBundleRefusesRulesWithTasksAboutTheSource(t *testing.T) {
	t.Parallel()
	wrong := []transfer.Task{
		transfer.DeleteSource(), transfer.MoveSource("x"), transfer.RenameSource("x"), transfer.CopySource("x"), transfer.Forward("acme", "x"),
	}
	right := []transfer.Task{transfer.MakeTargetDirectory(), transfer.VerifyTarget(), transfer.RenameTarget("{name}.ok"), transfer.Call("c", true, func(context.Context, *transfer.TaskFile) error { return nil })}
	b := setup(t, func(c *transfer.Config) {
		c.Rules = map[string]transfer.Rule{"right": {Before: right[:1], After: right[1:]}}
		for i, task := range wrong {
			c.Rules[fmt.Sprint("after", i)] = transfer.Rule{After: []transfer.Task{right[1], task}}
			c.Rules[fmt.Sprint("error", i)] = transfer.Rule{OnError: []transfer.Task{task}}
		}
	})
	b.local.WriteFile("a", []byte("x"))
	in := transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"a"}, BundleName: "all.zip"}
	for i, task := range wrong {
		for rule, where := range map[string]string{"after": "After[1]", "error": "OnError[0]"} {
			in.RuleName = fmt.Sprint(rule, i)
			_, err := b.client.StartFileTransfer(t.Context(), &in)
			require.ErrorAs(t, err, new(*transfer.InvalidRequestException))
			require.ErrorContains(t, err, "BundleName")
			require.ErrorContains(t, err, where)
			require.ErrorContains(t, err, task.Name())
		}
	}
	in.RuleName = "right"
	require.NoError(t, b.run(in)[0].Err())
	require.Equal(t, []string{"all.zip.ok"}, b.remote.Paths())
}

func TestBundleWhoseRuleIsAnotherOneByNow(t *testing.T) {
	t.Parallel()
	queue := store.NewMemory()
	b := setup(t, func(c *transfer.Config) {
		c.Store, c.Rules = queue, map[string]transfer.Rule{"r": {After: []transfer.Task{transfer.MoveSource("x")}}}
	})
	b.local.WriteFile("a", []byte("x"))
	b.local.WriteFile("all.zip", []byte("of somebody else"))
	asks, err := transfer.New(transfer.Config{Storage: b.local, Store: queue, Connectors: map[string]transfer.Connector{"acme": b.partner}, Rules: map[string]transfer.Rule{"r": {}}})
	require.NoError(t, err)
	out, err := asks.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"a"}, BundleName: "all.zip", RuleName: "r"})
	require.NoError(t, err)
	r := b.outcome(out.TransferID)
	require.Equal(t, transfer.UnsupportedOperationError, r.FailureCode)
	require.Contains(t, r.FailureMessage, "a bundle has several sources")
	require.Equal(t, []string{"a", "all.zip"}, b.local.Paths())
}

func TestBundleIsRepeated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.local.WriteFile("a", []byte("x"))
	failed := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a", "b"}, BundleName: "all.zip"})[0]
	b.local.WriteFile("b", []byte("y"))
	out, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{FileIDs: []int64{failed.FileID}})
	require.NoError(t, err)
	require.NoError(t, b.outcome(out.Transfers[0].TransferID).Err())
	require.Equal(t, map[string][]byte{"a": []byte("x"), "b": []byte("y")}, unzipped(t, b.remoteFile()))
}

func TestBundleRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for says, in := range map[string]transfer.StartFileTransferInput{
		`BundleName "a/b.zip" is no base name`:             {SendFilePaths: []string{"a"}, BundleName: "a/b.zip"},
		`BundleName ".." is no base name`:                  {SendFilePaths: []string{"a"}, BundleName: ".."},
		`BundleName "a.zip" belongs to SendFilePaths`:      {RetrieveFilePaths: []string{"a"}, LocalDirectoryPath: "in", BundleName: "a.zip"},
		`SendFilePaths[1] "x/a" has the same target as`:    {SendFilePaths: []string{"a", "x/a"}, BundleName: "a.zip"},
		`SendFilePaths[0] "x/..\\a" has a backslash in it`: {SendFilePaths: []string{`x/..\a`}, BundleName: "a.zip"},
		`BundleName`: {SendFilePaths: []string{"a"}, BundleName: strings.Repeat("x", 256)},
	} {
		in.ConnectorID = "acme"
		_, err := b.client.StartFileTransfer(t.Context(), &in)
		var wrong *transfer.InvalidRequestException
		require.ErrorAs(t, err, &wrong)
		require.ErrorContains(t, err, says)
	}
}
