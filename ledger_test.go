package transfer_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// ledgered sends a.bin under a policy and returns its result.
func (b *bench) ledgered(p transfer.LedgerPolicy) transfer.ConnectorFileTransferResult {
	b.t.Helper()
	return b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, RemoteDirectoryPath: "in", Ledger: p})[0]
}

func TestLedgerPolicies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, seconds)
		b.local.WriteFile("a.bin", content(1, 2500))
		first := b.ledgered(transfer.LedgerSkip)
		require.Equal(t, transfer.TransferTableStatusCompleted, first.StatusCode, first.FailureMessage)
		require.False(t, first.Skipped, "the ledger did not know it")

		require.NoError(t, b.remote.RemovePath(t.Context(), "in/a.bin"))
		again := b.ledgered(transfer.LedgerSkip)
		require.Equal(t, transfer.TransferTableStatusCompleted, again.StatusCode)
		require.True(t, again.Skipped)
		require.NotContains(t, b.remote.Paths(), "in/a.bin", "whether or not it is still with the partner")

		failed := b.ledgered(transfer.LedgerFail)
		require.Equal(t, transfer.WriteFileError, failed.FailureCode)
		require.Equal(t, transfer.AlreadyTransferred, failed.FailureDetail)
		require.Contains(t, failed.FailureMessage, "this version was transferred before, as file 1 at ")

		require.False(t, b.ledgered("").Skipped, "without a policy nobody asks")
		require.False(t, b.ledgered(transfer.LedgerResend).Skipped)
		require.Contains(t, b.remote.Paths(), "in/a.bin")

		b.local.WriteFile("a.bin", content(2, 2500))
		require.False(t, b.ledgered(transfer.LedgerFail).Skipped, "another version")
		require.True(t, b.ledgered(transfer.LedgerSkip).Skipped)
	})
}

// What a file becomes on its way has a name of its own for each attempt; the ledger is about the source.
func TestLedgerKnowsFilesThatAreChanged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, seconds, withRule(transfer.Rule{Transforms: []transfer.Transform{transfer.Gzip(0)}}))
		send := func() transfer.ConnectorFileTransferResult {
			return b.run(transfer.StartFileTransferInput{RuleName: "r", SendFilePaths: []string{"a.bin"}, RemoteDirectoryPath: "in", Ledger: transfer.LedgerSkip})[0]
		}
		b.local.WriteFile("a.bin", content(1, 2500))
		require.False(t, send().Skipped)
		require.True(t, send().Skipped)
		b.local.WriteFile("a.bin", content(2, 2500))
		require.False(t, send().Skipped, "another version")
		require.True(t, send().Skipped)
	})
}

func TestLedgerKnowsContent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, seconds)
		b.local.WriteFile("a.bin", content(1, 2500))
		b.ledgered(transfer.LedgerSkipContent)
		require.NoError(t, b.remote.RemovePath(t.Context(), "in/a.bin"))

		time.Sleep(time.Minute)
		b.local.WriteFile("a.bin", content(1, 2500))
		same := b.ledgered(transfer.LedgerSkipContent)
		require.Equal(t, transfer.TransferTableStatusCompleted, same.StatusCode, same.FailureMessage)
		require.True(t, same.Skipped)
		require.NotContains(t, b.remote.Paths(), "in/a.bin")
		opened := b.storage.Calls(transfertest.OpReadWindow)
		require.True(t, b.ledgered(transfer.LedgerSkipContent).Skipped)
		require.Equal(t, opened, b.storage.Calls(transfertest.OpReadWindow), "the new version is known by now: nothing is read")

		b.local.WriteFile("a.bin", content(2, 2500))
		require.False(t, b.ledgered(transfer.LedgerSkipContent).Skipped)
		require.Contains(t, b.remote.Paths(), "in/a.bin")
	})
}

func TestWhatIsRepeatedOrForgottenIsTransferredAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, seconds)
		b.local.WriteFile("a.bin", content(1, 500))
		first := b.ledgered(transfer.LedgerSkip)
		out, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{FileIDs: []int64{first.FileID}, Whole: true})
		require.NoError(t, err)
		_, err = b.client.Wait(t.Context(), out.Transfers[0].TransferID)
		require.NoError(t, err)
		require.False(t, b.results(out.Transfers[0].TransferID)[0].Skipped)

		require.True(t, b.ledgered(transfer.LedgerSkip).Skipped)
		require.NoError(t, b.client.ForgetTransferred(t.Context(), &transfer.ForgetTransferredInput{ConnectorID: "acme", RetrieveFilePaths: []string{"a.bin"}}))
		require.True(t, b.ledgered(transfer.LedgerSkip).Skipped, "the other direction")
		require.NoError(t, b.client.ForgetTransferred(t.Context(), &transfer.ForgetTransferredInput{ConnectorID: "acme", SendFilePaths: []string{"a.bin"}}))
		require.False(t, b.ledgered(transfer.LedgerSkip).Skipped)

		var wrong *transfer.InvalidRequestException
		require.ErrorAs(t, b.client.ForgetTransferred(t.Context(), nil), &wrong)
		require.Len(t, wrong.Fields, 2)
		require.ErrorAs(t, b.client.ForgetTransferred(t.Context(), &transfer.ForgetTransferredInput{
			ConnectorID: "acme", SendFilePaths: []string{"ok", "\xff"}, RetrieveFilePaths: []string{""},
		}), &wrong)
		require.Len(t, wrong.Fields, 2)
	})
}

// TestLedgerIsKeptLongerThanRows also has a retrieval that fails: it does not enter the ledger.
func TestLedgerIsKeptLongerThanRows(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, seconds, func(c *transfer.Config) { c.Retention = transfer.Retention{Done: time.Hour, Ledger: 48 * time.Hour} })
		b.remote.WriteFile("out/a.bin", content(1, 500))
		get := transfer.StartFileTransferInput{RetrieveFilePaths: []string{"out/a.bin"}, LocalDirectoryPath: "in", Ledger: transfer.LedgerSkip}
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpReadWindow, Nth: 1, Err: transfer.PermissionDenied})
		require.Equal(t, transfer.TransferTableStatusFailed, b.run(get)[0].StatusCode)
		require.False(t, b.run(get)[0].Skipped)
		time.Sleep(24 * time.Hour)
		n, err := b.client.ListTransfers().Status(transfer.StatusDone).Count(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
		require.True(t, b.run(get)[0].Skipped)
		time.Sleep(25 * time.Hour)
		require.False(t, b.run(get)[0].Skipped)
		entries, err := b.store.LookUp(t.Context(), transfer.LedgerScope("acme", store.Retrieve), []string{"out/a.bin"})
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.EqualValues(t, 500, entries[0].Size)
	})
}

func TestLedgerThatCannotBeAskedIsAskedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		faulty := transfertest.NewStore(store.NewMemory())
		b := setup(t, seconds, func(c *transfer.Config) {
			c.Store, c.Retry = faulty, transfer.RetryPolicy{MaxAttempts: 3}
		})
		b.local.WriteFile("a.bin", content(1, 500))
		faulty.Inject(transfertest.StoreRule{Op: transfertest.OpLedger, Nth: 1, Err: errors.New("away")})
		r := b.ledgered(transfer.LedgerSkip)
		require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
		require.Equal(t, 2, r.Attempts)
	})
}

// TestLedgerOfAFileWithTasks: the ledger is written once the tasks after the transfer are done, by whichever attempt.
func TestLedgerOfAFileWithTasks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		failed := false
		once := transfer.Call("once", true, func(context.Context, *transfer.TaskFile) error {
			if !failed {
				failed = true
				return errors.New("not yet")
			}
			return nil
		})
		b := setup(t, policy(transfer.RetryPolicy{MaxAttempts: 3}), func(c *transfer.Config) {
			c.Rules = map[string]transfer.Rule{"orders": {Ledger: transfer.LedgerSkip, After: []transfer.Task{once}}}
		})
		b.local.WriteFile("a.bin", content(1, 2500))
		send := transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, RuleName: "orders"}
		first := b.run(send)[0]
		require.Equal(t, transfer.TransferTableStatusCompleted, first.StatusCode, first.FailureMessage)
		require.Equal(t, 2, first.Attempts)
		require.True(t, b.run(send)[0].Skipped)
	})
}
