package storetest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var ledgerPromises = []promise{
	{"an entry is written with the change that makes the file Done", ledgerEntered},
	{"and with no other", ledgerNotEntered},
	{"a later file replaces it as a whole", ledgerReplaced},
	{"scopes are apart", ledgerScopes},
	{"entries come in the order of paths, byte by byte, each once", ledgerOrder},
	{"forgotten ones are gone, and unknown ones left aside", ledgerForgotten},
	{"takes more than 1,000 paths", ledgerMany},
	{"it outlives the files", ledgerOutlives},
	{"purging removes what was written long enough ago, the oldest first", ledgerPurged},
	{"keeps nothing that it was given and returns copies", ledgerCopies},
	{"of files that are Done at one time one is kept", ledgerConcurrent},
}

// entry returns one of a file that is there once.
func entry(scope, path string) *store.LedgerEntry {
	return &store.LedgerEntry{Scope: scope, Path: path, Identity: "v1", Size: 1 << 50, SHA256: []byte("sum")}
}

// doneWith returns a file that became Done with this entry.
func doneWith(t tb, s store.Store, e *store.LedgerEntry) store.File {
	t.Helper()
	c := change(claimOne(t, s, newID(), long), store.Done)
	c.Enter = e
	return write(t, s, c)
}

func lookUp(t tb, s store.Store, scope string, paths ...string) []store.LedgerEntry {
	t.Helper()
	found, err := s.LookUp(t.Context(), scope, paths)
	require.NoError(t, err)
	return found
}

func ledgerEntered(t *testing.T, s store.Store) {
	given := entry("acme", "/a")
	given.FileID, given.At = 77, time.Now().Add(long)
	f := doneWith(t, s, given)
	want := *given
	want.FileID, want.At = f.ID, f.FinishedAt
	require.Equal(t, []store.LedgerEntry{want}, lookUp(t, s, "acme", "/b", "/a"))
	require.Empty(t, lookUp(t, s, "acme", "/b"))
	require.Empty(t, lookUp(t, s, "acme"))

	c := change(runningWanted(t, s, store.Cancelled), store.Done)
	c.Enter = entry("acme", "/b")
	write(t, s, c)
	require.Len(t, lookUp(t, s, "acme", "/b"), 1, "Done all the same")
	bare := &store.LedgerEntry{Path: "/bare"}
	doneWith(t, s, bare)
	require.Empty(t, lookUp(t, s, "", "/bare")[0].SHA256)
}

func ledgerNotEntered(t *testing.T, s store.Store) {
	for _, to := range []store.State{store.Running, store.Waiting, store.Interrupted, store.Failed, store.Paused} {
		c := change(fileIn(t, s, store.Running), to)
		c.Lease, c.Delay, c.Enter = long, long, entry("acme", "/a")
		if err := update(t, s, c)[0]; to == store.Paused {
			require.Error(t, err)
		} else {
			require.NoError(t, err)
		}
	}
	for to := range wanted() {
		c := change(runningWanted(t, s, to), store.Interrupted)
		c.Enter = entry("acme", "/a")
		require.Equal(t, to, write(t, s, c).State)
	}
	lost := change(fileIn(t, s, store.Running), store.Done)
	lost.Token++
	lost.Enter = entry("acme", "/a")
	require.ErrorIs(t, update(t, s, lost)[0], store.ErrLeaseLost)
	require.Empty(t, lookUp(t, s, "acme", "/a"))
	doneWith(t, s, nil)
}

func ledgerReplaced(t *testing.T, s store.Store) {
	first := doneWith(t, s, entry("acme", "/a"))
	next := &store.LedgerEntry{Scope: "acme", Path: "/a", Identity: "v2", Size: 3}
	second := doneWith(t, s, next)
	found := lookUp(t, s, "acme", "/a")
	require.Len(t, found, 1)
	require.Empty(t, found[0].SHA256)
	require.NotEqual(t, first.ID, found[0].FileID)
	want := *next
	want.FileID, want.At, want.SHA256 = second.ID, second.FinishedAt, found[0].SHA256
	require.Equal(t, want, found[0])
}

func ledgerScopes(t *testing.T, s store.Store) {
	acme, other := doneWith(t, s, entry("acme", "/a")), doneWith(t, s, entry("Acme", "/a"))
	require.Equal(t, acme.ID, lookUp(t, s, "acme", "/a")[0].FileID)
	require.Equal(t, other.ID, lookUp(t, s, "Acme", "/a")[0].FileID)
	require.Empty(t, lookUp(t, s, "%", "/a"))
	require.NoError(t, s.Forget(t.Context(), "acme", []string{"/a"}))
	require.Empty(t, lookUp(t, s, "acme", "/a"))
	require.Len(t, lookUp(t, s, "Acme", "/a"), 1)
}

func ledgerOrder(t *testing.T, s store.Store) {
	paths := []string{"/A", "/a", "/a b", "/a%", "/a/b", "/a_", "/b", "/" + strings.Repeat("x", 900), "/ä"}
	for _, i := range []int{4, 1, 8, 3, 0, 7, 5, 2, 6} {
		doneWith(t, s, entry("acme", paths[i]))
	}
	var got []string
	for _, e := range lookUp(t, s, "acme", "/ä", "/A", paths[7], "/b", "/a", "/none", "/a b", "/a_", "/a/b", "/a", "/a%", "/A") {
		got = append(got, e.Path)
	}
	require.Equal(t, paths, got)
	require.Len(t, lookUp(t, s, "acme", "/a%"), 1)
}

func ledgerForgotten(t *testing.T, s store.Store) {
	for _, path := range []string{"/a", "/b", "/c"} {
		doneWith(t, s, entry("acme", path))
	}
	require.NoError(t, s.Forget(t.Context(), "acme", nil))
	require.NoError(t, s.Forget(t.Context(), "acme", []string{"/a", "/none", "/c", "/a"}))
	found := lookUp(t, s, "acme", "/a", "/b", "/c")
	require.Len(t, found, 1)
	require.Equal(t, "/b", found[0].Path)
	doneWith(t, s, entry("acme", "/a"))
	require.Len(t, lookUp(t, s, "acme", "/a"), 1)
}

// enterMany makes n files Done at one time, each with an entry of its own, and returns their paths.
func enterMany(t *testing.T, s store.Store, n int) []string {
	t.Helper()
	create(t, s, "many", n)
	claimed := claimLimited(t, s, "w", n, long, map[string]int{"many": n})
	changes, paths := make([]store.Change, n), make([]string, n)
	for i, c := range claimed {
		paths[i] = fmt.Sprintf("/many/%05d", i)
		changes[i] = change(c.File, store.Done)
		changes[i].Enter = entry("many", paths[i])
	}
	for _, verdict := range update(t, s, changes...) {
		require.NoError(t, verdict)
	}
	return paths
}

func ledgerMany(t *testing.T, s store.Store) {
	const n = 1201
	paths := enterMany(t, s, n)
	found := lookUp(t, s, "many", paths...)
	require.Len(t, found, n)
	for i, e := range found {
		require.Equal(t, paths[i], e.Path)
	}
	require.NoError(t, s.Forget(t.Context(), "many", paths[1:]))
	require.Len(t, lookUp(t, s, "many", paths...), 1)
}

func ledgerOutlives(t *testing.T, s store.Store) {
	f := doneWith(t, s, entry("acme", "/a"))
	require.Equal(t, 1, purge(t, s, 10, 0, store.Done))
	require.Equal(t, f.ID, lookUp(t, s, "acme", "/a")[0].FileID)
}

func purgeLedger(t *testing.T, s store.Store, olderThan time.Duration, limit int) int {
	t.Helper()
	n, err := s.PurgeLedger(t.Context(), olderThan, limit)
	require.NoError(t, err)
	return n
}

func ledgerPurged(t *testing.T, s store.Store) {
	for _, path := range []string{"/a", "/b", "/c", "/d"} {
		doneWith(t, s, entry("scope "+path, path))
		letPass(t, s, tick)
	}
	doneWith(t, s, entry("scope /a", "/a")) // now the youngest
	require.Zero(t, purgeLedger(t, s, long, 10))
	require.Zero(t, purgeLedger(t, s, 0, 0))
	require.Equal(t, 2, purgeLedger(t, s, 0, 2))
	for path, left := range map[string]int{"/a": 1, "/b": 0, "/c": 0, "/d": 1} {
		require.Len(t, lookUp(t, s, "scope "+path, path), left, path)
	}
	require.Equal(t, 1, purgeLedger(t, s, tick, 1))
	require.Len(t, lookUp(t, s, "scope /a", "/a"), 1)
	letPass(t, s, short)
	require.Equal(t, 1, purgeLedger(t, s, short, 10))
	require.Zero(t, purgeLedger(t, s, 0, 10))
}

func ledgerCopies(t *testing.T, s store.Store) {
	given := entry("acme", "/a")
	doneWith(t, s, given)
	given.SHA256[0] = 'x'
	found := lookUp(t, s, "acme", "/a")
	require.Equal(t, "sum", string(found[0].SHA256))
	found[0].SHA256[0] = 'x'
	require.Equal(t, "sum", string(lookUp(t, s, "acme", "/a")[0].SHA256))
}

func ledgerConcurrent(t *testing.T, s store.Store) {
	const workers, files = 4, 10
	create(t, s, "acme", workers*files)
	var wg sync.WaitGroup
	for range workers {
		claimed := claim(t, s, "w", "acme", files, long)
		require.Len(t, claimed, files)
		changes := make([]store.Change, files)
		for i, c := range claimed {
			changes[i] = change(c.File, store.Done)
			changes[i].Enter = entry("acme", []string{"/a", "/b"}[i%2])
		}
		wg.Go(func() {
			verdicts, err := s.Update(t.Context(), changes)
			assert.NoError(t, err)
			assert.Equal(t, make([]error, files), verdicts)
		})
	}
	wg.Wait()
	requireCounts(t, s, store.Query{}, map[store.State]int64{store.Done: workers * files})
	require.Len(t, lookUp(t, s, "acme", "/a", "/b"), 2)
}
