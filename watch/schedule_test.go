package watch

import (
	"strings"
	"testing"
	"time"

	"github.com/adhocore/gronx"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

func at(t *testing.T, place, text string) time.Time {
	t.Helper()
	location, err := time.LoadLocation(place)
	require.NoError(t, err)
	v, err := time.ParseInLocation("2006-01-02 15:04:05 -0700", text, location)
	if err != nil {
		v, err = time.ParseInLocation("2006-01-02 15:04:05", text, location)
	}
	require.NoError(t, err)
	return v
}

// Clocks in Berlin went from 2:00 to 3:00 on 29 March 2026 and from 3:00 back to 2:00 on 25 October.
func TestCronWhereClocksChange(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, place, cron, from string
		want                    []string
	}{
		{"a time that is skipped comes when the clocks change", "Europe/Berlin", "30 2 * * *", "2026-03-28 00:00:00",
			[]string{"2026-03-28 02:30:00 +0100", "2026-03-29 03:00:00 +0200", "2026-03-30 02:30:00 +0200"}},
		{"several that are skipped come once", "Europe/Berlin", "0,30 2,3 * * *", "2026-03-29 00:00:00",
			[]string{"2026-03-29 03:00:00 +0200", "2026-03-29 03:30:00 +0200", "2026-03-30 02:00:00 +0200"}},
		{"a time that comes twice counts the first time", "Europe/Berlin", "30 2 * * *", "2026-10-24 12:00:00",
			[]string{"2026-10-25 02:30:00 +0200", "2026-10-26 02:30:00 +0100"}},
		{"also seen from between the two", "Europe/Berlin", "30 2 * * *", "2026-10-25 02:45:00 +0200",
			[]string{"2026-10-26 02:30:00 +0100"}},
		{"and from the second hour", "Europe/Berlin", "*/20 1,2 * * *", "2026-10-25 02:10:00 +0100",
			[]string{"2026-10-26 01:00:00 +0100"}},
		{"every hour is every hour in spring", "Europe/Berlin", "30 * * * *", "2026-03-29 01:00:00",
			[]string{"2026-03-29 01:30:00 +0100", "2026-03-29 03:30:00 +0200", "2026-03-29 04:30:00 +0200"}},
		{"and in autumn", "Europe/Berlin", "30 * * * *", "2026-10-25 02:00:00 +0200",
			[]string{"2026-10-25 02:30:00 +0200", "2026-10-25 02:30:00 +0100", "2026-10-25 03:30:00 +0100"}},
		{"at the moment of the change itself", "Europe/Berlin", "0 * * * *", "2026-10-25 01:30:00 +0200",
			[]string{"2026-10-25 02:00:00 +0200", "2026-10-25 02:00:00 +0100", "2026-10-25 03:00:00 +0100"}},
		{"midnight is skipped in Beirut", "Asia/Beirut", "0 0 * * *", "2026-03-28 12:00:00",
			[]string{"2026-03-29 01:00:00 +0300", "2026-03-30 00:00:00 +0300"}},
		{"half an hour on Lord Howe", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03 12:00:00",
			[]string{"2026-10-04 02:30:00 +1100", "2026-10-05 02:15:00 +1100"}},
		{"a day that Samoa has never had", "Pacific/Apia", "0 9 * * *", "2011-12-29 12:00:00",
			[]string{"2011-12-31 00:00:00 +1400", "2011-12-31 09:00:00 +1400"}},
		{"weekdays", "UTC", "0 9 * * 1-5", "2026-11-20 10:00:00", []string{"2026-11-23 09:00:00 +0000"}},
		{"a leap day", "UTC", "0 0 29 2 *", "2026-11-20 10:00:00", []string{"2028-02-29 00:00:00 +0000"}},
		{"either day", "UTC", "0 0 13 * 5", "2026-11-20 10:00:00", []string{"2026-11-27 00:00:00 +0000", "2026-12-04 00:00:00 +0000", "2026-12-11 00:00:00 +0000", "2026-12-13 00:00:00 +0000"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			next := at(t, test.place, test.from)
			c, err := parseCron(test.cron, next.Location())
			require.NoError(t, err)
			for _, want := range test.want {
				next = c.after(next)
				require.Equal(t, want, next.Format("2006-01-02 15:04:05 -0700"))
			}
		})
	}
}

func TestWrongCron(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x", "* * * *", "60 * * * *", "0 0 31 2 *", "* * * * * *", "@everysecond", "0 0 1 1 * 2020", "0 0 1 1 * 2099", "TZ=UTC * * * * *", "* * * * *\n", strings.Repeat("1,", 200) + "1 * * * *"} {
		_, err := parseCron(text, time.UTC)
		require.Error(t, err, "%q", text)
	}
}

// The library's search agrees with its own test of single minutes.
func FuzzCron(f *testing.F) {
	for _, text := range []string{"* * * * *", "*/7 3-5 * 2 1", "0 0 L * *", "5 4 13 * 5", "0 22 * * 1-5", "@monthly", "1 1 1W * *", "0 0 * * 1#2", "/ * * * *", "0 0 31 */2 *"} {
		f.Add(text, int64(1_774_746_000), uint8(0))
	}
	places := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"}
	f.Fuzz(func(t *testing.T, text string, unix int64, place uint8) {
		location, err := time.LoadLocation(places[int(place)%len(places)])
		require.NoError(t, err)
		c, err := parseCron(text, location)
		if err != nil {
			return
		}
		from := time.Unix(1_600_000_000+unix%400_000_000, 0).In(location)
		next := c.after(from)
		require.True(t, next.After(from))
		for minute := from.Truncate(time.Minute).Add(time.Minute); minute.Before(next) && minute.Before(from.Add(3*24*time.Hour)); minute = minute.Add(time.Minute) {
			_, before := minute.Add(-24 * time.Hour).Zone()
			_, after := minute.Add(24 * time.Hour).Zone()
			if before != after {
				return // the table above is about those days
			}
			due, err := gronx.New().IsDue(c.expression, asUTC(minute))
			require.NoError(t, err)
			require.False(t, due, "%s: %v is left out between %v and %v", text, minute, from, next)
		}
	})
}

func TestOwed(t *testing.T) {
	t.Parallel()
	every, nightly := Schedule{Every: time.Hour}, Schedule{Cron: "0 2 * * *"}
	with := func(s Schedule, c CatchUp) Schedule { s.CatchUp = c; return s }
	next := at(t, "UTC", "2026-11-20 02:00:00")
	for _, test := range []struct {
		name     string
		schedule Schedule
		late     time.Duration
		runs     int
		then     time.Duration // behind next
	}{
		{"in time", every, 0, 1, time.Hour},
		{"a minute late is in time", with(every, CatchUpNone), time.Minute, 1, time.Hour},
		{"once", every, 10*time.Hour + time.Minute, 1, 11 * time.Hour},
		{"none", with(every, CatchUpNone), 10*time.Hour + time.Minute, 0, 11 * time.Hour},
		{"all", with(every, CatchUpAll), 10*time.Hour + time.Minute, 11, 11 * time.Hour},
		{"all, but not too many", with(every, CatchUpAll), 1000 * time.Hour, 100, 1001 * time.Hour},
		{"once by cron", nightly, 72 * time.Hour, 1, 96 * time.Hour},
		{"none by cron", with(nightly, CatchUpNone), 71 * time.Hour, 0, 72 * time.Hour},
		{"all by cron", with(nightly, CatchUpAll), 71 * time.Hour, 3, 72 * time.Hour},
		{"all by cron, to the minute", with(nightly, CatchUpAll), 72 * time.Hour, 4, 96 * time.Hour},
		{"all by cron, but not too many", with(nightly, CatchUpAll), 1000 * 24 * time.Hour, 100, 1001 * 24 * time.Hour},
		{"early, by another clock", every, -time.Minute, 1, time.Hour},
		{"jitter is no lateness", Schedule{Every: time.Hour, Jitter: 10 * time.Minute, CatchUp: CatchUpNone}, 10 * time.Minute, 1, time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			table, err := newTimetable(test.schedule)
			require.NoError(t, err)
			now := next.Add(test.late)
			require.Equal(t, test.runs, table.owed(next, now))
			require.Equal(t, next.Add(test.then), table.following(next, now))
		})
	}
}

func TestAppoint(t *testing.T) {
	t.Parallel()
	every, err := newTimetable(Schedule{Every: time.Minute})
	require.NoError(t, err)
	nightly, err := newTimetable(Schedule{Cron: "0 2 * * *"})
	require.NoError(t, err)
	now := at(t, "UTC", "2026-11-20 02:00:00")
	closed := &transfer.Error{Op: "connect", Code: transfer.OutsideWindow}
	for _, test := range []struct {
		name  string
		table *timetable
		early bool
		next  time.Duration // of the appointment that was kept, from now
		outcome
		delay time.Duration
		then  appointment
	}{
		{"well", every, false, 0, outcome{}, time.Minute, appointment{Next: now.Add(time.Minute)}},
		{"a run that took long leaves times out", every, false, -150 * time.Second, outcome{}, 30 * time.Second, appointment{Next: now.Add(30 * time.Second)}},
		{"a file waits", nightly, false, 0, outcome{soonest: 10 * time.Second}, 10 * time.Second, appointment{now.Add(24 * time.Hour), true}},
		{"a file waits for longer", every, false, 0, outcome{soonest: time.Hour}, time.Minute, appointment{Next: now.Add(time.Minute)}},
		{"and still does", nightly, true, time.Hour, outcome{soonest: 10 * time.Second}, 10 * time.Second, appointment{now.Add(time.Hour), true}},
		{"and does no more", nightly, true, time.Hour, outcome{}, time.Hour, appointment{Next: now.Add(time.Hour)}},
		{"failed", every, false, 0, outcome{err: errTable, failures: 3}, 4 * time.Minute, appointment{Next: now.Add(4 * time.Minute)}},
		{"failed often", every, false, 0, outcome{err: errTable, failures: 300}, 15 * time.Minute, appointment{Next: now.Add(15 * time.Minute)}},
		{"failed at night", nightly, false, 0, outcome{err: errTable, failures: 2}, time.Minute, appointment{now.Add(24 * time.Hour), true}},
		{"the partner is closed", nightly, false, 0, outcome{err: closed, failures: 9}, time.Minute, appointment{now.Add(24 * time.Hour), true}},
		{"still closed", nightly, true, time.Hour, outcome{err: closed}, time.Minute, appointment{now.Add(time.Hour), true}},
		{"closed, and the next run comes soon", every, false, -30 * time.Second, outcome{err: closed, failures: 9}, 30 * time.Second, appointment{Next: now.Add(30 * time.Second)}},
		{"failed shortly before the next", nightly, true, 20 * time.Second, outcome{err: errTable, failures: 9}, 20 * time.Second, appointment{Next: now.Add(20 * time.Second)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			then, delay := test.table.appoint(appointment{now.Add(test.next), test.early}, test.early, test.outcome, now)
			require.Equal(t, test.delay, delay)
			require.Equal(t, test.then, then)
		})
	}
}

// The Store's clock may be ahead of ours, so that a run begins before its time as we see it: it is not made again then.
func TestAnEarlyRunIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, schedule := range []Schedule{{Every: 24 * time.Hour}, {Cron: "0 2 * * *"}} {
		table, err := newTimetable(schedule)
		require.NoError(t, err)
		next := at(t, "UTC", "2026-11-20 02:00:00")
		then, delay := table.appoint(appointment{Next: next}, false, outcome{}, next.Add(-time.Second))
		require.Equal(t, appointment{Next: next.Add(24 * time.Hour)}, then)
		require.Equal(t, 24*time.Hour+time.Second, delay)
	}
}

func TestJitterIsBounded(t *testing.T) {
	t.Parallel()
	table, err := newTimetable(Schedule{Every: time.Minute, Jitter: time.Second})
	require.NoError(t, err)
	seen := map[time.Duration]bool{}
	for range 100 {
		d := table.delay()
		require.GreaterOrEqual(t, d, time.Duration(0))
		require.Less(t, d, time.Second)
		seen[d] = true
	}
	require.Greater(t, len(seen), 50)
}
