package pgstore_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/pgstore"
)

func openStream(t *testing.T, s *pgstore.Store) {
	t.Helper()
	require.NoError(t, s.OpenStream(t.Context(), store.Stream{Name: "all", Kinds: []store.EventKind{store.FileFinished}}))
}

// The number of an event is drawn while the file's row is locked, so that it comes after those of the same file.
func TestEventsOfAFileAreNumberedInTheirOrder(t *testing.T) {
	t.Parallel()
	pool := database(t)
	s, other := open(t, pool, "s"), open(t, pool, "s")
	openStream(t, s)
	create(t, s, "id", "acme", 1)
	f := claim(t, s, 1, map[string]int{"acme": 1})[0]
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM s.files WHERE id = $1 FOR UPDATE", f.ID)
	require.NoError(t, err)
	verdict := finishing(t, s, f)
	awaitLock(t, pool)
	require.NoError(t, other.AppendEvents(t.Context(), "all", []store.Event{{FileID: f.ID}}))
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-verdict)
	events, err := s.ListEvents(t.Context(), store.EventQuery{Stream: "all"})
	require.NoError(t, err)
	require.Len(t, events, 2)
	require.Equal(t, []store.EventKind{store.Noted, store.FileFinished}, []store.EventKind{events[0].Kind, events[1].Kind})
}

// Whoever has opened a stream sees all that happens from then on, also by what had begun before.
func TestOpeningAStreamWaitsForUpdates(t *testing.T) {
	t.Parallel()
	pool := database(t)
	s := open(t, pool, "s")
	create(t, s, "id", "acme", 1)
	f := claim(t, s, 1, map[string]int{"acme": 1})[0]
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "UPDATE s.files SET acknowledged = 1 WHERE id = $1", f.ID)
	require.NoError(t, err)
	opened := make(chan error, 1)
	stream := store.Stream{Name: "all", Kinds: []store.EventKind{store.FileFinished}}
	go func() { opened <- s.OpenStream(t.Context(), stream) }()
	awaitLock(t, pool)
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-opened)

	tx, err = pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "UPDATE s.files SET acknowledged = 2 WHERE id = $1", f.ID)
	require.NoError(t, err)
	require.NoError(t, s.OpenStream(t.Context(), stream), "what changes nothing waits for nobody")
	require.NoError(t, tx.Commit(t.Context()))
}

// What was appended while a stream was being closed goes with it.
func TestClosingAStreamLeavesNoEvents(t *testing.T) {
	t.Parallel()
	pool := database(t)
	s := open(t, pool, "s")
	openStream(t, s)
	create(t, s, "id", "acme", 2)
	claimed := claim(t, s, 2, map[string]int{"acme": 2})
	update(t, s, claimed[:1], store.Change{State: store.Done})
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM s.files WHERE id = $1 FOR UPDATE", claimed[1].ID)
	require.NoError(t, err)
	verdict := finishing(t, s, claimed[1])
	awaitLock(t, pool)
	closed := make(chan error, 1)
	go func() { closed <- s.CloseStream(t.Context(), "all") }()
	awaitLocks(t, pool, 2)
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-verdict)
	require.NoError(t, <-closed)
	n := -1
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM s.events").Scan(&n))
	require.Zero(t, n)
	require.ErrorIs(t, s.CloseStream(t.Context(), "all"), store.ErrNotFound)
}

// Nodes that enter the same paths at the same time, in different orders, all succeed.
func TestLedgerIsWrittenByManyNodes(t *testing.T) {
	t.Parallel()
	pool := database(t)
	s := open(t, pool, "s")
	const nodes, files = 4, 60
	var wg sync.WaitGroup
	for node := range nodes {
		id := fmt.Sprint("connector-", node)
		create(t, s, id, id, files)
		claimed := claim(t, s, files, map[string]int{id: files})
		changes := make([]store.Change, files)
		for i, f := range claimed {
			path := fmt.Sprint((i*7 + node*13) % (files / 2)) // each twice in a call
			changes[i] = store.Change{ID: f.ID, Token: f.Token, State: store.Done}
			changes[i].Enter = &store.LedgerEntry{Scope: "s", Path: path, Identity: fmt.Sprint(f.ID)}
		}
		wg.Go(func() {
			verdicts, err := s.Update(t.Context(), changes)
			assert.NoError(t, err)
			assert.Equal(t, make([]error, files), verdicts)
		})
	}
	wg.Wait()
	paths := make([]string, files/2)
	for i := range paths {
		paths[i] = fmt.Sprint(i)
	}
	entries, err := s.LookUp(t.Context(), "s", paths)
	require.NoError(t, err)
	require.Len(t, entries, files/2)
	for _, e := range entries {
		require.Equal(t, fmt.Sprint(e.FileID), e.Identity)
	}
}

// What is too long for an index is no matter of the ledger's, and what PostgreSQL cannot hold is that change's error.
func TestLedgerOfLongAndWrongPaths(t *testing.T) {
	t.Parallel()
	s := open(t, database(t), "s")
	create(t, s, "id", "acme", 3)
	random := make([]byte, 8000) // that does not compress
	for i := range random {
		random[i] = 'a' + byte(rand.IntN(26))
	}
	paths := []string{"fine", string(random), "NUL \x00"}
	changes := make([]store.Change, 3)
	for i, f := range claim(t, s, 3, map[string]int{"acme": 3}) {
		changes[i] = store.Change{ID: f.ID, Token: f.Token, State: store.Done, Enter: &store.LedgerEntry{Scope: "s", Path: paths[i]}}
	}
	verdicts, err := s.Update(t.Context(), changes)
	require.NoError(t, err)
	require.NoError(t, verdicts[0])
	require.NoError(t, verdicts[1])
	require.Error(t, verdicts[2])
	counts, err := s.CountFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Equal(t, map[store.State]int64{store.Done: 2, store.Running: 1}, counts)
	entries, err := s.LookUp(t.Context(), "s", paths)
	require.NoError(t, err)
	require.Len(t, entries, 2)
}
