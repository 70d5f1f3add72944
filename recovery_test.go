package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// endedContext makes Shutdown cut files off.
func endedContext(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// interrupt sends a.bin of 60 windows and shuts the client down in the middle of it.
func interrupt(t *testing.T, b *bench, policy transfer.Overwrite) (id string) {
	t.Helper()
	b.local.WriteFile("a.bin", content(1, 60_000))
	tenth := b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 10, Times: -1, Delay: time.Millisecond})
	id = b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, Overwrite: policy})
	<-tenth.Hit()
	require.NoError(t, b.client.Shutdown(t.Context()))
	require.NotEmpty(t, b.remote.Partials())
	return id
}

// goOn makes the next client over the same store and returns the result of the first file.
func (b *bench) goOn(id string, change ...func(*transfer.Config)) transfer.ConnectorFileTransferResult {
	b.t.Helper()
	b.client = b.newClient(change...)
	require.NoError(b.t, b.client.Start(context.WithoutCancel(b.t.Context())))
	_, err := b.client.Wait(b.t.Context(), id)
	require.NoError(b.t, err)
	return b.results(id)[0]
}

func TestAFileCutOffWhileItIsPublishedIsDeliveredByTheNextClient(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 500, 1000, 2500} {
		b := setup(t)
		data := content(1, size)
		b.local.WriteFile("a.bin", data)
		commit := b.partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Nth: 1, Block: true})
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
		<-commit.Hit()
		require.ErrorIs(t, b.client.Shutdown(endedContext(t)), context.Canceled)

		r := b.goOn(id)
		require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
		got, err := b.remote.ReadFile("a.bin")
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
	}
}

func TestWhatAnEarlierAttemptLeftIsRemovedWhenTheNextOneFailsFirst(t *testing.T) {
	t.Parallel()
	t.Run("source gone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := interrupt(t, b, "")
		b.local.Remove("a.bin")
		require.Equal(t, transfer.SendFileNotFound, b.goOn(id).FailureCode)
		require.Empty(t, b.remote.Partials())
	})
	for _, policy := range []transfer.Overwrite{transfer.OverwriteFail, transfer.OverwriteSkip} {
		t.Run("target appeared, "+string(policy), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			id := interrupt(t, b, policy)
			b.remote.WriteFile("a.bin", []byte("theirs"))
			require.Equal(t, policy == transfer.OverwriteSkip, b.goOn(id).Skipped)
			require.Empty(t, b.remote.Partials())
		})
	}
}

// unversioned hides everything that tells versions of a file apart but the size.
type unversioned struct{ transfer.Storage }

type unversionedSource struct{ transfer.Source }

func (s unversioned) Open(ctx context.Context, path string) (transfer.Source, error) {
	src, err := s.Storage.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	return unversionedSource{src}, nil
}

func (s unversionedSource) Info() transfer.FileInfo {
	return transfer.FileInfo{Size: s.Source.Info().Size}
}

func TestASourceWithoutVersionsIsNeverMixed(t *testing.T) {
	t.Parallel()
	hide := func(c *transfer.Config) { c.Storage = unversioned{c.Storage} }
	b := setup(t, hide)
	id := interrupt(t, b, "")
	changed := content(2, 60_000)
	b.local.WriteFile("a.bin", changed)
	require.Equal(t, transfer.TransferTableStatusCompleted, b.goOn(id, hide).StatusCode)
	got, err := b.remote.ReadFile("a.bin")
	require.NoError(t, err)
	require.True(t, bytes.Equal(changed, got))
}

func TestWhatFailsWhileClosingDoesNotHideTheCause(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.local.WriteFile("a.bin", content(1, 3000))
	b.storage.Inject(transfertest.Rule{Op: transfertest.OpReadWindow, Nth: 2, Err: fs.ErrPermission})
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpCloseRemote | transfertest.OpCloseSink, Err: transfer.ConnectionLost})
	r := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})[0]
	require.Equal(t, transfer.ReadFileError, r.FailureCode)
	require.Equal(t, transfer.PermissionDenied, r.FailureDetail)
}

func TestUnusualCausesArePublishedUnderAWSsCodes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		op           transfertest.Op
		err          error
		code, detail transfer.Code
	}{
		"missing agent socket":          {transfertest.OpConnect, &fs.PathError{Op: "dial", Path: "/run/agent", Err: fs.ErrNotExist}, transfer.ConnectionError, transfer.FileNotFound},
		"a storage's own cancel":        {transfertest.OpWriteWindow, context.Canceled, transfer.WriteFileError, ""},
		"a storage's own code":          {transfertest.OpWriteWindow, transfer.Code("MY_QUOTA"), transfer.WriteFileError, "MY_QUOTA"},
		"a code that is no code":        {transfertest.OpWriteWindow, transfer.Code("bad\x00code"), transfer.WriteFileError, ""},
		"checkpoint lost while writing": {transfertest.OpWriteWindow, transfer.CheckpointLost, transfer.WriteFileError, ""},
		"a file's deadline":             {transfertest.OpWriteWindow, os.ErrDeadlineExceeded, transfer.TimeoutError, ""},
		"text that hides itself":        {transfertest.OpWriteWindow, errors.New("x\u2028\u202ey\x1b[2J"), transfer.WriteFileError, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.local.WriteFile("a.bin", content(1, 3000))
			b.partner.Inject(transfertest.Rule{Op: test.op, Err: test.err})
			r := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})[0]
			require.Equal(t, test.code, r.FailureCode, r.FailureMessage)
			require.Equal(t, test.detail, r.FailureDetail)
			for _, char := range r.FailureMessage {
				require.NotContains(t, "\x00\x1b\u2028\u202e", string(char))
			}
		})
	}
}

func TestAFrozenPartnerLeavesMemoryForTheOthers(t *testing.T) {
	t.Parallel()
	healthy := transfertest.NewConnector(nil, transfertest.ConnectorOptions{})
	b := setup(t, func(c *transfer.Config) {
		c.Connectors["healthy"] = healthy
		c.MemoryBudget = 8 * c.WindowSize // the ratio of the defaults
	})
	var big []string
	for _, name := range []string{"1", "2", "3", "4"} {
		b.local.WriteFile(name, content(1, 10_000))
		big = append(big, name)
	}
	b.local.WriteFile("small", content(1, 10))
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Times: -1, Block: true})
	b.start(transfer.StartFileTransferInput{SendFilePaths: big})
	require.Eventually(t, func() bool { return b.storage.Calls(transfertest.OpReadWindow) >= 4 }, 10*time.Second, time.Millisecond)

	out, err := b.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "healthy", SendFilePaths: []string{"small"}})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = b.client.Wait(ctx, out.TransferID)
	require.NoError(t, err)
	require.Error(t, b.client.Shutdown(endedContext(t)))
}

func TestShutdownEndsEvenIfTheStoreWasClosedBefore(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *transfer.Config) { c.Lease = time.Second })
	b.local.WriteFile("a.bin", content(1, 3000))
	closed := b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 3, Delay: 600 * time.Millisecond,
		Do: func(transfertest.Call) { _ = b.store.Close() }})
	b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
	<-closed.Hit()
	require.NoError(t, b.client.Shutdown(context.Background()), "no store can confirm that the file may be published")
	require.Empty(t, b.remote.Paths())
}

// boastful makes Sinks whose Checkpoint panics.
type boastful struct{ transfer.Connector }

type boastfulRemote struct{ transfer.Remote }

type boastfulSink struct{ transfer.Sink }

func (c boastful) Connect(ctx context.Context) (transfer.Remote, error) {
	r, err := c.Connector.Connect(ctx)
	return boastfulRemote{r}, err
}

func (r boastfulRemote) Create(ctx context.Context, path string, o transfer.CreateOptions) (transfer.Sink, error) {
	s, err := r.Remote.Create(ctx, path, o)
	return boastfulSink{s}, err
}

func (boastfulSink) Checkpoint() []byte { panic("bug") }

func TestPanicsInASinkHurtOnlyItsFile(t *testing.T) {
	t.Parallel()
	t.Run("Checkpoint", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(c *transfer.Config) { c.Connectors["acme"] = boastful{c.Connectors["acme"]} })
		b.local.WriteFile("a.bin", content(1, 3000))
		r := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})[0]
		require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode)
	})
	for _, size := range []int{500, 3000} {
		b := setup(t)
		b.local.WriteFile("a.bin", content(1, size))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Do: func(transfertest.Call) { panic("bug") }})
		r := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})[0]
		require.Equal(t, transfer.InternalError, r.FailureCode)
		require.Empty(t, b.remote.Partials(), "nothing is left of it")
	}
}

func TestANodeThatWokeUpTooLateCreatesNothing(t *testing.T) {
	t.Parallel()
	unreachable := &flaky{Store: store.NewMemory()}
	b := setup(t, func(c *transfer.Config) { c.Store, c.Lease = unreachable, time.Second })
	b.store = unreachable.Store
	data := content(7, 20_000)
	b.local.WriteFile("a.bin", data)
	wake := make(chan struct{})
	open := b.storage.Inject(transfertest.Rule{Op: transfertest.OpOpen, Nth: 1, Hold: wake})
	id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
	<-open.Hit()
	unreachable.down.Store(true)

	second := b.newClient()
	require.NoError(t, second.Start(context.WithoutCancel(t.Context())))
	gate := make(chan struct{})
	middle := b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 12, Times: -1, Hold: gate})
	<-middle.Hit() // the second node has taken the file over and is in the middle of it
	created := b.partner.Calls(transfertest.OpCreate)
	close(wake) // the first one goes on with what it takes for its file
	require.Never(t, func() bool { return b.partner.Calls(transfertest.OpCreate) > created }, 100*time.Millisecond, 5*time.Millisecond,
		"it would begin the temporary file of the second one anew")
	unreachable.down.Store(false)
	close(gate)
	_, err := second.Wait(t.Context(), id)
	require.NoError(t, err)
	got, err := b.remote.ReadFile("a.bin")
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
	require.NoError(t, second.Shutdown(t.Context()))
}

func TestShutdownGivesBackWhatWaitsForItsPartner(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]transfer.StartFileTransferInput{
		"send":     {SendFilePaths: []string{"a.bin"}},
		"retrieve": {RetrieveFilePaths: []string{"a.bin"}, LocalDirectoryPath: "in"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.local.WriteFile("a.bin", content(1, 3000))
			b.remote.WriteFile("a.bin", content(1, 3000))
			silent := b.partner.Inject(transfertest.Rule{Op: transfertest.OpConnect, Nth: 1, Block: true})
			id := b.start(in)
			<-silent.Hit()
			require.NoError(t, b.client.Shutdown(context.Background()))
			require.Equal(t, store.Interrupted, b.results(id)[0].State, "it did not fail")
			require.Equal(t, transfer.TransferTableStatusCompleted, b.goOn(id).StatusCode)
		})
	}
}

func TestASourceThatChangedIsDeliveredAnewOrFails(t *testing.T) {
	t.Parallel()
	for _, fail := range []bool{false, true} {
		t.Run(fmt.Sprintf("fail %v", fail), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := ordered(t, policy(transfer.RetryPolicy{}))
				b.slow()
				b.local.WriteFile("a.bin", content(1, 10_000))
				id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, FailIfChanged: fail})
				time.Sleep(3500 * time.Millisecond)
				b.control(pause, id)
				time.Sleep(2 * time.Second)
				changed := content(2, 10_000)
				b.local.WriteFile("a.bin", changed)
				b.control(resume, id)
				if !fail {
					b.requireDelivered(id, changed)
					return
				}
				r := b.wait(id)
				require.Equal(t, transfer.ReadFileError, r.FailureCode, r.FailureMessage)
				require.Equal(t, transfer.SourceChanged, r.FailureDetail)
				require.Equal(t, 2, r.Attempts)
				require.Empty(t, b.remote.Partials())
				require.Empty(t, b.remote.Paths())
			})
		})
	}
}
