package watch

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// A file that failed is not started again until it changes, and neither is one that is retried.
func TestFailedFileIsLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.local.WriteFile("/out/a", []byte("first"))
		s.remote.WriteFile("/in/a", nil)
		n := s.node("one", outbox(func(w *Watch) { w.Overwrite = transfer.OverwriteFail })).start(s)
		time.Sleep(10 * time.Minute)
		require.Len(t, s.paths(), 1)
		s.local.WriteFile("/out/a", []byte("second"))
		time.Sleep(2 * time.Minute)
		require.Len(t, s.paths(), 2)
		failed, err := n.client.ListTransfers().Status(transfer.StatusInError).Count(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 2, failed)
	})
}

// A file that vanishes between the look and its turn fails as one that was named by hand.
func TestVanishedFileFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.entries = []entry{{rel: "gone", size: 1, modTime: time.Now()}}
		n := s.node("one", map[string]Watch{"drop": {
			Selection: Selection{ConnectorID: "acme", Direction: store.Retrieve, Directory: "/drop"},
			Delivery:  Delivery{TargetDirectory: "/here"}, Schedule: Schedule{Every: time.Minute},
		}}).start(s)
		time.Sleep(3 * time.Minute)
		rows, err := n.client.ListTransfers().All(t.Context())
		require.NoError(t, err)
		require.Len(t, rows, 1)
		require.Equal(t, transfer.RetrieveFileNotFound, rows[0].FailureCode)
	})
}

// noETag is a storage that tells versions apart by size and time, as listings do.
type noETag struct{ *transfer.Memory }

type noETagSource struct{ transfer.Source }

func (n noETag) Open(ctx context.Context, path string) (transfer.Source, error) {
	src, err := n.Memory.Open(ctx, path)
	return noETagSource{src}, err
}

func (s noETagSource) Info() transfer.FileInfo {
	info := s.Source.Info()
	info.ETag = ""
	return info
}

func TestLedgerHoldsBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.storage = noETag{s.local}
		s.local.WriteFile("/out/a", []byte("one"))
		withLedger := outbox(func(w *Watch) { w.Ledger = transfer.LedgerSkip })
		n := s.node("one", withLedger).start(s)
		time.Sleep(3 * time.Minute)
		require.Len(t, s.paths(), 1)
		require.NoError(t, n.Forget(t.Context(), "outbox"))
		time.Sleep(3 * time.Minute)
		require.Len(t, s.paths(), 1, "the ledger knows what the watch has forgotten")
		status, err := n.Status(t.Context(), "outbox")
		require.NoError(t, err)
		require.Zero(t, status.Remembered)
		require.NoError(t, n.client.ForgetTransferred(t.Context(), &transfer.ForgetTransferredInput{ConnectorID: "acme", SendFilePaths: []string{"/out/a"}}))
		time.Sleep(2 * time.Minute)
		require.Len(t, s.paths(), 2)
	})
}

// Where the ledger has an ETag, which no listing tells, the engine holds the file back.
func TestLedgerWithETags(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.local.WriteFile("/out/a", []byte("one"))
		n := s.node("one", outbox(func(w *Watch) { w.Ledger = transfer.LedgerSkip })).start(s)
		time.Sleep(3 * time.Minute)
		require.NoError(t, n.Forget(t.Context(), "outbox"))
		time.Sleep(3 * time.Minute)
		files, err := s.store.ListFiles(t.Context(), store.Query{})
		require.NoError(t, err)
		require.Len(t, files, 2)
		require.False(t, files[0].Skipped)
		require.True(t, files[1].Skipped)
	})
}

func TestMarkerCompletesAFile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.local.WriteFile("/out/a.csv", nil)
		s.local.WriteFile("/out/b.csv", nil)
		s.local.WriteFile("/out/b.csv.done", nil)
		n := s.node("one", outbox(func(w *Watch) { w.Guard.Marker = "{name}.done" })).start(s)
		time.Sleep(2 * time.Minute)
		require.Equal(t, []string{"/out/b.csv"}, s.paths())
		status, err := n.Status(t.Context(), "outbox")
		require.NoError(t, err)
		require.Equal(t, 1, status.Waiting)
		s.local.WriteFile("/out/a.csv.done", nil)
		time.Sleep(2 * time.Minute)
		require.Equal(t, []string{"/out/b.csv", "/out/a.csv"}, s.paths())
	})
}

// A file that grows is not started, however long it takes, and on a cron schedule it is not left for the next night.
func TestUnchanged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.node("one", outbox(func(w *Watch) {
			w.Schedule = Schedule{Cron: "0 0 * * *"}
			w.Guard = Guard{Unchanged: 2, Interval: 10 * time.Second}
		})).start(s)
		s.local.WriteFile("/out/ready", nil)
		time.Sleep(24*time.Hour - time.Second)
		for i := range 10 {
			s.local.WriteFile("/out/growing", make([]byte, i))
			time.Sleep(9 * time.Second)
			require.NotContains(t, s.paths(), "/out/growing")
		}
		require.Equal(t, []string{"/out/ready"}, s.paths())
		time.Sleep(31 * time.Second)
		require.Equal(t, []string{"/out/ready", "/out/growing"}, s.paths())
		looks := s.looked()
		time.Sleep(12 * time.Hour)
		require.Equal(t, looks, s.looked(), "nothing waits any more")
	})
}

// Counting goes on where another node has begun.
func TestUnchangedIsDurable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.local.WriteFile("/out/a", nil)
		guarded := outbox(func(w *Watch) { w.Guard = Guard{Unchanged: 3, Interval: time.Minute} })
		one := s.node("one", guarded).start(s)
		time.Sleep(2*time.Minute + time.Second)
		one.end()
		require.NoError(t, one.Shutdown(t.Context()))
		require.Empty(t, s.paths())
		s.node("two", guarded).start(s)
		time.Sleep(time.Minute + time.Second)
		require.Len(t, s.paths(), 1)
	})
}

func TestMinAge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		now := time.Now()
		s.entries = []entry{
			{rel: "old", modTime: now.Add(-time.Hour)}, {rel: "unknown", size: 3}, {rel: "ahead", modTime: now.Add(time.Hour)},
			{rel: "young", modTime: now.Add(-3 * time.Minute)},
		}
		s.node("one", outbox(func(w *Watch) { w.MinAge = 5 * time.Minute; w.Every = time.Hour })).start(s)
		time.Sleep(time.Minute)
		require.Equal(t, []string{"/out/old"}, s.paths())
		time.Sleep(90 * time.Second)
		require.Equal(t, []string{"/out/old", "/out/young"}, s.paths())
		time.Sleep(3 * time.Minute)
		require.Len(t, s.paths(), 4, "known unchanged for that long")
	})
}
