package transfer_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// died makes a client that is not started yet, whose only file was published by a node that died before it could say so.
func died(t *testing.T, in transfer.StartFileTransferInput, size int, change ...func(*transfer.Config)) (b *bench, id string, data []byte) {
	b = ordered(t, change...)
	require.NoError(t, b.client.Shutdown(t.Context()))
	b.client = b.newClient(change...)
	data = content(1, size)
	b.local.WriteFile("a.bin", data)
	in.SendFilePaths = []string{"a.bin"}
	id = b.start(in)
	dead, err := b.store.Claim(t.Context(), store.ClaimRequest{Worker: "dead", Max: 1, Lease: time.Second, Limits: map[string]int{"acme": 1}})
	require.NoError(t, err)
	require.Len(t, dead, 1)
	b.remote.WriteFile("a.bin", data)
	return b, id, data
}

// What a dead node may have published is still in doubt after an attempt that did not come to look.
func TestDoubtOutlivesAnAttemptThatDidNotLook(t *testing.T) {
	t.Parallel()
	for _, overwrite := range []transfer.Overwrite{transfer.OverwriteReplace, transfer.OverwriteFail, transfer.OverwriteSkip} {
		t.Run(string(overwrite), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, id, _ := died(t, transfer.StartFileTransferInput{Overwrite: overwrite}, 500, policy(transfer.RetryPolicy{}))
				b.partner.Inject(transfertest.Rule{Op: transfertest.OpConnect, Nth: 1, Err: transfer.ConnectionRefused})
				time.Sleep(2 * time.Second)
				require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
				r := b.wait(id)
				require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
				require.False(t, r.Skipped)
				require.Zero(t, b.partner.Calls(transfertest.OpCommit), "it is published twice")
			})
		})
	}
}

// The same, where looking itself fails.
func TestDoubtOutlivesALookThatFailed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, id, _ := died(t, transfer.StartFileTransferInput{}, 500, policy(transfer.RetryPolicy{}))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpOpen, Nth: 1, Err: transfer.ConnectionLost})
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpCreate, Nth: 1, Err: transfer.ConnectionLost}) // the session is gone
		time.Sleep(2 * time.Second)
		require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
		r := b.wait(id)
		require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
		require.Zero(t, b.partner.Calls(transfertest.OpCommit), "it is published twice")
	})
}

// Where looking alone fails, by a time-out, the file is published again within the same attempt.
func TestALookThatFailedIsNoAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, id, _ := died(t, transfer.StartFileTransferInput{}, 500, policy(transfer.RetryPolicy{}))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpReadWindow, Nth: 1, Err: transfer.OperationTimeout})
		time.Sleep(2 * time.Second)
		require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
		r := b.wait(id)
		require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
		require.Zero(t, b.partner.Calls(transfertest.OpCommit), "it is published twice")
	})
}

// A node dies after publishing, the user pauses the file meanwhile, and resumes it later.
func TestDoubtOutlivesAWish(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, id, _ := died(t, transfer.StartFileTransferInput{Overwrite: transfer.OverwriteFail}, 500, seconds)
		b.control(pause, id) // while the dead node's lease is good: Wanted
		time.Sleep(2 * time.Second)
		require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
		time.Sleep(5 * time.Second)
		require.Equal(t, store.Paused, b.row(id).State)
		b.control(resume, id)
		r := b.wait(id)
		require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
	})
}

// A file of several windows is published and the answer is lost.
func TestAPublishedFileIsFoundWhateverThePolicy(t *testing.T) {
	t.Parallel()
	for _, overwrite := range []transfer.Overwrite{transfer.OverwriteFail, transfer.OverwriteSkip} {
		for _, size := range []int{500, 2500} {
			t.Run(fmt.Sprint(overwrite, size), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					b := ordered(t, policy(transfer.RetryPolicy{}))
					b.local.WriteFile("a.bin", content(1, size))
					b.partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Nth: 1, Err: transfer.ConnectionLost, Done: true})
					r := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, Overwrite: overwrite})[0]
					require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
					require.False(t, r.Skipped, "it was delivered")
					require.NotEmpty(t, r.SHA256)
				})
			})
		}
	}
}

// The same on reading back.
func TestAConnectionLostWhileReadingBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, policy(transfer.RetryPolicy{}))
		b.local.WriteFile("a.bin", content(1, 2500))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpReadWindow, Nth: 1, Err: transfer.ConnectionLost})
		r := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, Overwrite: transfer.OverwriteFail, Verify: transfer.VerifyReadBack})[0]
		require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
	})
}

// After a look at what is there, the source is read from its beginning once more.
func TestASourceThatIsReadInOrderIsReadInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, id, data := died(t, transfer.StartFileTransferInput{}, 2500, seconds)
		b.remote.WriteFile("a.bin", content(2, 2500)) // an older one
		time.Sleep(2 * time.Second)
		require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
		b.requireDelivered(id, data)
		require.Empty(t, b.storage.Violations())
	})
}

// A node with work enough for one partner looks whether another one is back.
func TestAPartnerThatIsBackIsFoundByABusyNode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		other := transfertest.NewConnector(nil, transfertest.ConnectorOptions{MaxFiles: 4})
		b := setup(t, policy(transfer.RetryPolicy{}), func(c *transfer.Config) { c.Connectors["other"], c.MaxFiles = other, 2 })
		other.Inject(transfertest.Rule{Op: transfertest.OpConnect, Nth: 1, Err: transfer.ConnectionRefused})
		b.local.WriteFile("x.bin", content(1, 10))
		out, err := b.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "other", SendFilePaths: []string{"x.bin"}})
		require.NoError(t, err)
		time.Sleep(100 * time.Millisecond)
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Delay: time.Second})
		var paths []string
		for i := range 2000 { // 1,000 seconds of work
			paths = append(paths, fmt.Sprintf("%d.bin", i))
			b.local.WriteFile(paths[i], content(uint64(i), 10))
		}
		b.start(transfer.StartFileTransferInput{SendFilePaths: paths})
		before := time.Now()
		_, err = b.client.Wait(t.Context(), out.TransferID)
		require.NoError(t, err)
		require.Less(t, time.Since(before), 2*time.Minute)
	})
}

// ended is a partner's storage whose Create has begun the temporary file when the context of the call ends.
type late struct {
	transfer.Storage
	once sync.Once
}

func (l *late) Create(ctx context.Context, path string, o transfer.CreateOptions) (transfer.Sink, error) {
	dst, err := l.Storage.Create(ctx, path, o)
	l.once.Do(func() {
		if err == nil {
			<-ctx.Done()
			_ = dst.Close()
			dst, err = nil, ctx.Err()
		}
	})
	return dst, err
}

func TestWhatACreateThatWasCutOffLeftIsSwept(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(b *bench, id string){
		"cancel":       func(b *bench, id string) { b.control(cancel, id) },
		"file timeout": func(*bench, string) {},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := &bench{t: t, local: transfer.NewMemory(), remote: transfer.NewMemory(), store: store.NewMemory()}
				b.storage = transfertest.NewStorage(inOrder{b.local})
				b.partner = transfertest.NewConnector(&late{Storage: b.remote}, transfertest.ConnectorOptions{})
				b.client = b.newClient(seconds, func(c *transfer.Config) { c.FileTimeout = time.Minute })
				require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
				t.Cleanup(b.requireClean)
				id, _ := b.send(2500)
				time.Sleep(10 * time.Second)
				end(b, id)
				b.wait(id)
				time.Sleep(5 * time.Minute)
				require.Empty(t, b.remote.Partials())
			})
		})
	}
}

func TestWhatIsLeftOfAnOlderVersionIsSwept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, seconds)
		b.slow()
		id, _ := b.send(10_000)
		time.Sleep(3500 * time.Millisecond)
		b.control(pause, id)
		time.Sleep(2 * time.Second)
		require.Len(t, b.remote.Partials(), 1)
		changed := content(2, 9000)
		b.local.WriteFile("a.bin", changed)
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpAbort, Nth: 1, Err: transfer.OperationTimeout})
		b.control(resume, id)
		r := b.wait(id)
		require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode)
		time.Sleep(5 * time.Minute)
		require.Empty(t, b.remote.Partials())
	})
}

// A file that is paused before it began does not wait in the queue.
func TestAPauseIsNoTimeInTheQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, seconds, func(c *transfer.Config) { c.QueueTimeout = time.Minute })
		b.local.WriteFile("a.bin", content(1, 500))
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, StartAt: time.Now().Add(time.Second)})
		b.control(pause, id)
		time.Sleep(time.Hour)
		b.control(resume, id)
		r := b.wait(id)
		require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
	})
}

// A pause of two days is not time that a partner was given to come back.
func TestAPauseIsNoTimeOfTries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, policy(transfer.RetryPolicy{}))
		b.slow()
		id, data := b.send(10_000)
		time.Sleep(3500 * time.Millisecond)
		b.control(pause, id)
		time.Sleep(48 * time.Hour)
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 1, Err: transfer.ConnectionLost})
		b.control(resume, id)
		b.requireDelivered(id, data)
	})
}

func TestACommitThatHangsTimesOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, seconds, func(c *transfer.Config) { c.FileTimeout = time.Minute })
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Block: true, Times: -1})
		id, _ := b.send(500)
		time.Sleep(time.Hour)
		state := b.row(id).State
		_ = b.client.Shutdown(endedContext(t))
		require.Equal(t, store.Failed, state, "FileTimeout is how long one attempt at a file may take")
	})
}

func TestReadingBackTimesOutAndIsCancelled(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"timeout", "pause"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := ordered(t, seconds, func(c *transfer.Config) { c.FileTimeout = time.Minute })
				b.partner.Inject(transfertest.Rule{Op: transfertest.OpReadWindow, Block: true, Times: -1})
				b.local.WriteFile("a.bin", content(1, 500))
				id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, Verify: transfer.VerifyReadBack})
				time.Sleep(10 * time.Second)
				if name == "pause" {
					b.control(pause, id)
				}
				time.Sleep(time.Hour)
				state := b.row(id).State
				_ = b.client.Shutdown(endedContext(t))
				require.NotEqual(t, store.Running, state)
			})
		})
	}
}

func TestReadBackOfAFileThatWasTakenAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, seconds)
		b.local.WriteFile("a.bin", content(1, 500))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpOpen, Do: func(transfertest.Call) { b.remote.Remove("a.bin") }})
		r := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, Verify: transfer.VerifyReadBack})[0]
		require.NotEqual(t, transfer.DirectoryNotFound, r.FailureCode, r.FailureMessage)
		require.Equal(t, transfer.ReadFileError, r.FailureCode, "as VerifyReadBack says")
	})
}

// A partner where a file that was read is gone.
func TestNothingIsReadBackThatIsGoneThen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &bench{t: t, local: transfer.NewMemory(), remote: transfer.NewMemory(), store: store.NewMemory()}
		b.storage = transfertest.NewStorage(b.local)
		b.partner = transfertest.NewConnector(b.remote, transfertest.ConnectorOptions{Features: transfer.Features{Server: "mailbox", ReadOnce: true}})
		b.client = b.newClient(seconds)
		require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
		t.Cleanup(b.requireClean)
		b.local.WriteFile("a.bin", content(1, 500))
		b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, Verify: transfer.VerifyReadBack})
		require.Zero(t, b.partner.Calls(transfertest.OpReadWindow), "whom it was sent to does not find it any more")
	})
}

// inPlace is a partner that files are written to under their final names.
type inPlace struct {
	*transfer.Memory
	t *testing.T
}

type inPlaceSink struct {
	at   inPlace
	path string
	o    transfer.CreateOptions
	n    atomic.Int64
}

func (p inPlace) Create(_ context.Context, path string, o transfer.CreateOptions) (transfer.Sink, error) {
	s := &inPlaceSink{at: p, path: path, o: o}
	if o.Checkpoint == nil {
		p.WriteFile(path, nil)
		return s, nil
	}
	data, err := p.ReadFile(path)
	n, bad := strconv.Atoi(string(o.Checkpoint))
	if bad != nil || err != nil || len(data) < n || len(data) > int(o.Size) {
		return nil, transfer.CheckpointLost
	}
	s.n.Store(int64(n))
	return s, nil
}

func (s *inPlaceSink) WriteWindow(_ context.Context, p []byte, off int64) error {
	data, _ := s.at.ReadFile(s.path)
	s.at.WriteFile(s.path, append(data[:off:off], p...))
	s.n.Store(off + int64(len(p)))
	return nil
}
func (s *inPlaceSink) Concurrency() int { return 1 }
func (s *inPlaceSink) Checkpoint() []byte {
	if s.n.Load() == 0 {
		return nil
	}
	return fmt.Append(nil, s.n.Load())
}
func (s *inPlaceSink) Commit(context.Context, [sha256.Size]byte) error { return nil }
func (s *inPlaceSink) Abort(context.Context) error                     { s.at.Remove(s.path); return nil }
func (s *inPlaceSink) Close() error                                    { return nil }

func TestSomebodyElsesFileStays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &bench{t: t, local: transfer.NewMemory(), remote: transfer.NewMemory(), store: store.NewMemory()}
		b.storage = transfertest.NewStorage(inOrder{b.local})
		b.partner = transfertest.NewConnector(inPlace{b.remote, t}, transfertest.ConnectorOptions{Features: transfer.Features{Server: "x", Resume: true}})
		b.client = b.newClient(seconds)
		require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
		t.Cleanup(b.requireClean)
		b.slow()
		id, _ := b.send(10_000)
		time.Sleep(3500 * time.Millisecond)
		b.control(pause, id)
		time.Sleep(2 * time.Second)
		theirs := content(9, 20_000)
		b.remote.WriteFile("a.bin", theirs) // whom it was meant for has put another one there
		b.local.Remove("a.bin")             // and ours is gone
		b.control(resume, id)
		require.Equal(t, transfer.SendFileNotFound, b.wait(id).FailureCode)
		got, err := b.remote.ReadFile("a.bin")
		require.NoError(t, err, "it was removed")
		require.Equal(t, theirs, got)
	})
}

// slowToResume is a storage that looks through what is there before it goes on, as a directory does: a second for each
// 1,000 bytes.
type slowToResume struct{ transfer.Storage }

func (s slowToResume) Create(ctx context.Context, path string, o transfer.CreateOptions) (transfer.Sink, error) {
	if o.Checkpoint != nil {
		select {
		case <-time.After(time.Duration(o.Size/1000) * time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.Storage.Create(ctx, path, o)
}

func TestALargeFileIsSwept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &bench{t: t, local: transfer.NewMemory(), remote: transfer.NewMemory(), store: store.NewMemory()}
		b.storage = transfertest.NewStorage(slowToResume{b.local})
		b.partner = transfertest.NewConnector(b.remote, transfertest.ConnectorOptions{})
		b.client = b.newClient(seconds)
		require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
		t.Cleanup(b.requireClean)
		b.remote.WriteFile("a.bin", content(1, 60_000))
		b.storage.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Delay: time.Second})
		id := b.start(transfer.StartFileTransferInput{RetrieveFilePaths: []string{"a.bin"}, LocalDirectoryPath: "in"})
		time.Sleep(10 * time.Second)
		b.control(pause, id)
		time.Sleep(2 * time.Second)
		b.control(cancel, id)
		time.Sleep(time.Hour)
		require.Empty(t, b.local.Partials())
	})
}

func TestATokenOfOneSelectionIsNotTakenForAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, seconds)
		b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"none1", "none2"}})
		rows, err := b.client.ListTransfers().All(t.Context())
		require.NoError(t, err)
		first, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{FileIDs: []int64{rows[0].FileID}, ClientToken: "t"})
		require.NoError(t, err)
		second, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{FileIDs: []int64{rows[1].FileID}, ClientToken: "t"})
		if err == nil {
			require.NotEqual(t, first, second, "the second file is never repeated, and nobody says so")
		}
	})
}

func TestEachFileCountsOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, seconds)
		paths := make([]string, 600)
		for i := range paths {
			paths[i] = fmt.Sprintf("%d.bin", i)
		}
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: paths, StartAt: time.Now().Add(time.Hour)})
		time.Sleep(time.Second)
		q := b.client.ListTransfers().Transfer(id).OrderBy(transfer.AscStop)
		out, err := b.client.PauseTransfer(t.Context(), &transfer.ControlInput{Files: &q})
		require.NoError(t, err)
		require.Equal(t, 600, out.Files, "those that were there at the beginning come once")

		file := b.results(id)[0].FileID
		out, err = b.client.PauseTransfer(t.Context(), &transfer.ControlInput{FileIDs: []int64{file, file}})
		require.NoError(t, err)
		require.Equal(t, 1, out.Files)
	})
}

func TestWrongFileIDsAreNamedByTheirPlace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, seconds)
		id, _ := b.send(10)
		done := b.wait(id).FileID
		_, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{FileIDs: []int64{4711, done}})
		require.ErrorContains(t, err, `FileIDs[0] "4711" is not known`)
	})
}

func TestLimitCountsFilesThatAreRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, seconds)
		b.local.WriteFile("a.bin", nil)
		b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
		b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"none"}})
		q := b.client.ListTransfers().Limit(1)
		_, err := b.client.CancelTransfer(t.Context(), &transfer.ControlInput{Files: &q})
		require.Error(t, err)
		out, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{Files: &q})
		require.NoError(t, err, "Pause, Resume and Cancel leave files that they pass over out of the limit")
		require.Len(t, out.Transfers, 1)
	})
}

// A node dies with a file of one window that it had begun and published, and nothing says so.
func TestWhatADeadNodeBeganOfASmallFileIsRemoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, id, _ := died(t, transfer.StartFileTransferInput{}, 500, seconds)
		src, err := b.local.Open(t.Context(), "a.bin")
		require.NoError(t, err)
		row := b.row(id)
		key := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%s", row.TransferID, row.FileID, src.Info().Identity()))
		_, err = b.remote.Create(t.Context(), "a.bin", transfer.CreateOptions{Size: 500, WindowSize: 1000, Key: hex.EncodeToString(key[:16])})
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
		b.wait(id)
		time.Sleep(5 * time.Minute)
		require.Empty(t, b.remote.Partials())
	})
}
