package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed62b9dc43/transfer/store"
)

// Checks of rapid, 100 unless -rapid.checks says otherwise, are many for a store on a disk: one in checksPerWorld opens a
// store. It takes turns, each of 30 steps on the average, unless -rapid.steps says otherwise.
const (
	checksPerWorld = 20
	turns          = 4
)

// checkModel compares the store with the model of the contract over random lives of files.
func checkModel(t *testing.T, open func(t *testing.T) store.Store) {
	checks, failed := 0, false
	rapid.Check(t, func(r *rapid.T) {
		defer func() { failed = failed || r.Failed() }()
		checks++
		if !failed && checks%checksPerWorld != 1 {
			return
		}
		s := open(t)
		defer func() { require.NoError(r, s.Close()) }()
		w := &world{store: s, transfers: map[string]store.Transfer{}, tokens: map[string]string{}, chronicle: newChronicle(r, s)}
		steps := map[string]func(*rapid.T){
			"": w.compare, "create": w.create, "claim": w.claim, "claim more": w.claim, "work": w.work, "give up": w.giveUp,
			"heed": w.heed, "crash": w.crash, "zombie": w.zombie, "control": w.control, "control more": w.control,
			"sweep": w.sweep, "purge": w.purge, "list": w.list,
		}
		for range turns {
			r.Repeat(steps)
		}
	})
}

// world is a store and what must be in it.
type world struct {
	store     store.Store
	lives     []*life // in the order of ids
	transfers map[string]store.Transfer
	tokens    map[string]string // by client token: the transfer's id
	chronicle
}

// draw returns one of values.
func draw[V any](r *rapid.T, name string, values ...V) V {
	return rapid.SampledFrom(values).Draw(r, name)
}

// one returns a file for which is holds; without one the step is not taken.
func (w *world) one(r *rapid.T, is func(*life) bool) *life {
	lives := w.where(is)
	if len(lives) == 0 {
		r.Skip("there is no such file")
	}
	return lives[rapid.IntRange(0, len(lives)-1).Draw(r, "file")]
}

func (w *world) where(is func(*life) bool) []*life {
	return slices.DeleteFunc(slices.Clone(w.lives), func(l *life) bool { return !is(l) })
}

// some returns a few ids, some twice or unknown.
func (w *world) some(r *rapid.T) []int64 {
	ids := make([]int64, rapid.IntRange(1, 4).Draw(r, "files"))
	for i := range ids {
		ids[i] = 1 << 50
		if n := rapid.IntRange(0, len(w.lives)).Draw(r, "file"); n < len(w.lives) {
			ids[i] = w.lives[n].ID
		}
	}
	return ids
}

// find returns the file with this id, or nil.
func (w *world) find(id int64) *life {
	for _, l := range w.lives {
		if l.ID == id {
			return l
		}
	}
	return nil
}

func (w *world) create(r *rapid.T) {
	given := newTransfer("acme")
	given.ClientToken = draw(r, "token", "", "", "one", "two")
	files := newFiles(rapid.IntRange(1, 5).Draw(r, "files"))
	for i := range files {
		files[i].Priority = draw(r, "priority", store.Normal, store.Normal, store.Low, store.High)
		if draw(r, "ahead", false, false, true) {
			files[i].StartAt = time.Now().Add(long).UTC().Truncate(time.Microsecond)
		}
	}
	got, err := w.store.CreateTransfer(r.Context(), given, files)
	require.NoError(r, err)
	if known := w.tokens[given.ClientToken]; known != "" {
		require.Equal(r, w.transfers[known], got)
		return
	}
	given.Files, given.CreatedAt = len(files), got.CreatedAt
	require.Equal(r, given, got)
	w.transfers[got.ID] = got
	if got.ClientToken != "" {
		w.tokens[got.ClientToken] = got.ID
	}
	for i, f := range filesOf(r, w.store, got.ID) {
		w.lives = append(w.lives, &life{touched: true, due: files[i].StartAt.IsZero(), File: store.File{
			ID: f.ID, TransferID: got.ID, ConnectorID: got.ConnectorID, FollowID: got.FollowID, RuleName: got.RuleName,
			Metadata: got.Metadata, NewFile: files[i], State: store.Queued, Progress: store.Progress{Size: -1},
			CreatedAt: got.CreatedAt, Token: f.Token,
		}})
	}
}

func (w *world) claim(r *rapid.T) {
	maximum, limit := rapid.IntRange(0, 6).Draw(r, "max"), rapid.IntRange(0, 10).Draw(r, "limit")
	most := draw(r, "most", 100, 100, 0, 2)
	want := claimable(w.lives, min(maximum, most), limit)
	got, err := w.store.Claim(r.Context(), store.ClaimRequest{
		Worker: "w", Max: maximum, Lease: long, Limits: map[string]int{"acme": limit}, Most: map[string]int{"acme": most},
	})
	require.NoError(r, err)
	require.Equal(r, ids(want, func(l *life) int64 { return l.ID }), claimedIDs(got))
	for _, l := range want {
		l.claim("w")
	}
}

// work renews a lease, also one that has run out.
func (w *world) work(r *rapid.T) {
	l := w.one(r, func(l *life) bool { return l.State == store.Running })
	w.update(r, l, store.Change{State: store.Running, Lease: long})
}

func (w *world) giveUp(r *rapid.T) {
	w.leave(r, w.one(r, func(l *life) bool { return l.State == store.Running }))
}

// heed gives up a file that a user wants otherwise.
func (w *world) heed(r *rapid.T) {
	w.leave(r, w.one(r, func(l *life) bool { return l.Wanted != 0 }))
}

func (w *world) leave(r *rapid.T, l *life) {
	to := draw(r, "state", store.Waiting, store.Interrupted, store.Interrupted, store.Done, store.Failed)
	w.update(r, l, store.Change{State: to, Delay: draw(r, "delay", 0, long)})
}

// crash lets a lease run out.
func (w *world) crash(r *rapid.T) {
	l := w.one(r, (*life).held)
	w.update(r, l, store.Change{State: store.Running, Lease: time.Millisecond})
	letPass(r, w.store, tick)
	l.expired = true
}

// update writes some progress and failure with c.
func (w *world) update(r *rapid.T, l *life, c store.Change) {
	c.ID, c.Token = l.ID, l.Token
	c.Progress = store.Progress{
		Phase: store.PhaseData, Size: 100, Offset: rapid.Int64Range(0, 100).Draw(r, "offset"), Failures: l.Failures + 1,
		Task: rapid.IntRange(0, 5).Draw(r, "task"),
		Checkpoint: []byte(draw(r, "checkpoint", "", "checkpoint")),
	}
	c.Code = draw(r, "code", "", "TIMEOUT_ERROR")
	c.Note = []byte(draw(r, "note", "", "note"))
	if path := draw(r, "enter", "", "/a", "/b"); path != "" {
		c.Enter = entry(chronicled, path)
	}
	before := l.File
	require.ErrorIs(r, update(r, w.store, c)[0], l.update(c))
	w.updated(before, l.File, c)
}

// zombie writes with a token that is good no longer.
func (w *world) zombie(r *rapid.T) {
	l := w.one(r, func(l *life) bool { return l.Attempts > 0 })
	c := change(l.File, draw(r, "state", store.Running, store.Waiting, store.Interrupted, store.Done, store.Failed))
	if l.State == store.Running {
		c.Token--
	}
	c.Lease, c.Offset = long, 77
	require.ErrorIs(r, update(r, w.store, c)[0], store.ErrLeaseLost)
}

func (w *world) control(r *rapid.T) {
	to, ids := draw(r, "to", store.Paused, store.Paused, store.Queued, store.Queued, store.Cancelled), w.some(r)
	for i, verdict := range control(r, w.store, to, ids...) {
		want := store.ErrNotFound
		if l := w.find(ids[i]); l != nil {
			before := l.File
			want = l.control(to)
			w.changed(before, l.File, nil)
		}
		require.ErrorIs(r, verdict, want, "file %d to %v", ids[i], to)
	}
}

func (w *world) sweep(r *rapid.T) {
	ids := w.some(r)
	sweep(r, w.store, ids...)
	for _, id := range ids {
		if l := w.find(id); l != nil {
			l.sweep()
		}
	}
}

func (w *world) purge(r *rapid.T) {
	states := rapid.SliceOfN(rapid.SampledFrom(store.States()), 0, 6).Draw(r, "states")
	maximum, age := rapid.IntRange(0, 10).Draw(r, "max"), draw(r, "age", 0, 0, 0, long)
	due := purgeable(w.lives, states)
	if age > 0 {
		due = nil // nothing here is that old
	}
	n := min(maximum, len(due))
	require.Equal(r, n, purge(r, w.store, maximum, age, states...))
	w.forget(r, due, n)
}

// forget drops the n files of due that the store has removed, and their transfers if nothing is left of them. Which files
// go of those that finished at one moment is the store's choice.
func (w *world) forget(r *rapid.T, due []*life, n int) {
	stored := fileIDs(everything(r, w.store))
	removed := slices.DeleteFunc(slices.Clone(due), func(l *life) bool { return slices.Contains(stored, l.ID) })
	require.Len(r, removed, n)
	for i, l := range removed {
		require.Equal(r, due[i].FinishedAt, l.FinishedAt, "file %d was removed out of turn", l.ID)
	}
	w.lives = w.where(func(l *life) bool { return !slices.Contains(removed, l) })
	for id, want := range w.transfers {
		got, err := w.store.GetTransfer(r.Context(), id)
		if slices.ContainsFunc(w.lives, func(l *life) bool { return l.TransferID == id }) {
			require.NoError(r, err)
			require.Equal(r, want, got)
			continue
		}
		require.ErrorIs(r, err, store.ErrNotFound, "a transfer whose files were removed")
		delete(w.transfers, id)
		delete(w.tokens, want.ClientToken)
	}
}

func (w *world) list(r *rapid.T) {
	all := everything(r, w.store)
	q := store.Query{Order: draw(r, "order", orders()...), Litter: draw(r, "litter", false, false, true), Limit: 2}
	if draw(r, "by state", false, true) {
		q.States = []store.State{draw(r, "state", store.States()...)}
	}
	requirePages(r, w.store, all, q)
	requireCounts(r, w.store, q, countsOf(all, q))
}

// compare requires that the store holds what the model says, and adopts the times of files that were touched.
func (w *world) compare(r *rapid.T) {
	stored := slices.DeleteFunc(everything(r, w.store), func(f store.File) bool { return f.ConnectorID == clockConnector })
	require.Equal(r, ids(w.lives, func(l *life) int64 { return l.ID }), fileIDs(stored))
	for i, l := range w.lives {
		got := stored[i]
		requireLegal(r, got)
		if l.touched {
			l.adopt(r, got)
		}
		requireSame(r, l.File, got)
	}
	w.chronicle.compare(r, w.store)
}

// adopt takes over the times that the store may have changed.
func (l *life) adopt(r *rapid.T, got store.File) {
	require.False(r, got.UpdatedAt.Before(l.UpdatedAt), "the last event of file %d went back", l.ID)
	l.UpdatedAt, l.ReadyAt, l.LeaseUntil, l.FinishedAt, l.touched = got.UpdatedAt, got.ReadyAt, got.LeaseUntil, got.FinishedAt, false
	if l.StartedAt.IsZero() {
		l.StartedAt = got.StartedAt
	}
	switch l.State {
	case store.Queued, store.Waiting, store.Interrupted:
		require.Equal(r, l.due, !l.ReadyAt.After(l.UpdatedAt), "%v file %d was touched at %v and is ready at %v", l.State, l.ID, l.UpdatedAt, l.ReadyAt)
	}
}
