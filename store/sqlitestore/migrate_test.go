package sqlitestore_test

import (
	"io/fs"
	"maps"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/sqlitestore"
)

// version1 makes a file of version 1 of the schema, with files in every state, and returns its path.
func version1(t *testing.T) string {
	t.Helper()
	at := path(t)
	db := raw(t, at)
	execute(t, db, "PRAGMA journal_mode = WAL")
	schema, err := fs.ReadFile(sqlitestore.Migrations(), "0001_first.sql")
	require.NoError(t, err)
	rows, err := os.ReadFile("testdata/version1.sql")
	require.NoError(t, err)
	execute(t, db, string(schema))
	execute(t, db, string(rows))
	execute(t, db, "PRAGMA user_version = 1")
	return at
}

func ids(files []store.File) []int64 {
	var ids []int64
	for _, f := range files {
		ids = append(ids, f.ID)
	}
	return ids
}

// What an earlier version wrote is listed, counted, claimed and finished as if today's had.
func TestVersion1GoesOn(t *testing.T) {
	t.Parallel()
	s := open(t, version1(t), sqlitestore.Options{})
	require.Equal(t, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, ids(list(t, s, store.Query{})))
	require.Equal(t, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9}, ids(list(t, s, store.Query{RuleName: "payroll"})))
	require.Equal(t, []int64{10}, ids(list(t, s, store.Query{LocalPath: "/in/10"})))
	require.Equal(t, []int64{5, 4}, ids(list(t, s, store.Query{
		RuleName: "payroll", States: []store.State{store.Paused, store.Interrupted}, Order: store.ByStopDesc,
	})))
	require.Empty(t, list(t, s, store.Query{Litter: true}))
	all := map[store.State]int64{1: 2, 2: 2, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1, 8: 1}
	requireCounts(t, s, store.Query{}, all)
	all[store.Queued]--
	requireCounts(t, s, store.Query{RuleName: "payroll"}, all)

	claimed := claim(t, s, 100)
	require.Len(t, claimed, 3)
	require.Equal(t, []int64{1, 5, 9}, []int64{claimed[0].ID, claimed[1].ID, claimed[2].ID})
	update(t, s, claimed, store.Change{State: store.Failed, Progress: store.Progress{Checkpoint: []byte("left"), Failures: 1}})
	requireCounts(t, s, store.Query{}, map[store.State]int64{1: 1, 2: 1, 3: 1, 4: 1, 6: 4, 7: 1, 8: 1})
	require.Equal(t, []int64{1, 5, 9}, ids(list(t, s, store.Query{Litter: true})))

	verdicts, err := s.Control(t.Context(), store.ControlRequest{IDs: []int64{2, 3, 4, 10}, To: store.Cancelled})
	require.NoError(t, err)
	require.Equal(t, []error{nil, nil, nil, nil}, verdicts)
	verdicts, err = s.Update(t.Context(), []store.Change{{ID: 2, Token: 1, State: store.Interrupted}})
	require.NoError(t, err)
	require.Equal(t, []error{nil}, verdicts)
	requireCounts(t, s, store.Query{}, map[store.State]int64{6: 4, 7: 5, 8: 1})

	n, err := s.Purge(t.Context(), store.PurgeRequest{States: []store.State{6, 7, 8}, OlderThan: 24 * time.Hour, Max: 100})
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.Equal(t, []int64{1, 2, 3, 4, 5, 9, 10}, ids(list(t, s, store.Query{})))
	n, err = s.Purge(t.Context(), store.PurgeRequest{States: []store.State{6, 7, 8}, Max: 100})
	require.NoError(t, err)
	require.Equal(t, 7, n)
	requireCounts(t, s, store.Query{}, map[store.State]int64{})
	_, err = s.GetTransfer(t.Context(), "first")
	require.ErrorIs(t, err, store.ErrNotFound)
	create(t, s, store.Transfer{ID: "first", ConnectorID: "acme", ClientToken: "token"}, newFiles(1, 1))
	require.Equal(t, []int64{11}, ids(list(t, s, store.Query{})), "an id is never given out twice")
}

func requireCounts(t *testing.T, s store.Store, q store.Query, want map[store.State]int64) {
	t.Helper()
	counts, err := s.CountFiles(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, want, counts)
	one := maps.Clone(want)
	maps.DeleteFunc(one, func(s store.State, _ int64) bool { return s != store.Failed })
	q.States = []store.State{store.Failed, store.Failed}
	counts, err = s.CountFiles(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, one, counts)
}
