package pgstore_test

import (
	"io/fs"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store/pgstore"
)

func TestOpenRefusesNewerSchema(t *testing.T) {
	t.Parallel()
	pool := database(t)
	open(t, pool, "s")
	_, err := pool.Exec(t.Context(), "INSERT INTO s.schema_version (version) VALUES (1234)")
	require.NoError(t, err)
	_, err = pgstore.Open(t.Context(), pool, pgstore.Options{Schema: "s"})
	require.ErrorContains(t, err, "schema s has version 1234, this code knows versions up to 4 ")
}

func TestOpensAtOnceMigrateOnce(t *testing.T) {
	t.Parallel()
	pool := database(t)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := pgstore.Open(t.Context(), pool, pgstore.Options{})
			if assert.NoError(t, err) {
				assert.NoError(t, s.Close())
			}
		})
	}
	wg.Wait()
	versions := 0
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM transfer.schema_version").Scan(&versions))
	require.Equal(t, 4, versions)
}

// A role that may only read and write opens what somebody else has migrated with a tool of their own.
func TestOpenAfterMigrationByHand(t *testing.T) {
	t.Parallel()
	pool := database(t)
	script := `CREATE SCHEMA mine; SET LOCAL search_path TO mine;`
	names, err := fs.Glob(pgstore.Migrations(), "*.sql")
	require.NoError(t, err)
	for _, name := range names {
		sql, err := fs.ReadFile(pgstore.Migrations(), name)
		require.NoError(t, err)
		script += string(sql)
	}
	script += `CREATE ROLE app LOGIN; GRANT USAGE ON SCHEMA mine TO app;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA mine TO app;`
	_, err = pool.Exec(t.Context(), script, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)

	config := pool.Config().Copy()
	config.ConnConfig.User = "app"
	s := open(t, openPool(t, config), "mine")
	create(t, s, "id", "acme", 1)
	require.Len(t, claim(t, s, 1, map[string]int{"acme": 1}), 1)
}

func TestOpenRefusesSchemaNames(t *testing.T) {
	t.Parallel()
	pool := database(t)
	for _, name := range []string{"pg_mine", strings.Repeat("x", 51), "a\x00b", "\xff"} {
		_, err := pgstore.Open(t.Context(), pool, pgstore.Options{Schema: name})
		require.ErrorContains(t, err, "Options.Schema", "%q", name)
	}
	_, err := pgstore.Open(t.Context(), nil, pgstore.Options{})
	require.ErrorContains(t, err, "pool is nil")
}
