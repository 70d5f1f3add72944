package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMemoryDropsWatchersWithTheirContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory()
		ctx, cancel := context.WithCancel(t.Context())
		for range 100 {
			m.Watch(ctx, FilesReady)
		}
		require.Len(t, m.watchers, 100)
		cancel()
		synctest.Wait()
		require.Empty(t, m.watchers)
	})
}

// After any sequence of calls each file is where its state says, and the counters are right.
func TestMemoryInvariants(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &walk{Rand: rand.New(rand.NewPCG(seed, 0)), m: NewMemory(), files: 5}
				for range 250 {
					w.step(t)
					requireInvariants(t, w.m)
				}
			})
		})
	}
}

// walk makes random calls.
type walk struct {
	*rand.Rand
	m     *Memory
	files int       // fewer than so many are created at once
	held  []Claimed // some of them long lost
}

func (w *walk) pick(from ...string) string { return from[w.IntN(len(from))] }

// create makes one transfer whose files have much in common with those of others.
func (w *walk) create(t *testing.T) {
	files := make([]NewFile, w.IntN(w.files))
	for i := range files {
		f := &files[i]
		f.Direction, f.Partner = Direction(1+w.IntN(2)), w.pick("", "a", "b", "c")
		f.Priority = Priority(w.IntN(5) - 2)
		f.SourcePath, f.TargetPath = w.pick("/out/1", "/out/2", "/o"), w.pick("/in/1", "/in/2", "/out/1")
		f.StartAt = w.pickTime(time.Time{}, time.Now().Add(time.Duration(w.IntN(10)-5)*time.Second))
	}
	tr := Transfer{ID: fmt.Sprint(w.Uint64()), ConnectorID: fmt.Sprint(w.IntN(3)), RuleName: w.pick("", "r", "s")}
	tr.FollowID, tr.Metadata = w.pick("", "1", "2", "3"), map[string]string{"day": w.pick("mon", "tue")}
	if w.IntN(2) == 0 {
		tr.ClientToken = tr.ID
	}
	_, err := w.m.CreateTransfer(t.Context(), tr, files)
	require.NoError(t, err)
}

func (w *walk) pickTime(from ...time.Time) time.Time { return from[w.IntN(len(from))] }

func (w *walk) step(t *testing.T) {
	switch w.IntN(6) {
	case 0:
		w.create(t)
	case 1:
		limits := map[string]int{"0": w.IntN(4), "1": w.IntN(10), "2": 3}
		r := ClaimRequest{Worker: "w", Max: w.IntN(8), Lease: time.Duration(w.IntN(5)) * time.Second, Limits: limits}
		r.Most = map[string]int{"0": w.IntN(4)}
		claimed, err := w.m.Claim(t.Context(), r)
		require.NoError(t, err)
		for _, c := range claimed {
			require.LessOrEqual(t, w.m.live(c.ConnectorID), limits[c.ConnectorID])
		}
		w.held = append(w.held, claimed...)
	case 2:
		var changes []Change
		for range min(len(w.held), w.IntN(6)) {
			c := w.held[w.IntN(len(w.held))]
			to := []State{Running, Waiting, Interrupted, Done, Failed}[w.IntN(5)]
			d := time.Duration(w.IntN(5)) * time.Second
			change := Change{ID: c.ID, Token: c.Token, State: to, Lease: d, Delay: d}
			change.Checkpoint, change.Code = []byte(w.pick("", "part")), w.pick("", "", "TIMEOUT_ERROR")
			changes = append(changes, change)
		}
		_, err := w.m.Update(t.Context(), changes)
		require.NoError(t, err)
	case 3:
		r := ControlRequest{To: []State{Queued, Paused, Cancelled}[w.IntN(3)]}
		for range w.IntN(4) {
			r.IDs = append(r.IDs, w.Int64N(w.m.rows.n+2))
		}
		_, err := w.m.Control(t.Context(), r)
		require.NoError(t, err)
	case 4:
		require.NoError(t, w.m.Swept(t.Context(), []int64{w.Int64N(w.m.rows.n + 2)}))
		states := [][]State{{Done}, {Failed, Cancelled}, {Done, Failed, Running, Queued}}[w.IntN(3)]
		r := PurgeRequest{States: states, OlderThan: time.Duration(w.IntN(20)) * time.Second, Max: w.IntN(4)}
		n, err := w.m.Purge(t.Context(), r)
		require.NoError(t, err)
		require.LessOrEqual(t, n, r.Max)
	case 5:
		time.Sleep(time.Duration(w.IntN(3000)) * time.Millisecond)
	}
}

// live counts a connector's live leases the slow way, zero ones included.
func (m *Memory) live(connectorID string) int {
	n := 0
	for id := int64(1); id <= m.rows.n; id++ {
		r := m.rows.get(id)
		if r == nil {
			continue
		}
		if r.transfer.ConnectorID == connectorID && r.state == Running && r.leaseUntil > microsOf(time.Now()) {
			n++
		}
	}
	return n
}

func requireInvariants(t *testing.T, m *Memory) {
	t.Helper()
	var all counts
	perTransfer, queued := map[*transfer]*counts{}, 0
	for id := int64(1); id <= m.rows.n; id++ {
		r := m.rows.get(id)
		if r == nil {
			continue
		}
		require.Equal(t, id, r.id)
		require.Same(t, r.transfer, m.transfers[r.transfer.ID])
		all[r.state]++
		if perTransfer[r.transfer] == nil {
			perTransfer[r.transfer] = &counts{}
		}
		perTransfer[r.transfer][r.state]++
		require.Equal(t, r.state == Running, r.leaseUntil != never)
		require.Equal(t, r.state.Final(), r.finishedAt != never)
		require.True(t, r.wanted == 0 || r.state == Running)
		if r.state.Final() || r.state == Paused {
			continue
		}
		queued++
		h := *r.transfer.queue.heap(r)
		require.True(t, !r.leased || r.state == Running)
		require.Same(t, r, h[r.position])
		if parent := (r.position - 1) / 2; r.position > 0 {
			require.False(t, h.Less(int(r.position), int(parent)), "heap order")
		}
	}
	require.Equal(t, all, m.all.counts)
	for tr, c := range perTransfer {
		require.Equal(t, *c, tr.counts)
	}
	for _, q := range m.queues {
		queued -= len(q.leases)
		for _, ready := range q.ready {
			queued -= len(ready)
		}
	}
	require.Zero(t, queued, "a file that cannot be claimed is in a queue")
	requireIndexes(t, m)
}

// What was purged leaves nothing behind but a pointer for each chunk of rows.
func TestMemoryPurgeFreesWhatItRemoves(t *testing.T) {
	t.Parallel()
	m := NewMemory()
	const transfers, files = 8, chunkRows / 2
	for i := range transfers {
		tr := Transfer{ID: fmt.Sprint(i), ClientToken: fmt.Sprint(i), FollowID: fmt.Sprint(i % 2), RuleName: "rule"}
		given := make([]NewFile, files)
		for j := range given {
			given[j].Partner, given[j].SourcePath = fmt.Sprint(j), fmt.Sprint(j%3)
		}
		_, err := m.CreateTransfer(t.Context(), tr, given)
		require.NoError(t, err)
	}
	for _, id := range rand.New(rand.NewPCG(1, 1)).Perm(transfers * files) {
		_, err := m.Control(t.Context(), ControlRequest{IDs: []int64{int64(id + 1)}, To: Cancelled})
		require.NoError(t, err)
		n, err := m.Purge(t.Context(), PurgeRequest{States: []State{Cancelled}, Max: 1})
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
	for _, left := range []int{len(m.transfers), len(m.tokens), len(m.follows), len(m.partners), len(m.rules)} {
		require.Zero(t, left)
	}
	requireInvariants(t, m)
	require.Equal(t, make([]*rowChunk, transfers*files/chunkRows), m.rows.chunks)
	require.Empty(t, m.paths.blocks)
	for s := range m.all.lists {
		for a := range axes {
			require.True(t, m.all.lists[s] == nil || len(m.all.lists[s][a].blocks) == 0)
		}
	}
}

// What happens to files costs nothing for the journal once no stream wants to know.
func TestMemoryJournalKnowsWhatIsWanted(t *testing.T) {
	t.Parallel()
	m := NewMemory()
	for _, kinds := range [][]EventKind{{FileProgressed, FileFinished}, {FileFinished}, {Noted}} {
		require.NoError(t, m.OpenStream(t.Context(), Stream{Name: "a", Kinds: kinds}))
	}
	require.NoError(t, m.OpenStream(t.Context(), Stream{Name: "b", Kinds: []EventKind{FileProgressed, FileProgressed}}))
	require.Equal(t, [Noted + 1]int{FileProgressed: 1}, m.journal.wanted)
	require.NoError(t, m.CloseStream(t.Context(), "b"))
	require.Zero(t, m.journal.wanted)
}
