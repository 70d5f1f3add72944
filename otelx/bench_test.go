//go:build unix

package otelx_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/otelx"
)

// blank is a partner, and a storage, that holds a file of 4 KiB under every name and keeps nothing of what comes.
type blank struct{ transfer.NoDirectories }

type blankFile struct{}

func (b blank) Connect(context.Context) (transfer.Remote, error) { return b, nil }
func (blank) Features() transfer.Features                        { return transfer.Features{} }
func (blank) Close() error                                       { return nil }
func (blank) Info() transfer.ConnectorInfo {
	return transfer.ConnectorInfo{URL: "sftp://blank.example.com:22", MaxFiles: 64}
}
func (blank) Open(context.Context, string) (transfer.Source, error) { return blankFile{}, nil }
func (blank) Create(context.Context, string, transfer.CreateOptions) (transfer.Sink, error) {
	return blankFile{}, nil
}
func (blank) Discard(context.Context, string, transfer.CreateOptions) error { return nil }

func (blankFile) Info() transfer.FileInfo {
	return transfer.FileInfo{Size: 4096, ModTime: time.Unix(1e9, 0)}
}
func (blankFile) Concurrency() int                                 { return 1 }
func (blankFile) Close() error                                     { return nil }
func (blankFile) ReadWindow(context.Context, []byte, int64) error  { return nil }
func (blankFile) WriteWindow(context.Context, []byte, int64) error { return nil }
func (blankFile) Checkpoint() []byte                               { return nil }
func (blankFile) Commit(context.Context, [sha256.Size]byte) error  { return nil }
func (blankFile) Abort(context.Context) error                      { return nil }

// BenchmarkSmallFiles is what the engine costs for each small file, without an observer and with some.
//
//	go test -run '^$' -bench SmallFiles -benchtime 100000x ./otelx
func BenchmarkSmallFiles(b *testing.B) {
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	dropped := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	some := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.TraceIDRatioBased(0.01)), sdktrace.WithSpanProcessor(nowhere{}))
	all := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(nowhere{}))
	for _, with := range []struct {
		name string
		cfg  *otelx.Config
	}{
		{"nobody", nil},
		{"noop", &otelx.Config{MeterProvider: noop.NewMeterProvider(), TracerProvider: tracenoop.NewTracerProvider()}},
		{"metrics", &otelx.Config{MeterProvider: meters, TracerProvider: dropped}},
		{"metrics, 1% of traces", &otelx.Config{MeterProvider: meters, TracerProvider: some}},
		{"metrics, all traces", &otelx.Config{MeterProvider: meters, TracerProvider: all}},
	} {
		b.Run(with.name, func(b *testing.B) {
			cfg := transfer.Config{Storage: blank{}, Connectors: map[string]transfer.Connector{"acme": blank{}}}
			if with.cfg != nil {
				o, err := otelx.New(*with.cfg)
				require.NoError(b, err)
				cfg.Observer = o
			}
			moveSmallFiles(b, cfg)
		})
	}
}

// nowhere is where spans end that are recorded and not exported.
type nowhere struct{}

func (nowhere) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (nowhere) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (nowhere) Shutdown(context.Context) error                  { return nil }
func (nowhere) ForceFlush(context.Context) error                { return nil }

func moveSmallFiles(b *testing.B, cfg transfer.Config) {
	b.Helper()
	client, err := transfer.New(cfg)
	require.NoError(b, err)
	var ids []string
	for done := 0; done < b.N; done += 10_000 {
		paths := make([]string, min(10_000, b.N-done))
		for i := range paths {
			paths[i] = fmt.Sprintf("outbox/%d/%d", done, i)
		}
		out, err := client.StartFileTransfer(b.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: paths})
		require.NoError(b, err)
		ids = append(ids, out.TransferID)
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	require.NoError(b, client.Start(context.Background()))
	for _, id := range ids {
		_, err := client.Wait(b.Context(), id)
		require.NoError(b, err)
	}
	require.NoError(b, client.Shutdown(context.Background()))
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/1000/float64(b.N), "CPU-µs/file")
}

// cpuTime is what the process has used of the processors.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
