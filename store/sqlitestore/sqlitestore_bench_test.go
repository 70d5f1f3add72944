package sqlitestore_test

import (
	"fmt"
	"sync"
	"sync/atomic"
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

// BenchmarkLife is the life of files: created, claimed, written once on the way, done. Workers share a store, and each
// goes about its own files in batches.
func BenchmarkLife(b *testing.B) {
	for _, mode := range []struct {
		name string
		o    sqlitestore.Options
	}{{"NORMAL", sqlitestore.Options{}}, {"FULL", sqlitestore.Options{FullSync: true}}} {
		for _, workers := range []int{1, 4} {
			for _, size := range []int{1, 10, batch} {
				b.Run(fmt.Sprintf("sync=%s/workers=%d/batch=%d", mode.name, workers, size), func(b *testing.B) {
					live(b, open(b, path(b), mode.o), "", workers, size)
				})
			}
		}
		b.Run(fmt.Sprintf("sync=%s/workers=1/batch=%d/with rule", mode.name, batch), func(b *testing.B) {
			live(b, open(b, path(b), mode.o), "rule", 1, batch)
		})
	}
}

func live(b *testing.B, s store.Store, rule string, workers, size int) {
	b.Helper()
	progress := store.Change{State: store.Running, Lease: time.Minute}
	progress.Size, progress.Offset, progress.Checkpoint = 1<<30, 8<<20, make([]byte, 128)
	done := store.Change{State: store.Done}
	done.Size, done.Offset, done.SHA256 = 1<<30, 1<<30, make([]byte, 32)
	b.ReportAllocs()
	var started atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for n := int(started.Add(1)); n <= b.N; n = int(started.Add(1)) {
				create(b, s, store.Transfer{ID: fmt.Sprint(n), ConnectorID: "acme", RuleName: rule}, newFiles(n, size))
				claimed := claim(b, s, size)
				update(b, s, claimed, progress)
				update(b, s, claimed, done)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "files/s")
}
