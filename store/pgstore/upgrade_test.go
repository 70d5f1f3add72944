package pgstore_test

import (
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

// version1 opens a database that the first version of the schema left behind. The files are numbered from 1 to 9, the
// first eight by their states.
func version1(t *testing.T) *pgstore.Store {
	t.Helper()
	pool := database(t)
	schema, err := fs.ReadFile(pgstore.Migrations(), "0001_files.sql")
	require.NoError(t, err)
	rows, err := os.ReadFile("testdata/version1.sql")
	require.NoError(t, err)
	script := "CREATE SCHEMA old; SET LOCAL search_path TO old;" + string(schema) + string(rows)
	_, err = pool.Exec(t.Context(), script, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	return open(t, pool, "old")
}

func TestVersion1Lists(t *testing.T) {
	t.Parallel()
	s := version1(t)
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
	s := version1(t)
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
