//go:build unix

package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

const (
	workers   = 3
	perWorker = 2 // files at once
	limit     = 5 // files at once of all workers: fewer than they would take
	lease     = 4 * time.Second
	patience  = 3 * time.Minute // for the whole run, on the slowest machine

	window     = 5 << 20 // of the engine
	smallFiles = 48
	bandwidth  = 8 << 20 // bytes per second of one worker
	inMidFile  = 2       // windows that are through and windows that are to come when a worker is killed
)

// bigSizes are of files that take long enough to be cut off, and more at once than the limit allows.
var bigSizes = []int64{48 << 20, 40<<20 + 1, 30 << 20, 24 << 20, 20<<20 - 1}

// TestAFleetLosesAWorker runs three workers and a submitter, and kills a worker in mid-file.
func TestAFleetLosesAWorker(t *testing.T) {
	r := setup(t, bigSizes, smallFiles)
	fleet := make(map[string]*process)
	for i := range workers {
		name := fmt.Sprintf("worker-%d", i)
		fleet[name] = r.worker(t, name)
	}
	submitter := r.submitter(t, "submitter")

	w := &watch{ranks: make(map[int64]int64)}
	var victim string
	r.follow(t, w, func(rows []row) bool { victim = inMid(rows); return victim != "" })
	require.NoError(t, fleet[victim].Process.Kill())
	require.Equal(t, -1, fleet[victim].wait())
	left := r.rows(t)
	sent := r.line.sent.Load()
	r.follow(t, w, func(rows []row) bool { return !slices.ContainsFunc(rows, func(f row) bool { return !f.Ended }) })

	require.Zero(t, submitter.wait(), submitter.said())
	requireTable(t, submitter.stdout.String(), r.sums)
	require.Equal(t, limit, w.most, "files at once of all workers: as many as the limit allows")
	requireGoneOn(t, victim, left, r.rows(t), r.line.sent.Load()-sent)
	r.requireArrived(t)
	for name, p := range fleet {
		if name != victim {
			require.NoError(t, p.Process.Signal(syscall.SIGTERM))
			require.Zero(t, p.wait(), p.said())
		}
	}
	requireDeliveredOnce(t, fleet, r.rows(t))

	// The same job once more: the same results, and nothing is sent again.
	sent = r.line.sent.Load()
	again := r.submitter(t, "again")
	require.Zero(t, again.wait(), again.said())
	require.Equal(t, submitter.stdout.String(), again.stdout.String())
	require.Equal(t, sent, r.line.sent.Load())
}

// TestAWorkerHandsOver ends a worker by SIGTERM in mid-file: it gives its file back at once, and another goes on.
func TestAWorkerHandsOver(t *testing.T) {
	r := setup(t, []int64{72 << 20}, 0) // what is in memory goes out first
	first := r.worker(t, "first")
	submitter := r.submitter(t, "submitter")
	w := &watch{ranks: make(map[int64]int64)}
	r.follow(t, w, func(rows []row) bool { return rows[0].Rank >= inMidFile })
	require.NoError(t, first.Process.Signal(syscall.SIGTERM))
	require.Zero(t, first.wait(), first.said())
	given := r.rows(t)[0]
	sent := r.line.sent.Load()
	require.Equal(t, store.Interrupted, given.State)
	require.False(t, given.Live)

	second := r.worker(t, "second")
	require.Zero(t, submitter.wait(), submitter.said())
	requireTable(t, submitter.stdout.String(), r.sums)
	require.Equal(t, 2, r.rows(t)[0].Attempts)
	require.Less(t, r.line.sent.Load()-sent, (given.Size-given.Offset)*51/50+1<<20, "what was acknowledged is not sent again")
	r.requireArrived(t)
	require.NoError(t, second.Process.Signal(os.Interrupt))
	require.Zero(t, second.wait(), second.said())
}

// watch is what was seen in the queue.
type watch struct {
	most  int             // files that ran at once under live leases
	ranks map[int64]int64 // by file, the last seen
}

// follow looks at the queue, again and again, until done says so.
func (r *rig) follow(t *testing.T, w *watch, done func([]row) bool) {
	t.Helper()
	poll := time.NewTicker(15 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-poll.C {
		rows := r.rows(t)
		w.see(t, rows)
		if len(rows) == len(r.sums) && done(rows) {
			return
		}
	}
	require.FailNow(t, "not done in time", "%+v", r.rows(t))
}

// see checks what holds at every moment: the limit of the connector, and that no file is begun anew.
func (w *watch) see(t *testing.T, rows []row) {
	t.Helper()
	running := 0
	for _, f := range rows {
		if f.State == store.Running && f.Live {
			running++
		}
		require.GreaterOrEqual(t, f.Rank, w.ranks[f.ID], "%s goes back", f.Name)
		w.ranks[f.ID] = f.Rank
		require.NotEqual(t, store.Failed, f.State, f.Name)
	}
	require.LessOrEqual(t, running, limit, "files at once of all workers")
	w.most = max(w.most, running)
}

// inMid finds a worker that has nothing but files that are in the middle.
func inMid(rows []row) string {
	files := make(map[string]int)
	for _, f := range rows {
		if f.State == store.Running && f.Live && f.Rank >= inMidFile && f.Size-f.Offset >= inMidFile*window {
			files[f.Worker]++
		}
	}
	for worker, n := range files {
		if n == perWorker {
			return worker
		}
	}
	return ""
}

// requireGoneOn compares what was left when the worker was killed with what became of it, and with the bytes that went to
// the partner after that.
func requireGoneOn(t *testing.T, victim string, left, now []row, sent int64) {
	t.Helper()
	var toCome, done, held int64
	for i, f := range left {
		if f.State == store.Done {
			continue
		}
		size := now[i].Size
		toCome += size - f.Offset
		if f.Worker != victim {
			continue
		}
		held++
		done += f.Offset
		require.GreaterOrEqual(t, f.Rank, int64(inMidFile), f.Name)
		require.Equal(t, 2, now[i].Attempts, f.Name)
		t.Logf("%s was killed with %s at %d of %d bytes", victim, f.Name, f.Offset, size)
	}
	require.Equal(t, int64(perWorker), held)
	overhead := toCome/50 + 1<<20 // packets' headers, handshakes
	require.Less(t, overhead, done, "the next check would not see a file that was begun anew")
	require.Less(t, sent, toCome+overhead, "what was acknowledged is not sent again")
	t.Logf("%d bytes were to come, %d were sent; beginning anew would have taken %d more", toCome, sent, done)
}

// requireArrived checks that the partner has these files and nothing else, no temporary file in particular.
func (r *rig) requireArrived(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(r.inbox)
	require.NoError(t, err)
	require.Len(t, entries, len(r.sums))
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(r.inbox, e.Name()))
		require.NoError(t, err)
		require.Equal(t, r.sums[e.Name()], sha256.Sum256(data), e.Name())
	}
}

// requireTable checks what the submitter printed.
func requireTable(t *testing.T, table string, sums map[string][sha256.Size]byte) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(table), "\n")
	require.Equal(t, []string{"FILE", "STATUS", "BYTES", "SHA256", "ATTEMPTS"}, strings.Fields(lines[0]))
	require.Len(t, lines, 1+len(sums))
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		require.Len(t, fields, 5, line)
		require.Equal(t, "COMPLETED", fields[1], line)
		sum := sums[fields[0]]
		require.Equal(t, hex.EncodeToString(sum[:]), fields[3], line)
	}
	t.Log("\n" + table[:min(len(table), 1500)])
}

// requireDeliveredOnce counts what the workers say they delivered, by file. The killed one held nothing that was about to
// be: nothing is missing in its log.
func requireDeliveredOnce(t *testing.T, fleet map[string]*process, rows []row) {
	t.Helper()
	by := make(map[int64][]string)
	delivered := make(map[string]int)
	for name, p := range fleet {
		for line := range strings.Lines(p.said()) {
			var said struct {
				Msg  string
				File int64
			}
			require.NoError(t, json.Unmarshal([]byte(line), &said), line)
			if said.Msg == "file delivered" {
				by[said.File] = append(by[said.File], name)
				delivered[name]++
			}
		}
	}
	for _, f := range rows {
		require.Equal(t, store.Done, f.State, f.Name)
		require.Len(t, by[f.ID], 1, "%s was delivered by %s", f.Name, cmp.Or(strings.Join(by[f.ID], " and "), "nobody"))
	}
	require.Len(t, by, len(rows))
	require.Greater(t, len(delivered), 1, "several workers deliver")
	t.Log("files delivered:", delivered)
}
