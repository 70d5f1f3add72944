package transfer_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// neighbour is a partner in the same process without any bookkeeping, so that a benchmark sees the engine alone.
type neighbour struct{ *transfer.Memory }

func (n neighbour) Connect(context.Context) (transfer.Remote, error) { return n, nil }
func (n neighbour) Features() transfer.Features                      { return transfer.Features{} }
func (n neighbour) Close() error                                     { return nil }
func (n neighbour) Info() transfer.ConnectorInfo {
	return transfer.ConnectorInfo{URL: "memory:", MaxFiles: 64}
}

// BenchmarkSmallFiles is the whole life of a file of 4 KiB in memory: the engine's own cost for each file.
func BenchmarkSmallFiles(b *testing.B) {
	local, remote := transfer.NewMemory(), transfer.NewMemory()
	local.WriteFile("source", content(1, 4096))
	client, err := transfer.New(transfer.Config{Storage: local, Connectors: map[string]transfer.Connector{"acme": neighbour{remote}}, MaxPaths: -1})
	require.NoError(b, err)
	paths := make([]string, b.N)
	for i := range paths {
		paths[i] = fmt.Sprintf("%d/source%d", i%100, i)
		local.WriteFile(paths[i], content(1, 4096))
	}
	b.ReportAllocs()
	b.ResetTimer()
	require.NoError(b, client.Start(b.Context()))
	out, err := client.StartFileTransfer(b.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: paths})
	require.NoError(b, err)
	summary, err := client.Wait(b.Context(), out.TransferID)
	require.NoError(b, err)
	require.Equal(b, b.N, summary.Completed)
	require.NoError(b, client.Shutdown(context.Background()))
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "files/s")
}

// BenchmarkLargeFile is the copy loop from memory to memory: reading, hashing and writing windows of 8 MiB.
func BenchmarkLargeFile(b *testing.B) {
	const size = 256 << 20
	local, remote := transfer.NewMemory(), transfer.NewMemory()
	local.WriteFile("a.bin", make([]byte, size))
	client, err := transfer.New(transfer.Config{Storage: local, Connectors: map[string]transfer.Connector{"acme": neighbour{remote}}, PollInterval: time.Millisecond})
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
