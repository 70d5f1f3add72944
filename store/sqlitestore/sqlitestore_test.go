package sqlitestore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/sqlitestore"
	"github.com/seed62b9dc43/transfer/store/storetest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(workerVariable); path != "" {
		if err := runWorker(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, path(t), sqlitestore.Options{}) })
}

func path(t testing.TB) string { return filepath.Join(t.TempDir(), "transfers.db") }

func open(t testing.TB, path string, o sqlitestore.Options) *sqlitestore.Store {
	t.Helper()
	s, err := sqlitestore.Open(path, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}
