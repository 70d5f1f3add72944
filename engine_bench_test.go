//go:build unix

package transfer_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// neighbour is a partner in the same process without any bookkeeping, so that a benchmark sees the engine alone.
type neighbour struct {
	transfer.Storage
	transfer.NoDirectories
}

func (n neighbour) Connect(context.Context) (transfer.Remote, error) { return n, nil }
func (n neighbour) Features() transfer.Features                      { return transfer.Features{} }
func (n neighbour) Close() error                                     { return nil }
func (n neighbour) Info() transfer.ConnectorInfo {
	return transfer.ConnectorInfo{URL: "memory:", MaxFiles: 64}
}

// blank is a storage that holds a file of 4 KiB under every name and keeps nothing of what comes.
type blank struct{}

var errNothingThere = errors.New("nothing is there")

func (blank) Open(context.Context, string) (transfer.Source, error) { return blankFile{}, nil }
func (blank) Create(context.Context, string, transfer.CreateOptions) (transfer.Sink, error) {
	return blankFile{}, nil
}
func (blank) Discard(context.Context, string, transfer.CreateOptions) error { return errNothingThere }

type blankFile struct{}

var longAgo = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

func (blankFile) Info() transfer.FileInfo                          { return transfer.FileInfo{Size: 4096, ModTime: longAgo} }
func (blankFile) Concurrency() int                                 { return 1 }
func (blankFile) Close() error                                     { return nil }
func (blankFile) ReadWindow(context.Context, []byte, int64) error  { return nil }
func (blankFile) WriteWindow(context.Context, []byte, int64) error { return nil }
func (blankFile) Checkpoint() []byte                               { return nil }
func (blankFile) Commit(context.Context, [sha256.Size]byte) error  { return nil }
func (blankFile) Abort(context.Context) error                      { return nil }

// inACall is how many files the benchmarks submit in one call.
const inACall = 10_000

// submit starts transfers of n files of one connector and returns their ids.
func submit(b *testing.B, client *transfer.Client, connector string, n int) (ids []string) {
	b.Helper()
	for done := 0; done < n; done += inACall {
		paths := make([]string, min(inACall, n-done))
		for i := range paths {
			paths[i] = fmt.Sprintf("outbox/%d/source%d", done/inACall, i)
		}
		out, err := client.StartFileTransfer(b.Context(), &transfer.StartFileTransferInput{ConnectorID: connector, SendFilePaths: paths})
		require.NoError(b, err)
		ids = append(ids, out.TransferID)
	}
	return ids
}

// await returns once all files of these transfers are delivered.
func await(b *testing.B, client *transfer.Client, ids []string) {
	b.Helper()
	for _, id := range ids {
		summary, err := client.Wait(b.Context(), id)
		require.NoError(b, err)
		require.Equal(b, summary.Files, summary.Completed)
	}
}

// BenchmarkSmallFiles is the whole life of a file of 4 KiB in memory, submission included, with 64 in flight: what it
// costs in our storage, at the partner and in the engine.
func BenchmarkSmallFiles(b *testing.B) {
	local, remote := transfer.NewMemory(), transfer.NewMemory()
	calls := &tally{Store: store.NewMemory()}
	client, err := transfer.New(transfer.Config{Storage: local, Store: calls, Connectors: map[string]transfer.Connector{"acme": neighbour{Storage: remote}}})
	require.NoError(b, err)
	for i := range b.N {
		local.WriteFile(fmt.Sprintf("outbox/%d/source%d", i/inACall, i%inACall), content(1, 4096))
	}
	b.ReportAllocs()
	runtime.GC()
	b.ResetTimer()
	before := cpuTime(b)
	require.NoError(b, client.Start(b.Context()))
	await(b, client, submit(b, client, "acme", b.N))
	require.NoError(b, client.Shutdown(context.Background()))
	reportCPU(b, before, b.N, "CPU-µs/file")
	reportCalls(b, calls, b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "files/s")
}

func reportCalls(b *testing.B, calls *tally, n int) {
	b.Helper()
	b.ReportMetric(float64(calls.claims.Load())*1000/float64(n), "claims/1000files")
	b.ReportMetric(float64(calls.updates.Load())*1000/float64(n), "updates/1000files")
}

// BenchmarkQueue is what the engine alone costs for each small file, by how many wait in its queue when it starts: their
// submission in calls of 10,000, the memory that each takes while it waits, and its claim, its run and its record.
//
//	go test -run '^$' -bench Queue -benchtime 1x .
func BenchmarkQueue(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("files=%d", n), func(b *testing.B) {
			for b.Loop() {
				moveQueue(b, n, 1)
			}
		})
	}
	b.Run("files=100000/connectors=1000", func(b *testing.B) {
		for b.Loop() {
			moveQueue(b, 100_000, 1000)
		}
	})
}

// moveQueue submits n files to as many connectors, and then moves them.
func moveQueue(b *testing.B, n, connectors int) {
	b.Helper()
	calls := &tally{Store: store.NewMemory()}
	cfg := transfer.Config{Storage: blank{}, Store: calls, Connectors: make(map[string]transfer.Connector)}
	for i := range connectors {
		cfg.Connectors[fmt.Sprint("acme", i)] = neighbour{Storage: blank{}}
	}
	client, err := transfer.New(cfg)
	require.NoError(b, err)
	heap, before := heapInUse(), cpuTime(b)
	var ids []string
	for id := range cfg.Connectors {
		ids = append(ids, submit(b, client, id, n/connectors)...)
	}
	reportCPU(b, before, n, "submit-CPU-µs/file")
	b.ReportMetric(float64(heapInUse()-heap)/float64(n), "heap-B/file")
	var allocs, allocsAfter runtime.MemStats
	runtime.ReadMemStats(&allocs)
	before = cpuTime(b)
	require.NoError(b, client.Start(b.Context()))
	await(b, client, ids)
	require.NoError(b, client.Shutdown(context.Background()))
	reportCPU(b, before, n, "move-CPU-µs/file")
	runtime.ReadMemStats(&allocsAfter)
	b.ReportMetric(float64(allocsAfter.Mallocs-allocs.Mallocs)/float64(n), "move-allocs/file")
	b.ReportMetric(float64(allocsAfter.TotalAlloc-allocs.TotalAlloc)/float64(n), "move-B/file")
	reportCalls(b, calls, n)
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkLargeFile is the copy loop from memory to memory: reading, hashing and writing windows.
func BenchmarkLargeFile(b *testing.B) {
	const size = 256 << 20
	local, remote := transfer.NewMemory(), transfer.NewMemory()
	local.WriteFile("a.bin", make([]byte, size))
	client, err := transfer.New(transfer.Config{Storage: local, Connectors: map[string]transfer.Connector{"acme": neighbour{Storage: remote}}, PollInterval: time.Millisecond})
	require.NoError(b, err)
	require.NoError(b, client.Start(b.Context()))
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		out, err := client.StartFileTransfer(b.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"a.bin"}})
		require.NoError(b, err)
		_, err = client.Wait(b.Context(), out.TransferID)
		require.NoError(b, err)
	}
	require.NoError(b, client.Shutdown(context.Background()))
}
