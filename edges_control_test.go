package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// FileTimeout says that the next attempt goes on; with the defaults of both there is none.
func TestAFileThatTakesLongerThanADayIsDelivered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, func(c *transfer.Config) {
			c.Retry, c.PollInterval, c.ProgressInterval = transfer.RetryPolicy{}, time.Second, 10*time.Second
		})
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Delay: time.Hour})
		id, data := b.send(30_000)
		b.requireDelivered(id, data)
	})
}

// The commit finds a file in the way after FileTimeout has passed.
func TestASkippedFileLeavesNothingAfterItsTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, policy(transfer.RetryPolicy{}), func(c *transfer.Config) { c.FileTimeout = time.Minute })
		b.local.WriteFile("a.bin", content(1, 2500))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Delay: 2 * time.Minute, Do: func(transfertest.Call) {
			b.remote.WriteFile("a.bin", []byte("theirs"))
		}})
		r := b.wait(b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, Overwrite: transfer.OverwriteSkip}))
		require.True(t, r.Skipped)
		time.Sleep(5 * time.Minute)
		require.Empty(t, b.remote.Partials())
	})
}

// An id is part of a format.
func TestAConnectorsIDIsNamedAsItIs(t *testing.T) {
	t.Parallel()
	_, err := transfer.New(transfer.Config{Connectors: map[string]transfer.Connector{
		"100%d": own{transfertest.NewConnector(nil, transfertest.ConnectorOptions{}), transfer.RetryPolicy{MaxAttempts: -2}},
	}})
	require.ErrorContains(t, err, `Config.Connectors["100%d"].Retry.MaxAttempts is -2 (`)
}

// A store that goes away in the middle of a call leaves files behind that were paused.
func TestWhatWasPausedBeforeTheStoreWentAwayIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		faulty := transfertest.NewStore(nil)
		b := setup(t, seconds, func(c *transfer.Config) { c.Store = faulty })
		paths := make([]string, 600)
		for i := range paths {
			paths[i] = fmt.Sprintf("%d.bin", i)
		}
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: paths, StartAt: time.Now().Add(time.Hour)})
		faulty.Inject(transfertest.StoreRule{Op: transfertest.OpControl, Nth: 2, Err: errors.New("away")})
		out, err := b.client.PauseTransfer(t.Context(), &transfer.ControlInput{TransferID: id})
		require.Error(t, err)
		require.NotNil(t, out, "500 files are paused")
		require.Equal(t, 500, out.Files)
	})
}

// Litter that can never be removed is looked for again and again.
func TestLitterThatStaysIsLeftAloneMoreAndMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, seconds)
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpAbort, Err: transfer.PermissionDenied})
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Err: transfer.PermissionDenied})
		var paths []string
		for i := range 100 {
			paths = append(paths, fmt.Sprintf("%d.bin", i))
			b.local.WriteFile(paths[i], content(uint64(i), 10))
		}
		b.run(transfer.StartFileTransferInput{SendFilePaths: paths})
		before := b.partner.Calls(transfertest.OpConnect)
		time.Sleep(24 * time.Hour)
		require.Less(t, b.partner.Calls(transfertest.OpConnect)-before, 10_000, "connections to a partner for nothing, in a day")
	})
}

// The discarding of what is not there makes something, and a failure then leaves it behind.
func TestToRemoveNothingLeavesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, policy(transfer.RetryPolicy{}))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Nth: 1, Err: transfer.ConnectionLost, Done: true})
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpAbort, Nth: 1, Err: transfer.ConnectionLost})
		id, data := b.send(2500)
		b.requireDelivered(id, data)
		time.Sleep(5 * time.Minute)
		require.Empty(t, b.remote.Partials())
	})
}

// Several windows acknowledged, published by an earlier attempt.
func TestAFileThatWasFoundHasAllItsWindows(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, id, _ := died(t, transfer.StartFileTransferInput{}, 2500, seconds)
		time.Sleep(2 * time.Second)
		require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
		r := b.wait(id)
		require.EqualValues(t, 2500, r.BytesTransferred)
		require.EqualValues(t, 1000, r.BlockSize)
		require.EqualValues(t, 3, r.Rank)
	})
}

// A transfer of the same id as a token that RetryTransfer made.
func TestATokenThatIsTakenIsTheCallersFault(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, seconds)
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"none"}})
		b.wait(id)
		b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"none"}, ClientToken: "t/" + id})
		_, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{TransferID: id, ClientToken: "t"})
		var wrong *transfer.InvalidRequestException
		require.ErrorAs(t, err, &wrong, "to call again, as ServiceUnavailableException says, never helps")
	})
}

// pooled is a partner with as many sessions as files may be under way, as sftpx has.
type pooled struct {
	*transfertest.Connector
	free chan struct{}
}

type pooledRemote struct {
	transfer.Remote
	free chan struct{}
}

func (p pooled) Connect(ctx context.Context) (transfer.Remote, error) {
	select {
	case p.free <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r, err := p.Connector.Connect(ctx)
	if err != nil {
		<-p.free
		return nil, err
	}
	return pooledRemote{r, p.free}, nil
}

func (r pooledRemote) Close() error {
	defer func() { <-r.free }()
	return r.Remote.Close()
}

// Files that are read back need no more sessions than the connector allows files.
func TestReadingBackNeedsNoSecondSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, seconds, func(c *transfer.Config) {
			partner := c.Connectors["acme"].(*transfertest.Connector)
			c.Connectors["acme"] = pooled{partner, make(chan struct{}, partner.Info().MaxFiles)}
		})
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Delay: time.Second})
		var paths []string
		for i := range 4 {
			paths = append(paths, fmt.Sprintf("%d.bin", i))
			b.local.WriteFile(paths[i], content(uint64(i), 100))
		}
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: paths, Verify: transfer.VerifyReadBack})
		ctx, stop := context.WithTimeout(t.Context(), 48*time.Hour)
		defer stop()
		s, err := b.client.Wait(ctx, id)
		_ = b.client.Shutdown(endedContext(t))
		require.NoError(t, err, "%+v", s)
	})
}

// What is left in our own storage needs no partner to be removed.
func TestOurStorageIsSweptWithoutThePartner(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, seconds)
		b.remote.WriteFile("a.bin", content(1, 10_000))
		b.storage.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Delay: time.Second})
		id := b.start(transfer.StartFileTransferInput{RetrieveFilePaths: []string{"a.bin"}, LocalDirectoryPath: "in"})
		time.Sleep(3500 * time.Millisecond)
		b.control(pause, id)
		time.Sleep(2 * time.Second)
		require.NotEmpty(t, b.local.Partials())
		require.NoError(t, b.client.Shutdown(t.Context()))
		b.client = b.newClient(seconds, func(c *transfer.Config) { c.Connectors = nil }) // the partner is one no more
		require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
		b.control(cancel, id)
		time.Sleep(5 * time.Minute)
		require.Empty(t, b.local.Partials())
	})
}

// What a user reads says nothing of the store's own words.
func TestARefusalIsInTheUsersWords(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, seconds)
		id, _ := b.send(10)
		done := b.wait(id).FileID
		_, err := b.client.PauseTransfer(t.Context(), &transfer.ControlInput{FileIDs: []int64{done}})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "store:")
	})
}

// A user's cancel that comes while a partner does not answer to the removal.
func TestACancelDoesNotWaitForTheRemoval(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, seconds)
		b.slow()
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpAbort, Nth: 1, Block: true})
		id, _ := b.send(10_000)
		time.Sleep(3500 * time.Millisecond)
		b.control(cancel, id)
		asked := time.Now()
		b.wait(id)
		require.LessOrEqual(t, time.Since(asked), 2*time.Second, "those that run stop within about a second")
	})
}

// A file of one window keeps its buffer until its sink is closed, and reading it back takes another one.
func TestReadingBackNeedsNoSecondBuffer(t *testing.T) {
	t.Parallel()
	for _, files := range []int{1, 4} {
		t.Run(fmt.Sprint(files), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := ordered(t, seconds, func(c *transfer.Config) { c.MemoryBudget = int64(files) * c.WindowSize })
				b.partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Delay: time.Second})
				var paths []string
				for i := range files {
					paths = append(paths, fmt.Sprintf("%d.bin", i))
					b.local.WriteFile(paths[i], content(uint64(i), 1000))
				}
				id := b.start(transfer.StartFileTransferInput{SendFilePaths: paths, Verify: transfer.VerifyReadBack})
				ctx, stop := context.WithTimeout(t.Context(), time.Hour)
				defer stop()
				s, err := b.client.Wait(ctx, id)
				_ = b.client.Shutdown(endedContext(t))
				require.NoError(t, err, "%+v", s)
			})
		})
	}
}

// A node that stops does not read the whole of a large file first.
func TestShutdownDoesNotWaitForALook(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, _, _ := died(t, transfer.StartFileTransferInput{}, 60_000, seconds)
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpReadWindow, Delay: time.Minute})
		time.Sleep(2 * time.Second)
		require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
		time.Sleep(10 * time.Second)
		asked := time.Now()
		require.NoError(t, b.client.Shutdown(context.Background()))
		require.Less(t, time.Since(asked), 2*time.Minute, "Shutdown lets files reach the end of their window")
	})
}

// With the defaults, a partner may be away for an hour.
func TestAnOutageOfAnHourIsOutlived(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, policy(transfer.RetryPolicy{}))
		away := b.partner.Inject(transfertest.Rule{Op: transfertest.OpConnect, Err: transfer.ConnectionRefused})
		id, data := b.send(500)
		time.Sleep(time.Hour)
		away.Remove()
		b.requireDelivered(id, data)
	})
}
