package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var dutyPromises = []promise{
	{"what was created is kept, and due at once unless it says when", dutyCreated},
	{"a name that is known is ErrExists", dutyExists},
	{"a claim leases it under a new token", dutyClaimed},
	{"the one with the earliest DueAt comes first, ties by name", dutyOrder},
	{"a claim takes names with the prefix, without wildcards", dutyPrefix},
	{"one that is not due yet is waited for", dutyDue},
	{"an expired lease is claimed by another, and lost for who had it", dutyExpired},
	{"an expired lease that nobody claimed can still be written", dutyExpiredUnclaimed},
	{"an update with a lease keeps it", dutyRenewed},
	{"an update without a lease gives it up until DueAt, or for Delay", dutyGivenUp},
	{"one that was given up is nobody's", dutyNobodys},
	{"it is deleted by who holds it, or by anybody without a token", dutyDeleted},
	{"lists are in the order of names, byte by byte, from After on", dutyList},
	{"Spec and State may be large, and are not shared with the caller", dutyCopies},
	{"of many claimers one gets it", dutyConcurrent},
	{"DutiesChanged when one is created or given up", dutyWatch},
}

func createDuty(t tb, s store.Store, name string, dueAt time.Time) store.Duty {
	t.Helper()
	require.NoError(t, s.CreateDuty(t.Context(), store.Duty{Name: name, Spec: []byte("of " + name), State: []byte("new"), DueAt: dueAt}))
	return duty(t, s, name)
}

// duty returns it as it is stored now.
func duty(t tb, s store.Store, name string) store.Duty {
	t.Helper()
	i := slices.IndexFunc(duties(t, s, store.DutyQuery{Prefix: name}), func(d store.Duty) bool { return d.Name == name })
	require.GreaterOrEqual(t, i, 0, "there is no duty %s", name)
	return duties(t, s, store.DutyQuery{Prefix: name})[i]
}

func duties(t tb, s store.Store, q store.DutyQuery) []store.Duty {
	t.Helper()
	found, err := s.ListDuties(t.Context(), q)
	require.NoError(t, err)
	for _, d := range found {
		require.Zero(t, d.Delay)
	}
	return found
}

func claimDuties(t tb, s store.Store, worker, prefix string, maximum int, lease time.Duration) []store.Duty {
	t.Helper()
	claimed, err := s.ClaimDuties(t.Context(), store.DutyRequest{Worker: worker, Prefix: prefix, Max: maximum, Lease: lease})
	require.NoError(t, err)
	return claimed
}

// claimDuty claims this one.
func claimDuty(t tb, s store.Store, name string, lease time.Duration) store.Duty {
	t.Helper()
	claimed := claimDuties(t, s, "w", name, 10, lease)
	require.Equal(t, []string{name}, dutyNames(claimed))
	return claimed[0]
}

func dutyNames(duties []store.Duty) []string {
	var names []string
	for _, d := range duties {
		names = append(names, d.Name)
	}
	return names
}

func dutyCreated(t *testing.T, s store.Store) {
	d := createDuty(t, s, "watch", time.Time{})
	requireStoreTime(t, "CreatedAt", d.CreatedAt)
	require.WithinDuration(t, create(t, s, "acme", 1)[0].CreatedAt, d.CreatedAt, clockSlack)
	require.Equal(t, store.Duty{
		Name: "watch", Spec: []byte("of watch"), State: []byte("new"), DueAt: d.CreatedAt, CreatedAt: d.CreatedAt, UpdatedAt: d.CreatedAt,
	}, d)
	require.Equal(t, []string{"watch"}, dutyNames(claimDuties(t, s, "w", "", 10, long)))

	ahead := time.Now().Add(long).In(time.FixedZone("far", 7*3600)).Truncate(time.Microsecond).Add(999)
	require.Equal(t, ahead.UTC().Truncate(time.Microsecond), createDuty(t, s, "later", ahead).DueAt)
	past := time.Now().Add(-long).UTC().Truncate(time.Microsecond)
	require.Equal(t, past, createDuty(t, s, "past", past).DueAt)
}

func dutyExists(t *testing.T, s store.Store) {
	d := createDuty(t, s, "watch", time.Time{})
	require.ErrorIs(t, s.CreateDuty(t.Context(), store.Duty{Name: "watch", Spec: []byte("other")}), store.ErrExists)
	require.Equal(t, d, duty(t, s, "watch"))
	held := claimDuty(t, s, "watch", long)
	require.ErrorIs(t, s.CreateDuty(t.Context(), store.Duty{Name: "watch"}), store.ErrExists)
	require.Equal(t, held, duty(t, s, "watch"))
	createDuty(t, s, "Watch", time.Time{})
}

func dutyClaimed(t *testing.T, s store.Store) {
	d := createDuty(t, s, "watch", time.Time{})
	letPass(t, s, tick)
	got := claimDuty(t, s, "watch", long)
	require.False(t, got.UpdatedAt.Before(d.CreatedAt.Add(tick)))
	require.WithinDuration(t, got.UpdatedAt.Add(long), got.LeaseUntil, clockSlack)
	want := d
	want.Worker, want.Token, want.UpdatedAt, want.LeaseUntil = "w", d.Token+1, got.UpdatedAt, got.LeaseUntil
	require.Equal(t, want, got)
	require.Equal(t, got, duty(t, s, "watch"))
	require.Empty(t, claimDuties(t, s, "other", "", 10, long))
}

func dutyOrder(t *testing.T, s store.Store) {
	past := time.Now().Add(-long)
	for name, dueAt := range map[string]time.Time{
		"c": past, "b": past, "a": past.Add(time.Second), "B": past, "d": past.Add(-time.Second), "e": {},
	} {
		createDuty(t, s, name, dueAt)
	}
	require.Empty(t, claimDuties(t, s, "w", "", 0, long))
	require.Equal(t, []string{"d", "B", "b"}, dutyNames(claimDuties(t, s, "w", "", 3, long)))
	require.Equal(t, []string{"c", "a", "e"}, dutyNames(claimDuties(t, s, "w", "", 10, long)))
}

func dutyPrefix(t *testing.T, s store.Store) {
	for _, name := range []string{"watch/a", "watch%", "watch_", `watch\`, "Watch/a", "repeat/a", "watc", "ä"} {
		createDuty(t, s, name, time.Time{})
	}
	for prefix, want := range map[string][]string{
		"watch%": {"watch%"}, "watch_": {"watch_"}, `watch\`: {`watch\`}, "watch/": {"watch/a"}, "ä": {"ä"}, "none": nil,
	} {
		require.Equal(t, want, dutyNames(duties(t, s, store.DutyQuery{Prefix: prefix})), prefix)
		require.Equal(t, want, dutyNames(claimDuties(t, s, "w", prefix, 10, long)), prefix)
	}
	require.ElementsMatch(t, []string{"Watch/a", "repeat/a", "watc"}, dutyNames(claimDuties(t, s, "w", "", 10, long)))
}

func dutyDue(t *testing.T, s store.Store) {
	d := createDuty(t, s, "soon", time.Now().Add(4*short))
	createDuty(t, s, "late", time.Now().Add(long))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		claimed, err := s.ClaimDuties(t.Context(), store.DutyRequest{Worker: "w", Max: 10, Lease: long})
		require.NoError(c, err)
		require.Len(c, claimed, 1)
		assert.Equal(t, "soon", claimed[0].Name)
		assert.False(t, claimed[0].UpdatedAt.Before(d.DueAt), "claimed before its time")
	}, patience, tick)
}

func dutyExpired(t *testing.T, s store.Store) {
	createDuty(t, s, "watch", time.Time{})
	first := claimDuty(t, s, "watch", short)
	letPass(t, s, 2*short)
	claimed := claimDuties(t, s, "other", "", 10, long)
	require.Len(t, claimed, 1)
	require.Equal(t, first.Token+1, claimed[0].Token)
	require.Equal(t, "other", claimed[0].Worker)
	require.False(t, claimed[0].UpdatedAt.Before(first.LeaseUntil))
	for _, lease := range []time.Duration{0, long} {
		require.ErrorIs(t, s.UpdateDuty(t.Context(), first, lease), store.ErrLeaseLost)
	}
	require.ErrorIs(t, s.DeleteDuty(t.Context(), "watch", first.Token), store.ErrLeaseLost)
	require.Equal(t, claimed[0], duty(t, s, "watch"))
}

func dutyExpiredUnclaimed(t *testing.T, s store.Store) {
	createDuty(t, s, "watch", time.Time{})
	d := claimDuty(t, s, "watch", short)
	letPass(t, s, 2*short)
	require.NoError(t, s.UpdateDuty(t.Context(), d, short))
	letPass(t, s, 2*short)
	require.NoError(t, s.UpdateDuty(t.Context(), d, long))
	require.Empty(t, claimDuties(t, s, "other", "", 10, long))
	require.NoError(t, s.DeleteDuty(t.Context(), "watch", d.Token))
}

func dutyRenewed(t *testing.T, s store.Store) {
	createDuty(t, s, "watch", time.Time{})
	d := claimDuty(t, s, "watch", long)
	written := d
	written.State, written.Spec, written.DueAt, written.Delay, written.Worker = []byte("further"), nil, time.Now().Add(long), long, "other"
	require.NoError(t, s.UpdateDuty(t.Context(), written, 3*long))
	got := duty(t, s, "watch")
	require.WithinDuration(t, got.UpdatedAt.Add(3*long), got.LeaseUntil, clockSlack)
	want := d
	want.State, want.UpdatedAt, want.LeaseUntil = []byte("further"), got.UpdatedAt, got.LeaseUntil
	require.Equal(t, want, got)
}

func dutyGivenUp(t *testing.T, s store.Store) {
	createDuty(t, s, "watch", time.Time{})
	ahead := time.Now().Add(long).UTC().Truncate(time.Microsecond)
	for _, c := range []struct {
		name  string
		dueAt time.Time
		delay time.Duration
	}{{"at once", time.Time{}, 0}, {"before now", time.Time{}, -long}, {"after a delay", time.Time{}, short}, {"at a time", ahead, short}} {
		var d store.Duty
		require.Eventually(t, func() bool {
			claimed := claimDuties(t, s, "w", "watch", 10, long)
			if len(claimed) == 1 {
				d = claimed[0]
			}
			return len(claimed) == 1
		}, patience, tick, "the delay does not end before it was given up %s", c.name)
		d.State, d.DueAt, d.Delay = []byte(c.name), c.dueAt, c.delay
		require.NoError(t, s.UpdateDuty(t.Context(), d, 0))
		got := duty(t, s, "watch")
		want := d
		want.Worker, want.LeaseUntil, want.Delay, want.UpdatedAt, want.DueAt = "", time.Time{}, 0, got.UpdatedAt, c.dueAt
		if c.dueAt.IsZero() {
			want.DueAt = got.UpdatedAt.Add(max(0, c.delay))
		}
		require.Equal(t, want, got, c.name)
	}
	require.Empty(t, claimDuties(t, s, "w", "", 10, long))
}

func dutyNobodys(t *testing.T, s store.Store) {
	createDuty(t, s, "watch", time.Time{})
	d := claimDuty(t, s, "watch", long)
	require.NoError(t, s.UpdateDuty(t.Context(), d, 0))
	given := duty(t, s, "watch")
	require.ErrorIs(t, s.UpdateDuty(t.Context(), d, long), store.ErrLeaseLost)
	require.ErrorIs(t, s.DeleteDuty(t.Context(), "watch", d.Token), store.ErrLeaseLost)
	require.Equal(t, given, duty(t, s, "watch"))
	require.ErrorIs(t, s.UpdateDuty(t.Context(), store.Duty{Name: "unknown", Token: 1}, long), store.ErrLeaseLost)
	require.ErrorIs(t, s.UpdateDuty(t.Context(), createDuty(t, s, "new", time.Time{}), long), store.ErrLeaseLost)
}

func dutyDeleted(t *testing.T, s store.Store) {
	for _, name := range []string{"a", "b", "c"} {
		createDuty(t, s, name, time.Time{})
	}
	a, b := claimDuty(t, s, "a", long), claimDuty(t, s, "b", long)
	require.ErrorIs(t, s.DeleteDuty(t.Context(), "a", a.Token+1), store.ErrLeaseLost)
	require.NoError(t, s.DeleteDuty(t.Context(), "a", a.Token))
	require.NoError(t, s.DeleteDuty(t.Context(), "b", 0))
	require.NoError(t, s.DeleteDuty(t.Context(), "c", 0))
	require.Empty(t, duties(t, s, store.DutyQuery{}))
	for _, token := range []int64{0, a.Token} {
		require.ErrorIs(t, s.DeleteDuty(t.Context(), "a", token), store.ErrNotFound)
	}
	require.ErrorIs(t, s.UpdateDuty(t.Context(), b, long), store.ErrLeaseLost)
	createDuty(t, s, "a", time.Time{})
}

func dutyList(t *testing.T, s store.Store) {
	names := []string{"A", "B", "a", "a/1", "a/10", "a/2", "b", "ä"}
	for _, i := range []int{3, 0, 7, 5, 1, 6, 2, 4} {
		createDuty(t, s, names[i], time.Time{})
	}
	require.Equal(t, names, dutyNames(duties(t, s, store.DutyQuery{})))
	require.Equal(t, names[3:6], dutyNames(duties(t, s, store.DutyQuery{Prefix: "a/"})))
	require.Equal(t, names[4:6], dutyNames(duties(t, s, store.DutyQuery{Prefix: "a/", After: "a/1"})))
	require.Equal(t, names[2:4], dutyNames(duties(t, s, store.DutyQuery{After: "B", Limit: 2})))
	require.Empty(t, duties(t, s, store.DutyQuery{After: "ä"}))
}

func dutyCopies(t *testing.T, s store.Store) {
	spec, state := make([]byte, 100_000), []byte{0, 255, 0}
	require.NoError(t, s.CreateDuty(t.Context(), store.Duty{Name: "watch", Spec: spec, State: state}))
	spec[0], state[0] = 1, 1
	d := claimDuty(t, s, "watch", long)
	require.Equal(t, make([]byte, 100_000), d.Spec)
	require.Equal(t, []byte{0, 255, 0}, d.State)
	d.State = []byte("state")
	require.NoError(t, s.UpdateDuty(t.Context(), d, long))
	d.State[0], d.Spec[0] = 'x', 1
	got := duty(t, s, "watch")
	require.Equal(t, "state", string(got.State))
	got.State[0], got.Spec[0] = 'x', 1
	require.Equal(t, "state", string(duty(t, s, "watch").State))
	require.Equal(t, make([]byte, 100_000), duty(t, s, "watch").Spec)
}

func dutyConcurrent(t *testing.T, s store.Store) {
	const workers, kept, rounds = 6, 5, 20
	for i := range kept {
		createDuty(t, s, fmt.Sprint(i), time.Time{})
	}
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for range rounds {
				assert.NoError(t, holdDuties(t.Context(), s, fmt.Sprint("worker-", i)))
			}
		})
	}
	wg.Wait()
	total := 0
	for _, d := range duties(t, s, store.DutyQuery{}) {
		require.Len(t, d.State, len("new")+int(d.Token), "each claim of %s added one byte", d.Name)
		total += int(d.Token)
	}
	require.Positive(t, total)
}

// holdDuties claims what is due, adds a byte to the state of each, and gives it up.
func holdDuties(ctx context.Context, s store.Store, worker string) error {
	claimed, err := s.ClaimDuties(ctx, store.DutyRequest{Worker: worker, Max: 3, Lease: long})
	if err != nil {
		return err
	}
	for _, d := range claimed {
		d.State, d.DueAt = append(d.State, '.'), time.Time{}
		if err := s.UpdateDuty(ctx, d, 0); err != nil {
			return fmt.Errorf("give up %s: %w", d.Name, err)
		}
	}
	return nil
}

func dutyWatch(t *testing.T, s store.Store) {
	requireHint(t, s.Watch(t.Context(), store.DutiesChanged), func() { createDuty(t, s, newID(), time.Time{}) })
	createDuty(t, s, "watch", time.Time{})
	requireHint(t, s.Watch(t.Context(), store.DutiesChanged), func() {
		d := claimDuty(t, s, "watch", long)
		d.DueAt = time.Time{}
		require.NoError(t, s.UpdateDuty(t.Context(), d, 0))
	})
}
