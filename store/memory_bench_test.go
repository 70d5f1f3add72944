package store_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

const batch = 100

// newFiles returns files with paths of their own.
func newFiles(n int) []store.NewFile {
	files := make([]store.NewFile, n)
	for i := range files {
		files[i] = store.NewFile{
			Direction:  store.Send,
			Partner:    "partner",
			SourcePath: fmt.Sprintf("/outbox/2024/file-%07d.csv", i),
			TargetPath: fmt.Sprintf("/in/file-%07d.csv", i),
		}
	}
	return files
}

// fill queues n files in transfers of 1,000.
func fill(b *testing.B, m *store.Memory, n int) {
	b.Helper()
	files := newFiles(1000)
	for i := range n / len(files) {
		create(b, m, fmt.Sprint("fill-", i), files...)
	}
}

func update(b testing.TB, m *store.Memory, claimed []store.Claimed, c store.Change) {
	b.Helper()
	changes := make([]store.Change, len(claimed))
	for i, f := range claimed {
		changes[i] = c
		changes[i].ID, changes[i].Token = f.ID, f.Token
	}
	verdicts, err := m.Update(b.Context(), changes)
	require.NoError(b, err)
	require.NoError(b, verdicts[len(verdicts)-1])
}

// BenchmarkMemoryLife is the life of files in batches of 100: created, claimed, written once on the way, done; in an
// empty store and in one with a million files in all states.
func BenchmarkMemoryLife(b *testing.B) {
	b.Run("rows=0", func(b *testing.B) { benchmarkLife(b, store.NewMemory()) })
	b.Run("rows=1000000", func(b *testing.B) { benchmarkLife(b, mixedMillion()) })
}

var lives atomic.Int64 // for ids

func benchmarkLife(b *testing.B, m *store.Memory) {
	files := newFiles(batch)
	progress := store.Change{State: store.Running, Lease: time.Minute}
	progress.Size, progress.Offset, progress.Checkpoint = 1<<30, 8<<20, make([]byte, 128)
	done := store.Change{State: store.Done}
	done.Size, done.Offset, done.SHA256 = 1<<30, 1<<30, make([]byte, 32)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		create(b, m, fmt.Sprint("life-", lives.Add(1)), files...)
		claimed := claim(b, m, acme, batch, time.Minute)
		update(b, m, claimed, progress)
		update(b, m, claimed, done)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*batch), "ns/file")
}

// BenchmarkMemoryClaim claims 100 files among many that are queued.
func BenchmarkMemoryClaim(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint("queued=", n), func(b *testing.B) {
			m := store.NewMemory()
			fill(b, m, n)
			back := store.Change{State: store.Interrupted}
			for b.Loop() {
				claimed := claim(b, m, acme, batch, time.Minute)
				b.StopTimer()
				require.Len(b, claimed, batch)
				update(b, m, claimed, back)
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/file")
		})
	}
}

// BenchmarkMemoryExpire claims 100 files whose leases have expired among a million queued ones.
func BenchmarkMemoryExpire(b *testing.B) {
	m := store.NewMemory()
	fill(b, m, 1_000_000)
	for b.Loop() {
		require.Len(b, claim(b, m, acme, batch, -time.Hour), batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/file")
}

// BenchmarkMemoryRead reads a page of 100 and the counts, of one transfer among a million files.
func BenchmarkMemoryRead(b *testing.B) {
	m := store.NewMemory()
	fill(b, m, 1_000_000)
	q := store.Query{TransferID: "fill-500", Limit: batch, After: store.Cursor{ID: 500_300}}
	b.Run("ListFiles", func(b *testing.B) {
		for b.Loop() {
			files, err := m.ListFiles(b.Context(), q)
			require.NoError(b, err)
			require.Len(b, files, batch)
		}
	})
	b.Run("CountFiles", func(b *testing.B) {
		for b.Loop() {
			_, err := m.CountFiles(b.Context(), q)
			require.NoError(b, err)
		}
	})
}

// BenchmarkMemoryCreate creates transfers of 1 to a million files.
func BenchmarkMemoryCreate(b *testing.B) {
	for _, n := range []int{1, 1_000, 1_000_000} {
		b.Run(fmt.Sprint("files=", n), func(b *testing.B) {
			files := newFiles(n)
			m, id := store.NewMemory(), 0
			for b.Loop() {
				id++
				create(b, m, fmt.Sprint(id), files...)
				if id*n >= 2_000_000 {
					b.StopTimer()
					m, id = store.NewMemory(), 0
					b.StartTimer()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/file")
		})
	}
}

// BenchmarkMemoryRow tells what a queued row weighs with its places in the indexes, its paths left aside, in transfers of
// many files and of one.
func BenchmarkMemoryRow(b *testing.B) {
	const rows = 200_000
	for _, perTransfer := range []int{1000, 1} {
		b.Run(fmt.Sprint("files=", perTransfer), func(b *testing.B) {
			files := newFiles(perTransfer)
			bytes := 0.0
			for b.Loop() {
				before := heapInUse()
				m := store.NewMemory()
				for i := range rows / perTransfer {
					create(b, m, fmt.Sprint(i), files...)
				}
				bytes = float64(heapInUse()-before) / rows
				runtime.KeepAlive(m)
			}
			b.ReportMetric(bytes, "B/row")
		})
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}
