package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A list holds what a sorted slice holds, and its blocks keep their sizes.
func TestListIsSorted(t *testing.T) {
	t.Parallel()
	for name, pick := range map[string]func(random *rand.Rand, n int) int{
		"at random":      func(random *rand.Rand, n int) int { return random.IntN(n) },
		"from the front": func(*rand.Rand, int) int { return 0 },
		"from the end":   func(_ *rand.Rand, n int) int { return n - 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(3, 1))
			var l list
			var want []entry
			for id := range int64(6000) {
				e := entry{random.Int64N(500), id}
				if id%3 == 0 {
					e.key = id // as most do
				}
				at, _ := slices.BinarySearchFunc(want, e, entry.compare)
				want = slices.Insert(want, at, e)
				l.add(e)
			}
			requireList(t, want, &l)
			for len(want) > 0 {
				at := pick(random, len(want))
				l.remove(want[at])
				want = slices.Delete(want, at, at+1)
				if len(want)%250 == 0 {
					requireList(t, want, &l)
					requireSpan(t, want, &l, random)
				}
			}
		})
	}
}

func requireList(t *testing.T, want []entry, l *list) {
	t.Helper()
	var got []entry
	for i, b := range l.blocks {
		require.NotEmpty(t, b)
		require.LessOrEqual(t, len(b), blockSize)
		if i > 0 {
			require.Greater(t, len(b)+len(l.blocks[i-1]), blockSize/8, "small blocks side by side")
		}
		got = append(got, b...)
	}
	if len(want)+len(got) > 0 {
		require.Equal(t, want, got)
	}
}

// requireSpan compares a part of a list, read both ways, to the same part of a slice.
func requireSpan(t *testing.T, all []entry, l *list, random *rand.Rand) {
	t.Helper()
	from, to := entry{random.Int64N(500), random.Int64N(6000)}, entry{random.Int64N(500), random.Int64N(6000)}
	var want []entry
	for _, e := range all {
		if !e.before(from) && e.before(to) {
			want = append(want, e)
		}
	}
	require.Equal(t, len(want), l.span(from, to, false).size())
	require.Equal(t, want, drain(l.span(from, to, false)))
	slices.Reverse(want)
	require.Equal(t, want, drain(l.span(from, to, true)))
}

func drain(s source) []entry {
	var es []entry
	for e, ok := s.next(); ok; e, ok = s.next() {
		es = append(es, e)
	}
	return es
}

// After any history lists and counts are what Matches and Compare say.
func TestMemoryAnswersAsQueryDefines(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &walk{Rand: rand.New(rand.NewPCG(seed, 1)), m: NewMemory(), files: []int{5, 50}[seed%2]}
				for range 60 {
					for range 5 {
						w.step(t)
					}
					all := w.m.everything()
					for range 8 {
						requireAnswer(t, w.m, all, w.query(all))
					}
				}
				requireInvariants(t, w.m)
			})
		})
	}
}

// everything returns all files the slow way.
func (m *Memory) everything() []File {
	var files []File
	for id := int64(1); id <= m.rows.n; id++ {
		if r := m.rows.get(id); r != nil {
			files = append(files, File{})
			r.file(&files[len(files)-1])
		}
	}
	return files
}

// query returns a random query that selects some of all, most times.
func (w *walk) query(all []File) Query {
	if len(all) == 0 {
		return Query{}
	}
	like, q := all[w.IntN(len(all))], Query{Order: Order(w.IntN(int(ByStopDesc) + 1))}
	around := time.Duration(w.IntN(5)-2) * 500 * time.Nanosecond
	for range w.IntN(4) {
		w.filters(&q, &like, around)[w.IntN(18)]()
	}
	if w.IntN(2) == 0 {
		q.After = q.CursorOf(&all[w.IntN(len(all))])
		if w.IntN(4) == 0 {
			q.After.Time = q.After.Time.Add(around)
		}
		if w.IntN(8) == 0 {
			q.After.Text = w.pick("", "/o", "/out/2")
		}
	}
	q.Offset, q.Limit = w.IntN(2)*w.IntN(30), w.IntN(2)*w.IntN(30)
	return q
}

func (w *walk) filters(q *Query, like *File, around time.Duration) []func() {
	return []func(){
		func() { q.TransferID = like.TransferID },
		func() { q.ConnectorID = like.ConnectorID },
		func() { q.FollowID = like.FollowID },
		func() { q.RuleName = like.RuleName },
		func() { q.RuleName, q.Partner = like.RuleName, like.Partner },
		func() { q.Partner = like.Partner },
		func() { q.Partner = w.pick("none", "c") },
		func() { q.Partner, q.States = like.Partner, []State{like.State} },
		func() { q.SourcePath = like.SourcePath },
		func() { q.LocalPath = like.LocalPath() },
		func() { q.LocalPrefix, q.Direction = "/out", like.Direction },
		func() { q.States = []State{like.State, State(w.IntN(12)), like.State} },
		func() { q.Code, q.States = like.Code, append([]State{}, q.States...) },
		func() { q.Metadata = like.Metadata },
		func() { q.From = like.Start().Add(around) },
		func() { q.To = like.Start().Add(around) },
		func() { q.Updated = like.UpdatedAt.Add(around) },
		func() { q.Litter = true },
	}
}

func requireAnswer(t *testing.T, m *Memory, all []File, q Query) {
	t.Helper()
	var want []File
	n := map[State]int64{}
	for i := range all {
		if !q.Matches(&all[i]) {
			continue
		}
		n[all[i].State]++
		if q.Behind(&all[i]) {
			want = append(want, all[i])
		}
	}
	slices.SortFunc(want, func(a, b File) int { return q.Compare(&a, &b) })
	want = want[min(q.Offset, len(want)):]
	if q.Limit > 0 {
		want = want[:min(q.Limit, len(want))]
	}
	got, err := m.ListFiles(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, len(want), len(got), "%+v", q)
	for i := range got {
		require.Equal(t, want[i], got[i], "%+v", q)
	}
	counted, err := m.CountFiles(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, n, counted, "%+v", q)
}

// requireIndexes requires that the indexes hold what the rows say and nothing else.
func requireIndexes(t *testing.T, m *Memory) {
	t.Helper()
	var paths, litter []entry
	for id := int64(1); id <= m.rows.n; id++ {
		r := m.rows.get(id)
		if r == nil {
			continue
		}
		paths = append(paths, m.pathOf(r))
		if r.litter() {
			litter = append(litter, r.entry(byID))
		}
		if r.partner != nil {
			require.Same(t, r.partner, m.partners[r.partner.name])
		}
		if r.transfer.rule != nil {
			require.Same(t, r.transfer.rule, m.rules[r.transfer.RuleName])
		}
	}
	slices.SortFunc(paths, entry.compare)
	requireList(t, paths, &m.paths)
	requireList(t, litter, &m.litter)
	requireGroup(t, m, &m.all)
	for _, gs := range []groups{m.partners, m.rules} {
		for name, g := range gs {
			require.Equal(t, name, g.name)
			requireGroup(t, m, g)
		}
	}
	requireTransfers(t, m)
}

// in reports whether the row is in a group.
func (r *row) in(g *group, m *Memory) bool {
	return g == &m.all || g == r.partner || g == r.transfer.rule
}

func requireGroup(t *testing.T, m *Memory, g *group) {
	t.Helper()
	var want [Done + 1][axes][]entry
	var n counts
	for id := int64(1); id <= m.rows.n; id++ {
		r := m.rows.get(id)
		if r == nil || !r.in(g, m) {
			continue
		}
		n[r.state]++
		for a := range axes {
			want[r.state][a] = append(want[r.state][a], r.entry(a))
		}
	}
	require.Equal(t, n, g.counts)
	want[Running][byStop] = nil // each progress would move it
	for s, lists := range g.lists {
		if lists == nil {
			require.Zero(t, n[s])
			continue
		}
		for a := range axes {
			slices.SortFunc(want[s][a], entry.compare)
			requireList(t, want[s][a], &lists[a])
		}
	}
}

// requireTransfers requires that each transfer is found by all of its names, and that those purged are by none.
func requireTransfers(t *testing.T, m *Memory) {
	t.Helper()
	tokens, follows := 0, 0
	for _, tr := range m.transfers {
		if tr.ClientToken != "" {
			tokens++
			require.Same(t, tr, m.tokens[tr.ClientToken])
		}
		if tr.FollowID != "" {
			follows++
		}
	}
	require.Len(t, m.tokens, tokens)
	for id, tr := range m.follows {
		require.Nil(t, tr.newer)
		for ; tr != nil; tr = tr.older {
			follows--
			require.Equal(t, id, tr.FollowID)
			require.Same(t, tr, m.transfers[tr.ID])
			require.True(t, tr.older == nil || tr.older.newer == tr)
		}
	}
	require.Zero(t, follows)
}
