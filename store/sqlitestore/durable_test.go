package sqlitestore_test

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/sqlitestore"
)

// raw opens the file beside the store, as another program would.
func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func execute(t *testing.T, db *sql.DB, text string) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), text)
	require.NoError(t, err)
}

func list(t *testing.T, s store.Store, q store.Query) []store.File {
	t.Helper()
	files, err := s.ListFiles(t.Context(), q)
	require.NoError(t, err)
	return files
}

func TestReopenKeepsEverything(t *testing.T) {
	t.Parallel()
	at := path(t)
	s := open(t, at, sqlitestore.Options{FullSync: true})
	given := store.Transfer{
		ID: "id", ConnectorID: "acme", ClientToken: "token", RequestHash: []byte("hash"), FollowID: "7", RuleName: "rule",
		Metadata: map[string]string{"k": "v"}, Spec: []byte("spec"),
	}
	create(t, s, given, newFiles(1, 5))
	claimed := claim(t, s, 3)
	update(t, s, claimed[:1], store.Change{State: store.Done})
	update(t, s, claimed[1:2], store.Change{State: store.Waiting, Delay: time.Hour, Failure: store.Failure{Code: "TIMEOUT_ERROR"}})
	files := list(t, s, store.Query{})
	transfer, err := s.GetTransfer(t.Context(), "id")
	require.NoError(t, err)
	require.NoError(t, s.Close())

	s = open(t, at, sqlitestore.Options{})
	require.Equal(t, files, list(t, s, store.Query{}))
	again, err := s.CreateTransfer(t.Context(), given, newFiles(1, 5))
	require.NoError(t, err)
	require.Equal(t, transfer, again)
	update(t, s, claimed[2:], store.Change{State: store.Done})
	require.Len(t, claim(t, s, 10), 2)
	create(t, s, store.Transfer{ID: "next", ConnectorID: "acme"}, newFiles(2, 1))
	require.Equal(t, int64(6), list(t, s, store.Query{TransferID: "next"})[0].ID)
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	at := path(t)
	require.NoError(t, open(t, at, sqlitestore.Options{}).Close())
	db := raw(t, at)
	execute(t, db, "PRAGMA user_version = 99")
	known, err := fs.Glob(sqlitestore.Migrations(), "*.sql")
	require.NoError(t, err)
	_, err = sqlitestore.Open(at, sqlitestore.Options{})
	require.ErrorContains(t, err, "has version 99 of the schema")
	require.ErrorContains(t, err, fmt.Sprintf("up to %d", len(known)))
	require.ErrorContains(t, err, at)

	execute(t, db, fmt.Sprint("PRAGMA user_version = ", len(known)))
	open(t, at, sqlitestore.Options{})
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	_, err := sqlitestore.Open("", sqlitestore.Options{})
	require.ErrorContains(t, err, "the path is empty")
	_, err = sqlitestore.Open(filepath.Join(t.TempDir(), "missing", "transfers.db"), sqlitestore.Options{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = sqlitestore.Open(path(t), sqlitestore.Options{Readers: -1})
	require.ErrorContains(t, err, "Options.Readers is -1")
	_, err = sqlitestore.Open(path(t), sqlitestore.Options{BusyTimeout: -1})
	require.ErrorContains(t, err, "Options.BusyTimeout")
	text := path(t)
	require.NoError(t, os.WriteFile(text, []byte("this is no database, and it is long enough to see that"), 0o600))
	_, err = sqlitestore.Open(text, sqlitestore.Options{})
	require.ErrorContains(t, err, "not a database")
}

func TestPathIsTakenAsItIs(t *testing.T) {
	t.Parallel()
	at := filepath.Join(t.TempDir(), "ö ?mode=memory#%41&'\".db")
	create(t, open(t, at, sqlitestore.Options{}), store.Transfer{ID: "id"}, nil)
	info, err := os.Stat(at)
	require.NoError(t, err)
	require.NotZero(t, info.Size())
	require.Zero(t, info.Mode().Perm()&0o077, "others may read it")
	_, err = open(t, at, sqlitestore.Options{}).GetTransfer(t.Context(), "id")
	require.NoError(t, err)
}

// Two stores on one file are as two processes: they share nothing but the file.
func TestTwoStoresOnOneFile(t *testing.T) {
	t.Parallel()
	const files, limit = 400, 7
	at := path(t)
	stores := []*sqlitestore.Store{open(t, at, sqlitestore.Options{}), open(t, at, sqlitestore.Options{})}
	create(t, stores[0], store.Transfer{ID: "a", ConnectorID: "acme"}, newFiles(1, files/2))
	create(t, stores[1], store.Transfer{ID: "b", ConnectorID: "acme"}, newFiles(2, files/2))
	var mu sync.Mutex
	claims := make(map[int64]int) // under mu
	done := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(claims) == files
	}
	var wg sync.WaitGroup
	for _, s := range stores {
		wg.Go(func() {
			for !done() {
				claimed, err := s.Claim(t.Context(), store.ClaimRequest{
					Worker: "w", Max: 5, Lease: time.Hour, Limits: map[string]int{"acme": limit},
				})
				if !assert.NoError(t, err) {
					return
				}
				mu.Lock()
				for _, c := range claimed {
					claims[c.ID]++
				}
				mu.Unlock()
				counts, err := s.CountFiles(t.Context(), store.Query{})
				assert.NoError(t, err)
				assert.LessOrEqual(t, counts[store.Running], int64(limit))
				update(t, s, claimed, store.Change{State: store.Done})
			}
		})
	}
	wg.Wait()
	require.Len(t, claims, files)
	for id, n := range claims {
		require.Equal(t, 1, n, "file %d", id)
	}
}

func TestLockedByAnother(t *testing.T) {
	t.Parallel()
	at := path(t)
	s := open(t, at, sqlitestore.Options{BusyTimeout: 10 * time.Millisecond})
	patient := open(t, at, sqlitestore.Options{})
	db := raw(t, at)
	execute(t, db, "BEGIN IMMEDIATE")
	_, err := s.CreateTransfer(t.Context(), store.Transfer{ID: "id"}, newFiles(1, 1))
	require.ErrorContains(t, err, "create transfer id")
	require.ErrorContains(t, err, "locked")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err = patient.CreateTransfer(ctx, store.Transfer{ID: "id"}, newFiles(1, 1))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(begun), 5*time.Second)
	require.Empty(t, list(t, s, store.Query{}), "readers do not wait for a writer")

	execute(t, db, "COMMIT")
	create(t, s, store.Transfer{ID: "id"}, newFiles(1, 1))
	create(t, patient, store.Transfer{ID: "other"}, newFiles(1, 1))
}

// A long read ends with its context and takes nothing with it.
func TestReadEndsWithContext(t *testing.T) {
	t.Parallel()
	s := open(t, path(t), sqlitestore.Options{Readers: 1})
	for i := range 20 {
		create(t, s, store.Transfer{ID: fmt.Sprint(i), Metadata: map[string]string{"k": "v"}}, newFiles(i, 1000))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := s.ListFiles(ctx, store.Query{Metadata: map[string]string{"k": "other"}})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Len(t, list(t, s, store.Query{Metadata: map[string]string{"k": "v"}, Limit: 3}), 3)
}

func TestMetadataIsExact(t *testing.T) {
	t.Parallel()
	s := open(t, path(t), sqlitestore.Options{})
	keys := []string{"a.b", "a", `"`, `a"b`, "$", "$.a", "[0]", "", "'", "\\", "ö\u2028<>&", "1", "null"}
	for i, key := range keys {
		create(t, s, store.Transfer{ID: fmt.Sprint(i), Metadata: map[string]string{key: key, "all": "1"}}, newFiles(i, 1))
	}
	create(t, s, store.Transfer{ID: "none"}, newFiles(99, 1))
	for i, key := range keys {
		files := list(t, s, store.Query{Metadata: map[string]string{key: key, "all": "1"}})
		require.Len(t, files, 1, "key %q", key)
		require.Equal(t, fmt.Sprint(i), files[0].TransferID)
	}
	require.Len(t, list(t, s, store.Query{Metadata: map[string]string{}}), len(keys)+1)
	require.Empty(t, list(t, s, store.Query{Metadata: map[string]string{"all": "1.0"}}))
}

// Processes that start together find one schema.
func TestOpenTogether(t *testing.T) {
	t.Parallel()
	for range 5 {
		at := path(t)
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				s, err := sqlitestore.Open(at, sqlitestore.Options{})
				if !assert.NoError(t, err) {
					return
				}
				_, err = s.CreateTransfer(t.Context(), store.Transfer{ID: fmt.Sprint(i)}, newFiles(i, 1))
				assert.NoError(t, err)
				assert.NoError(t, s.Close())
			})
		}
		wg.Wait()
		require.Len(t, list(t, open(t, at, sqlitestore.Options{}), store.Query{}), 4)
	}
}
