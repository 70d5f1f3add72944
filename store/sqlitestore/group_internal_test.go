package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/seed62b9dc43/transfer/store"
)

// grouped starts calls while another has the writer's turn, one after the other, and lets them all go on together.
func grouped(t *testing.T, s *Store, calls ...func() error) []error {
	t.Helper()
	<-s.writer.turn
	errs := make([]error, len(calls))
	var wg sync.WaitGroup
	for i, call := range calls {
		wg.Go(func() { errs[i] = call() })
		require.Eventually(t, func() bool { return s.writer.waiting.length() == i+1 }, 10*time.Second, time.Millisecond)
	}
	s.writer.turn <- struct{}{}
	wg.Wait()
	return errs
}

func creates(ctx context.Context, s *Store, id string, files int) func() error {
	return func() error {
		_, err := s.CreateTransfer(ctx, store.Transfer{ID: id, ConnectorID: "acme"}, make([]store.NewFile, files))
		return err
	}
}

// requireWhole requires a sound file whose counts are those of its rows.
func requireWhole(t *testing.T, s *Store) {
	t.Helper()
	var verdict string
	require.NoError(t, s.readers.QueryRow("PRAGMA integrity_check").Scan(&verdict))
	require.Equal(t, "ok", verdict)
	wrong := -1
	require.NoError(t, s.readers.QueryRow(`SELECT count(*) FROM counts c
		WHERE c.files <> (SELECT count(*) FROM files f WHERE f.state = c.state)`).Scan(&wrong))
	require.Zero(t, wrong, "counts differ from the rows")
}

func requireFiles(t *testing.T, s *Store, transferID string, n int) time.Time {
	t.Helper()
	files, err := s.ListFiles(t.Context(), store.Query{TransferID: transferID})
	require.NoError(t, err)
	require.Len(t, files, n, transferID)
	if n == 0 {
		return time.Time{}
	}
	return files[0].CreatedAt
}

func TestCallsShareATransaction(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.NoError(t, creates(t.Context(), s, "known", 5)())
	var claimed []store.Claimed
	errs := grouped(t, s,
		creates(t.Context(), s, "a", 3),
		creates(t.Context(), s, "known", 3), // fails
		func() (err error) {
			claimed, err = s.Claim(t.Context(), store.ClaimRequest{Max: 7, Lease: time.Hour, Limits: map[string]int{"acme": 100}})
			return err
		},
		creates(t.Context(), s, "b", 4),
	)
	require.NoError(t, errors.Join(errs[0], errs[2], errs[3]))
	require.ErrorContains(t, errs[1], "the id exists already")
	require.Equal(t, requireFiles(t, s, "a", 3), requireFiles(t, s, "b", 4), "in one transaction")
	requireFiles(t, s, "known", 5)
	require.Len(t, claimed, 7)
	requireWhole(t, s)
}

// A call that fails after it has written takes back only its own.
func TestCallFailsAfterWriting(t *testing.T) {
	t.Parallel()
	s := setup(t)
	broken := errors.New("broken")
	errs := grouped(t, s,
		creates(t.Context(), s, "a", 3),
		func() error {
			return s.write(t.Context(), "fail", 1, func(ctx context.Context, w *writer, now micros) error {
				_, err := w.create(ctx, store.Transfer{ID: "half", ConnectorID: "acme"}, make([]store.NewFile, 9), now)
				return errors.Join(err, broken)
			})
		},
		creates(t.Context(), s, "b", 4),
	)
	require.NoError(t, errors.Join(errs[0], errs[2]))
	require.ErrorIs(t, errs[1], broken)
	requireFiles(t, s, "a", 3)
	requireFiles(t, s, "half", 0)
	requireFiles(t, s, "b", 4)
	requireWhole(t, s)
}

// A call that ends while it waits is not written, and the others do not wait for it.
func TestCallEndsWhileItWaits(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	<-s.writer.turn
	errs := make(chan error)
	go func() { errs <- creates(ctx, s, "ended", 3)() }()
	require.Eventually(t, func() bool { return s.writer.waiting.length() == 1 }, 10*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-errs, context.Canceled)
	require.Zero(t, s.writer.waiting.length())
	s.writer.turn <- struct{}{}
	require.NoError(t, creates(t.Context(), s, "b", 3)())
	requireFiles(t, s, "ended", 0)
}

// Where SQLite takes back the whole transaction, the calls that have room are written all the same.
func TestCallsWithoutRoom(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.NoError(t, creates(t.Context(), s, "first", 100)())
	pages := 0
	require.NoError(t, s.readers.QueryRow("PRAGMA page_count").Scan(&pages))
	limit(t, s, pages+20)
	errs := grouped(t, s, creates(t.Context(), s, "a", 1), creates(t.Context(), s, "big", 900), creates(t.Context(), s, "b", 1))
	require.NoError(t, errors.Join(errs[0], errs[2]))
	require.True(t, hasCode(errs[1], sqlite3.SQLITE_FULL), "%v", errs[1])
	requireFiles(t, s, "a", 1)
	requireFiles(t, s, "big", 0)
	requireFiles(t, s, "b", 1)
	requireWhole(t, s)
}

// Many callers, some of which give up: what was confirmed is there, what was not is not.
func TestCallsThatGiveUp(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 40 {
				id := fmt.Sprint(worker, "-", i)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%4)*time.Millisecond+time.Microsecond)
				err := creates(ctx, s, id, 3)()
				cancel()
				_, missing := s.GetTransfer(t.Context(), id)
				if (err == nil) != (missing == nil) {
					t.Errorf("transfer %s: created with %v, read with %v", id, err, missing)
				}
			}
		})
	}
	wg.Wait()
	requireWhole(t, s)
}

// Close ends what reads, and what waits for its turn.
func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for i := range 5 {
		err := func() error {
			_, err := s.CreateTransfer(t.Context(), store.Transfer{ID: fmt.Sprint(i), Metadata: map[string]string{"k": "v"}},
				make([]store.NewFile, 1000))
			return err
		}()
		require.NoError(t, err)
	}
	errs := make(chan error)
	go func() {
		for {
			if _, err := s.ListFiles(t.Context(), store.Query{Metadata: map[string]string{"k": "other"}}); err != nil {
				errs <- err
				return
			}
		}
	}()
	<-s.writer.turn
	go func() { errs <- creates(t.Context(), s, "late", 1)() }()
	require.Eventually(t, func() bool { return s.writer.waiting.length() == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-errs, store.ErrClosed)
	require.ErrorIs(t, <-errs, store.ErrClosed)
}
