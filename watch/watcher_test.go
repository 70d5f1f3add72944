package watch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
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
		time.Sleep(10 * time.Minute)
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

// A node that dies while it looks holds the run until its lease has expired; then the other one makes it.
func TestLeaderDies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.local.WriteFile("/out/a", nil)
		first := true
		s.onLook = func(ctx context.Context) error {
			if first {
				first = false
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		one := s.node("one", outbox())
		one.start(s)
		synctest.Wait()
		require.Equal(t, 1, s.looked())
		s.store.hooks(func(d store.Duty) error {
			if d.Worker == "one" {
				return errors.New("unplugged")
			}
			return nil
		}, nil)
		s.node("two", outbox()).start(s)
		one.end()
		time.Sleep(20 * time.Second)
		require.Empty(t, s.paths())
		time.Sleep(15 * time.Second)
		require.Equal(t, []string{"/out/a"}, s.paths())
		status, err := one.Status(t.Context(), "outbox")
		require.NoError(t, err)
		require.EqualValues(t, 1, status.Runs)
	})
}

// A node that is cut off from the store stops by itself before its lease can be somebody else's for long.
func TestNodeThatLostTheStoreStops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		ended := make(chan time.Time, 1)
		first := true
		s.onLook = func(ctx context.Context) error {
			if first {
				first = false
				<-ctx.Done()
				ended <- time.Now()
			}
			return ctx.Err()
		}
		begun := time.Now()
		s.node("one", outbox()).start(s)
		synctest.Wait()
		s.store.hooks(func(store.Duty) error { return errors.New("away") }, nil)
		at := <-ended
		require.LessOrEqual(t, at.Sub(begun), 40*time.Second)
		s.store.hooks(nil, nil)
	})
}

// Whatever write fails or is the last one, every file is started once, and once only.
func TestCrashBetweenStartAndNote(t *testing.T) {
	t.Parallel()
	for _, during := range []string{"start", "state"} {
		for nth := 1; nth <= 4; nth++ {
			t.Run(fmt.Sprintf("%s %d", during, nth), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					s := newSite(t)
					for i := range 250 { // three requests of one plan
						s.local.WriteFile(fmt.Sprintf("/out/%03d", i), nil)
					}
					one := s.node("one", outbox())
					calls := 0
					dead := false
					crash := func(counts bool) error {
						if counts {
							calls++
						}
						if dead = dead || calls == nth; dead {
							return errors.New("crashed")
						}
						return nil
					}
					s.store.hooks(func(d store.Duty) error {
						if d.Worker != "one" {
							return nil
						}
						return crash(during == "state" && strings.HasPrefix(d.Name, statePrefix))
					}, func(store.Transfer) error {
						return crash(during == "start")
					})
					one.start(s)
					time.Sleep(2 * time.Second)
					s.local.WriteFile("/out/later", nil) // makes another batch of what was not started
					one.end()
					require.NoError(t, one.Shutdown(t.Context()))
					s.store.hooks(nil, nil)
					s.node("two", outbox()).start(s)
					time.Sleep(5 * time.Minute)
					paths := s.paths()
					require.Len(t, paths, 251)
					require.Len(t, uniq(paths), 251)
				})
			})
		}
	}
}

func uniq(s []string) map[string]bool {
	m := make(map[string]bool, len(s))
	for _, v := range s {
		m[v] = true
	}
	return m
}

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
		require.NotEmpty(t, f.usable(`a\b`))
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
