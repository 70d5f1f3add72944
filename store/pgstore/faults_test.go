package pgstore_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/pgstore"
)

// callTimeout bounds each call while the server goes down and comes back.
const callTimeout = 20 * time.Second

// outage is a server that fails while nodes create and move files.
type outage struct {
	s       store.Store
	created atomic.Int64 // transfers; the nodes are told so
	failed  atomic.Int64 // calls that returned an error
	enough  atomic.Bool  // no more transfers

	mu   sync.Mutex // guards done
	done map[int64]int
}

// Nodes go on where they were when the server is back: nothing that was confirmed is lost, and nothing is done twice.
func TestServerGoesDownAndComesBack(t *testing.T) {
	t.Parallel()
	server := testenv.OwnPostgres(t)
	config, err := pgxpool.ParseConfig(server.Connection + " pool_max_conns=8")
	require.NoError(t, err)
	o := &outage{s: open(t, openPool(t, config), ""), done: map[int64]int{}}
	var creators, workers sync.WaitGroup
	for i := range 2 {
		creators.Go(func() { o.create(t, i) })
		workers.Go(func() { o.work(t, fmt.Sprint("worker-", i)) })
	}
	for range 3 {
		o.awaitMore(t)
		failed := o.failed.Load()
		server.Kill(t)
		ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
		_, err := o.s.ListFiles(ctx, store.Query{Limit: 1})
		cancel()
		require.Error(t, err)
		require.NotErrorIs(t, err, context.DeadlineExceeded)
		require.Eventually(t, func() bool { return o.failed.Load() > failed }, callTimeout, time.Millisecond)
		server.Start(t)
	}
	o.awaitMore(t)
	o.enough.Store(true)
	creators.Wait()
	workers.Wait()

	counts, err := o.s.CountFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Equal(t, map[store.State]int64{store.Done: 5 * o.created.Load()}, counts)
	for id, n := range o.done {
		require.Equal(t, 1, n, "file %d", id)
	}
}

// awaitMore returns when some more transfers were created and some more files moved.
func (o *outage) awaitMore(t *testing.T) {
	t.Helper()
	moved := func() int {
		o.mu.Lock()
		defer o.mu.Unlock()
		return len(o.done)
	}
	created, before := o.created.Load(), moved()
	more := func() bool { return o.created.Load() >= created+5 && moved() >= before+25 }
	require.Eventually(t, more, time.Minute, time.Millisecond)
}

// call makes a call again until it succeeds.
func (o *outage) call(t *testing.T, do func(context.Context) error) {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
		err := do(ctx)
		cancel()
		if err == nil || t.Context().Err() != nil {
			return
		}
		assert.NotErrorIs(t, err, context.DeadlineExceeded)
		o.failed.Add(1)
		<-again.C
	}
}

// create creates transfers of five files. What was not confirmed is asked for again with the same token.
func (o *outage) create(t *testing.T, creator int) {
	for i := 0; !o.enough.Load() && t.Context().Err() == nil; i++ {
		id := fmt.Sprintf("%d-%d", creator, i)
		o.call(t, func(ctx context.Context) error {
			_, err := o.s.CreateTransfer(ctx, store.Transfer{ID: id, ConnectorID: "acme", ClientToken: id}, make([]store.NewFile, 5))
			return err
		})
		o.created.Add(1)
	}
}

// work moves files until all are done. A claim whose answer was lost expires.
func (o *outage) work(t *testing.T, worker string) {
	for t.Context().Err() == nil {
		last := o.enough.Load()
		var claimed []store.Claimed
		o.call(t, func(ctx context.Context) (err error) {
			claimed, err = o.s.Claim(ctx, store.ClaimRequest{
				Worker: worker, Max: 10, Lease: 2 * time.Second, Limits: map[string]int{"acme": 1000},
			})
			return err
		})
		o.write(t, claimed, store.Running)
		for _, id := range o.write(t, claimed, store.Done) {
			o.mu.Lock()
			o.done[id]++
			o.mu.Unlock()
		}
		if last && len(claimed) == 0 && o.idle(t) {
			return
		}
	}
}

// write writes a state of files and returns the ids of those that were written.
func (o *outage) write(t *testing.T, claimed []store.Claimed, state store.State) []int64 {
	changes := make([]store.Change, len(claimed))
	for i, f := range claimed {
		changes[i] = store.Change{ID: f.ID, Token: f.Token, State: state, Lease: 2 * time.Second}
	}
	var written []int64
	o.call(t, func(ctx context.Context) error {
		verdicts, err := o.s.Update(ctx, changes)
		written = nil
		for i, verdict := range verdicts {
			if verdict == nil {
				written = append(written, changes[i].ID)
			} else {
				assert.ErrorIs(t, verdict, store.ErrLeaseLost)
			}
		}
		return err
	})
	return written
}

// idle reports whether all files are done.
func (o *outage) idle(t *testing.T) bool {
	var counts map[store.State]int64
	o.call(t, func(ctx context.Context) (err error) {
		counts, err = o.s.CountFiles(ctx, store.Query{})
		return err
	})
	delete(counts, store.Done)
	return len(counts) == 0
}

func TestOpenWithoutServer(t *testing.T) {
	t.Parallel()
	server := testenv.OwnPostgres(t)
	config, err := pgxpool.ParseConfig(server.Connection)
	require.NoError(t, err)
	pool := openPool(t, config)
	server.Kill(t)
	_, err = pgstore.Open(t.Context(), pool, pgstore.Options{Schema: "s"})
	require.ErrorContains(t, err, "pgstore: migrate schema s: failed to connect")
}

// A server that is reached but never says a word is given up with the caller's context.
func TestOpenWithSilentServer(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	config, err := pgxpool.ParseConfig(fmt.Sprintf("postgres://postgres@%s/postgres?sslmode=disable", listener.Addr()))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = pgstore.Open(ctx, openPool(t, config), pgstore.Options{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
