//go:build unix

package endtoend

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// TestFullDisk fills the disk under the queue while files are moving, and then makes room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "queue")
	smallDisk(t, folder)
	path := filepath.Join(folder, "queue.db")
	f := newFleet(t, map[string]int{"acme": 4})
	f.progress = time.Second // the queue's log alone must not fill the disk
	watched := openSQLite(t, path)
	client := f.startNode(t, watched)
	f.startNode(t, openSQLite(t, path))
	in := f.write("acme", "first", sizes(12, 1<<20)...)
	gate := f.hold(in)
	out, err := client.StartFileTransfer(t.Context(), in)
	require.NoError(t, err)
	moving := awaitMoving(t, watched)

	room := fill(t, folder)
	second := f.write("acme", "second", sizes(3, 1000)...)
	requireFull(t, client, second, out.TransferID)
	close(gate)
	require.Eventually(t, func() bool { return f.arrived(moving) == len(moving) }, fleetPatience, 5*time.Millisecond,
		"files under way are delivered all the same")
	requireFull(t, client, second, out.TransferID)
	requireIntact(t, path)

	require.NoError(t, os.Remove(room))
	for _, r := range f.requireDelivered(t, client, in, out.TransferID) {
		require.Equal(t, 1, r.Attempts, "%s went on", r.FilePath)
	}
	requireRepeatable(t, f, client, second)
	requireIntact(t, path)
}

// fill takes all the room there is and returns the path of what took it.
func fill(t *testing.T, folder string) string {
	t.Helper()
	file, err := os.Create(filepath.Join(folder, "fill"))
	require.NoError(t, err)
	for err == nil {
		_, err = file.Write(make([]byte, 4<<10))
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, file.Close())
	return file.Name()
}

// requireFull checks what callers get while the disk is full: nothing can be stored, all can be read.
func requireFull(t *testing.T, client *transfer.Client, in *transfer.StartFileTransferInput, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), fleetPatience)
	defer cancel()
	_, err := client.StartFileTransfer(ctx, in)
	var away *transfer.ServiceUnavailableException
	require.ErrorAs(t, err, &away)
	require.ErrorContains(t, err, "full")
	t.Log(err)
	page, err := client.ListFileTransferResults(ctx, &transfer.ListFileTransferResultsInput{ConnectorID: in.ConnectorID, TransferID: id})
	require.NoError(t, err)
	require.NotEmpty(t, page.FileTransferResults)
	count, err := client.ListTransfers().Count(ctx)
	require.NoError(t, err)
	require.Equal(t, int64(len(page.FileTransferResults)), count, "nothing of what was refused is there")
}

func requireIntact(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	var verdict string
	require.NoError(t, db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict))
	require.Equal(t, "ok", verdict)
}
