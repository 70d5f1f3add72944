package transfer_test

import (
	"context"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// bitrot changes what was delivered, keeping its size.
type bitrot struct{ *transfer.Memory }

type bitrotSink struct {
	transfer.Sink
	storage *transfer.Memory
	path    string
}

func (b bitrot) Create(ctx context.Context, path string, o transfer.CreateOptions) (transfer.Sink, error) {
	dst, err := b.Memory.Create(ctx, path, o)
	return bitrotSink{dst, b.Memory, path}, err
}

func (s bitrotSink) Commit(ctx context.Context, sum [sha256.Size]byte) error {
	if err := s.Sink.Commit(ctx, sum); err != nil {
		return err
	}
	data, err := s.storage.ReadFile(s.path)
	if err == nil && len(data) > 0 {
		data[len(data)/2] ^= 1
		s.storage.WriteFile(s.path, data)
	}
	return err
}

func TestReadBackFindsWhatAServerHasChanged(t *testing.T) {
	t.Parallel()
	for name, rotten := range map[string]bool{"as sent": false, "changed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.local.WriteFile("a.bin", content(1, 2500))
			if rotten {
				b.client = b.rebuild(bitrot{b.remote})
			}
			for level, want := range map[transfer.Verify]transfer.Code{transfer.VerifySize: "", transfer.VerifyReadBack: transfer.IntegrityError} {
				r := b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, Verify: level})[0]
				if want == "" || !rotten {
					require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
					continue
				}
				require.Equal(t, transfer.WriteFileError, r.FailureCode)
				require.Equal(t, want, r.FailureDetail)
				require.ErrorIs(t, r.Err(), transfer.IntegrityError)
				require.Contains(t, r.FailureMessage, "verify target a.bin on sftp://alice@partner.example: its SHA-256 is ")
				require.True(t, r.Retryable(), "another attempt may fare better")
			}
		})
	}
}

// rebuild replaces the client by one whose partner is remote.
func (b *bench) rebuild(remote transfer.Storage) *transfer.Client {
	b.t.Helper()
	require.NoError(b.t, b.client.Shutdown(b.t.Context()))
	b.partner = transfertest.NewConnector(remote, transfertest.ConnectorOptions{URL: "sftp://alice@partner.example", MaxFiles: 4})
	client := b.newClient()
	require.NoError(b.t, client.Start(context.WithoutCancel(b.t.Context())))
	return client
}

// A node dies after it has published a file and before the store knows.
func TestAFileThatWasPublishedUnnoticedIsNotPublishedAgain(t *testing.T) {
	t.Parallel()
	for _, overwrite := range []transfer.Overwrite{transfer.OverwriteReplace, transfer.OverwriteFail, transfer.OverwriteSkip} {
		t.Run(string(overwrite), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := ordered(t, seconds)
				id, data := "", content(1, 500)
				b.local.WriteFile("a.bin", data)
				require.NoError(t, b.client.Shutdown(t.Context()))
				b.client = b.newClient(seconds)
				id = b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, Overwrite: overwrite})
				dead, err := b.store.Claim(t.Context(), store.ClaimRequest{Worker: "dead", Max: 1, Lease: time.Second, Limits: map[string]int{"acme": 1}})
				require.NoError(t, err)
				require.Len(t, dead, 1)
				b.remote.WriteFile("a.bin", data) // as the dead node did
				time.Sleep(2 * time.Second)
				require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))

				r := b.wait(id)
				require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
				require.False(t, r.Skipped)
				require.NotEmpty(t, r.SHA256)
				require.EqualValues(t, 500, r.BytesTransferred)
				require.Zero(t, b.partner.Calls(transfertest.OpCreate), "it is there already")
			})
		})
	}
}

// The same, but what is there is an older file of the same size.
func TestAnOlderFileIsNotTakenForTheDelivery(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, seconds)
		require.NoError(t, b.client.Shutdown(t.Context()))
		b.client = b.newClient(seconds)
		id, data := b.send(500)
		_, err := b.store.Claim(t.Context(), store.ClaimRequest{Worker: "dead", Max: 1, Lease: time.Second, Limits: map[string]int{"acme": 1}})
		require.NoError(t, err)
		b.remote.WriteFile("a.bin", content(2, 500))
		time.Sleep(2 * time.Second)
		require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
		b.requireDelivered(id, data)
	})
}
