package sqlitestore

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

// plan returns how SQLite goes about a statement, line by line. RUNNING is reading all that run, from the index alone.
func plan(t *testing.T, s *Store, text string, args []any) string {
	t.Helper()
	var lines []string
	err := s.read(t.Context(), "EXPLAIN QUERY PLAN "+text, args, func(rows *sql.Rows) error {
		var id, parent, unused int
		var detail string
		err := rows.Scan(&id, &parent, &unused, &detail)
		lines = append(lines, detail)
		return err
	})
	require.NoError(t, err)
	return strings.ReplaceAll(strings.Join(lines, "\n"), "SCAN f USING COVERING INDEX files_leased", "RUNNING")
}

// pagePlan is the plan of a page of 50, without what is done with the 50.
func pagePlan(t *testing.T, s *Store, q store.Query, o store.Order, after store.Cursor) string {
	t.Helper()
	q.Order, q.After, q.Limit = o, after, 50
	text, args := listText(&q)
	inner, _, _ := strings.Cut(plan(t, s, text, args), "SCAN p")
	return inner
}

var timedOrders = []store.Order{store.ByID, store.ByIDDesc, store.ByStart, store.ByStartDesc, store.ByStop, store.ByStopDesc}

// statuses are Waarp's, and some more.
var statuses = [][]store.State{
	nil, {store.Queued, store.Waiting}, {store.Running}, {store.Paused, store.Interrupted}, {store.Failed, store.Cancelled},
	{store.Done}, {store.Failed, store.Done, store.Failed},
}

// What is meant to be fast reads an index in the order of the list. Sorting is left to the page itself and to the files
// that are running, of which no row is read.
func TestPagePlans(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, filter := range []store.Query{{}, {Partner: "p"}, {RuleName: "r"}} {
		for _, states := range statuses {
			for _, o := range timedOrders {
				for _, after := range []store.Cursor{{}, {ID: 7}} {
					filter.States = states
					found := pagePlan(t, s, filter, o, after)
					name := fmt.Sprintf("partner %q, rule %q, states %v, order %d\n%s", filter.Partner, filter.RuleName, states, o, found)
					if filter.Partner+filter.RuleName != "" || states != nil || o > store.ByIDDesc {
						require.NotContains(t, found, "SCAN f", name)
					}
					require.LessOrEqual(t, strings.Count(found, "TEMP B-TREE"), strings.Count(found, "RUNNING"), name)
				}
			}
		}
	}
}

// Few files are found by an index, in any order.
func TestFewFilesPlans(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for name, q := range map[string]store.Query{
		"transfer": {TransferID: "t"}, "follow id": {FollowID: "7"}, "file": {LocalPath: "/f"}, "prefix": {LocalPrefix: "/f"},
		"transfer and rule": {TransferID: "t", RuleName: "r"}, "follow id and litter": {FollowID: "7", Litter: true},
	} {
		for _, o := range append(timedOrders, store.BySource, store.BySourceDesc) {
			require.NotContains(t, pagePlan(t, s, q, o, store.Cursor{}), "SCAN", name)
		}
		text, args := countText(&q)
		require.NotContains(t, plan(t, s, text, args), "SCAN", "count %s", name)
	}
}

func TestCountPlans(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, states := range statuses {
		text, _ := countText(&store.Query{States: states})
		require.Contains(t, text, "FROM counts")
		for _, q := range []store.Query{{Partner: "p", States: states}, {RuleName: "r", States: states}} {
			text, args := countText(&q)
			found := plan(t, s, text, args)
			require.NotContains(t, found, "SCAN f", text)
			for line := range strings.Lines(found) {
				require.True(t, !strings.Contains(line, "SEARCH") || strings.Contains(line, "COVERING INDEX"), found)
			}
		}
	}
}

// Litter is little, and found at once.
func TestLitterPlan(t *testing.T) {
	t.Parallel()
	s := setup(t)
	found := pagePlan(t, s, store.Query{Litter: true}, store.ByID, store.Cursor{ID: 7})
	require.Contains(t, found, "files_litter")
	require.NotContains(t, found, "TEMP B-TREE")
	text, args := countText(&store.Query{Litter: true, Partner: "p"})
	require.Contains(t, plan(t, s, text, args), "files_litter")
}

// What is claimed and what is purged comes out of indexes in its order.
func TestClaimAndPurgePlans(t *testing.T) {
	t.Parallel()
	s := setup(t)
	found := plan(t, s, lineText, []any{"acme", 0, 0, 10})
	require.Contains(t, found, "files_ready (connector=? AND priority=? AND ready_at<?)")
	require.Contains(t, found, "files_leased (connector=? AND priority=? AND lease_until<?)")
	require.NotContains(t, found, "TEMP B-TREE")
	text, args := oldestText(store.PurgeRequest{States: store.States(), Max: 10}, 0)
	found = plan(t, s, text, args)
	require.Equal(t, 3, strings.Count(found, "files_by_stop (state=? AND updated_at<?)"), found)
	require.NotContains(t, found, "TEMP B-TREE")
	found = plan(t, s, connectorsText, []any{0, `["acme"]`})
	require.NotContains(t, found, "SCAN files")
	require.Equal(t, 3, strings.Count(found, "(connector=? AND priority=? AND "), found)
}

// Pages of events come out of an index in the order of the list; only those of a time are sorted.
func TestEventPlans(t *testing.T) {
	t.Parallel()
	s := setup(t)
	now := time.Now()
	for want, q := range map[string]store.EventQuery{
		"events_stream (stream=? AND rowid>?)":                  {After: 7, To: now},
		"events_transfer (stream=? AND transfer=? AND rowid>?)": {After: 7, TransferID: "t", From: now},
		"events_file (stream=? AND file=? AND rowid>?)":         {After: 7, TransferID: "t", FileID: 7, From: now},
		"events_at (stream=? AND at>? AND at<?)":                {After: 7, From: now, To: now},
	} {
		q.Stream, q.Limit = "s", 50
		text, args := eventsText(&q)
		found := plan(t, s, text, args)
		require.Contains(t, found, want)
		require.NotContains(t, found, "SCAN e")
		require.Equal(t, strings.Contains(want, "events_at"), strings.Contains(found, "TEMP B-TREE"), found)
	}
	found := plan(t, s, purgeEventsText, []any{"s", 0, 10})
	require.Contains(t, found, "events_at (stream=? AND at<?)")
	require.NotContains(t, found, "TEMP B-TREE")
	require.NotContains(t, plan(t, s, dropText, []any{"[1]", "s"}), "SCAN events")
}

// So do entries of the ledger, and pages of operations.
func TestLedgerAndOperationPlans(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, text := range []string{lookUpText, forgetText} {
		found := plan(t, s, text, []any{"scope", `["a"]`})
		require.Contains(t, found, "ledger USING PRIMARY KEY (scope=? AND path=?)")
	}
	found := plan(t, s, purgeLedgerText, []any{0, 10})
	require.Contains(t, found, "ledger_at (at<?)")
	require.NotContains(t, found, "SCAN ledger")
	require.NotContains(t, found, "TEMP B-TREE")
	for want, q := range map[string]store.OperationQuery{
		"operations_connector (connector=? AND id<?)": {ConnectorID: "acme", Before: "x"}, "sqlite_autoindex_operations_1": {},
	} {
		text, args := operationsText(&q)
		found := plan(t, s, text, args)
		require.Contains(t, found, want)
		require.NotContains(t, found, "TEMP B-TREE")
	}
}
