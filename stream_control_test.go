package transfer_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// salted puts 16 random bytes in front of the content, so that no two attempts make the same, as encryption does.
var salted = change{most: 16, reader: func(_ context.Context, c transfer.Content) (io.ReadCloser, error) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	return io.NopCloser(io.MultiReader(bytes.NewReader(salt), c)), nil
}}

// requireSalted fails the test unless the only file at the partner is data behind a salt.
func (b *bench) requireSalted(r transfer.ConnectorFileTransferResult, data []byte) {
	b.t.Helper()
	there := b.remoteFile()
	requireDelivered(b.t, r, there)
	require.True(b.t, bytes.Equal(data, there[16:]))
	require.Empty(b.t, b.remote.Partials())
}

var retries = policy(transfer.RetryPolicy{MaxAttempts: 3, FirstDelay: time.Second})

// TestStreamsSurviveEveryFailure fails each call to the partner once.
func TestStreamsSurviveEveryFailure(t *testing.T) {
	t.Parallel()
	lost := &transfer.Error{Op: "test", Code: transfer.ConnectionLost}
	for _, op := range []transfertest.Op{transfertest.OpConnect, transfertest.OpCreate, transfertest.OpWriteWindow, transfertest.OpCommit, transfertest.OpAbort} {
		for _, done := range []bool{false, true} {
			for nth := 1; nth <= 4; nth++ {
				for _, size := range []int{500, 3500} {
					t.Run(fmt.Sprint(op, " ", nth, ", done ", done, ", ", size, " bytes"), func(t *testing.T) {
						bubble(t, func(t *testing.T) {
							b := ordered(t, rule(salted), retries)
							b.partner.Inject(transfertest.Rule{Op: op, Nth: nth, Times: 1, Err: lost, Done: done})
							b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 9, Times: 1, Err: lost}) // so that there is something to abort
							b.local.WriteFile("a", content(1, size))
							b.requireSalted(b.outcome(b.start(sendByRule("a"))), content(1, size))
							if op == transfertest.OpCommit && nth == 1 && done {
								require.Equal(t, 1, b.partner.Calls(transfertest.OpCommit), "it was published, and found")
							}
						})
					})
				}
			}
		}
	}
}

// A node dies right after it has published what no other attempt makes again.
func TestAStreamThatWasPublishedUnnoticedIsNotPublishedAgain(t *testing.T) {
	for _, overwrite := range []transfer.Overwrite{transfer.OverwriteReplace, transfer.OverwriteFail} {
		for _, size := range []int{0, 500, 3500} {
			t.Run(fmt.Sprint(overwrite, ", ", size, " bytes"), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					faulty := transfertest.NewStore(nil)
					b := ordered(t, rule(salted), retries, func(c *transfer.Config) { c.Store = faulty })
					b.local.WriteFile("a", content(1, size))
					away := make(chan *transfertest.Injection, 1)
					b.partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Nth: 1, Do: func(transfertest.Call) {
						away <- faulty.Inject(transfertest.StoreRule{Op: transfertest.OpUpdate, Err: errors.New("the node is dead")})
					}})
					in := sendByRule("a")
					in.Overwrite = overwrite
					id := b.start(in)
					dead := <-away
					_ = b.client.Shutdown(endedContext(t))
					dead.Remove()
					there := b.remoteFile()

					r := b.goOn(id, rule(salted), retries, func(c *transfer.Config) { c.Store = faulty })
					require.Equal(t, there, b.remoteFile(), "it is the one that the first node has published")
					b.requireSalted(r, content(1, size))
					require.Equal(t, 1, b.partner.Calls(transfertest.OpCommit))
				})
			})
		}
	}
}

// A node dies in mid-file: the next attempt delivers under another name, and removes what is left.
func TestAStreamThatCrashesLeavesNothing(t *testing.T) {
	for _, nth := range []int{1, 2, 3} {
		t.Run(fmt.Sprint("at window ", nth), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				faulty := transfertest.NewStore(nil)
				b := ordered(t, rule(salted), retries, func(c *transfer.Config) { c.Store = faulty })
				b.local.WriteFile("a", content(1, 3500))
				away := make(chan *transfertest.Injection, 1)
				b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: nth, Block: true, Times: 1, Do: func(transfertest.Call) {
					away <- faulty.Inject(transfertest.StoreRule{Op: transfertest.OpUpdate, Err: errors.New("the node is dead")})
				}})
				id := b.start(sendByRule("a"))
				dead := <-away
				broken := b.partner.Inject(transfertest.Rule{Op: transfertest.OpAbort, Err: errors.New("the node is dead")})
				_ = b.client.Shutdown(endedContext(t))
				broken.Remove()
				dead.Remove()
				require.NotEmpty(t, b.remote.Partials())
				b.requireSalted(b.goOn(id, rule(salted), retries, func(c *transfer.Config) { c.Store = faulty }), content(1, 3500))
			})
		})
	}
}

func TestAStreamBeginsAnewAfterAShutdown(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]bool{"in peace": false, "cut off": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := ordered(t, rule(salted), retries)
				b.local.WriteFile("a", content(1, 60_000))
				slow := b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 10, Times: -1, Delay: time.Millisecond})
				id := b.start(sendByRule("a"))
				<-slow.Hit()
				ctx := t.Context()
				if cut {
					ctx = endedContext(t)
				}
				_ = b.client.Shutdown(ctx)
				require.Equal(t, cut, len(b.remote.Partials()) > 0, "who has time removes what there is")
				require.EqualValues(t, -1, b.results(id)[0].Size)
				b.requireSalted(b.goOn(id, rule(salted), retries), content(1, 60_000))
			})
		})
	}
}

func TestStreamsArePausedAndCancelled(t *testing.T) {
	t.Parallel()
	for name, cancelled := range map[string]bool{"paused": false, "cancelled": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := ordered(t, rule(transfer.Gzip(0)), retries)
				b.local.WriteFile("a", content(1, 60_000))
				slow := b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 10, Times: -1, Delay: time.Minute})
				id := b.start(sendByRule("a"))
				<-slow.Hit()
				if cancelled {
					_, err := b.client.CancelTransfer(t.Context(), &transfer.ControlInput{TransferID: id})
					require.NoError(t, err)
					b.requireNothing(b.outcome(id), transfer.Cancelled)
					return
				}
				_, err := b.client.PauseTransfer(t.Context(), &transfer.ControlInput{TransferID: id})
				require.NoError(t, err)
				time.Sleep(10 * time.Second)
				require.Equal(t, store.Paused, b.results(id)[0].State)
				require.Empty(t, b.remote.Partials())
				slow.Remove()
				_, err = b.client.ResumeTransfer(t.Context(), &transfer.ControlInput{TransferID: id})
				require.NoError(t, err)
				requireDelivered(t, b.outcome(id), b.remoteFile())
				require.Equal(t, content(1, 60_000), gunzipped(t, b.remoteFile()))
			})
		})
	}
}

func TestAStreamWhoseSourceChangesIsBegunAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, rule(transfer.Gzip(0)), retries)
		b.local.WriteFile("a", content(1, 60_000))
		b.storage.Inject(transfertest.Rule{Op: transfertest.OpReadWindow, Nth: 20, Times: 1, Err: &transfer.Error{Op: "read", Code: transfer.SourceChanged}, Do: func(transfertest.Call) {
			b.local.WriteFile("a", content(2, 50_000))
		}})
		requireDelivered(t, b.outcome(b.start(sendByRule("a"))), b.remoteFile())
		require.Equal(t, content(2, 50_000), gunzipped(t, b.remoteFile()))
		require.Empty(t, b.remote.Partials())
	})
}

func TestStreamsKeepThePolicy(t *testing.T) {
	t.Parallel()
	for _, policy := range []transfer.Overwrite{transfer.OverwriteFail, transfer.OverwriteSkip} {
		b := setup(t, rule(transfer.Gzip(0)))
		b.local.WriteFile("a", content(1, 5000))
		b.remote.WriteFile("in/a.gz", []byte("theirs"))
		in := sendByRule("a")
		in.Overwrite = policy
		r := b.run(in)[0]
		require.Equal(t, policy == transfer.OverwriteSkip, r.Skipped)
		if !r.Skipped {
			require.Equal(t, transfer.FileExists, transfer.CodeOf(r.Err()))
		}
		require.Equal(t, []byte("theirs"), b.remoteFile())
		require.Empty(t, b.remote.Partials())
	}
}

// TestStreamsDoNotWaitForEachOther moves many files at once within little memory.
func TestStreamsDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	b := setup(t, rule(transfer.Gzip(0), transfer.Gunzip(transfer.GunzipOptions{})), func(c *transfer.Config) { c.MemoryBudget, c.MaxFiles = 5000, 64 })
	var paths []string
	for i := range 64 {
		paths = append(paths, fmt.Sprint(i))
		b.local.WriteFile(paths[i], content(uint64(i), 10_000))
	}
	for i, r := range b.run(sendByRule(paths...)) {
		requireDelivered(t, r, content(uint64(i), 10_000))
	}
}

// outcome waits for the end of a transfer and returns the result of its first file.
func (b *bench) outcome(id string) transfer.ConnectorFileTransferResult {
	b.t.Helper()
	_, err := b.client.Wait(b.t.Context(), id)
	require.NoError(b.t, err)
	return b.results(id)[0]
}
