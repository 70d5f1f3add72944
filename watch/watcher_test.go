package watch

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

func TestWatchSendsWhatIsNewOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.local.WriteFile("/out/a.csv", []byte("one"))
		n := s.node("one", outbox()).start(s)
		time.Sleep(10*time.Minute + time.Second)
		require.Equal(t, []string{"/out/a.csv"}, s.paths())
		content, err := s.remote.ReadFile("/in/a.csv")
		require.NoError(t, err)
		require.Equal(t, "one", string(content))

		s.local.WriteFile("/out/b.csv", nil)
		s.local.WriteFile("/out/a.csv", []byte("two"))
		time.Sleep(2 * time.Minute)
		require.Equal(t, []string{"/out/a.csv", "/out/a.csv", "/out/b.csv"}, sorted(s.paths()), "a new version is new")
		status, err := n.Status(t.Context(), "outbox")
		require.NoError(t, err)
		require.EqualValues(t, 3, status.Started)
		require.Len(t, status.TransferIDs, 2)
		require.Equal(t, 2, status.Remembered)
		require.Empty(t, status.LastError)
		require.WithinRange(t, status.NextRun, time.Now(), time.Now().Add(time.Minute))
	})
}

func TestWatchRetrieves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		for _, p := range []string{"/drop/a.csv", "/drop/sub/b.csv", "/drop/sub/deep/c.csv", "/drop/d.txt", "/drop/.hidden.csv", "/drop/e.csv.part"} {
			s.remote.WriteFile(p, []byte(p))
		}
		s.node("one", map[string]Watch{"drop": {
			Selection: Selection{ConnectorID: "acme", Direction: store.Retrieve, Directory: "/drop", Patterns: []string{"**/*.csv"}, Exclude: []string{"sub/deep/**"}},
			Delivery:  Delivery{TargetDirectory: "/here", Metadata: map[string]string{"from": "acme"}},
			Schedule:  Schedule{Cron: "* * * * *"},
		}}).start(s)
		time.Sleep(5 * time.Minute)
		require.Equal(t, []string{"/drop/a.csv", "/drop/sub/b.csv"}, sorted(s.paths()))
		require.Equal(t, []string{"here/a.csv", "here/sub/b.csv"}, s.local.Paths())
	})
}

func TestTwoWatchersShareTheWork(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		for i := range 10 {
			s.local.WriteFile(fmt.Sprintf("/out/%d", i), nil)
		}
		s.node("one", outbox()).start(s)
		s.node("two", outbox()).start(s)
		time.Sleep(10*time.Minute + time.Second)
		require.Len(t, s.paths(), 10)
		require.InDelta(t, 11, s.looked(), 1, "one of them looks each minute")
	})
}

// A directory that is not there is looked for as often as ever, and what it had is not forgotten.
func TestMissingDirectory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		n := s.node("one", outbox()).start(s)
		time.Sleep(30*time.Minute + time.Second)
		require.Equal(t, 31, s.looked())
		status, err := n.Status(t.Context(), "outbox")
		require.NoError(t, err)
		require.Contains(t, status.LastError, "/out")
		there := []entry{{rel: "a", modTime: time.Now()}}
		s.deceive(there, nil)
		time.Sleep(time.Minute)
		s.deceive(there, func(context.Context) error { return transfer.DirectoryNotFound })
		time.Sleep(time.Minute)
		s.deceive(there, nil)
		time.Sleep(time.Minute)
		require.Len(t, s.paths(), 1)
		status, err = n.Status(t.Context(), "outbox")
		require.NoError(t, err)
		require.Empty(t, status.LastError)
	})
}

// A request that the Client refuses leaves its files unmarked, and does not hold up the others.
func TestRefusedRequestIsReported(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		for _, name := range []string{"/out/a/x", "/out/b/y"} {
			s.local.WriteFile(name, nil)
		}
		n := s.node("one", outbox(func(w *Watch) { w.Patterns = []string{"**"}; w.ConnectorID = "nobody" })).start(s)
		time.Sleep(time.Second)
		require.Empty(t, s.paths())
		status, err := n.Status(t.Context(), "outbox")
		require.NoError(t, err)
		require.Contains(t, status.LastError, "nobody")
		require.Zero(t, status.Remembered)
		require.Equal(t, 1, status.Failures)
	})
}

func TestTruncatedLookIsReported(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.entries = []entry{{rel: "a"}, {rel: "b", directory: true, truncated: true}}
		n := s.node("one", outbox()).start(s)
		time.Sleep(time.Second)
		status, err := n.Status(t.Context(), "outbox")
		require.NoError(t, err)
		require.True(t, status.Truncated)
		require.Equal(t, []string{"/out/a"}, s.paths())
		require.Equal(t, 1, status.Listed)
	})
}

func TestRuleFillsWhatIsEmpty(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.rules = map[string]transfer.Rule{"orders": {Direction: store.Send, SourceDirectory: "/data", TargetDirectory: "/orders", Ledger: transfer.LedgerSkip}}
		n := s.node("one", map[string]Watch{"orders": {
			Selection: Selection{ConnectorID: "acme", Directory: "out"}, Delivery: Delivery{RuleName: "orders"}, Schedule: Schedule{Every: time.Minute},
		}})
		f := n.watches["orders"].flow
		require.Equal(t, store.Send, f.Direction)
		require.Equal(t, "/data/out/a/b", f.path("a/b"))
		require.Equal(t, "out/a/b", f.requested("a/b"))
		require.Equal(t, "/orders/a", f.targetOf("a/b"))
		require.True(t, f.asksLedger())
		require.NotEmpty(t, f.usable(&entry{rel: `a\b`}))
	})
}

// With a rule, paths of requests are relative to its directory, its tasks clear the source away, and the ledger knows the
// files by the paths under which they are listed.
func TestWatchByRule(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.storage = noETag{s.local}
		s.rules = map[string]transfer.Rule{"orders": {
			Direction: store.Send, SourceDirectory: "/data", TargetDirectory: "/orders", Ledger: transfer.LedgerSkip,
			Before: []transfer.Task{transfer.MakeTargetDirectory()},
			After:  []transfer.Task{transfer.MoveSource("/archive")},
		}}
		s.local.WriteFile("/data/out/june/a.csv", []byte("a"))
		s.local.WriteFile("/data/out/b.csv", []byte("b"))
		n := s.node("one", map[string]Watch{"orders": {
			Selection: Selection{ConnectorID: "acme", Directory: "out", Patterns: []string{"**"}},
			Delivery:  Delivery{RuleName: "orders"}, Schedule: Schedule{Every: time.Minute},
		}}).start(s)
		time.Sleep(5*time.Minute + time.Second)
		require.Equal(t, []string{"orders/b.csv", "orders/june/a.csv"}, s.remote.Paths())
		require.Equal(t, []string{"archive/a.csv", "archive/b.csv"}, s.local.Paths())
		require.Len(t, s.paths(), 2)
		status, err := n.Status(t.Context(), "orders")
		require.NoError(t, err)
		require.EqualValues(t, 2, status.Started)
		known, err := s.store.LookUp(t.Context(), transfer.LedgerScope("acme", store.Send), []string{"/data/out/b.csv", "/data/out/june/a.csv"})
		require.NoError(t, err)
		require.Len(t, known, 2)
	})
}

func TestPartnerAwayBacksOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.onLook = func(context.Context) error { return &transfer.Error{Op: "dial", Code: transfer.ConnectionRefused} }
		n := s.node("one", outbox()).start(s)
		time.Sleep(time.Hour)
		require.InDelta(t, 8, s.looked(), 1) // after 1, 2, 4, 8 and then each 15 minutes
		status, err := n.Status(t.Context(), "outbox")
		require.NoError(t, err)
		require.Contains(t, status.LastError, "CONNECTION_REFUSED")
		require.Equal(t, s.looked(), status.Failures)
	})
}

func TestPauseAndTrigger(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.poll = time.Minute
		watches := outbox(func(w *Watch) { w.Schedule = Schedule{Cron: "0 3 * * *"} })
		n := s.node("one", watches).start(s)
		other := s.node("asks", watches) // is never started
		time.Sleep(time.Minute)
		s.local.WriteFile("/out/a", nil)
		require.Zero(t, s.looked())
		require.NoError(t, other.Trigger(t.Context(), "outbox"))
		require.NoError(t, other.Trigger(t.Context(), "outbox"))
		time.Sleep(2 * time.Minute)
		require.Equal(t, 1, s.looked())
		require.Len(t, s.paths(), 1)

		require.NoError(t, other.SetPaused(t.Context(), "outbox", true))
		require.NoError(t, other.SetPaused(t.Context(), "outbox", true))
		time.Sleep(48 * time.Hour)
		require.Equal(t, 1, s.looked())
		status, err := other.Status(t.Context(), "outbox")
		require.NoError(t, err)
		require.True(t, status.Paused)
		require.NoError(t, n.Trigger(t.Context(), "outbox"))
		time.Sleep(2 * time.Minute)
		require.Equal(t, 2, s.looked())
		require.NoError(t, n.SetPaused(t.Context(), "outbox", false))
		require.NoError(t, n.SetPaused(t.Context(), "outbox", false))
		time.Sleep(25 * time.Hour)
		require.Equal(t, 3, s.looked())
		all, err := n.ListWatches(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.False(t, all[0].Paused)

		var unknown *transfer.ResourceNotFoundException
		require.ErrorAs(t, n.Trigger(t.Context(), "other"), &unknown)
		require.ErrorAs(t, n.SetPaused(t.Context(), "other", true), &unknown)
	})
}

// A watch that a node does not have waits for one that has it.
func TestUnknownWatchIsLeftToOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.local.WriteFile("/out/a", nil)
		one := s.node("one", outbox())
		require.True(t, one.register(t.Context()))
		require.NoError(t, one.Trigger(t.Context(), "outbox"))
		s.node("without", nil).start(s)
		time.Sleep(10 * time.Second)
		require.Zero(t, s.looked())
		one.start(s)
		time.Sleep(2 * time.Minute)
		require.Len(t, s.paths(), 1)
	})
}

// A schedule that was changed counts from the next start on, not after the next run of the old one.
func TestScheduleChanges(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.local.WriteFile("/out/a", nil)
		yearly := outbox(func(w *Watch) { w.Schedule = Schedule{Cron: "@yearly"} })
		one := s.node("one", yearly).start(s)
		time.Sleep(time.Hour)
		require.Zero(t, s.looked())
		one.end()
		require.NoError(t, one.Shutdown(t.Context()))
		s.node("two", outbox()).start(s)
		time.Sleep(2 * time.Minute)
		require.Len(t, s.paths(), 1)
	})
}
