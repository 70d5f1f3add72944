//go:build unix

package endtoend

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/pgstore"
	"github.com/seed62b9dc43/transfer/store/sqlitestore"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// fleetPatience bounds what a fleet is waited for.
const fleetPatience = 2 * time.Minute

// queue opens one queue, each time as another node would.
type queue func(t *testing.T) store.Store

// queues are those that several nodes can share.
var queues = map[string]func(t *testing.T) queue{
	"SQLite": func(t *testing.T) queue {
		path := filepath.Join(t.TempDir(), "queue.db")
		return func(t *testing.T) store.Store { return openSQLite(t, path) }
	},
	"PostgreSQL": func(t *testing.T) queue {
		database := testenv.Postgres(t)
		return func(t *testing.T) store.Store { return openPostgres(t, database) }
	},
}

func openSQLite(t testing.TB, path string) store.Store {
	t.Helper()
	st, err := sqlitestore.Open(path, sqlitestore.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return st
}

func openPostgres(t testing.TB, database string) store.Store {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), database)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	st, err := pgstore.Open(t.Context(), pool, pgstore.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return st
}

// fleet is what the nodes of a test share: files, partners, and what was published.
type fleet struct {
	outbox   *transfer.Memory
	partners map[string]*transfertest.Connector
	inboxes  map[string]*transfer.Memory
	lease    time.Duration
	progress time.Duration // between two writes of it

	mu        sync.Mutex // guards published
	published map[string]int
}

// newFleet has one partner for each limit.
func newFleet(t *testing.T, limits map[string]int) *fleet {
	t.Helper()
	f := &fleet{
		outbox: transfer.NewMemory(), partners: map[string]*transfertest.Connector{}, inboxes: map[string]*transfer.Memory{},
		lease: fleetPatience, progress: 20 * time.Millisecond, published: map[string]int{},
	}
	for id, limit := range limits {
		f.inboxes[id] = transfer.NewMemory()
		f.partners[id] = transfertest.NewConnector(f.inboxes[id], transfertest.ConnectorOptions{MaxFiles: limit})
		f.partners[id].Inject(transfertest.Rule{Op: transfertest.OpCommit, Do: func(c transfertest.Call) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.published[c.Path]++
		}})
	}
	t.Cleanup(func() {
		for id, p := range f.partners {
			require.Empty(t, p.Violations(), id)
			require.Zero(t, p.OpenRemotes(), id)
		}
	})
	return f
}

// node is a client over one of the shared queues.
func (f *fleet) node(t *testing.T, st store.Store) *transfer.Client {
	t.Helper()
	connectors := make(map[string]transfer.Connector)
	for id, p := range f.partners {
		connectors[id] = p
	}
	client, err := transfer.New(transfer.Config{
		Storage: f.outbox, Store: st, Connectors: connectors, WindowSize: 64 << 10, Lease: f.lease,
		PollInterval: 20 * time.Millisecond, ProgressInterval: f.progress,
	})
	require.NoError(t, err)
	return client
}

// startNode starts it, until t ends.
func (f *fleet) startNode(t *testing.T, st store.Store) *transfer.Client {
	t.Helper()
	client := f.node(t, st)
	require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, client.Shutdown(ctx))
	})
	return client
}

// write puts files there and returns a request for them; token makes it repeatable.
func (f *fleet) write(connectorID, token string, sizes ...int) *transfer.StartFileTransferInput {
	in := &transfer.StartFileTransferInput{ConnectorID: connectorID, ClientToken: token, RemoteDirectoryPath: "/in"}
	for i, size := range sizes {
		path := "/" + token + "-" + string(rune('a'+i)) + ".bin"
		f.outbox.WriteFile(path, content(uint64(i), size))
		in.SendFilePaths = append(in.SendFilePaths, path)
	}
	return in
}

// requireDelivered waits for a transfer and checks that the partner has each of its files, published once.
func (f *fleet) requireDelivered(t *testing.T, client *transfer.Client, in *transfer.StartFileTransferInput, id string) []transfer.ConnectorFileTransferResult {
	t.Helper()
	results := f.awaitDelivered(t, client, in, id)
	f.requirePublished(t, 1, in.SendFilePaths...)
	return results
}

// awaitDelivered waits for a transfer and checks that the partner has each of its files.
func (f *fleet) awaitDelivered(t *testing.T, client *transfer.Client, in *transfer.StartFileTransferInput, id string) []transfer.ConnectorFileTransferResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), fleetPatience)
	defer cancel()
	_, err := client.Wait(ctx, id)
	require.NoError(t, err)
	page, err := client.ListFileTransferResults(ctx, &transfer.ListFileTransferResultsInput{ConnectorID: in.ConnectorID, TransferID: id, MaxResults: 1000})
	require.NoError(t, err)
	require.Len(t, page.FileTransferResults, len(in.SendFilePaths))
	for _, r := range page.FileTransferResults {
		require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
		want, err := f.outbox.ReadFile(r.FilePath)
		require.NoError(t, err)
		got, err := f.inboxes[in.ConnectorID].ReadFile(r.TargetPath)
		require.NoError(t, err)
		require.True(t, string(want) == string(got), "%s is byte-identical", r.FilePath)
	}
	return page.FileTransferResults
}

// requirePublished checks how often each of our files was published.
func (f *fleet) requirePublished(t *testing.T, times int, paths ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, path := range paths {
		require.Equal(t, times, f.published["/in"+path], "how often %s was published", path)
	}
}

// hold lets four windows of each file pass; the others wait until the returned channel is closed.
func (f *fleet) hold(in *transfer.StartFileTransferInput) chan<- struct{} {
	gate := make(chan struct{})
	for _, path := range in.SendFilePaths {
		f.partners[in.ConnectorID].Inject(transfertest.Rule{
			Op: transfertest.OpWriteWindow, Path: filepath.Base(path), Nth: 5, Times: -1, Hold: gate,
		})
	}
	return gate
}

// arrived counts the files that the partner has.
func (f *fleet) arrived(files []store.File) (n int) {
	for _, file := range files {
		if _, err := f.inboxes[file.ConnectorID].ReadFile(file.TargetPath); err == nil {
			n++
		}
	}
	return n
}

// sizes returns n times one size.
func sizes(n, size int) []int { return slices.Repeat([]int{size}, n) }

// running returns the files of a connector that run.
func running(t *testing.T, st store.Store, connectorID string) []store.File {
	t.Helper()
	files, err := st.ListFiles(t.Context(), store.Query{ConnectorID: connectorID, States: []store.State{store.Running}})
	require.NoError(t, err)
	return files
}

// awaitMoving returns the files that run once there are four, all of them in the middle.
func awaitMoving(t *testing.T, st store.Store) (moving []store.File) {
	t.Helper()
	require.Eventually(t, func() bool {
		moving = running(t, st, "acme")
		return len(moving) == 4 && !slices.ContainsFunc(moving, func(f store.File) bool { return f.Rank == 0 })
	}, fleetPatience, 5*time.Millisecond)
	return moving
}

// sorted returns the keys in order, for subtests that come in one.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
