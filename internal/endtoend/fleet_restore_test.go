//go:build unix

package endtoend

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// backup is a queue that can be backed up while it is in use, and opened as it was then.
type backup struct {
	live    func(t *testing.T) store.Store
	take    func(t *testing.T)
	restore func(t *testing.T) store.Store
}

// backups are the ways of docs/operations.md.
var backups = map[string]func(t *testing.T) backup{
	"SQLite": func(t *testing.T) backup {
		path := filepath.Join(t.TempDir(), "queue.db")
		return backup{
			live: func(t *testing.T) store.Store { return openSQLite(t, path) },
			take: func(t *testing.T) {
				db, err := sql.Open("sqlite", path)
				require.NoError(t, err)
				_, err = db.ExecContext(t.Context(), "VACUUM INTO ?", path+".backup")
				require.NoError(t, err)
				require.NoError(t, db.Close())
			},
			restore: func(t *testing.T) store.Store { return openSQLite(t, path+".backup") },
		}
	},
	"PostgreSQL": func(t *testing.T) backup {
		d := newDatabase(t)
		d.start(t)
		dump := filepath.Join(d.folder, "dump.sql")
		do := func(t *testing.T, program string, args ...string) {
			out, err := d.run(program, append([]string{"-h", d.folder, "-U", "postgres"}, args...)...).CombinedOutput()
			require.NoError(t, err, string(out))
		}
		return backup{
			live: func(t *testing.T) store.Store { return openPostgres(t, d.dsn("postgres")) },
			take: func(t *testing.T) { do(t, "pg_dump", "--schema=transfer", "-f", dump, "postgres") },
			restore: func(t *testing.T) store.Store {
				do(t, "createdb", "restored")
				do(t, "psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", dump, "restored")
				return openPostgres(t, d.dsn("restored"))
			},
		}
	},
}

// TestRestore goes back to a backup that was taken in mid-run, after everything was delivered, and checks what
// docs/operations.md says of it.
func TestRestore(t *testing.T) {
	t.Parallel()
	for _, name := range sorted(backups) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := backups[name](t)
			f := newFleet(t, map[string]int{"acme": 4})
			f.lease = 3 * time.Second
			st := b.live(t)
			client := f.node(t, st)
			require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
			send := func(client *transfer.Client, in *transfer.StartFileTransferInput) string {
				out, err := client.StartFileTransfer(t.Context(), in)
				require.NoError(t, err)
				f.awaitDelivered(t, client, in, out.TransferID)
				return out.TransferID
			}
			early := f.write("acme", "early", sizes(3, 1000)...)
			earlyID := send(client, early)

			during := f.write("acme", "during", sizes(12, 1<<20)...)
			gate := f.hold(during)
			started, err := client.StartFileTransfer(t.Context(), during)
			require.NoError(t, err)
			moving := awaitMoving(t, st)
			b.take(t)
			close(gate)
			f.awaitDelivered(t, client, during, started.TransferID)
			late := f.write("acme", "late", sizes(3, 1000)...)
			lateID := send(client, late)
			require.NoError(t, client.Shutdown(t.Context()))

			client = f.startNode(t, b.restore(t))
			f.awaitDelivered(t, client, during, started.TransferID)
			f.requirePublished(t, 1, early.SendFilePaths...)
			f.awaitDelivered(t, client, early, earlyID)
			again := make(map[string]int) // what had not begun is delivered again, what had begun is found at the partner's
			for _, path := range during.SendFilePaths {
				again[path] = 2
			}
			for _, file := range moving {
				again[file.SourcePath] = 1
			}
			for path, n := range again {
				f.requirePublished(t, n, path)
			}
			_, err = client.ListFileTransferResults(t.Context(), &transfer.ListFileTransferResultsInput{ConnectorID: "acme", TransferID: lateID})
			var unknown *transfer.ResourceNotFoundException
			require.ErrorAs(t, err, &unknown)
			require.NotEqual(t, lateID, send(client, late), "its token is unknown too")
		})
	}
}
