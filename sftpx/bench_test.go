package sftpx_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/storagetest"
)

const (
	benchWindow = 8 << 20
	benchSize   = 256 << 20
)

// BenchmarkUpload delivers 256 MiB in windows of 8 MiB to sshd on loopback.
func BenchmarkUpload(b *testing.B) { forPackets(b, benchUpload) }

// BenchmarkDownload reads 256 MiB in windows of 8 MiB from sshd on loopback.
func BenchmarkDownload(b *testing.B) { forPackets(b, benchDownload) }

func forPackets(b *testing.B, bench func(b *testing.B, r transfer.Remote, dir string)) {
	for _, packet := range []int{32 << 10, 255 << 10} {
		b.Run(fmt.Sprint(packet>>10, " KiB packets"), func(b *testing.B) {
			server := testenv.SSHD(b, "Ciphers aes128-gcm@openssh.com")
			cfg := sshdConfig(server)
			cfg.MaxPacket = packet
			bench(b, remote(b, connect(b, cfg)), server.Dir)
		})
	}
}

func benchUpload(b *testing.B, r transfer.Remote, dir string) {
	p := make([]byte, benchWindow)
	target := filepath.Join(dir, "up")
	b.SetBytes(benchSize)
	defer spent(b, benchSize>>20, "cpu-ms/MiB")()
	for b.Loop() {
		k, err := r.Create(b.Context(), target, transfer.CreateOptions{
			Size: benchSize, WindowSize: benchWindow, Key: storagetest.NewKey(),
		})
		require.NoError(b, err)
		atOnce(b, k.Concurrency(), func(int) []byte { return p }, k.WriteWindow)
		require.NoError(b, k.Commit(b.Context(), [sha256.Size]byte{}))
		require.NoError(b, k.Close())
	}
}

func benchDownload(b *testing.B, r transfer.Remote, dir string) {
	path := filepath.Join(dir, "down")
	require.NoError(b, os.WriteFile(path, make([]byte, benchSize), 0o600))
	b.SetBytes(benchSize)
	defer spent(b, benchSize>>20, "cpu-ms/MiB")()
	for b.Loop() {
		src, err := r.Open(b.Context(), path)
		require.NoError(b, err)
		places := make([][]byte, src.Concurrency())
		for i := range places {
			places[i] = make([]byte, benchWindow)
		}
		atOnce(b, len(places), func(mover int) []byte { return places[mover] }, src.ReadWindow)
		require.NoError(b, src.Close())
	}
}

// atOnce moves all windows in order, several at once.
func atOnce(b *testing.B, movers int, place func(mover int) []byte, move func(context.Context, []byte, int64) error) {
	var next atomic.Int64
	var group sync.WaitGroup
	for i := range movers {
		group.Go(func() {
			for off := next.Add(benchWindow) - benchWindow; off < benchSize; off = next.Add(benchWindow) - benchWindow {
				if err := move(b.Context(), place(i), off); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

// spent reports this process's CPU time for each of n units in an iteration.
func spent(b *testing.B, n int, unit string) func() {
	used := func() time.Duration {
		var r syscall.Rusage
		require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric(float64((used()-before).Microseconds())/1000/float64(b.N*n), unit) }
}

// BenchmarkSmallFiles moves files of 4 KiB, 16 at once on one connection.
func BenchmarkSmallFiles(b *testing.B) {
	server := testenv.SSHD(b, "Ciphers aes128-gcm@openssh.com")
	cfg := sshdConfig(server)
	cfg.MaxConnections = 1
	c := connect(b, cfg)
	data := []byte(strings.Repeat("x", 4096))
	b.Run("upload", func(b *testing.B) {
		smallFiles(b, c, func(ctx context.Context, r transfer.Remote, n int64) error {
			return storagetest.Write(ctx, r, filepath.Join(server.Dir, fmt.Sprint(n%2000)), data, transfer.CreateOptions{})
		})
	})
	require.NoError(b, os.WriteFile(filepath.Join(server.Dir, "small"), data, 0o600))
	b.Run("download", func(b *testing.B) {
		smallFiles(b, c, func(ctx context.Context, r transfer.Remote, _ int64) error {
			_, err := storagetest.Read(ctx, r, filepath.Join(server.Dir, "small"))
			return err
		})
	})
}

func smallFiles(b *testing.B, c *sftpx.Connector, move func(context.Context, transfer.Remote, int64) error) {
	var next atomic.Int64
	var group sync.WaitGroup
	b.ResetTimer()
	defer spent(b, 1, "cpu-ms/file")()
	for range 16 {
		group.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				r, err := c.Connect(b.Context())
				if err == nil {
					err = move(b.Context(), r, n)
					_ = r.Close()
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "files/s")
}

// BenchmarkConnect makes a connection to sshd on loopback, logs in and starts SFTP.
func BenchmarkConnect(b *testing.B) {
	server := testenv.SSHD(b)
	for b.Loop() {
		c, err := sftpx.New(sshdConfig(server))
		require.NoError(b, err)
		r, err := c.Connect(b.Context())
		require.NoError(b, err)
		require.NoError(b, r.Close())
		require.NoError(b, c.Close())
	}
}
