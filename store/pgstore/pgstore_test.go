package pgstore_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/pgstore"
	"github.com/seed62b9dc43/transfer/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// database returns a pool of connections to an empty database.
func database(t testing.TB) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(testenv.Postgres(t) + " pool_max_conns=8")
	require.NoError(t, err)
	return openPool(t, config)
}

func openPool(t testing.TB, config *pgxpool.Config) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func open(t testing.TB, pool *pgxpool.Pool, schema string) *pgstore.Store {
	t.Helper()
	s, err := pgstore.Open(t.Context(), pool, pgstore.Options{Schema: schema})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	conform(t, database(t))
}

// The ways of pgx to do without prepared statements, for connections that PgBouncer hands out anew at each transaction.
func TestStoreWithoutPreparedStatements(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			config, err := pgxpool.ParseConfig(testenv.Postgres(t) + " pool_max_conns=8")
			require.NoError(t, err)
			config.ConnConfig.DefaultQueryExecMode = mode
			conform(t, openPool(t, config))
		})
	}
}

// conform runs the suite, each check in a schema of its own.
func conform(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	var opened atomic.Int64
	storetest.Run(t, func(t *testing.T) store.Store {
		return open(t, pool, fmt.Sprintf("Schema %d \"of\" a test", opened.Add(1)))
	})
}
