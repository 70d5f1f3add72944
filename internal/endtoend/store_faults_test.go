//go:build unix

package endtoend

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/pgstore"
)

// TestPostgresGoesAway stops the database while files are moving, and starts it again.
func TestPostgresGoesAway(t *testing.T) {
	t.Parallel()
	t.Run("for less than a lease", func(t *testing.T) {
		t.Parallel()
		goAway(t, fleetPatience, func(f *fleet, moving []store.File) {
			// Nobody can have taken them over: they are published while the database is away.
			require.Eventually(t, func() bool { return f.arrived(moving) == len(moving) }, fleetPatience, 5*time.Millisecond)
		})
	})
	t.Run("for more than a lease", func(t *testing.T) {
		t.Parallel()
		// Whether they are still its own, a node learns from the database only: until then it publishes nothing.
		goAway(t, time.Second, func(f *fleet, moving []store.File) { require.Zero(t, f.arrived(moving)) })
	})
}

// goAway runs two nodes with leases of this length. meanwhile is called when the database is away, for less than a lease or
// for more, and the files that were moving go on.
func goAway(t *testing.T, lease time.Duration, meanwhile func(f *fleet, moving []store.File)) {
	t.Helper()
	db := newDatabase(t)
	db.start(t)
	f := newFleet(t, map[string]int{"acme": 4})
	f.lease = lease
	watched := openPostgres(t, db.dsn("postgres"))
	client := f.startNode(t, watched)
	f.startNode(t, openPostgres(t, db.dsn("postgres")))
	in := f.write("acme", "first", sizes(12, 1<<20)...)
	gate := f.hold(in)
	out, err := client.StartFileTransfer(t.Context(), in)
	require.NoError(t, err)
	moving := awaitMoving(t, watched)

	stopped := time.Now()
	db.stop()
	second := f.write("acme", "second", sizes(3, 1000)...)
	requireAway(t, client, second, out.TransferID)
	if lease < fleetPatience {
		require.Eventually(t, func() bool { return time.Since(stopped) > lease }, fleetPatience, 10*time.Millisecond)
	}
	close(gate)
	meanwhile(f, moving)
	requireAway(t, client, second, out.TransferID)

	db.start(t)
	for _, r := range f.requireDelivered(t, client, in, out.TransferID) {
		if lease == fleetPatience {
			require.Equal(t, 1, r.Attempts, "%s went on", r.FilePath)
		}
	}
	requireRepeatable(t, f, client, second)
}

// requireAway checks what callers get while the database is away: an answer, soon, that says so.
func requireAway(t *testing.T, client *transfer.Client, in *transfer.StartFileTransferInput, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), fleetPatience)
	defer cancel()
	_, start := client.StartFileTransfer(ctx, in)
	_, results := client.ListFileTransferResults(ctx, &transfer.ListFileTransferResultsInput{ConnectorID: in.ConnectorID, TransferID: id})
	_, list := client.ListTransfers().Page(ctx)
	_, count := client.ListTransfers().Count(ctx)
	_, wait := client.Wait(ctx, id)
	for call, err := range map[string]error{
		"StartFileTransfer": start, "ListFileTransferResults": results, "ListTransfers": list, "Count": count, "Wait": wait,
	} {
		var away *transfer.ServiceUnavailableException
		require.ErrorAs(t, err, &away, call)
	}
	t.Log(start)
}

// requireRepeatable starts a transfer that could not be started before, twice.
func requireRepeatable(t *testing.T, f *fleet, client *transfer.Client, in *transfer.StartFileTransferInput) {
	t.Helper()
	out, err := client.StartFileTransfer(t.Context(), in)
	require.NoError(t, err)
	again, err := client.StartFileTransfer(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, out.TransferID, again.TransferID)
	f.requireDelivered(t, client, in, out.TransferID)
}

// TestPostgresAwayAtStart: a store cannot be opened without its database, but a client can be started without it.
func TestPostgresAwayAtStart(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	pool, err := pgxpool.New(t.Context(), db.dsn("postgres"))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	ctx, cancel := context.WithTimeout(t.Context(), fleetPatience)
	defer cancel()
	_, err = pgstore.Open(ctx, pool, pgstore.Options{})
	require.Error(t, err)
	require.NoError(t, ctx.Err(), "it says so at once")
	t.Log(err)

	db.start(t)
	f := newFleet(t, map[string]int{"acme": 4})
	st := openPostgres(t, db.dsn("postgres"))
	db.stop()
	client := f.startNode(t, st)
	in := f.write("acme", "token", sizes(5, 200_000)...)
	requireAway(t, client, in, "0198c5a5-0000-7000-8000-000000000000")
	db.start(t)
	requireRepeatable(t, f, client, in)
}

// TestShutdownWhilePostgresIsAway: a node ends all the same, and another goes on with its files when their leases are over.
func TestShutdownWhilePostgresIsAway(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	db.start(t)
	f := newFleet(t, map[string]int{"acme": 4})
	f.lease = 3 * time.Second
	st := openPostgres(t, db.dsn("postgres"))
	client := f.node(t, st)
	require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
	in := f.write("acme", "token", sizes(6, 1<<20)...)
	gate := f.hold(in)
	out, err := client.StartFileTransfer(t.Context(), in)
	require.NoError(t, err)
	awaitMoving(t, st)
	db.stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.ErrorIs(t, client.Shutdown(ctx), context.DeadlineExceeded, "files were cut off")
	close(gate)

	db.start(t)
	other := f.startNode(t, openPostgres(t, db.dsn("postgres")))
	f.requireDelivered(t, other, in, out.TransferID)
}
