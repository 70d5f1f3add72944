package transfer_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// slow makes each window take a second.
func (b *bench) slow() {
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Delay: time.Second})
}

func seconds(c *transfer.Config) { c.PollInterval, c.ProgressInterval = time.Second, time.Second }

func (b *bench) send(size int) (id string, data []byte) {
	data = content(1, size)
	b.local.WriteFile("a.bin", data)
	return b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}}), data
}

func (b *bench) wait(id string) transfer.TransferRow {
	b.t.Helper()
	_, err := b.client.Wait(b.t.Context(), id)
	require.NoError(b.t, err)
	return b.row(id)
}

func (b *bench) requireDelivered(id string, data []byte) {
	b.t.Helper()
	r := b.wait(id)
	require.Equal(b.t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
	got, err := b.remote.ReadFile("a.bin")
	require.NoError(b.t, err)
	require.True(b.t, bytes.Equal(data, got))
	require.Empty(b.t, b.remote.Partials())
}

type verb func(*transfer.Client, context.Context, *transfer.ControlInput) (*transfer.ControlOutput, error)

func (b *bench) control(do verb, id string) {
	b.t.Helper()
	out, err := do(b.client, b.t.Context(), &transfer.ControlInput{TransferID: id})
	require.NoError(b.t, err)
	require.Equal(b.t, 1, out.Files, "%v", out.Refused)
}

var (
	pause  verb = (*transfer.Client).PauseTransfer
	resume verb = (*transfer.Client).ResumeTransfer
	cancel verb = (*transfer.Client).CancelTransfer
)

func TestARunningFileIsPausedAndGoesOnWhereItStopped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, seconds)
		offsets := b.offsets()
		b.slow()
		id, data := b.send(10_000)
		time.Sleep(3500 * time.Millisecond)
		b.control(pause, id)
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()

		r := b.row(id)
		require.Equal(t, store.Paused, r.State)
		require.Equal(t, transfer.StatusInterrupted, r.Status())
		require.Equal(t, transfer.TransferTableStatusInProgress, r.StatusCode)
		require.Empty(t, r.FailureCode)
		require.NotEmpty(t, b.remote.Partials())
		time.Sleep(time.Hour)
		require.Equal(t, store.Paused, b.row(id).State, "it never goes on by itself")

		b.control(resume, id)
		b.requireDelivered(id, data)
		sent := offsets()
		require.Len(t, sent, 11, "one window was cut off, and is sent again: %v", sent)
	})
}

func TestWhatWaitsIsPausedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, policy(transfer.RetryPolicy{FirstDelay: time.Hour}))
		data := content(1, 500)
		b.local.WriteFile("a.bin", data)
		queued := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, StartAt: time.Now().Add(24 * time.Hour)})
		b.control(pause, queued)
		require.Equal(t, store.Paused, b.row(queued).State)
		require.Equal(t, transfer.TransferTableStatusQueued, b.row(queued).StatusCode, "it never began")

		once := b.partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Nth: 1, Err: transfer.ConnectionLost})
		waiting := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
		<-once.Hit()
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.Equal(t, store.Waiting, b.row(waiting).State)
		b.control(resume, waiting)
		b.requireDelivered(waiting, data)

		b.control(resume, queued)
		require.Equal(t, store.Queued, b.row(queued).State)
		require.Equal(t, 24*time.Hour, b.row(queued).NextAttemptAt.Sub(b.row(queued).CreatedAt), "its time has not come yet")
		b.control(cancel, queued)
		require.Equal(t, transfer.Cancelled, b.row(queued).FailureCode)
	})
}

func TestARunningFileIsCancelledOnAnyNode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, seconds)
		b.slow()
		id, _ := b.send(10_000)
		time.Sleep(3500 * time.Millisecond)
		elsewhere := b.newClient(seconds)
		out, err := elsewhere.CancelTransfer(t.Context(), &transfer.ControlInput{TransferID: id})
		require.NoError(t, err)
		require.Equal(t, 1, out.Files)
		asked := time.Now()
		r := b.wait(id)
		require.LessOrEqual(t, time.Since(asked), time.Second)
		require.Equal(t, store.Cancelled, r.State)
		require.Equal(t, transfer.TransferTableStatusFailed, r.StatusCode)
		require.Equal(t, transfer.Cancelled, r.FailureCode)
		require.Empty(t, b.remote.Partials())
		require.Empty(t, b.remote.Paths())
		require.NoError(t, elsewhere.Shutdown(t.Context()))
	})
}

func TestAFileThatHangsIsCancelledAllTheSame(t *testing.T) {
	t.Parallel()
	for _, op := range []transfertest.Op{transfertest.OpConnect, transfertest.OpCreate, transfertest.OpWriteWindow} {
		t.Run(op.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := ordered(t, seconds)
				b.partner.Inject(transfertest.Rule{Op: op, Block: true})
				id, _ := b.send(10_000)
				time.Sleep(time.Minute)
				b.control(cancel, id)
				asked := time.Now()
				require.Equal(t, transfer.Cancelled, b.wait(id).FailureCode)
				require.LessOrEqual(t, time.Since(asked), time.Second)
				require.Empty(t, b.remote.Partials())
			})
		})
	}
}

func TestWhatIsBeingPublishedIsDelivered(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]verb{"pause": pause, "cancel": cancel} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := ordered(t, seconds)
				commit := b.partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Delay: 10 * time.Second})
				id, data := b.send(3000)
				<-commit.Hit()
				b.control(do, id)
				b.requireDelivered(id, data)
			})
		})
	}
}

func TestACancelledFileThatCannotBeRemovedIsSwept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, seconds)
		b.slow()
		id, _ := b.send(10_000)
		time.Sleep(3500 * time.Millisecond)
		b.control(pause, id)
		time.Sleep(2 * time.Second)
		gone := b.partner.Inject(transfertest.Rule{Op: transfertest.OpConnect | transfertest.OpAbort, Err: transfer.ConnectionRefused})
		b.control(cancel, id)
		require.Equal(t, store.Cancelled, b.row(id).State)
		time.Sleep(10 * time.Minute)
		require.NotEmpty(t, b.remote.Partials())
		gone.Remove()
		time.Sleep(time.Hour)
		require.Empty(t, b.remote.Partials())
	})
}

// A node dies while a user wants its file paused or cancelled.
func TestAWishSurvivesTheNode(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]verb{"pause": pause, "cancel": cancel} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := ordered(t, seconds)
				require.NoError(t, b.client.Shutdown(t.Context()))
				b.client = b.newClient(seconds)
				id, data := b.send(10_000)
				dead, err := b.store.Claim(t.Context(), store.ClaimRequest{Worker: "dead", Max: 1, Lease: time.Minute, Limits: map[string]int{"acme": 1}})
				require.NoError(t, err)
				require.Len(t, dead, 1)
				b.control(do, id)
				require.Equal(t, store.Running, b.row(id).State, "its node may still be there")
				require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
				time.Sleep(2 * time.Minute)
				if name == "cancel" {
					require.Equal(t, store.Cancelled, b.row(id).State)
					return
				}
				require.Equal(t, store.Paused, b.row(id).State)
				b.control(resume, id)
				b.requireDelivered(id, data)
			})
		})
	}
}

func TestOnlyWhatFailedIsRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, seconds)
		for i := range 3 {
			b.local.WriteFile(fmt.Sprintf("%d.bin", i), content(uint64(i), 100))
		}
		broken := b.partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Path: "1.bin", Err: transfer.PermissionDenied})
		first := b.start(transfer.StartFileTransferInput{
			SendFilePaths: []string{"0.bin", "1.bin", "2.bin"}, FollowID: "flow", RuleName: "daily", Metadata: map[string]string{"k": "v"}, Overwrite: transfer.OverwriteSkip,
		})
		_, err := b.client.Wait(t.Context(), first)
		require.NoError(t, err)
		broken.Remove()

		out, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{TransferID: first, ClientToken: "again"})
		require.NoError(t, err)
		require.Len(t, out.Transfers, 1)
		require.Equal(t, 1, out.Transfers[0].Files)
		require.Equal(t, first, out.Transfers[0].RetryOf)
		again, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{TransferID: first, ClientToken: "again"})
		require.NoError(t, err)
		require.Equal(t, out, again, "the same token, the same transfer")

		r := b.wait(out.Transfers[0].TransferID)
		require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
		require.Equal(t, "1.bin", r.FilePath)
		require.Equal(t, "flow", r.FollowID)
		require.Equal(t, "daily", r.RuleName)
		require.Equal(t, map[string]string{"k": "v"}, r.Metadata)
		failed := b.results(first)[1]
		require.Equal(t, failed.FileID, r.RetryOf)
		require.Equal(t, transfer.TransferTableStatusFailed, failed.StatusCode, "the earlier one stays what it was")

		whole, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{TransferID: first, Whole: true, ClientToken: "whole"})
		require.NoError(t, err)
		require.Equal(t, 3, whole.Transfers[0].Files)
		_, err = b.client.Wait(t.Context(), whole.Transfers[0].TransferID)
		require.NoError(t, err)
		for _, r := range b.results(whole.Transfers[0].TransferID) {
			require.True(t, r.Skipped, "the options are the same")
		}

		failedOnes := b.client.ListTransfers().Rule("daily").Status(transfer.StatusInError)
		byQuery, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{Files: &failedOnes})
		require.NoError(t, err)
		require.Len(t, byQuery.Transfers, 1)
		twice, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{Files: &failedOnes})
		require.NoError(t, err)
		require.Equal(t, byQuery, twice, "a script that runs again sends nothing again")
		byID, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{FileIDs: []int64{failed.FileID}})
		require.NoError(t, err)
		require.Len(t, byID.Transfers, 1)
	})
}

func TestWhatAUserHasCancelledIsLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, seconds)
		b.local.WriteFile("a.bin", content(1, 10))
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, StartAt: time.Now().Add(time.Hour)})
		b.control(cancel, id)
		_, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{TransferID: id})
		require.ErrorContains(t, err, "with Cancelled those that were cancelled too")
		out, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{TransferID: id, Cancelled: true})
		require.NoError(t, err)
		require.Equal(t, transfer.TransferTableStatusCompleted, b.wait(out.Transfers[0].TransferID).StatusCode)
	})
}

func TestWrongWishesAreNamed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id, data := b.send(500)
	b.requireDelivered(id, data)
	done := b.row(id).FileID
	bad := b.client.ListTransfers().Limit(-1)
	for name, test := range map[string]struct {
		in   transfer.ControlInput
		want string
	}{
		"nothing":        {transfer.ControlInput{}, "0 of TransferID, FileIDs and Files are given (give exactly one)"},
		"too much":       {transfer.ControlInput{TransferID: id, FileIDs: []int64{1}}, "2 of TransferID, FileIDs and Files are given"},
		"unknown":        {transfer.ControlInput{TransferID: "nope"}, `ResourceNotFoundException: transfer "nope" is not known`},
		"unknown file":   {transfer.ControlInput{FileIDs: []int64{4711}}, "ResourceNotFoundException: file 4711 is not known"},
		"no id":          {transfer.ControlInput{FileIDs: []int64{0}}, "FileIDs[0]"},
		"too many":       {transfer.ControlInput{FileIDs: make([]int64, 1001)}, "at most 1000"},
		"a wrong query":  {transfer.ControlInput{Files: &bad}, "Limit"},
		"finished":       {transfer.ControlInput{TransferID: id}, "there is no file to"},
		"a finished one": {transfer.ControlInput{FileIDs: []int64{done}}, "Done"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, do := range []verb{pause, resume, cancel} {
				_, err := do(b.client, t.Context(), &test.in)
				require.ErrorContains(t, err, test.want)
			}
		})
	}
	_, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{FileIDs: []int64{done, 4711}})
	require.ErrorContains(t, err, "is Done (only FAILED files are repeated, and with Whole COMPLETED ones too)")
	require.ErrorContains(t, err, "is not known")
	_, err = b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{TransferID: id})
	require.ErrorContains(t, err, "there is no file to repeat")
	for _, do := range []verb{pause, resume, cancel} {
		_, err = do(b.client, t.Context(), nil)
		require.Error(t, err)
	}
}

// Users pause, resume and cancel at random while two nodes move files.
func TestWishesAtRandomLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) { wishAtRandom(t, rand.New(rand.NewPCG(seed, 2))) })
		})
	}
}

func wishAtRandom(t *testing.T, random *rand.Rand) {
	const files = 30
	b := &bench{t: t, local: transfer.NewMemory(), remote: transfer.NewMemory(), store: store.NewMemory()}
	p := &point{bench: b}
	b.storage = transfertest.NewStorage(inOrder{b.local})
	b.partner = transfertest.NewConnector(counted{inOrder{b.remote}, &p.published}, transfertest.ConnectorOptions{URL: "sftp://alice@partner.example", MaxFiles: 6})
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow | transfertest.OpCommit, Delay: 300 * time.Millisecond})
	b.client = b.newClient(policy(transfer.RetryPolicy{MaxAttempts: -1}))
	require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(b.requireClean)
	second := b.newClient(policy(transfer.RetryPolicy{MaxAttempts: -1}))
	require.NoError(t, second.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() { require.NoError(t, second.Shutdown(context.Background())) })

	var paths []string
	for i := range files {
		paths = append(paths, fmt.Sprintf("%d.bin", i))
		b.local.WriteFile(paths[i], content(uint64(i), 500+1000*(i%6)))
	}
	id := b.start(transfer.StartFileTransferInput{SendFilePaths: paths})
	rows := b.results(id)
	verbs := []verb{pause, resume, pause, resume, cancel}
	for range 150 {
		time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
		file := rows[random.IntN(files)].FileID
		_, _ = verbs[random.IntN(len(verbs))](b.client, t.Context(), &transfer.ControlInput{FileIDs: []int64{file}})
		if random.IntN(20) == 0 {
			b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 1, Err: transfer.ConnectionLost})
		}
	}
	for _, r := range rows {
		_, _ = resume(b.client, t.Context(), &transfer.ControlInput{FileIDs: []int64{r.FileID}})
	}
	s, err := b.client.Wait(t.Context(), id)
	require.NoError(t, err)
	require.EqualValues(t, s.Completed, p.published.Load())
	time.Sleep(3 * time.Minute)
	require.Empty(t, b.remote.Partials())
	for i, r := range b.results(id) {
		got, err := b.remote.ReadFile(paths[i])
		if r.StatusCode == transfer.TransferTableStatusFailed {
			require.Equal(t, transfer.Cancelled, r.FailureCode, r.FailureMessage)
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.True(t, bytes.Equal(content(uint64(i), 500+1000*(i%6)), got))
	}
}
