package pgstore_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/pgstore"
)

func create(t testing.TB, s store.Store, id, connector string, n int) {
	t.Helper()
	_, err := s.CreateTransfer(t.Context(), store.Transfer{ID: id, ConnectorID: connector}, make([]store.NewFile, n))
	require.NoError(t, err)
}

func claim(t testing.TB, s store.Store, maximum int, limits map[string]int) []store.Claimed {
	t.Helper()
	claimed, err := s.Claim(t.Context(), store.ClaimRequest{Worker: "w", Max: maximum, Lease: time.Hour, Limits: limits})
	require.NoError(t, err)
	return claimed
}

// Limits hold over nodes that claim several connectors at the same moment, each in another order.
func TestLimitsHoldAcrossNodes(t *testing.T) {
	t.Parallel()
	pool := database(t)
	limits := map[string]int{"a": 3, "b": 5, "c": 1000}
	nodes := []*pgstore.Store{open(t, pool, "s"), open(t, pool, "s"), open(t, pool, "s")}
	for connector := range limits {
		create(t, nodes[0], connector, connector, 40)
	}
	var wg sync.WaitGroup
	got := make([][]store.Claimed, 12)
	for i := range got {
		wg.Go(func() {
			var err error
			got[i], err = nodes[i%len(nodes)].Claim(t.Context(), store.ClaimRequest{
				Worker: fmt.Sprint(i), Max: 7, Lease: time.Hour, Limits: limits,
			})
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	running, seen := map[string]int{}, map[int64]bool{}
	for _, claimed := range got {
		for _, f := range claimed {
			require.False(t, seen[f.ID], "file %d was claimed twice", f.ID)
			seen[f.ID] = true
			running[f.ConnectorID]++
		}
	}
	require.Equal(t, map[string]int{"a": 3, "b": 5, "c": 40}, running)
}

// A write that another node's claim overtakes while it waits for the row is lost.
func TestUpdateIsFencedByTheRowItself(t *testing.T) {
	t.Parallel()
	pool := database(t)
	s := open(t, pool, "s")
	create(t, s, "id", "acme", 1)
	f := claim(t, s, 1, map[string]int{"acme": 1})[0]
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "UPDATE s.files SET token = token + 1 WHERE id = $1", f.ID)
	require.NoError(t, err)

	verdict := finishing(t, s, f)
	awaitLock(t, pool)
	require.NoError(t, tx.Commit(t.Context()))
	require.ErrorIs(t, <-verdict, store.ErrLeaseLost)
}

// awaitLock returns when a session waits for another one's lock.
func awaitLock(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	awaitLocks(t, pool, 1)
}

// awaitLocks returns when so many sessions wait for others' locks.
func awaitLocks(t *testing.T, pool *pgxpool.Pool, sessions int) {
	t.Helper()
	const waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		n := 0
		require.NoError(c, pool.QueryRow(t.Context(), waiting).Scan(&n))
		require.Equal(c, sessions, n)
	}, 30*time.Second, 10*time.Millisecond)
}

// A row that is being written is passed over, so that a claim never waits for a late update.
func TestClaimPassesOverLockedRows(t *testing.T) {
	t.Parallel()
	pool := database(t)
	s := open(t, pool, "s")
	create(t, s, "id", "acme", 3)
	files, err := s.ListFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM s.files WHERE id = $1 FOR UPDATE", files[0].ID)
	require.NoError(t, err)
	claimed := claim(t, s, 10, map[string]int{"acme": 10})
	require.NoError(t, tx.Rollback(t.Context()))
	require.Len(t, claimed, 2)
	require.Equal(t, []int64{files[1].ID, files[2].ID}, []int64{claimed[0].ID, claimed[1].ID})
}

// finishing has a node finish a file, and returns its verdict.
func finishing(t *testing.T, s *pgstore.Store, f store.Claimed) <-chan error {
	t.Helper()
	verdict := make(chan error, 1)
	go func() {
		verdicts, err := s.Update(t.Context(), []store.Change{{ID: f.ID, Token: f.Token, State: store.Done}})
		if err == nil {
			err = verdicts[0]
		}
		verdict <- err
	}()
	return verdict
}

func TestUpdateAppliesChangesOfOneFileInOrder(t *testing.T) {
	t.Parallel()
	s := open(t, database(t), "s")
	create(t, s, "id", "acme", 2)
	claimed := claim(t, s, 2, map[string]int{"acme": 2})
	first := store.Change{ID: claimed[0].ID, Token: 1, State: store.Running, Lease: time.Hour}
	first.Offset = 1
	second, done, late := first, first, first
	second.Offset, done.State, done.Offset = 2, store.Done, 3
	verdicts, err := s.Update(t.Context(), []store.Change{first, second, done, late})
	require.NoError(t, err)
	require.Equal(t, []error{nil, nil, nil, store.ErrLeaseLost}, verdicts)
	files, err := s.ListFiles(t.Context(), store.Query{States: []store.State{store.Done}})
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.Equal(t, int64(3), files[0].Offset)
}

func TestUpdateOfWhatCannotBeStoredHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	s := open(t, database(t), "s")
	create(t, s, "id", "acme", 4)
	var changes []store.Change
	for i, f := range claim(t, s, 4, map[string]int{"acme": 4}) {
		c := store.Change{ID: f.ID, Token: f.Token, State: store.Failed}
		c.Message = []string{"fine", "NUL \x00", "not UTF-8 \xff", "fine"}[i]
		changes = append(changes, c)
	}
	paused := store.Change{ID: changes[1].ID, Token: 1, State: store.Paused}
	verdicts, err := s.Update(t.Context(), append(changes, paused))
	require.NoError(t, err)
	require.NoError(t, verdicts[0])
	require.NoError(t, verdicts[3])
	for _, i := range []int{1, 2, 4} {
		require.Error(t, verdicts[i])
		require.NotErrorIs(t, verdicts[i], store.ErrLeaseLost)
	}
	counts, err := s.CountFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Equal(t, map[store.State]int64{store.Failed: 2, store.Running: 2}, counts)
}

// Many files take more than one statement, yet come and go together.
func TestCreateOfManyFiles(t *testing.T) {
	t.Parallel()
	s := open(t, database(t), "s")
	files := make([]store.NewFile, 25_001)
	for i := range files {
		files[i].SourcePath = fmt.Sprintf("%05d", i)
	}
	bad := append(files[:len(files):len(files)], store.NewFile{SourcePath: "\x00"})
	_, err := s.CreateTransfer(t.Context(), store.Transfer{ID: "id", ConnectorID: "acme"}, bad)
	require.Error(t, err)
	counts, err := s.CountFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Empty(t, counts)

	created, err := s.CreateTransfer(t.Context(), store.Transfer{ID: "id", ConnectorID: "acme"}, files)
	require.NoError(t, err)
	require.Equal(t, len(files), created.Files)
	got, err := s.ListFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Len(t, got, len(files))
	for i, f := range got {
		require.Equal(t, files[i].SourcePath, f.SourcePath)
		require.Equal(t, created.CreatedAt, f.CreatedAt)
	}
}

func TestWatchHearsOtherNodesAfterItsConnectionWasLost(t *testing.T) {
	t.Parallel()
	pool := database(t)
	s, other := open(t, pool, "s"), open(t, pool, "s")
	hints := s.Watch(t.Context(), store.FilesReady)
	<-hints // it listens
	create(t, other, "first", "acme", 1)
	<-hints
	const kill = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND query LIKE 'LISTEN%'`
	killed := 0
	require.NoError(t, pool.QueryRow(t.Context(), kill, pgx.QueryExecModeExec).Scan(&killed))
	require.Equal(t, 1, killed)
	<-hints // it listens again
	create(t, other, "second", "acme", 1)
	<-hints
}
