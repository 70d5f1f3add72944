package pgstore_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/pgstore"
)

const batch = 100

// BenchmarkLife is the life of files in batches of 100, created, claimed, written once on the way, done, by 1 and 4
// nodes that share the queue. The server runs without fsync (see testenv.Postgres).
func BenchmarkLife(b *testing.B) {
	for _, nodes := range []int{1, 4} {
		b.Run(fmt.Sprint("nodes=", nodes), func(b *testing.B) {
			s := open(b, database(b), "")
			var transfers atomic.Int64
			b.SetParallelism(nodes) // times GOMAXPROCS, which the command below sets to 1
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					live(b, s, fmt.Sprint(transfers.Add(1)))
				}
			})
			b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "files/s")
		})
	}
}

// live creates a transfer of 100 files and moves as many, not always its own.
func live(b *testing.B, s *pgstore.Store, id string) {
	files := make([]store.NewFile, batch)
	for i := range files {
		files[i] = store.NewFile{
			Direction: store.Send, Partner: "partner",
			SourcePath: fmt.Sprintf("/outbox/2024/%s/file-%07d.csv", id, i), TargetPath: fmt.Sprintf("/in/file-%07d.csv", i),
		}
	}
	_, err := s.CreateTransfer(b.Context(), store.Transfer{ID: id, ConnectorID: "acme"}, files)
	require.NoError(b, err)
	claimed, err := s.Claim(b.Context(), store.ClaimRequest{
		Worker: "w", Max: batch, Lease: time.Minute, Limits: map[string]int{"acme": 1_000_000},
	})
	require.NoError(b, err)
	require.Len(b, claimed, batch)
	progress := store.Change{State: store.Running, Lease: time.Minute}
	progress.Size, progress.Offset, progress.Checkpoint = 1<<30, 8<<20, make([]byte, 128)
	update(b, s, claimed, progress)
	done := store.Change{State: store.Done}
	done.Size, done.Offset, done.SHA256 = 1<<30, 1<<30, make([]byte, 32)
	update(b, s, claimed, done)
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
