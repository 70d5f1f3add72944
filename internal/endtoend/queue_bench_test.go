//go:build unix

package endtoend

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/store"
)

// counting counts the calls by which the engine works with its Store.
type counting struct {
	store.Store
	claims, updates atomic.Int64
}

func (c *counting) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claimed, error) {
	c.claims.Add(1)
	return c.Store.Claim(ctx, r)
}

func (c *counting) Update(ctx context.Context, changes []store.Change) ([]error, error) {
	c.updates.Add(1)
	return c.Store.Update(ctx, changes)
}

// slow is a storage and a partner that holds a file of 4 KiB under every name, takes a moment to open and to publish it,
// as a partner nearby does, and keeps nothing of what comes.
type slow struct {
	transfer.NoDirectories
	moment time.Duration
}

type slowFile struct{ slow }

func (s slow) Connect(context.Context) (transfer.Remote, error) { return s, nil }
func (slow) Features() transfer.Features                        { return transfer.Features{} }
func (slow) Info() transfer.ConnectorInfo                       { return transfer.ConnectorInfo{URL: "slow:", MaxFiles: 64} }
func (slow) Close() error                                       { return nil }
func (s slow) Open(context.Context, string) (transfer.Source, error) {
	time.Sleep(s.moment)
	return slowFile{s}, nil
}
func (s slow) Create(context.Context, string, transfer.CreateOptions) (transfer.Sink, error) {
	return slowFile{s}, nil
}
func (slow) Discard(context.Context, string, transfer.CreateOptions) error { return nil }
func (slowFile) Info() transfer.FileInfo {
	return transfer.FileInfo{Size: 4096, ModTime: time.Unix(1e9, 0)}
}
func (slowFile) Concurrency() int                                 { return 1 }
func (slowFile) ReadWindow(context.Context, []byte, int64) error  { return nil }
func (slowFile) WriteWindow(context.Context, []byte, int64) error { return nil }
func (slowFile) Checkpoint() []byte                               { return nil }
func (slowFile) Abort(context.Context) error                      { return nil }
func (f slowFile) Commit(context.Context, [sha256.Size]byte) error {
	time.Sleep(f.moment)
	return nil
}

// BenchmarkQueue is what small files cost with each durable store, by how many wait in the queue, with 64 in flight that
// take 5 ms each: CPU time of this process, and calls to the Store for 1,000 files.
//
//	go test -run '^$' -bench Queue -benchtime 1x ./internal/endtoend
func BenchmarkQueue(b *testing.B) {
	for name, open := range map[string]func(*testing.B) store.Store{
		"Memory":     func(*testing.B) store.Store { return store.NewMemory() },
		"SQLite":     func(b *testing.B) store.Store { return openSQLite(b, filepath.Join(b.TempDir(), "queue.db")) },
		"PostgreSQL": func(b *testing.B) store.Store { return openPostgres(b, testenv.Postgres(b)) },
	} {
		for _, queued := range []int{2000, 20_000, 200_000} {
			b.Run(fmt.Sprintf("%s/queued=%d", name, queued), func(b *testing.B) {
				for b.Loop() {
					moveQueue(b, open(b), queued)
				}
			})
		}
	}
}

// moved is how many files of the queue are moved: what each costs must not depend on how many there are.
const moved = 2000

// moveQueue submits files and moves some of them.
func moveQueue(b *testing.B, st store.Store, queued int) {
	b.Helper()
	calls := &counting{Store: st}
	client, err := transfer.New(transfer.Config{
		Storage: slow{moment: 2500 * time.Microsecond}, Store: calls, Connectors: map[string]transfer.Connector{"acme": slow{moment: 2500 * time.Microsecond}},
	})
	require.NoError(b, err)
	submitted := processorTime(b)
	var first string
	for done := 0; done < queued; done += moved {
		paths := make([]string, moved)
		for i := range paths {
			paths[i] = fmt.Sprintf("outbox/%d/%d", done, i)
		}
		out, err := client.StartFileTransfer(b.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: paths})
		require.NoError(b, err)
		if done == 0 {
			first = out.TransferID
		}
	}
	began := processorTime(b)
	before := time.Now()
	require.NoError(b, client.Start(b.Context()))
	_, err = client.Wait(b.Context(), first)
	require.NoError(b, err)
	took := time.Since(before)
	require.NoError(b, client.Shutdown(context.Background()))
	counts, err := st.CountFiles(b.Context(), store.Query{})
	require.NoError(b, err)
	files := counts[store.Done]
	per := func(total float64, n int) float64 { return total / float64(n) }
	b.ReportMetric(per(float64((began-submitted).Microseconds()), queued), "submit-CPU-µs/file")
	b.ReportMetric(per(float64((processorTime(b)-began).Microseconds()), int(files)), "move-CPU-µs/file")
	b.ReportMetric(per(1000*float64(calls.claims.Load()), int(files)), "claims/1000files")
	b.ReportMetric(per(1000*float64(calls.updates.Load()), int(files)), "updates/1000files")
	b.ReportMetric(float64(moved)/took.Seconds(), "files/s")
}

// processorTime is what this process has taken of the processors so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var use syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &use))
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
