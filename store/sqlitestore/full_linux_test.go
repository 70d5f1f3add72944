package sqlitestore_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/sqlitestore"
)

// smallDisk mounts a file system of 2 MiB and returns its path.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", dir).CombinedOutput(); err != nil {
		testenv.Skip(t, fmt.Sprintf("cannot mount a tmpfs (run as root): %v: %s", err, out))
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", dir).Run()) })
	return dir
}

// fill writes a file until the disk is full and returns its path.
func fill(t *testing.T, dir string) string {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "filler"))
	require.NoError(t, err)
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	require.True(t, errors.Is(err, syscall.ENOSPC), "%v", err)
	require.NoError(t, f.Close())
	return f.Name()
}

// On a full disk calls fail and the file stays whole; once there is room again, they go on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t)
	at := filepath.Join(dir, "transfers.db")
	s := open(t, at, sqlitestore.Options{})
	create(t, s, store.Transfer{ID: "before", ConnectorID: "acme"}, newFiles(0, 100))
	claimed := claim(t, s, 10)
	before := list(t, s, store.Query{})
	filler := fill(t, dir)
	var failure error
	created := 0
	for i := 1; failure == nil; i++ { // the log may have room left
		_, failure = s.CreateTransfer(t.Context(), store.Transfer{ID: fmt.Sprint(i), ConnectorID: "acme"}, newFiles(i, 100))
		created = i - 1
	}
	require.ErrorContains(t, failure, "sqlitestore: create transfer")
	_, err := s.GetTransfer(t.Context(), fmt.Sprint(created+1))
	require.ErrorIs(t, err, store.ErrNotFound)
	require.Equal(t, before, list(t, s, store.Query{TransferID: "before"}))
	requireCounts(t, s, store.Query{}, map[store.State]int64{store.Running: 10, store.Queued: 90 + int64(created)*100})

	require.NoError(t, os.Remove(filler))
	update(t, s, claimed, store.Change{State: store.Done})
	create(t, s, store.Transfer{ID: "after", ConnectorID: "acme"}, newFiles(1, 100))
	requireCounts(t, s, store.Query{}, map[store.State]int64{store.Done: 10, store.Queued: 190 + int64(created)*100})
	requireSound(t, at)
}
