package transfer_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

func TestFinishedFilesAreForgottenByAgeAndStatus(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, seconds)
		b.local.WriteFile("a.bin", content(1, 500))
		done := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})[0]
		failed := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"missing"}})[0]
		waits := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, StartAt: time.Now().Add(1000 * time.Hour)})
		left := func() map[transfer.Status]int64 {
			n, err := b.client.ListTransfers().CountByStatus(t.Context())
			require.NoError(t, err)
			return n
		}
		time.Sleep(2 * time.Hour)
		n, err := b.client.Purge(t.Context(), transfer.Retention{})
		require.NoError(t, err)
		require.Zero(t, n, "by default everything is kept")
		n, err = b.client.Purge(t.Context(), transfer.Retention{Done: 3 * time.Hour, InError: 3 * time.Hour})
		require.NoError(t, err)
		require.Zero(t, n)
		n, err = b.client.Purge(t.Context(), transfer.Retention{Done: time.Hour})
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		require.Equal(t, map[transfer.Status]int64{transfer.StatusInError: 1, transfer.StatusToSubmit: 1}, left())
		n, err = b.client.Purge(t.Context(), transfer.Retention{InError: time.Hour})
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		require.Equal(t, map[transfer.Status]int64{transfer.StatusToSubmit: 1}, left())
		require.NotEqual(t, done.FileID, failed.FileID)
		require.Greater(t, b.row(waits).FileID, failed.FileID)

		_, err = b.client.Purge(t.Context(), transfer.Retention{Done: -time.Hour})
		require.ErrorContains(t, err, "Retention.Done is -1h0m0s")
	})
}

func TestAStartedClientKeepsToItsRetention(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, seconds, func(c *transfer.Config) { c.Retention = transfer.Retention{Done: 24 * time.Hour} })
		b.local.WriteFile("a.bin", content(1, 500))
		b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, ClientToken: "daily"})
		time.Sleep(23 * time.Hour)
		n, err := b.client.ListTransfers().Count(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		time.Sleep(2 * time.Hour)
		n, err = b.client.ListTransfers().Count(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
		again := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, ClientToken: "daily"})[0]
		require.Equal(t, transfer.TransferTableStatusCompleted, again.StatusCode, "the token went with the transfer")
	})
}

func TestAPurgeSaysHowFarItCame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		faulty := transfertest.NewStore(nil)
		b := setup(t, seconds, func(c *transfer.Config) { c.Store = faulty })
		paths := make([]string, 1500)
		for i := range paths {
			paths[i] = fmt.Sprintf("%d.bin", i)
			b.local.WriteFile(paths[i], nil)
		}
		b.run(transfer.StartFileTransferInput{SendFilePaths: paths})
		faulty.Inject(transfertest.StoreRule{Op: transfertest.OpPurge, Nth: 2, Err: errors.New("away")})
		time.Sleep(time.Minute)
		n, err := b.client.Purge(t.Context(), transfer.Retention{Done: time.Second})
		require.EqualValues(t, 1000, n)
		var away *transfer.ServiceUnavailableException
		require.ErrorAs(t, err, &away)
		n, err = b.client.Purge(t.Context(), transfer.Retention{Done: time.Second})
		require.NoError(t, err)
		require.EqualValues(t, 500, n)
		counts, err := faulty.CountFiles(t.Context(), store.Query{})
		require.NoError(t, err)
		require.Empty(t, counts)
	})
}
