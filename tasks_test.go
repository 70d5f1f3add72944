package transfer_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// retrieveByRule starts to retrieve a file by the rule "r".
func (b *bench) retrieveByRule(name string, data []byte) (id string) {
	b.remote.WriteFile("ready/"+name, data)
	return b.start(transfer.StartFileTransferInput{RuleName: "r", RetrieveFilePaths: []string{"ready/" + name}, LocalDirectoryPath: "in"})
}

// after is a rule with these after-tasks.
func after(tasks ...transfer.Task) func(*transfer.Config) {
	return withRule(transfer.Rule{After: tasks})
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestTasksMoveFiles(t *testing.T) {
	for name, c := range map[string]struct {
		task          transfer.Task
		local, remote []string // after retrieving ready/a.tar.gz into in
	}{
		"delete source": {transfer.DeleteSource(), []string{"in/a.tar.gz"}, nil},
		"move source":   {transfer.MoveSource("/done/{date}"), []string{"in/a.tar.gz"}, []string{"done/20000101/a.tar.gz"}},
		"rename source": {transfer.RenameSource("{base}-{time}{ext}"), []string{"in/a.tar.gz"}, []string{"ready/a.tar-20000101T000000Z.gz"}},
		"mark source":   {transfer.RenameSource(".{name}.done"), []string{"in/a.tar.gz"}, []string{"ready/.a.tar.gz.done"}},
		"delete target": {transfer.DeleteTarget(), nil, []string{"ready/a.tar.gz"}},
		"move target":   {transfer.MoveTarget("in/ok"), []string{"in/ok/a.tar.gz"}, []string{"ready/a.tar.gz"}},
		"rename target": {transfer.RenameTarget("{id}"), []string{"in/1"}, []string{"ready/a.tar.gz"}},
		"copy target":   {transfer.CopyTarget("archive/{date}"), []string{"archive/20000101/a.tar.gz", "in/a.tar.gz"}, []string{"ready/a.tar.gz"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := setup(t, after(c.task))
				r := b.wait(b.retrieveByRule("a.tar.gz", content(1, 2500)))
				require.NoError(t, r.Err())
				require.Equal(t, c.local, b.local.Paths())
				require.Equal(t, c.remote, b.remote.Paths())
				for _, p := range append(c.local, c.remote...) {
					side := b.local
					if strings.HasPrefix(p, "ready") || strings.HasPrefix(p, "done") {
						side = b.remote
					}
					data, err := side.ReadFile(p)
					require.NoError(t, err)
					require.Equal(t, content(1, 2500), data)
				}
				require.Equal(t, "in/a.tar.gz", r.TargetPath, "the row keeps the paths of the request")
			})
		})
	}
}

func TestTasksSeeWhereOthersHaveMovedTheFile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, after(
			transfer.MoveTarget("in/ok"), transfer.RenameTarget("{base}.dat"), transfer.VerifyTarget(), transfer.MoveSource("old"), transfer.RenameSource("x{ext}"), transfer.DeleteSource(),
		))
		require.NoError(t, b.wait(b.retrieveByRule("a.csv", content(1, 2500))).Err())
		require.Equal(t, []string{"in/ok/a.dat"}, b.local.Paths())
		require.Empty(t, b.remote.Paths())
	})
}

func TestSourceTasksOfFilesThatAreSent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, withRule(transfer.Rule{
			Before: []transfer.Task{transfer.MakeTargetDirectory(), transfer.CopySource("archive")},
			After:  []transfer.Task{transfer.VerifyTarget(), transfer.RenameTarget("{base}.ok"), transfer.DeleteSource()},
		}))
		made := b.partner.Inject(transfertest.Rule{Op: transfertest.OpMakeDirectory, Path: "in"})
		id, data := b.sendByRule(2500)
		require.NoError(t, b.wait(id).Err())
		require.Equal(t, 1, made.Hits())
		require.Equal(t, []string{"archive/a.bin"}, b.local.Paths())
		got, err := b.remote.ReadFile("in/a.ok")
		require.NoError(t, err)
		require.Equal(t, data, got)
	})
}

// Placeholders in a name that comes from the other side are part of the name.
func TestHostileNamesStayInTheirDirectory(t *testing.T) {
	for name, c := range map[string]struct{ file, pattern, made string }{
		"a placeholder":   {"{id}.csv", "{base}-x{ext}", "in/{id}-x.csv"},
		"only an ending":  {".profile", "{base}.old{ext}", "in/.profile.old"},
		"dots":            {"...x", "{base}", ""},
		"a backslash":     {`..\a`, "{name}.ok", `in/..\a.ok`},
		"too long a name": {strings.Repeat("x", 250) + ".csv", "{base}-{transfer}{ext}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := setup(t, after(transfer.RenameTarget(c.pattern)))
				r := b.wait(b.retrieveByRule(c.file, []byte("x")))
				if c.made == "" {
					require.Equal(t, transfer.UnsupportedOperationError, r.FailureCode)
					require.Equal(t, []string{"in/" + c.file}, b.local.Paths())
					return
				}
				require.NoError(t, r.Err())
				require.Equal(t, []string{c.made}, b.local.Paths())
			})
		})
	}
}

func TestWhatIsInTheWayOfAMove(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, after(transfer.MoveSource("done")))
		b.remote.WriteFile("done/a.csv", []byte("older"))
		r := b.wait(b.retrieveByRule("a.csv", content(1, 100)))
		require.Equal(t, transfer.FileExists, r.FailureDetail)
		require.Equal(t, transfer.InternalError, r.FailureCode)
		require.Equal(t, []string{"done/a.csv", "ready/a.csv"}, b.remote.Paths(), "nothing is lost")
	})
}

func TestAMissingSource(t *testing.T) {
	for name, c := range map[string]struct {
		task transfer.Task
		code transfer.Code
	}{
		"is no reason not to delete it": {transfer.DeleteSource(), ""}, "cannot be moved": {transfer.MoveSource("x"), transfer.FileNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var b *bench
				b = setup(t, after(transfer.Call("it vanishes", true, func(context.Context, *transfer.TaskFile) error { b.remote.Remove("ready/a.csv"); return nil }), c.task))
				require.Equal(t, c.code, b.wait(b.retrieveByRule("a.csv", content(1, 100))).FailureCode)
			})
		})
	}
}

// The producer has put a new version there, which nobody has transferred.
func TestANewerSourceStaysWhereItIs(t *testing.T) {
	for name, task := range map[string]transfer.Task{"deleted": transfer.DeleteSource(), "moved": transfer.MoveSource("done"), "renamed": transfer.RenameSource("{name}.done")} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var b *bench
				b = setup(t, after(transfer.Call("it changes", true, func(context.Context, *transfer.TaskFile) error {
					b.remote.WriteFile("ready/a.csv", []byte("new"))
					return nil
				}), task))
				r := b.wait(b.retrieveByRule("a.csv", content(1, 100)))
				require.Equal(t, transfer.SourceChanged, r.FailureDetail)
				require.Equal(t, []string{"ready/a.csv"}, b.remote.Paths())
				require.Equal(t, 1, r.Attempts, "it does not get better")
			})
		})
	}
}

func TestVerifyTarget(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b *bench)
		code   transfer.Code
		detail transfer.Code
	}{
		"the same":     {func(*bench) {}, "", ""},
		"another file": {func(b *bench) { b.local.WriteFile("in/a.csv", content(2, 2500)) }, transfer.InternalError, transfer.IntegrityError},
		"none":         {func(b *bench) { b.local.Remove("in/a.csv") }, transfer.FileNotFound, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var b *bench
				b = setup(t, withRule(transfer.Rule{
					After:   []transfer.Task{transfer.Call("change", true, func(context.Context, *transfer.TaskFile) error { c.change(b); return nil }), transfer.VerifyTarget()},
					OnError: []transfer.Task{transfer.MoveTarget("quarantine")},
				}))
				r := b.wait(b.retrieveByRule("a.csv", content(1, 2500)))
				require.Equal(t, c.code, r.FailureCode)
				require.Equal(t, c.detail, r.FailureDetail)
				require.Equal(t, 1, r.Attempts)
				require.Equal(t, c.detail != "", len(b.local.Paths()) == 1 && b.local.Paths()[0] == "quarantine/a.csv")
			})
		})
	}
}

func TestWhatIsHandedOutOnceIsNotReadAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inbox := transfer.NewMemory()
		mailbox := transfertest.NewConnector(inbox, transfertest.ConnectorOptions{Features: transfer.Features{Server: "mailbox", ReadOnce: true}})
		b := setup(t, after(transfer.DeleteSource(), transfer.VerifyTarget()), func(c *transfer.Config) { c.Connectors["acme"] = mailbox })
		b.remote, b.partner = inbox, mailbox
		require.NoError(t, b.wait(b.retrieveByRule("a.csv", content(1, 100))).Err())
		require.Equal(t, 1, mailbox.Calls(transfertest.OpOpen))
		id, _ := b.sendByRule(100)
		require.Equal(t, transfer.UnsupportedOperationError, b.wait(id).FailureCode)
	})
}

// Error-tasks about the target leave alone what was there before.
func TestTargetTasksDoNothingForAFileThatWasNotDelivered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, withRule(transfer.Rule{Overwrite: transfer.OverwriteFail, OnError: []transfer.Task{
			transfer.DeleteTarget(), transfer.MoveTarget("x"), transfer.RenameTarget("x"), transfer.CopyTarget("x"), transfer.GunzipTarget(0), transfer.Forward("acme", "x"),
		}}))
		b.local.WriteFile("in/a.csv", []byte("older"))
		r := b.wait(b.retrieveByRule("a.csv", content(1, 100)))
		require.Equal(t, transfer.FileExists, r.FailureDetail)
		require.NotContains(t, r.FailureMessage, "then")
		require.Equal(t, []string{"in/a.csv"}, b.local.Paths())
		require.Equal(t, []string{"ready/a.csv"}, b.remote.Paths())
	})
}

func TestGzipAndGunzip(t *testing.T) {
	for _, size := range []int{0, 1, 999, 1000, 1001, 300_000} {
		bubbleRun(t, size, func(t *testing.T) {
			var sizes []int64
			note := transfer.Call("note", true, func(_ context.Context, f *transfer.TaskFile) error { sizes = append(sizes, f.Size); return nil })
			b := setup(t, after(transfer.GunzipTarget(0), note, transfer.VerifyTarget(), transfer.GzipTarget(), transfer.VerifyTarget(), transfer.MoveTarget("done")))
			data := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
			packed := gzipped(t, data)
			require.NoError(t, b.wait(b.retrieveByRule("a.csv.gz", packed)).Err())
			require.Equal(t, []string{"done/a.csv.gz", "in/a.csv"}, b.local.Paths())
			got, err := b.local.ReadFile("in/a.csv")
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got))
			require.Equal(t, []int64{int64(size)}, sizes)
			require.Empty(t, b.local.Partials())
		})
	}
}

func bubbleRun(t *testing.T, size int, test func(t *testing.T)) {
	t.Helper()
	t.Run(time.Duration(size).String(), func(t *testing.T) { bubble(t, test) })
}

func TestWhatCannotBeUnpacked(t *testing.T) {
	bomb := gzipped(t, make([]byte, 1<<20))
	for name, c := range map[string]struct {
		file   string
		data   []byte
		code   transfer.Code
		detail transfer.Code
	}{
		"not gzip":     {"a.gz", []byte("plain text, and more of it"), transfer.InternalError, transfer.IntegrityError},
		"cut":          {"a.gz", gzipped(t, make([]byte, 100))[:20], transfer.InternalError, transfer.IntegrityError},
		"garbage":      {"a.gz", append(gzipped(t, []byte("x")), "garbage"...), transfer.InternalError, transfer.IntegrityError},
		"too large":    {"a.gz", bomb, transfer.FileSizeTooLarge, ""},
		"other name":   {"a.zip", gzipped(t, []byte("x")), transfer.UnsupportedOperationError, ""},
		"only an .gz":  {".gz", gzipped(t, []byte("x")), transfer.UnsupportedOperationError, ""},
		"would climb":  {"...gz", gzipped(t, []byte("x")), transfer.UnsupportedOperationError, ""},
		"just allowed": {"a.gz", gzipped(t, make([]byte, 10_000)), "", ""},
		"a tar":        {"a.tgz", gzipped(t, make([]byte, 10)), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := setup(t, after(transfer.GunzipTarget(10_000)))
				r := b.wait(b.retrieveByRule(c.file, c.data))
				require.Equal(t, c.code, r.FailureCode, r.FailureMessage)
				require.Equal(t, c.detail, r.FailureDetail)
				require.Equal(t, 1, r.Attempts)
				paths := []string{"in/" + c.file}
				switch {
				case c.file == "a.tgz":
					paths = []string{"in/a.tar", "in/a.tgz"}
				case c.code == "":
					paths = []string{"in/a", "in/a.gz"}
				}
				require.Equal(t, paths, b.local.Paths())
				require.Empty(t, b.local.Partials())
			})
		})
	}
}

// What fails on the way is tried again, and leaves nothing behind.
func TestAConversionThatBreaksIsTriedAgain(t *testing.T) {
	for name, rule := range map[string]transfertest.Rule{
		"reading":    {Op: transfertest.OpReadWindow, Nth: 2},
		"writing":    {Op: transfertest.OpWriteWindow, Path: "a", Nth: 2},
		"publishing": {Op: transfertest.OpCommit, Path: "a"},
		"after that": {Op: transfertest.OpCommit, Path: "a", Done: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := setup(t, after(transfer.GunzipTarget(0), transfer.VerifyTarget()))
				rule.Err, rule.Times = transfer.ConnectionLost, 1
				hit := b.storage.Inject(rule)
				data := content(1, 3000)
				r := b.wait(b.retrieveByRule("a.gz", gzipped(t, data)))
				require.NoError(t, r.Err())
				require.Equal(t, 1, hit.Hits())
				require.Equal(t, 2, r.Attempts)
				require.Equal(t, []string{"in/a", "in/a.gz"}, b.local.Paths())
				require.Empty(t, b.local.Partials())
			})
		})
	}
}

// Another version takes the file's place between the two passes.
func TestAConversionNeedsOneVersion(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, after(transfer.GunzipTarget(0)))
		other := gzipped(t, content(2, 3000))
		b.storage.Inject(transfertest.Rule{Op: transfertest.OpCreate, Path: "a", Nth: 1, Do: func(transfertest.Call) { b.local.WriteFile("in/a.gz", other) }})
		require.NoError(t, b.wait(b.retrieveByRule("a.gz", gzipped(t, content(1, 3000)))).Err())
		got, err := b.local.ReadFile("in/a")
		require.NoError(t, err)
		require.Equal(t, content(2, 3000), got, "the next attempt took the new one whole")
	})
}

func TestPauseStopsAConversion(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, after(transfer.GunzipTarget(0)))
		b.storage.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Path: "a", Delay: time.Second})
		id := b.retrieveByRule("a.gz", gzipped(t, content(1, 30_000)))
		time.Sleep(10 * time.Second)
		_, err := pause(b.client, t.Context(), &transfer.ControlInput{TransferID: id})
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		require.Equal(t, store.Paused, b.row(id).State)
		require.Empty(t, b.local.Partials())
		_, err = resume(b.client, t.Context(), &transfer.ControlInput{TransferID: id})
		require.NoError(t, err)
		require.NoError(t, b.wait(id).Err())
	})
}

func TestForwardStartsOneTransferWithTheSameFollowID(t *testing.T) {
	for _, send := range []bool{false, true} {
		bubbleRun(t, map[bool]int{true: 1}[send], func(t *testing.T) {
			there := transfer.NewMemory()
			second := transfertest.NewConnector(there, transfertest.ConnectorOptions{URL: "sftp://second"})
			rule := after(transfer.Forward("second", "from/acme"), transfer.Call("again", true, failingOnce(errors.New("no"))), transfer.Forward("second", "copy"))
			b := setup(t, rule, func(c *transfer.Config) { c.Connectors["second"] = second })
			data := content(1, 2500)
			var id string
			if send {
				b.local.WriteFile("a.csv", data)
				id = b.start(transfer.StartFileTransferInput{RuleName: "r", SendFilePaths: []string{"a.csv"}, FollowID: "flow", Metadata: map[string]string{"k": "v"}})
			} else {
				b.remote.WriteFile("a.csv", data)
				id = b.start(transfer.StartFileTransferInput{RuleName: "r", RetrieveFilePaths: []string{"a.csv"}, LocalDirectoryPath: "in", FollowID: "flow", Metadata: map[string]string{"k": "v"}})
			}
			require.NoError(t, b.wait(id).Err())
			rows, err := b.client.ListTransfers().FollowID("flow").Partner("second").All(t.Context())
			require.NoError(t, err)
			require.Len(t, rows, 2, "each Forward starts one, once")
			for _, r := range rows {
				require.NoError(t, func() error { r := b.wait(r.TransferID); return r.Err() }())
				require.Equal(t, map[string]string{"k": "v"}, r.Metadata)
				require.Empty(t, r.RuleName)
			}
			require.Equal(t, []string{"copy/a.csv", "from/acme/a.csv"}, there.Paths())
			got, err := there.ReadFile("from/acme/a.csv")
			require.NoError(t, err)
			require.Equal(t, data, got)
		})
	}
}

func TestForwardToNobodyFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, after(transfer.Forward("nobody", "")))
		r := b.wait(b.retrieveByRule("a.csv", []byte("x")))
		require.Equal(t, store.Failed, r.State)
		require.Equal(t, 1, r.Attempts)
		require.Contains(t, r.FailureMessage, `task After[0], "forward to nobody": ResourceNotFoundException`)
	})
}

func TestATaskThatThePartnerCannotDo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, after(transfer.DeleteSource()), func(c *transfer.Config) { c.Storage = struct{ transfer.Storage }{c.Storage} })
		id, _ := b.sendByRule(10)
		require.Equal(t, transfer.UnsupportedOperationError, b.wait(id).FailureCode, "our storage has no directories here")
	})
}

// At run time, too: a rule for both directions cannot be checked before.
func TestContentIsChangedOnOurSideOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, after(transfer.GzipTarget()))
		id, _ := b.sendByRule(10)
		r := b.wait(id)
		require.Equal(t, transfer.UnsupportedOperationError, r.FailureCode)
		require.Equal(t, []string{"in/a.bin"}, b.remote.Paths())
	})
}
