package s3x

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

const (
	benchWindow = 8 << 20
	benchSize   = 1 << 30
	benchFiles  = 2000
)

// benchServer is versitygw, and a client for it with connections for many requests at once. The figures mean something
// only where the server's files are in memory (TMPDIR=/dev/shm).
func benchServer(b *testing.B) *server {
	s := real(b)
	s.window = benchWindow
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 256
	b.Cleanup(transport.CloseIdleConnections)
	s.client = s.real.Client(b, func(o *s3.Options) { o.HTTPClient = &http.Client{Transport: transport} })
	return s
}

// measured runs work b.N times and reports the CPU time of this process, without the server's, for each of n.
func measured(b *testing.B, n float64, unit string, work func()) {
	b.ReportAllocs()
	var before, after syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &before))
	b.ResetTimer()
	start := time.Now()
	for range b.N {
		work()
	}
	b.StopTimer()
	wall := time.Since(start)
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &after))
	spent := func(r syscall.Rusage) int64 { return r.Utime.Nano() + r.Stime.Nano() }
	each := n * float64(b.N)
	b.ReportMetric(float64(spent(after)-spent(before))/1e9/each, "cpu-s/"+unit)
	b.ReportMetric(each/wall.Seconds(), unit+"/s")
	b.ReportMetric(float64(after.Maxrss)/1024, "rss-MiB")
}

// inOrder calls do for each of n numbers, from atOnce goroutines that take the next one each.
func inOrder(b *testing.B, n, atOnce int, do func(worker, i int) error) {
	var next atomic.Int64
	var all sync.WaitGroup
	for worker := range atOnce {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(worker, i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// BenchmarkRead reads an object of 1 GiB in windows, the next one whenever there are fewer than so many at once.
func BenchmarkRead(b *testing.B) {
	s := benchServer(b)
	s.window = 64 << 20
	storage := s.storage(b, Options{Payload: PayloadUnsigned})
	benchUpload(b, storage, "a", random(1<<26), 1)
	for _, atOnce := range []int{1, 2, 4} {
		b.Run(fmt.Sprint(atOnce), func(b *testing.B) {
			buffers := make([][]byte, atOnce)
			for i := range buffers {
				buffers[i] = random(benchWindow)
			}
			measured(b, 1, "GiB", func() {
				source, err := storage.Open(b.Context(), "a")
				require.NoError(b, err)
				inOrder(b, benchSize/benchWindow, atOnce, func(worker, i int) error {
					return source.ReadWindow(b.Context(), buffers[worker], int64(i)*benchWindow)
				})
				require.NoError(b, source.Close())
			})
		})
	}
}

// benchUpload delivers 1 GiB in windows of p.
func benchUpload(b *testing.B, storage *Storage, path string, p []byte, atOnce int) {
	window := int64(len(p))
	sink, err := storage.Create(b.Context(), path, transfer.CreateOptions{Size: benchSize, WindowSize: window})
	require.NoError(b, err)
	inOrder(b, int(benchSize/window), atOnce, func(_, i int) error {
		return sink.WriteWindow(b.Context(), p, int64(i)*window)
	})
	require.NoError(b, sink.Commit(b.Context(), [sha256.Size]byte{}))
	require.NoError(b, sink.Close())
}

// BenchmarkWrite delivers an object of 1 GiB in parts, so many at once.
func BenchmarkWrite(b *testing.B) {
	for _, c := range []struct {
		name string
		o    Options
	}{
		{"signed", Options{}},
		{"unsigned", Options{Payload: PayloadUnsigned}},
		{"unsigned, CRC64NVME", Options{Payload: PayloadUnsigned, Checksum: ChecksumCRC64NVME}},
		{"unsigned, CRC32", Options{Payload: PayloadUnsigned, Checksum: ChecksumCRC32}},
	} {
		for _, atOnce := range []int{1, 2, 4} {
			b.Run(fmt.Sprintf("%s/%d", c.name, atOnce), func(b *testing.B) {
				s := benchServer(b)
				storage, p := s.storage(b, c.o), random(benchWindow)
				measured(b, 1, "GiB", func() { benchUpload(b, storage, "a", p, atOnce) })
			})
		}
	}
}

// BenchmarkSmall delivers and reads 2,000 objects of 4 KiB, so many at once.
func BenchmarkSmall(b *testing.B) {
	p := random(4 << 10)
	sum := sha256.Sum256(p)
	put := func(ctx context.Context, storage *Storage, path string) error {
		sink, err := storage.Create(ctx, path, transfer.CreateOptions{Size: int64(len(p)), WindowSize: benchWindow})
		if err != nil {
			return err
		}
		defer sink.Close()
		if err := sink.WriteWindow(ctx, p, 0); err != nil {
			return err
		}
		return sink.Commit(ctx, sum)
	}
	get := func(ctx context.Context, storage *Storage, path string) error {
		source, err := storage.Open(ctx, path)
		if err != nil {
			return err
		}
		defer source.Close()
		return source.ReadWindow(ctx, make([]byte, source.Info().Size), 0)
	}
	s := benchServer(b)
	storage := s.storage(b, Options{})
	inOrder(b, benchFiles, 16, func(_, i int) error { return put(b.Context(), storage, fmt.Sprint("small/", i)) })
	for _, atOnce := range []int{16, 64} {
		for _, op := range []struct {
			name string
			do   func(context.Context, *Storage, string) error
		}{{"put", put}, {"get", get}} {
			b.Run(fmt.Sprintf("%s/%d", op.name, atOnce), func(b *testing.B) {
				measured(b, benchFiles, "object", func() {
					inOrder(b, benchFiles, atOnce, func(_, i int) error {
						return op.do(b.Context(), storage, fmt.Sprint("small/", i))
					})
				})
			})
		}
	}
}

func BenchmarkChecksum(b *testing.B) {
	p := random(benchWindow)
	for _, c := range []Checksum{ChecksumCRC64NVME, ChecksumCRC32} {
		b.Run(string(c), func(b *testing.B) {
			b.SetBytes(benchWindow)
			b.ReportAllocs()
			for b.Loop() {
				c.sum(p)
			}
		})
	}
}
