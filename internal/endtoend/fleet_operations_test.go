//go:build unix

package endtoend

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/store"
)

// answers are what the queries of docs/operations.md say about the queue that seed makes: the first columns of each row,
// where * stands for anything.
var answers = map[string][]string{
	"bytes per file":                         {"7 *"},
	"queue depth by connector":               {"acme 2 1 *"},
	"running files by worker":                {"node-1 acme 3 /a/3 1 1 50 *", "node-1 acme 4 /a/4 1 0 * *"},
	"failures of the last hour":              {"acme CONNECTION_ERROR CONNECTION_REFUSED 1 *"},
	"throughput per minute of the last hour": {"* 1 4096"},
	"stuck files": {
		"not claimed acme 5 /a/5 0 *", "lease is over acme 4 /a/4 1 *", "many attempts acme 6 /a/6 7 *",
	},
}

// readsAll is the one query that may read the whole table.
const readsAll = "bytes per file"

// TestOperationsQueries runs each query of docs/operations.md on the store that it is for.
func TestOperationsQueries(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	queries := map[string]map[string]string{"PostgreSQL": {}, "SQLite": {}}
	for _, block := range regexp.MustCompile("(?ms)^```sql\n(.*?)^```$").FindAllStringSubmatch(string(document), -1) {
		head := regexp.MustCompile(`^-- (PostgreSQL|SQLite): (.*)\n`).FindStringSubmatch(block[1])
		require.Len(t, head, 3, "a block of SQL begins with its store and its title:\n%s", block[1])
		queries[head[1]][head[2]] = block[1]
	}
	require.Equal(t, sorted(answers), sorted(queries["PostgreSQL"]))
	require.Equal(t, sorted(answers), sorted(queries["SQLite"]))
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		askPostgres(t, queries["PostgreSQL"])
	})
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		askSQLite(t, queries["SQLite"])
	})
}

// seed makes a file that is done, one that failed, one that runs, one whose lease is over, one that nobody claims, one that
// was tried often, and one for later.
func seed(t *testing.T, st store.Store) {
	t.Helper()
	ctx := t.Context()
	create := func(id string, files ...store.NewFile) {
		_, err := st.CreateTransfer(ctx, store.Transfer{ID: id, ConnectorID: "acme", FollowID: id, Spec: []byte("{}")}, files)
		require.NoError(t, err)
	}
	var files []store.NewFile
	for i := range 6 {
		files = append(files, store.NewFile{Direction: store.Send, Partner: "acme", SourcePath: fmt.Sprint("/a/", i+1), TargetPath: "/in"})
	}
	create("first", files...)
	create("second", store.NewFile{Direction: store.Send, Partner: "acme", SourcePath: "/later", TargetPath: "/in", StartAt: time.Now().Add(time.Hour)})
	claimed, err := st.Claim(ctx, store.ClaimRequest{Worker: "node-1", Max: 4, Lease: time.Minute, Limits: map[string]int{"acme": 4}})
	require.NoError(t, err)
	require.Len(t, claimed, 4)
	change := func(i int, s store.State, p store.Progress, f store.Failure) {
		verdicts, err := st.Update(ctx, []store.Change{{ID: claimed[i].ID, Token: claimed[i].Token, State: s, Lease: time.Minute, Progress: p, Failure: f}})
		require.NoError(t, err)
		require.NoError(t, verdicts[0])
	}
	change(0, store.Done, store.Progress{Size: 4096, Offset: 4096, Rank: 1}, store.Failure{})
	change(1, store.Failed, store.Progress{Size: -1}, store.Failure{Code: "CONNECTION_ERROR", Detail: "CONNECTION_REFUSED", Message: "nobody listens"})
	change(2, store.Running, store.Progress{Size: 200, Offset: 100, Rank: 1}, store.Failure{})
}

// later are changes that only time can make.
var later = map[string][]string{
	"PostgreSQL": {
		"UPDATE transfer.files SET lease_until = lease_until - interval '3 minutes' WHERE id = 4",
		"UPDATE transfer.files SET ready_at = ready_at - interval '20 minutes' WHERE id = 5",
		"UPDATE transfer.files SET attempts = 7 WHERE id = 6",
	},
	"SQLite": {
		"UPDATE files SET lease_until = lease_until - 180000000 WHERE id = 4",
		"UPDATE files SET ready_at = ready_at - 1200000000 WHERE id = 5",
		"UPDATE files SET attempts = 7 WHERE id = 6",
	},
}

func askPostgres(t *testing.T, queries map[string]string) {
	database := testenv.Postgres(t)
	seed(t, openPostgres(t, database))
	conn, err := pgx.Connect(t.Context(), database)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	ask := func(query string) (lines []string) {
		rows, err := conn.Query(t.Context(), query, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
		for rows.Next() {
			lines = append(lines, joined(rows.RawValues()))
		}
		require.NoError(t, rows.Err(), query)
		return lines
	}
	for _, change := range later["PostgreSQL"] {
		ask(change)
	}
	ask("SET enable_seqscan = off")
	for title, query := range queries {
		requireAnswer(t, answers[title], ask(query))
		if plan := strings.Join(ask("EXPLAIN "+query), "\n"); title != readsAll {
			require.NotContains(t, plan, "Seq Scan on files", query)
		}
	}
}

func askSQLite(t *testing.T, queries map[string]string) {
	path := filepath.Join(t.TempDir(), "queue.db")
	seed(t, openSQLite(t, path))
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	ask := func(query string) (lines []string) {
		rows, err := db.QueryContext(t.Context(), query)
		require.NoError(t, err, query)
		defer func() { require.NoError(t, rows.Close()) }()
		columns, err := rows.Columns()
		require.NoError(t, err)
		for rows.Next() {
			values, into := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			require.NoError(t, rows.Scan(into...))
			lines = append(lines, joined(values))
		}
		require.NoError(t, rows.Err(), query)
		return lines
	}
	for _, change := range later["SQLite"] {
		_, err := db.ExecContext(t.Context(), change)
		require.NoError(t, err)
	}
	for title, query := range queries {
		requireAnswer(t, answers[title], ask(query))
		if plan := strings.Join(ask("EXPLAIN QUERY PLAN "+query), "\n"); title != readsAll {
			require.NotRegexp(t, `(?m)SCAN files$`, plan, query)
		}
	}
}

// joined puts the values of a row in a line; null is nothing.
func joined[T ~[]byte](values []T) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = string(v)
	}
	return strings.Join(texts, " ")
}

func requireAnswer(t *testing.T, want, got []string) {
	t.Helper()
	require.Len(t, got, len(want), "%q", got)
	for i := range want {
		pattern := strings.ReplaceAll(regexp.QuoteMeta(want[i]), `\*`, ".*")
		require.Regexp(t, "^"+pattern+"$", got[i])
	}
}
