package sqlitestore

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

// plan returns how SQLite goes about a statement, line by line. Reading all that run is RUNNING.
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
	running := strings.NewReplacer("SCAN f USING INDEX files_leased", "RUNNING", "SCAN f USING COVERING INDEX files_leased", "RUNNING")
	return running.Replace(strings.Join(lines, "\n"))
}

// What is meant to be fast reads an index in the order of the list. Sorting is left to the page itself and to the files
// that are running.
func TestPlans(t *testing.T) {
	t.Parallel()
	s := setup(t)
	failed := []store.State{store.Failed}
	for name, q := range map[string]store.Query{
		"all": {}, "partner": {Partner: "p"}, "state": {States: failed}, "partner and state": {Partner: "p", States: failed},
		"states": {States: []store.State{store.Failed, store.Done, store.Failed}},
	} {
		for _, o := range []store.Order{store.ByID, store.ByIDDesc, store.ByStart, store.ByStartDesc, store.ByStop, store.ByStopDesc} {
			for _, q.After = range []store.Cursor{{}, {ID: 7}} {
				q.Order, q.Limit = o, 50
				text, args := listText(&q)
				found := plan(t, s, text, args)
				inner, _, _ := strings.Cut(found, "SCAN p")
				if name != "all" || o > store.ByIDDesc {
					require.NotContains(t, inner, "SCAN f", "%s in order %d\n%s", name, o, found)
				}
				running := strings.Count(inner, "RUNNING")
				require.LessOrEqual(t, strings.Count(inner, "TEMP B-TREE"), running, "%s in order %d\n%s", name, o, found)
			}
		}
		text, args := countText(&q)
		require.NotContains(t, plan(t, s, text, args), "SCAN f", "count %s", name)
	}
	for name, q := range map[string]store.Query{
		"transfer": {TransferID: "t"}, "follow id": {FollowID: "7"}, "file": {LocalPath: "/f"}, "prefix": {LocalPrefix: "/f"},
	} {
		text, args := listText(&q)
		inner, _, _ := strings.Cut(plan(t, s, text, args), "SCAN p")
		require.NotContains(t, inner, "SCAN", name)
	}
}
