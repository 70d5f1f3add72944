package sqlitestore_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/sqlitestore"
)

// earlier makes a file of an earlier version of the schema, with files in every state, and returns its path.
func earlier(t *testing.T, version int) string {
	t.Helper()
	at := path(t)
	db := raw(t, at)
	execute(t, db, "PRAGMA journal_mode = WAL")
	names, err := fs.Glob(sqlitestore.Migrations(), "*.sql")
	require.NoError(t, err)
	for _, name := range names[:version] {
		schema, err := fs.ReadFile(sqlitestore.Migrations(), name)
		require.NoError(t, err)
		execute(t, db, string(schema))
	}
	rows, err := os.ReadFile(fmt.Sprintf("testdata/version%d.sql", version))
	require.NoError(t, err)
	execute(t, db, string(rows))
	execute(t, db, fmt.Sprint("PRAGMA user_version = ", version))
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
	s := open(t, earlier(t, 1), sqlitestore.Options{})
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

// What version 3 knew nothing of comes to its files, too: priorities, tasks, events and entries of the ledger.
func TestVersion3GoesOn(t *testing.T) {
	t.Parallel()
	s := open(t, earlier(t, 3), sqlitestore.Options{})
	all, err := s.ListFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Len(t, all, 10)
	for _, f := range all {
		require.Zero(t, f.Priority)
		require.Zero(t, f.Task)
	}
	require.NoError(t, s.OpenStream(t.Context(), store.Stream{Name: "all", Kinds: []store.EventKind{store.FileProgressed, store.FileFinished}}))
	_, err = s.CreateTransfer(t.Context(), store.Transfer{ID: "new", ConnectorID: "acme"}, []store.NewFile{{Priority: store.High}})
	require.NoError(t, err)
	claimed := claim(t, s, 100)
	require.Len(t, claimed, 4)
	require.Equal(t, []int64{11, 9, 4, 8}, []int64{claimed[0].ID, claimed[1].ID, claimed[2].ID, claimed[3].ID})
	done := store.Change{State: store.Done, Progress: store.Progress{Task: 2}, Note: []byte("note")}
	done.Enter = &store.LedgerEntry{Scope: "s", Path: "/out/4", Identity: "v"}
	update(t, s, claimed[2:3], done)
	verdicts, err := s.Control(t.Context(), store.ControlRequest{IDs: []int64{2}, To: store.Cancelled})
	require.NoError(t, err)
	require.Equal(t, []error{nil}, verdicts)
	more := store.Change{ID: 1, Token: 1, State: store.Running, Lease: time.Hour, Progress: store.Progress{Size: 9, Offset: 6}}
	verdicts, err = s.Update(t.Context(), []store.Change{more})
	require.NoError(t, err)
	require.Equal(t, []error{store.ErrPauseWanted}, verdicts)

	events, err := s.ListEvents(t.Context(), store.EventQuery{Stream: "all", TransferID: "first"})
	require.NoError(t, err)
	require.Len(t, events, 3)
	require.Equal(t, []int64{4, 2, 1}, []int64{events[0].FileID, events[1].FileID, events[2].FileID})
	require.Equal(t, []store.State{store.Done, store.Cancelled, store.Running}, []store.State{events[0].State, events[1].State, events[2].State})
	entries, err := s.LookUp(t.Context(), "s", []string{"/out/4"})
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.EqualValues(t, 4, entries[0].FileID)
	files, err := s.ListFiles(t.Context(), store.Query{States: []store.State{store.Done}, Order: store.ByStopDesc, Limit: 1})
	require.NoError(t, err)
	require.Equal(t, 2, files[0].Task)
}

func TestVersion3KeepsConnectorsAndOperations(t *testing.T) {
	t.Parallel()
	s := open(t, earlier(t, 3), sqlitestore.Options{})
	deleted, err := s.ListConnectors(t.Context(), store.ConnectorQuery{Deleted: true})
	require.NoError(t, err)
	require.Len(t, deleted, 1)
	created, err := s.CreateConnector(t.Context(), store.Connector{ID: "new"})
	require.NoError(t, err)
	require.Greater(t, created.Revision, deleted[0].Revision)
	list, err := s.ListOperations(t.Context(), store.OperationQuery{ConnectorID: "acme"})
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "op-3", list[0].ID)
	require.True(t, list[0].Expired)
	require.Equal(t, "C", list[1].Code)
	require.NoError(t, s.CreateDuty(t.Context(), store.Duty{Name: "watch"}))
	duties, err := s.ClaimDuties(t.Context(), store.DutyRequest{Worker: "w", Max: 2, Lease: time.Minute})
	require.NoError(t, err)
	require.Len(t, duties, 1)
}
