package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/sqlitestore"
)

// From and to a real directory, OpenSSH and a real database, in both directions: what was started stays started when
// everything begins anew, and what the listings say is what the ledger knows.
func TestDurable(t *testing.T) {
	t.Parallel()
	server := testenv.SSHD(t)
	dir, database := t.TempDir(), filepath.Join(t.TempDir(), "state.db")
	ours, theirs := filepath.Join(dir, "out", "sub"), filepath.Join(server.Dir, "out", "sub")
	for _, d := range []string{ours, theirs, filepath.Join(dir, "in"), filepath.Join(server.Dir, "in", "sub")} {
		require.NoError(t, os.MkdirAll(d, 0o700))
	}
	watches := outbox(func(w *Watch) {
		w.Patterns, w.Every, w.Ledger, w.TargetDirectory = []string{"**/*.csv"}, time.Second, transfer.LedgerSkip, server.Dir+"/in"
	})
	inbox := watches["outbox"]
	inbox.Direction, inbox.Directory, inbox.TargetDirectory = store.Retrieve, server.Dir+"/out", "/in"
	watches["inbox"] = inbox
	for round := range 2 {
		for i := range 10 {
			name := fmt.Sprintf("%d-%d.csv", round, i)
			require.NoError(t, os.WriteFile(filepath.Join(ours, name), []byte(name), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(theirs, name), []byte(name), 0o600))
		}
		durable(t, dir, database, server, watches, 10*(round+1))
	}
	for _, in := range []string{dir, server.Dir} {
		content, err := os.ReadFile(filepath.Join(in, "in", "sub", "1-7.csv"))
		require.NoError(t, err)
		require.Equal(t, "1-7.csv", string(content))
	}
}

// durable runs a node until both watches have started what is there, lets them forget it, and looks again.
func durable(t *testing.T, dir, database string, server *testenv.SSHDServer, watches map[string]Watch, files int) {
	t.Helper()
	s := newSite(t)
	opened, err := sqlitestore.Open(database, sqlitestore.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, opened.Close()) }()
	storage, err := transfer.Dir(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, storage.Close()) }()
	partner, err := sftpx.New(sftpx.Config{
		Addr: server.Addr, User: server.User, HostKeys: server.HostKeys[:1], Auth: []sftpx.Auth{sftpx.PublicKey(server.Signer)},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, partner.Close()) }()
	s.store.Store, s.storage, s.partner = opened, storage, partner
	n := s.node("one", watches)
	require.NoError(t, n.client.Start(t.Context()))
	require.NoError(t, n.Start(t.Context()))
	settled(t, n, func(status *Status) bool { return status.Matched == files && status.Started == 10 })
	require.Eventually(t, func() bool { return s.done() == 2*files }, time.Minute, 20*time.Millisecond)
	require.NoError(t, errors.Join(n.Forget(t.Context(), "outbox"), n.Forget(t.Context(), "inbox")))
	settled(t, n, func(status *Status) bool { return status.Matched == files && status.Runs > 1 })
	require.NoError(t, n.Shutdown(context.Background()))
	require.NoError(t, n.client.Shutdown(context.Background()))
	require.Equal(t, 2*files, s.done())
	require.Len(t, s.paths(), 2*files, "the ledger knows all of them")
}

// settled waits until all watches are as is says.
func settled(t *testing.T, n *node, is func(*Status) bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		all, err := n.ListWatches(t.Context())
		return err == nil && !slices.ContainsFunc(all, func(s Status) bool { return !is(&s) })
	}, time.Minute, 20*time.Millisecond)
}

// done is how many files are done.
func (s *site) done() int {
	counts, err := s.store.CountFiles(context.Background(), store.Query{})
	if err != nil {
		return -1
	}
	return int(counts[store.Done])
}
