package sqlitestore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/sqlitestore"
)

const batch = 100

// newFiles returns n files; no two calls share a path.
func newFiles(call, n int) []store.NewFile {
	files := make([]store.NewFile, n)
	for i := range files {
		files[i] = store.NewFile{
			Direction:  store.Send,
			Partner:    "partner",
			SourcePath: fmt.Sprintf("/outbox/2024/file-%07d-%05d.csv", call, i),
			TargetPath: fmt.Sprintf("/in/file-%07d-%05d.csv", call, i),
		}
	}
	return files
}

func create(tb testing.TB, s store.Store, t store.Transfer, files []store.NewFile) {
	tb.Helper()
	_, err := s.CreateTransfer(tb.Context(), t, files)
	require.NoError(tb, err)
}

func claim(tb testing.TB, s store.Store, maximum int) []store.Claimed {
	tb.Helper()
	claimed, err := s.Claim(tb.Context(), store.ClaimRequest{
		Worker: "worker", Max: maximum, Lease: time.Minute, Limits: map[string]int{"acme": 1_000_000},
	})
	require.NoError(tb, err)
	return claimed
}

func update(tb testing.TB, s store.Store, claimed []store.Claimed, c store.Change) {
	tb.Helper()
	changes := make([]store.Change, len(claimed))
	for i, f := range claimed {
		changes[i] = c
		changes[i].ID, changes[i].Token = f.ID, f.Token
	}
	verdicts, err := s.Update(tb.Context(), changes)
	require.NoError(tb, err)
	for _, verdict := range verdicts {
		require.NoError(tb, verdict)
	}
}

// BenchmarkLife is the life of files in batches of 100: created, claimed, written once on the way, done.
func BenchmarkLife(b *testing.B) {
	for name, o := range map[string]sqlitestore.Options{"synchronous=NORMAL": {}, "synchronous=FULL": {FullSync: true}} {
		b.Run(name, func(b *testing.B) {
			s := open(b, path(b), o)
			progress := store.Change{State: store.Running, Lease: time.Minute}
			progress.Size, progress.Offset, progress.Checkpoint = 1<<30, 8<<20, make([]byte, 128)
			done := store.Change{State: store.Done}
			done.Size, done.Offset, done.SHA256 = 1<<30, 1<<30, make([]byte, 32)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n++
				create(b, s, store.Transfer{ID: fmt.Sprint(n), ConnectorID: "acme"}, newFiles(n, batch))
				claimed := claim(b, s, batch)
				require.Len(b, claimed, batch)
				update(b, s, claimed, progress)
				update(b, s, claimed, done)
			}
			b.ReportMetric(float64(n*batch)/b.Elapsed().Seconds(), "files/s")
		})
	}
}
