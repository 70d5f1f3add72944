package transfer_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// The ledger knows a file that is changed on its way by the version of its source.
func TestLedgerOfAChangedFile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, withRule(transfer.Rule{Ledger: transfer.LedgerSkip, TargetDirectory: "in", Transforms: []transfer.Transform{transfer.Gzip(0)}}))
		id, data := b.sendByRule(2500)
		r := b.wait(id)
		require.NoError(t, r.Err())
		require.False(t, r.Skipped)
		entries, err := b.store.LookUp(t.Context(), transfer.LedgerScope("acme", store.Send), []string{"a.bin"})
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.EqualValues(t, len(data), entries[0].Size)
		id = b.start(transfer.StartFileTransferInput{RuleName: "r", SendFilePaths: []string{"a.bin"}})
		require.True(t, b.wait(id).Skipped)
	})
}

// A file whose receipt comes later enters the ledger with that.
func TestLedgerOfAFileWithAReceipt(t *testing.T) {
	for name, rule := range map[string]transfer.Rule{
		"plain":       {},
		"with a task": {After: []transfer.Task{transfer.Call("a0", true, failingOnce(transfer.ConnectionLost))}},
		"changed":     {Transforms: []transfer.Transform{transfer.Gzip(0)}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				partner := &confirming{word: transfer.Outstanding{Again: time.Hour}}
				rule.Ledger = transfer.LedgerSkip
				b := setup(t, withRule(rule), func(c *transfer.Config) {
					partner.Connector = c.Connectors["acme"]
					c.Connectors["acme"] = partner
				})
				id, data := b.sendByRule(2500)
				time.Sleep(5*time.Hour + time.Minute)
				require.Equal(t, store.Waiting, b.results(id)[0].State)
				partner.say(nil)
				r := b.wait(id)
				require.NoError(t, r.Err())
				entries, err := b.store.LookUp(t.Context(), transfer.LedgerScope("acme", store.Send), []string{"a.bin"})
				require.NoError(t, err)
				require.Len(t, entries, 1)
				require.EqualValues(t, len(data), entries[0].Size)
				require.NotEmpty(t, entries[0].SHA256)
				id = b.start(transfer.StartFileTransferInput{RuleName: "r", SendFilePaths: []string{"a.bin"}, RemoteDirectoryPath: "in"})
				require.True(t, b.wait(id).Skipped)
				require.Len(t, partner.sent, 1)
			})
		})
	}
}

// A file that is held back in the moment in which somebody pauses it leaves nothing behind.
func TestAFileThatIsHeldBackWhileItIsPausedLeavesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t)
		b.local.WriteFile("a.bin", content(1, 2500))
		require.False(t, b.ledgered(transfer.LedgerSkipContent).Skipped)
		time.Sleep(time.Minute)
		b.local.WriteFile("a.bin", content(1, 2500)) // another version
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Times: -1, Delay: 300 * time.Millisecond})
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, RemoteDirectoryPath: "in", Ledger: transfer.LedgerSkipContent})
		time.Sleep(100 * time.Millisecond) // the last windows are on their way
		_, err := pause(b.client, t.Context(), &transfer.ControlInput{TransferID: id})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Equal(t, store.Done, b.row(id).State)
		require.True(t, b.row(id).Skipped)
		require.Empty(t, b.remote.Partials())
	})
}

// A task that must not run twice comes to its end although the node stops and its partner is slow.
func TestATaskThatRunsOnceIsNotStoppedByARate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		read := func(ctx context.Context, f *transfer.TaskFile) error {
			src, err := f.Target().Open(ctx, f.TargetPath)
			if err != nil {
				return err
			}
			defer func() { _ = src.Close() }()
			return src.ReadWindow(ctx, make([]byte, src.Info().Size), 0)
		}
		b := setupLimited(t, 1000, transfer.Limits{BytesPerSecond: 1000}, withRule(transfer.Rule{After: []transfer.Task{transfer.Call("read", false, read)}}))
		id, _ := b.sendByRule(10_000)
		time.Sleep(12 * time.Second)
		require.Equal(t, transfer.StepPostTask, b.record(id).GlobalStep)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, b.client.Shutdown(ctx))
		require.Equal(t, store.Done, b.row(id).State, "%v", b.row(id).FailureMessage)
	})
}

// A node that stops during the last before-task does not begin to move the file.
func TestANodeThatStopsInABeforeTaskDoesNotConnect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, withRule(transfer.Rule{Before: []transfer.Task{transfer.Call("b0", false, taking(10*time.Second))}}))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpConnect, Times: -1, Delay: time.Hour})
		id, _ := b.sendByRule(500)
		time.Sleep(5 * time.Second)
		begun := time.Now()
		require.NoError(t, b.client.Shutdown(t.Context()))
		require.Less(t, time.Since(begun), time.Minute) // of the bubble's clock
		require.Equal(t, store.Interrupted, b.row(id).State)
	})
}

// Tasks about the source cannot be meant for a bundle, and do nothing to a file that has its name.
func TestABundleIsNotMovedByARuleWithTasksAboutTheSource(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, withRule(transfer.Rule{Before: []transfer.Task{transfer.MakeTargetDirectory()}, After: []transfer.Task{transfer.DeleteSource()}}))
		b.local.WriteFile("a", content(1, 10))
		b.local.WriteFile("all.zip", content(2, 10))
		_, err := b.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", RuleName: "r", SendFilePaths: []string{"a"}, BundleName: "all.zip"})
		require.ErrorContains(t, err, `BundleName "all.zip" cannot go by a rule whose task After[0], "delete source", is about the source`)
	})
}

// A bundle of files of which nobody can tell the version is never known to the ledger.
func TestLedgerOfABundleWithoutVersions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, func(c *transfer.Config) { c.Storage = unversioned{c.Storage} })
		b.local.WriteFile("a", content(1, 10))
		in := transfer.StartFileTransferInput{SendFilePaths: []string{"a"}, BundleName: "all.zip", Ledger: transfer.LedgerSkip}
		require.False(t, b.run(in)[0].Skipped)
		b.local.WriteFile("a", content(2, 10))
		require.False(t, b.run(in)[0].Skipped)
	})
}

// What an S3 server calls a version goes into the ledger and comes back, whatever bytes it is made of.
func TestLedgerOfAFileWithAStrangeVersion(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, withRule(transfer.Rule{Ledger: transfer.LedgerSkip}), func(c *transfer.Config) {
			c.Storage = tagged{c.Storage, strings.Repeat("\xff\x00", 5000)}
		})
		id, _ := b.sendByRule(2500)
		require.False(t, b.wait(id).Skipped)
		entries, err := b.store.LookUp(t.Context(), transfer.LedgerScope("acme", store.Send), []string{"a.bin"})
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.True(t, utf8.ValidString(entries[0].Identity) && !strings.Contains(entries[0].Identity, "\x00"))
		require.Less(t, len(entries[0].Identity), 261)
		id = b.start(transfer.StartFileTransferInput{RuleName: "r", SendFilePaths: []string{"a.bin"}, RemoteDirectoryPath: "in"})
		require.True(t, b.wait(id).Skipped)
	})
}

// tagged is a storage with one ETag for all versions.
type tagged struct {
	transfer.Storage
	etag string
}

type taggedSource struct {
	transfer.Source
	etag string
}

func (s tagged) Open(ctx context.Context, path string) (transfer.Source, error) {
	src, err := s.Storage.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	return taggedSource{src, s.etag}, nil
}

func (s taggedSource) Info() transfer.FileInfo {
	info := s.Source.Info()
	info.ETag = s.etag
	return info
}

// Error-tasks at a partner whose window has closed meanwhile wait until it opens.
func TestErrorTasksWaitForTheWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d diary
		makes := func(ctx context.Context, f *transfer.TaskFile) error { return f.Target().MakeDirectory(ctx, "failed") }
		b := setupLimited(t, 1000, transfer.Limits{Open: []transfer.TimeWindow{{From: "00:00", To: "01:00"}}}, withRule(transfer.Rule{
			Before:  []transfer.Task{d.task("b0", failing(transfer.PermissionDenied))},
			OnError: []transfer.Task{d.task("e0", taking(2*time.Hour)), d.once("e1", makes), d.task("e2")},
		}), forDays)
		contacts := b.contacts()
		id, _ := b.sendByRule(500)
		time.Sleep(3 * time.Hour)
		require.Equal(t, store.Waiting, b.row(id).State)
		b.await(id)
		r := b.row(id)
		require.Equal(t, store.Failed, r.State)
		require.Equal(t, `task Before[0], "b0": PERMISSION_DENIED`, r.FailureMessage)
		require.Equal(t, []string{"b0", "e0", "e1", "e1", "e2"}, d.read())
		require.Len(t, contacts(), 1)
		require.Zero(t, contacts()[0].Hour())
	})
}

// halfMoving is a storage that copies to move, as S3 does, and dies the first time before it removes.
type halfMoving struct {
	*transfertest.Storage
	files *transfer.Memory
	moves int
}

func (s *halfMoving) MovePath(ctx context.Context, from, to string) error {
	if s.moves++; s.moves > 1 {
		return s.Storage.MovePath(ctx, from, to)
	}
	data, err := s.files.ReadFile(from)
	if err != nil {
		return err
	}
	s.files.WriteFile(to, data)
	return transfer.ConnectionLost
}

func TestAMoveThatWasCutOffBetweenCopyAndRemoval(t *testing.T) {
	bubble(t, func(t *testing.T) {
		half := &halfMoving{}
		b := setup(t, withRule(transfer.Rule{After: []transfer.Task{transfer.MoveSource("archive")}}), func(c *transfer.Config) {
			half.Storage = c.Storage.(*transfertest.Storage)
			c.Storage = half
		})
		half.files = b.local
		id, data := b.sendByRule(2500)
		r := b.wait(id)
		require.NoError(t, r.Err())
		require.Equal(t, 2, half.moves)
		require.Equal(t, []string{"archive/a.bin"}, b.local.Paths())
		got, err := b.local.ReadFile("archive/a.bin")
		require.NoError(t, err)
		require.Equal(t, data, got)
	})
}

// The audit trail says how the partner was reached that the file was delivered to, whichever attempt ends its tasks.
func TestAuditTrailOfAFileWithTasks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		session := transfer.SessionInfo{Protocol: "sftp", HostKey: "SHA256:abc"}
		b := setup(t, audited, withRule(transfer.Rule{After: []transfer.Task{transfer.Call("a0", true, failingOnce(transfer.ConnectionLost))}}), func(c *transfer.Config) {
			c.Connectors["acme"] = transfertest.NewConnector(nil, transfertest.ConnectorOptions{Features: transfer.Features{Session: session}})
		})
		id, _ := b.sendByRule(500)
		r := b.wait(id)
		require.Equal(t, 2, r.Attempts)
		trail := b.trail(transfer.AuditQuery{FileID: r.FileID})
		require.Len(t, trail, 1)
		require.Equal(t, session, trail[0].File.Session)
	})
}

// A file that another row has delivered while it was paused is held back, and what it had begun is removed.
func TestAResumedFileThatIsHeldBackLeavesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, withRule(transfer.Rule{Ledger: transfer.LedgerSkip, TargetDirectory: "in"}))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 3, Err: transfer.ConnectionLost, Delay: time.Second})
		id, _ := b.sendByRule(25_000)
		time.Sleep(100 * time.Millisecond)
		_, err := pause(b.client, t.Context(), &transfer.ControlInput{TransferID: id})
		require.NoError(t, err)
		time.Sleep(3 * time.Second)
		require.Equal(t, store.Paused, b.row(id).State)
		require.NotEmpty(t, b.remote.Partials())
		require.NoError(t, b.wait(b.start(transfer.StartFileTransferInput{RuleName: "r", SendFilePaths: []string{"a.bin"}})).Err())
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpConnect, Nth: 1, Err: transfer.ConnectTimeout})
		_, err = resume(b.client, t.Context(), &transfer.ControlInput{TransferID: id})
		require.NoError(t, err)
		require.True(t, b.wait(id).Skipped)
		require.Empty(t, b.remote.Partials())
	})
}

// A file that is cancelled too late, while it is read back, is COMPLETED, and the ledger knows it.
func TestLedgerOfAFileThatIsCancelledTooLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, withRule(transfer.Rule{Ledger: transfer.LedgerSkip, Verify: transfer.VerifyReadBack}))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpOpen, Times: -1, Delay: 2 * time.Second})
		id, _ := b.sendByRule(2500)
		time.Sleep(time.Second)
		_, err := cancel(b.client, t.Context(), &transfer.ControlInput{TransferID: id})
		require.NoError(t, err)
		require.Equal(t, store.Done, b.wait(id).State)
		id = b.start(transfer.StartFileTransferInput{RuleName: "r", SendFilePaths: []string{"a.bin"}, RemoteDirectoryPath: "in"})
		require.True(t, b.wait(id).Skipped)
	})
}

// What an attempt at a changed file leaves that dies is removed, although the next attempt does not reach the partner.
func TestACrashOfAChangedFileIsCleanedUpAfterLater(t *testing.T) {
	for at := 1; at <= 8; at++ {
		synctest.Test(t, func(t *testing.T) {
			f := newFated(t, at, true)
			f.rule = transfer.Rule{Transforms: []transfer.Transform{transfer.Gzip(0)}}
			f.local.WriteFile("a.bin", content(1, 500))
			f.partner.Inject(transfertest.Rule{Op: transfertest.OpConnect, Nth: 2, Err: transfer.ConnectionLost})
			r := f.live(transfer.StartFileTransferInput{RuleName: "r", SendFilePaths: []string{"a.bin"}}, func() {})
			require.NoError(t, r.Err())
			require.Empty(t, f.remote.Partials(), "%v", f.deaths)
		})
	}
}
