package pgstore

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/store"
)

// fillSQL makes $1 files in transfers of 100: 70 in 100 are Done, 15 wait to be started, 1 in 1000 runs; 20 partners, 10 rules
// and none.
const fillSQL = `
WITH t AS (
	INSERT INTO @.transfers (id, connector_id, follow_id, rule_name, files, created_at)
	SELECT 'transfer-' || n, 'acme', 'follow-' || n / 2, CASE n % 11 WHEN 0 THEN '' ELSE 'rule-' || n % 11 END, 100,
		'2024-01-01'::timestamptz + n * interval '10 seconds'
	FROM generate_series(0, ($1::bigint - 1) / 100) AS n
	RETURNING *
), f AS (
	SELECT n, t.id, t.follow_id, t.rule_name, t.created_at, (n * 7919) % 1000 AS dice
	FROM generate_series(0, $1::bigint - 1) AS n JOIN t ON t.id = 'transfer-' || n / 100
)
INSERT INTO @.files (transfer_id, connector_id, follow_id, rule_name, direction, partner, source_path, target_path,
	ready_at, created_at, started_at, updated_at, finished_at, lease_until, state, attempts, size, acknowledged,
	code, message, checkpoint)
SELECT id, 'acme', follow_id, rule_name, 1 + n % 2, 'partner-' || (n * 31 + n / 1000) % 20, '/out/' || n || '.csv', '/in/' || n || '.csv',
	created_at, created_at, CASE WHEN state NOT IN (1, 4) THEN created_at + dice * interval '1 second' END,
	created_at + dice * interval '2 seconds', CASE WHEN state >= 6 THEN created_at + dice * interval '2 seconds' END,
	CASE WHEN state = 2 THEN now() + interval '1 hour' END, state, 1, 1000, 1000,
	CASE WHEN state IN (6, 7) THEN 'CODE' ELSE '' END, '', CASE WHEN state IN (6, 7) AND n % 10 = 0 THEN '\x01'::bytea END
FROM (SELECT *, CASE WHEN dice < 1 THEN 2 WHEN dice < 150 THEN 1 WHEN dice < 180 THEN 3 WHEN dice < 200 THEN 4
	WHEN dice < 210 THEN 5 WHEN dice < 280 THEN 6 WHEN dice < 300 THEN 7 ELSE 8 END AS state FROM f) AS f
ORDER BY n`

// filled opens a store with n files and one connection.
func filled(t testing.TB, n int) *Store {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), testenv.Postgres(t)+" pool_max_conns=1")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	s, err := Open(t.Context(), pool, Options{Schema: "s"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	_, err = pool.Exec(t.Context(), qualify("s", fillSQL), n)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "VACUUM ANALYZE s.files, s.transfers", pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	return s
}

// statuses are the sets of states that Waarp has names for.
var statuses = map[string][]store.State{
	"TOSUBMIT":    {store.Queued, store.Waiting},
	"RUNNING":     {store.Running},
	"INTERRUPTED": {store.Paused, store.Interrupted},
	"INERROR":     {store.Failed, store.Cancelled},
	"DONE":        {store.Done},
}

// filters are those that lists and counts are made for.
func filters() map[string]store.Query {
	result := map[string]store.Query{
		"none":     {},
		"partner":  {Partner: "partner-7"},
		"rule":     {RuleName: "rule-3"},
		"follow":   {FollowID: "follow-3"},
		"path":     {LocalPath: "/out/500.csv"},
		"transfer": {TransferID: "transfer-7"},
		"litter":   {Litter: true},
	}
	for name, states := range statuses {
		result[name] = store.Query{States: states}
		result["partner "+name] = store.Query{States: states, Partner: "partner-7"}
		result["rule "+name] = store.Query{States: states, RuleName: "rule-3"}
	}
	return result
}

var pageOrders = map[string]store.Order{
	"id": store.ByID, "id desc": store.ByIDDesc, "start": store.ByStart, "start desc": store.ByStartDesc,
	"stop": store.ByStop, "stop desc": store.ByStopDesc,
}

// No list or count of those reads the table from end to end, be it planned for its arguments or for all.
func TestPlansReadIndexes(t *testing.T) {
	t.Parallel()
	s := filled(t, 10_000)
	for filter, q := range filters() {
		sql, args := countSQL(&q)
		s.requireIndexes(t, "count "+filter, sql, args)
		for order, o := range pageOrders {
			q := q
			q.Order, q.Limit = o, 50
			sql, args := listSQL(&q)
			s.requireIndexes(t, filter+" by "+order, sql, args)
			q.After = store.Cursor{ID: 5000, Time: time.Date(2024, 1, 1, 0, 10, 0, 0, time.UTC)}
			sql, args = listSQL(&q)
			s.requireIndexes(t, filter+" by "+order+", deep", sql, args)
		}
	}
}

func (s *Store) requireIndexes(t *testing.T, name, sql string, args []any) {
	t.Helper()
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		plan, err := s.explain(t.Context(), mode, "EXPLAIN", sql, args)
		require.NoError(t, err, name)
		require.NotContains(t, plan, "Seq Scan on files", "%s\n%s", name, sql)
	}
}

// explain returns the plan of a statement as pgx prepares it.
func (s *Store) explain(ctx context.Context, mode, explain, sql string, args []any) (string, error) {
	values := make([]string, len(args))
	for i, arg := range args {
		values[i] = fmt.Sprint(arg)
		switch arg := arg.(type) {
		case string:
			values[i] = "'" + arg + "'"
		case []string, []int64, [][]byte:
			values[i] = literal(arg)
		case time.Time:
			values[i] = "'" + arg.Format(time.RFC3339Nano) + "'"
		}
	}
	execute := "p"
	if len(args) > 0 {
		execute += "(" + strings.Join(values, ", ") + ")"
	}
	var lines []string
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		script := "SET LOCAL plan_cache_mode = " + mode + "; PREPARE p AS " + qualify(s.schema, sql)
		if _, err := tx.Exec(ctx, script, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, explain+" EXECUTE "+execute, pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			return err
		}
		if lines, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "DEALLOCATE p", pgx.QueryExecModeSimpleProtocol)
		return err
	})
	return strings.Join(lines, "\n"), err
}

// A claim reads what it takes, however many files of a higher priority, or of the same, are not ready yet.
func TestClaimReadsNoMoreThanItTakes(t *testing.T) {
	t.Parallel()
	s := filled(t, 1000)
	_, err := s.pool.Exec(t.Context(), qualify("s", fillScheduledSQL), 40_000)
	require.NoError(t, err)
	_, err = s.pool.Exec(t.Context(), "VACUUM ANALYZE s.files", pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		args := []any{[]string{"acme"}, []int64{1000}, 10, "w", "1 hour", []int64{5}} // five of them, which are there
		plan, err := s.explain(t.Context(), mode, "EXPLAIN (ANALYZE, BUFFERS)", claimSQL, args)
		require.NoError(t, err)
		require.NotContains(t, plan, "Seq Scan on files")
		ranges := regexp.MustCompile(`Index Cond: \(\(connector_id = .*\) AND \(priority = .*\) AND \(ready_at <= `)
		require.Len(t, ranges.FindAllString(plan, -1), 3, plan)
		require.Contains(t, plan, "never executed", "no file of low priority is looked for where others take all the room:\n%s", plan)
	}
}

// fillScheduledSQL makes $1 files for tomorrow, half of them of a higher priority.
const fillScheduledSQL = `
INSERT INTO @.files (transfer_id, connector_id, follow_id, rule_name, direction, partner, source_path, target_path, priority,
	start_at, ready_at, created_at, updated_at)
SELECT 'transfer-0', 'acme', '', '', 1, '', '', '', n % 2, now() + interval '1 day', now() + interval '1 day', now(), now()
FROM generate_series(1, $1::bigint) AS n`

// Pages of events, of a stream and of what is in it, the ledger, and lists of operations read indexes.
func TestJournalPlans(t *testing.T) {
	t.Parallel()
	s := filled(t, 100)
	_, err := s.pool.Exec(t.Context(), qualify("s", fillJournalSQL), pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	now := time.Now()
	for want, q := range map[string]store.EventQuery{
		"events_pkey": {}, "events_transfer": {TransferID: "7"}, "events_file": {FileID: 7},
		"events_at": {From: now.Add(-time.Minute), To: now},
	} {
		q.Stream, q.Limit, q.After = "s", 50, 1
		sql, args := eventsSQL(&q)
		s.requireIndex(t, sql, args, "events", want)
	}
	s.requireIndex(t, dropEventsSQL, []any{"s", []int64{1, 2}}, "events", "events_pkey")
	s.requireIndex(t, purgeEventsSQL, []any{"s", "1 day", 10}, "events", "events_at")
	s.requireIndex(t, purgeLedgerSQL, []any{"1 day", 10}, "ledger", "ledger_at")
	s.requireIndex(t, forgetSQL, []any{ledgerKeys("s", []string{"/7"})}, "ledger", "ledger_pkey")
	s.requireIndex(t, lookUpSQL, []any{ledgerKeys("s", []string{"/7"}), "s"}, "ledger", "ledger_pkey")
}

// fillJournalSQL makes a stream of 20,000 events and as many entries of the ledger.
const fillJournalSQL = `
INSERT INTO @.streams (name, progressed, finished) VALUES ('s', true, true);
INSERT INTO @.events (stream, at, file_id, kind, transfer_id)
SELECT s.id, now() - n * interval '1 minute', n, 2, n / 10 FROM @.streams s, generate_series(1, 20000) AS n;
INSERT INTO @.ledger (key, scope, path, identity, size, file_id, at)
SELECT sha256(n::text::bytea), 's', '/' || n, 'v', 1, n, now() - n * interval '1 minute' FROM generate_series(1, 20000) AS n;
ANALYZE @.events, @.ledger;`

// requireIndex requires of a statement that it reads a table by an index only.
func (s *Store) requireIndex(t *testing.T, sql string, args []any, table, index string) {
	t.Helper()
	plan, err := s.explain(t.Context(), "force_custom_plan", "EXPLAIN", sql, args)
	require.NoError(t, err)
	require.NotContains(t, plan, "Seq Scan on "+table, sql)
	require.Contains(t, plan, index, sql)
}

// literal is an array in SQL.
func literal(array any) string {
	var items []string
	switch array := array.(type) {
	case []string:
		items = array
	case []int64:
		for _, item := range array {
			items = append(items, fmt.Sprint(item))
		}
	case [][]byte:
		for _, item := range array {
			items = append(items, fmt.Sprintf(`\\x%x`, item))
		}
	}
	return `'{"` + strings.Join(items, `","`) + `"}'`
}

// Writing progress touches no index: PostgreSQL has put none of the columns into one that it writes.
func TestProgressIsHot(t *testing.T) {
	t.Parallel()
	s := filled(t, 1000)
	_, err := s.pool.Exec(t.Context(), qualify("s", "UPDATE @.files SET state = 8, lease_until = NULL WHERE state = 2"))
	require.NoError(t, err)
	claimed, err := s.Claim(t.Context(), store.ClaimRequest{
		Worker: "w", Max: 5, Lease: time.Hour, Limits: map[string]int{"acme": 5},
	})
	require.NoError(t, err)
	require.Len(t, claimed, 5)
	before := s.hot(t)
	const rounds = 40
	for i := range rounds {
		changes := make([]store.Change, len(claimed))
		for k, f := range claimed {
			changes[k] = store.Change{ID: f.ID, Token: f.Token, State: store.Running, Lease: time.Hour}
			changes[k].Offset, changes[k].Checkpoint, changes[k].Failures = int64(i), []byte{byte(i)}, i
		}
		_, err := s.Update(t.Context(), changes)
		require.NoError(t, err)
	}
	// A file moves, which writes indexes, when its page is full of what could not be taken back yet.
	require.Greater(t, s.hot(t)-before, rounds*len(claimed)/2)
}

// hot returns how many updates wrote no index. The pool's only connection counted them and has to tell first.
func (s *Store) hot(t *testing.T) int {
	t.Helper()
	_, err := s.pool.Exec(t.Context(), "SELECT pg_stat_force_next_flush()")
	require.NoError(t, err)
	n := 0
	const counted = "SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE schemaname = 's' AND relname = 'files'"
	require.NoError(t, s.pool.QueryRow(t.Context(), counted).Scan(&n))
	return n
}
