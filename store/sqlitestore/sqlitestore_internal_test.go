package sqlitestore

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/seed62b9dc43/transfer/store"
)

func setup(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "transfers.db"), Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// A limit on the file's size is what a full disk is to SQLite.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	s := setup(t)
	files := make([]store.NewFile, 2000)
	for i := range files {
		files[i].SourcePath = fmt.Sprintf("/a/long/path/to/make/it/big/%d", i)
	}
	_, err := s.CreateTransfer(t.Context(), store.Transfer{ID: "first", ConnectorID: "acme"}, files)
	require.NoError(t, err)
	before, err := s.ListFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	limit(t, s, 1) // no less than it has
	_, err = s.CreateTransfer(t.Context(), store.Transfer{ID: "second", ConnectorID: "acme"}, files)
	require.ErrorContains(t, err, "create transfer second")
	require.True(t, hasCode(err, sqlite3.SQLITE_FULL), "%v", err)

	_, err = s.GetTransfer(t.Context(), "second")
	require.ErrorIs(t, err, store.ErrNotFound)
	after, err := s.ListFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Equal(t, before, after)
	requireWhole(t, s)

	limit(t, s, 1_000_000)
	_, err = s.CreateTransfer(t.Context(), store.Transfer{ID: "second", ConnectorID: "acme"}, files)
	require.NoError(t, err)
}

func limit(t *testing.T, s *Store, pages int) {
	t.Helper()
	_, err := s.writer.conn.ExecContext(t.Context(), fmt.Sprint("PRAGMA max_page_count = ", pages))
	require.NoError(t, err)
}

// What one change is too big for is its own error; the others are written.
func TestOneChangeIsTooBig(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, err := s.CreateTransfer(t.Context(), store.Transfer{ID: "id", ConnectorID: "acme"}, make([]store.NewFile, 3))
	require.NoError(t, err)
	claimed, err := s.Claim(t.Context(), store.ClaimRequest{Max: 3, Lease: time.Hour, Limits: map[string]int{"acme": 3}})
	require.NoError(t, err)
	changes := make([]store.Change, 3)
	for i, c := range claimed {
		changes[i] = store.Change{ID: c.ID, Token: c.Token, State: store.Waiting}
	}
	_, err = sqlite.Limit(s.writer.conn, sqlite3.SQLITE_LIMIT_LENGTH, 100_000)
	require.NoError(t, err)
	changes[1].Checkpoint = make([]byte, 100_001)
	verdicts, err := s.Update(t.Context(), changes)
	require.NoError(t, err)
	require.NoError(t, verdicts[0])
	require.Error(t, verdicts[1])
	require.NotErrorIs(t, verdicts[1], store.ErrLeaseLost)
	require.NoError(t, verdicts[2])
	counts, err := s.CountFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Equal(t, map[store.State]int64{store.Running: 1, store.Waiting: 2}, counts)
}

// What comes with a change and is too big takes the change back, and nothing else.
func TestWhatComesWithAChangeIsTooBig(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.NoError(t, s.OpenStream(t.Context(), store.Stream{Name: "s", Kinds: []store.EventKind{store.FileFinished}}))
	_, err := s.CreateTransfer(t.Context(), store.Transfer{ID: "id", ConnectorID: "acme"}, make([]store.NewFile, 4))
	require.NoError(t, err)
	claimed, err := s.Claim(t.Context(), store.ClaimRequest{Max: 4, Lease: time.Hour, Limits: map[string]int{"acme": 4}})
	require.NoError(t, err)
	changes := make([]store.Change, 4)
	for i, c := range claimed {
		changes[i] = store.Change{ID: c.ID, Token: c.Token, State: store.Done, Note: make([]byte, 80_000)}
		changes[i].Enter = &store.LedgerEntry{Scope: "scope", Path: fmt.Sprint(i)}
	}
	_, err = sqlite.Limit(s.writer.conn, sqlite3.SQLITE_LIMIT_LENGTH, 100_000)
	require.NoError(t, err)
	changes[1].Note = make([]byte, 100_001)
	changes[2].Enter.Path = strings.Repeat("x", 100_001)
	verdicts, err := s.Update(t.Context(), changes)
	require.NoError(t, err)
	require.NoError(t, verdicts[0])
	require.Error(t, verdicts[1])
	require.Error(t, verdicts[2])
	require.NoError(t, verdicts[3])
	counts, err := s.CountFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Equal(t, map[store.State]int64{store.Running: 2, store.Done: 2}, counts)
	requireWhole(t, s)
	events, err := s.CountEvents(t.Context(), "s")
	require.NoError(t, err)
	require.EqualValues(t, 2, events)
	entries, err := s.LookUp(t.Context(), "scope", []string{"0", "1", "3"})
	require.NoError(t, err)
	require.Len(t, entries, 2)
}

// Who ends while waiting for the writer gets the context's error and leaves the turn to others.
func TestWaitForTheWriterEndsWithContext(t *testing.T) {
	t.Parallel()
	s := setup(t)
	<-s.writer.turn
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err := s.Update(ctx, nil)
	require.ErrorIs(t, err, context.Canceled)
	s.writer.turn <- struct{}{}
	_, err = s.Update(t.Context(), nil)
	require.NoError(t, err)
}
