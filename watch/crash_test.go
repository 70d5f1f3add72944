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

	"github.com/seed62b9dc43/transfer/store"
)

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

// A node that is suspended between its plan and the start of it wakes up after another one has done it, and changes nothing.
func TestSuspendedNodeStartsNothingTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.local.WriteFile("/out/a", nil)
		wake, first := make(chan struct{}), true
		s.store.before = func(store.Transfer) {
			s.store.mu.Lock()
			suspended := first
			first = false
			s.store.mu.Unlock()
			if suspended {
				<-wake
			}
		}
		s.node("one", outbox()).start(s)
		time.Sleep(time.Second)
		s.store.hooks(func(d store.Duty) error {
			if d.Worker == "one" {
				return errors.New("suspended")
			}
			return nil
		}, nil)
		s.node("two", outbox()).start(s)
		time.Sleep(time.Minute)
		require.Equal(t, []string{"/out/a"}, s.paths())
		s.local.WriteFile("/out/b", nil)
		close(wake)
		s.store.hooks(nil, nil)
		time.Sleep(5 * time.Minute)
		require.Equal(t, []string{"/out/a", "/out/b"}, s.paths())
	})
}

// A node that is shut down gives its run back at once.
func TestShutdownGivesBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.local.WriteFile("/out/a", nil)
		first := true
		s.onLook = func(ctx context.Context) error {
			if first {
				first = false
				<-ctx.Done()
			}
			return ctx.Err()
		}
		one := s.node("one", outbox()).start(s)
		synctest.Wait()
		s.node("two", outbox()).start(s)
		require.NoError(t, one.Shutdown(t.Context()))
		require.NoError(t, one.Shutdown(t.Context()))
		require.Error(t, one.Start(t.Context()))
		time.Sleep(2 * time.Second)
		require.Equal(t, []string{"/out/a"}, s.paths())
		status, err := one.Status(t.Context(), "outbox")
		require.NoError(t, err)
		require.EqualValues(t, 1, status.Runs)
		require.Empty(t, status.LastError)
	})
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		release := make(chan struct{})
		s.onLook = func(context.Context) error { <-release; return nil }
		one := s.node("one", outbox()).start(s)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, one.Shutdown(ctx), context.DeadlineExceeded)
		close(release)
		never := s.node("never", nil)
		require.NoError(t, never.Shutdown(t.Context()))
		require.Error(t, never.Start(t.Context()))
	})
}

func TestRunsMissedWhileNobodyRan(t *testing.T) {
	for catchUp, looks := range map[CatchUp]int{"": 1, CatchUpOnce: 1, CatchUpAll: 3, CatchUpNone: 0} {
		t.Run(string(catchUp), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newSite(t)
				s.local.WriteFile("/out/a", nil)
				hourly := outbox(func(w *Watch) { w.Schedule = Schedule{Cron: "@hourly", CatchUp: catchUp} })
				one := s.node("one", hourly).start(s)
				time.Sleep(90 * time.Minute)
				require.Equal(t, 1, s.looked())
				require.NoError(t, one.Shutdown(t.Context()))
				time.Sleep(3 * time.Hour)
				s.node("two", hourly).start(s)
				time.Sleep(10 * time.Minute)
				require.Equal(t, 1+looks, s.looked())
				time.Sleep(time.Hour)
				require.Equal(t, 2+looks, s.looked(), "and then as before")
			})
		})
	}
}

// The state that somebody has damaged is not read as an empty one.
func TestDamagedStateStartsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.local.WriteFile("/out/a", nil)
		require.NoError(t, s.store.CreateDuty(t.Context(), store.Duty{Name: stateName("outbox"), State: []byte(`{"table":"AQ=="}`)}))
		n := s.node("one", outbox()).start(s)
		time.Sleep(5 * time.Minute)
		require.Empty(t, s.paths())
		_, err := n.Status(t.Context(), "outbox")
		require.ErrorContains(t, err, "damaged")
		require.NoError(t, n.Forget(t.Context(), "outbox"))
		time.Sleep(5 * time.Minute)
		require.Len(t, s.paths(), 1)
	})
}

func uniq(s []string) map[string]bool {
	m := make(map[string]bool, len(s))
	for _, v := range s {
		m[v] = true
	}
	return m
}
