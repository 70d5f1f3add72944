package pgstore_test

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/pgstore"
)

// earlier opens a database that an earlier version of the schema left behind. Of version 1 the files are numbered from 1
// to 9, the first eight by their states.
func earlier(t *testing.T, version int) *pgstore.Store {
	t.Helper()
	pool := database(t)
	script := "CREATE SCHEMA old; SET LOCAL search_path TO old;"
	names, err := fs.Glob(pgstore.Migrations(), "*.sql")
	require.NoError(t, err)
	for _, name := range names[:version] {
		schema, err := fs.ReadFile(pgstore.Migrations(), name)
		require.NoError(t, err)
		script += string(schema)
	}
	rows, err := os.ReadFile(fmt.Sprintf("testdata/version%d.sql", version))
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), script+string(rows), pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	return open(t, pool, "old")
}

func TestVersion1Lists(t *testing.T) {
	t.Parallel()
	s := earlier(t, 1)
	all, err := s.ListFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Len(t, all, 9)
	for i, f := range all[:8] {
		require.Equal(t, store.State(i+1), f.State)
		require.Equal(t, "/out/"+strconv.Itoa(i+1), f.SourcePath)
		require.Zero(t, f.Wanted)
		require.Zero(t, f.Parent)
		require.Zero(t, f.Failures)
	}
	for _, q := range []store.Query{
		{Order: store.ByStart}, {Order: store.ByStopDesc}, {Order: store.BySource}, {TransferID: "old-1"}, {FollowID: "follow"},
		{RuleName: "rule", Order: store.ByStop}, {Partner: "p", Order: store.ByStartDesc}, {LocalPath: "/in/3"}, {LocalPrefix: "/out"},
		{States: []store.State{store.Failed, store.Running}}, {Litter: true}, {Metadata: map[string]string{"k": "v"}},
		{Updated: time.Date(2024, 5, 1, 10, 1, 4, 0, time.UTC)}, {From: time.Date(2024, 5, 1, 10, 30, 0, 0, time.UTC)},
	} {
		want := slices.DeleteFunc(slices.Clone(all), func(f store.File) bool { return !q.Matches(&f) })
		slices.SortFunc(want, func(a, b store.File) int { return q.Compare(&a, &b) })
		got, err := s.ListFiles(t.Context(), q)
		require.NoError(t, err)
		require.NotEmpty(t, got)
		require.Equal(t, want, got, "%+v", q)
		counts, err := s.CountFiles(t.Context(), q)
		require.NoError(t, err)
		for _, f := range want {
			counts[f.State]--
		}
		for state, n := range counts {
			require.Zero(t, n, "%v of %+v", state, q)
		}
	}
}

func TestVersion1GoesOn(t *testing.T) {
	t.Parallel()
	s := earlier(t, 1)
	verdicts, err := s.Control(t.Context(), store.ControlRequest{IDs: []int64{4}, To: store.Queued})
	require.NoError(t, err)
	require.Equal(t, []error{nil}, verdicts)
	claimed := claim(t, s, 100, map[string]int{"acme": 100})
	var ids []int64
	for _, f := range claimed {
		ids = append(ids, f.ID)
	}
	slices.Sort(ids)
	require.Equal(t, []int64{1, 2, 3, 4, 5, 9}, ids)
	update(t, s, claimed, store.Change{State: store.Done})

	create(t, s, "new", "acme", 1)
	removed, err := s.Purge(t.Context(), store.PurgeRequest{
		States: []store.State{store.Done, store.Failed, store.Cancelled}, Max: 100,
	})
	require.NoError(t, err)
	require.Equal(t, 9, removed)
	_, err = s.GetTransfer(t.Context(), "old-1")
	require.ErrorIs(t, err, store.ErrNotFound)
	counts, err := s.CountFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Equal(t, map[store.State]int64{store.Queued: 1}, counts)
}

// What version 3 knew nothing of comes to its files, too: priorities, tasks, events and entries of the ledger.
func TestVersion3GoesOn(t *testing.T) {
	t.Parallel()
	s := earlier(t, 3)
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
	claimed := claim(t, s, 100, map[string]int{"acme": 100})
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
	s := earlier(t, 3)
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
