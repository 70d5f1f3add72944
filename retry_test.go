package transfer_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

func TestAFileThatFailedForAPassingReasonIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, policy(transfer.RetryPolicy{FirstDelay: time.Minute, Factor: 3}))
		data := content(1, 5000)
		b.local.WriteFile("a.bin", data)
		offsets := b.offsets()
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 3, Times: 2, Err: transfer.ConnectionLost})
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()

		r := b.row(id)
		require.Equal(t, store.Waiting, r.State)
		require.Equal(t, transfer.TransferTableStatusInProgress, r.StatusCode)
		require.Equal(t, transfer.StatusToSubmit, r.Status())
		require.Equal(t, transfer.ConnectionError, r.FailureCode)
		require.Equal(t, transfer.ConnectionLost, r.FailureDetail)
		require.NoError(t, r.Err(), "it has not failed yet")
		require.Equal(t, 1, r.Failures)
		require.False(t, r.NextAttemptAt.After(r.UpdatedAt.Add(time.Minute)))
		require.EqualValues(t, 2000, r.BytesTransferred)

		_, err := b.client.Wait(t.Context(), id)
		require.NoError(t, err)
		r = b.row(id)
		require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode)
		require.Empty(t, r.FailureCode)
		require.Equal(t, 3, r.Attempts)
		require.Equal(t, 2, r.Failures)
		require.Equal(t, []int{0, 1000, 2000, 2000, 2000, 3000, 4000}, offsets(), "what was acknowledged is not sent again")
		got, err := b.remote.ReadFile("a.bin")
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got))
	})
}

func TestTriesComeToAnEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		policy   transfer.RetryPolicy
		err      error
		attempts int
	}{
		"after so many failures":       {transfer.RetryPolicy{MaxAttempts: 4}, transfer.ConnectionLost, 4},
		"after ten by default":         {transfer.RetryPolicy{}, transfer.ConnectionLost, 10},
		"at once where it cannot help": {transfer.RetryPolicy{}, fs.ErrPermission, 1},
		"never again":                  {transfer.RetryPolicy{MaxAttempts: 1}, transfer.ConnectionLost, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := setup(t, policy(test.policy))
				b.local.WriteFile("a.bin", content(1, 5000))
				b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 2, Times: -1, Err: test.err})
				id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
				_, err := b.client.Wait(t.Context(), id)
				require.NoError(t, err)
				r := b.row(id)
				require.Equal(t, transfer.TransferTableStatusFailed, r.StatusCode)
				require.Equal(t, test.attempts, r.Attempts)
				require.Equal(t, test.attempts, r.Failures)
				require.Zero(t, r.NextAttemptAt)
				require.Empty(t, b.remote.Partials(), "the last attempt removes what was delivered")
			})
		})
	}
}

func TestTriesEndWithTheTimeForThem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, policy(transfer.RetryPolicy{MaxAttempts: -1, FirstDelay: 10 * time.Minute, Factor: 1, MaxTime: time.Hour}))
		b.local.WriteFile("a.bin", content(1, 5000))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Err: transfer.Stalled})
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
		_, err := b.client.Wait(t.Context(), id)
		require.NoError(t, err)
		r := b.row(id)
		require.Equal(t, transfer.TimeoutError, r.FailureCode)
		require.GreaterOrEqual(t, r.FinishedAt.Sub(r.StartedAt), time.Hour)
		require.Less(t, r.FinishedAt.Sub(r.StartedAt), 71*time.Minute)
	})
}

func TestABusyPartnerIsNoFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, policy(transfer.RetryPolicy{MaxAttempts: 2}))
		b.local.WriteFile("a.bin", content(1, 500))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpConnect, Nth: 1, Times: 20, Err: transfer.PartnerBusy})
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
		_, err := b.client.Wait(t.Context(), id)
		require.NoError(t, err)
		r := b.row(id)
		require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
		require.Equal(t, 21, r.Attempts)
		require.Zero(t, r.Failures)
	})
}

// own is a connector with a policy of its own.
type own struct {
	*transfertest.Connector
	retry transfer.RetryPolicy
}

func (o own) Info() transfer.ConnectorInfo {
	info := o.Connector.Info()
	info.Retry = &o.retry
	return info
}

func TestAConnectorHasAPolicyOfItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, func(c *transfer.Config) {
			c.Connectors["acme"] = own{c.Connectors["acme"].(*transfertest.Connector), transfer.RetryPolicy{MaxAttempts: 3}}
		})
		b.local.WriteFile("a.bin", content(1, 500))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Err: transfer.OperationTimeout})
		r := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})[0]
		require.Equal(t, 3, r.Attempts)
	})
}

// A thousand files wait for a partner that does not answer, and one for another partner.
func TestADeadPartnerCostsAProbeNowAndThen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		other := transfertest.NewConnector(nil, transfertest.ConnectorOptions{MaxFiles: 4})
		b := setup(t, policy(transfer.RetryPolicy{}), func(c *transfer.Config) { c.Connectors["other"], c.PollInterval = other, time.Second })
		connects := 0
		var mu sync.Mutex
		dead := b.partner.Inject(transfertest.Rule{Op: transfertest.OpConnect, Delay: 30 * time.Second, Err: transfer.ConnectTimeout, Do: func(transfertest.Call) {
			mu.Lock()
			defer mu.Unlock()
			connects++
		}})
		var paths []string
		for i := range 1000 {
			paths = append(paths, fmt.Sprintf("%d.bin", i))
			b.local.WriteFile(paths[i], content(uint64(i), 10))
		}
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: paths})
		time.Sleep(time.Hour)
		out, err := b.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "other", SendFilePaths: paths[:1]})
		require.NoError(t, err)
		before := time.Now()
		_, err = b.client.Wait(t.Context(), out.TransferID)
		require.NoError(t, err)
		require.Less(t, time.Since(before), 2*time.Second, "other partners do not notice")

		mu.Lock()
		require.Less(t, connects, 4+60*60/50, "four files at first, then one at a time")
		require.Greater(t, connects, 30, "somebody goes on looking")
		mu.Unlock()
		dead.Remove()
		s, err := b.client.Wait(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, transfer.TransferSummary{Files: 1000, Completed: 1000}, s)
	})
}

func TestAWrongPasswordIsNotTriedAThousandTimes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, policy(transfer.RetryPolicy{}))
		refused := b.partner.Inject(transfertest.Rule{Op: transfertest.OpConnect, Err: transfer.AuthenticationFailed})
		var paths []string
		for i := range 500 {
			paths = append(paths, fmt.Sprintf("%d.bin", i))
			b.local.WriteFile(paths[i], content(uint64(i), 10))
		}
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: paths})
		time.Sleep(10 * time.Minute)
		require.LessOrEqual(t, refused.Hits(), 30)
		n, err := b.client.ListTransfers().Transfer(id).Status(transfer.StatusInError).Count(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, refused.Hits(), n, "each attempt is a file that failed for good")
	})
}

func TestAnAttemptMayTakeSoLong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, policy(transfer.RetryPolicy{MaxAttempts: 2}), func(c *transfer.Config) { c.FileTimeout = time.Minute })
		b.local.WriteFile("a.bin", content(1, 5000))
		offsets := b.offsets()
		b.storage.Inject(transfertest.Rule{Op: transfertest.OpReadWindow, Nth: 4, Times: -1, Block: true})
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
		_, err := b.client.Wait(t.Context(), id)
		require.NoError(t, err)
		r := b.row(id)
		require.Equal(t, transfer.TimeoutError, r.FailureCode, r.FailureMessage)
		require.Contains(t, r.FailureMessage, "1m0s (Config.FileTimeout)")
		require.Equal(t, 2, r.Attempts)
		require.Equal(t, []int{0, 1000, 2000}, offsets(), "the second attempt went on from there")
		require.Empty(t, b.remote.Partials())
	})
}

func TestAFileWaitsSoLongToBeTakenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, func(c *transfer.Config) { c.QueueTimeout = time.Minute })
		require.NoError(t, b.client.Shutdown(t.Context()))
		b.client = b.newClient(func(c *transfer.Config) { c.QueueTimeout = time.Minute })
		b.local.WriteFile("a.bin", content(1, 500))
		old := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
		later := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, StartAt: time.Now().Add(90 * time.Second)})
		time.Sleep(2 * time.Minute)
		require.NoError(t, b.client.Start(t.Context()))
		for id, want := range map[string]transfer.Code{old: transfer.TimeoutError, later: ""} {
			_, err := b.client.Wait(t.Context(), id)
			require.NoError(t, err)
			r := b.row(id)
			require.Equal(t, want, r.FailureCode)
			if want != "" {
				require.Equal(t, transfer.QueueExpired, r.FailureDetail)
				require.False(t, r.Retryable())
			}
		}
	})
}

func TestAWrongPolicyIsNamed(t *testing.T) {
	t.Parallel()
	_, err := transfer.New(transfer.Config{
		Retry:     transfer.RetryPolicy{MaxAttempts: -2, FirstDelay: time.Minute, Factor: 0.5, MaxDelay: time.Second, MaxTime: -5},
		Retention: transfer.Retention{Done: -1}, QueueTimeout: -1, FileTimeout: -2,
	})
	for _, want := range []string{
		"Config.Retry.MaxAttempts is -2 (use 1 or more, 0 for 10, -1 for no limit)", "Config.Retry.Factor is 0.5", "Config.Retry.MaxDelay is 1s, less than FirstDelay, 1m0s",
		"Config.Retry.MaxTime is -5ns", "Config.Retention.Done is -1ns", "Config.QueueTimeout is -1ns", "Config.FileTimeout is -2ns",
	} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "FirstDelay is")
}
