package watch

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// CatchUp says what becomes of runs that were missed while no Watcher ran.
type CatchUp string

// Catch-up rules. A run is missed when it is more than a minute late.
const (
	CatchUpOnce CatchUp = "ONCE" // one run makes up for all. The default
	CatchUpAll  CatchUp = "ALL"  // each is made up for, one after the other, at most 100 of them
	CatchUpNone CatchUp = "NONE" // the next one comes at its time
)

// Limits of schedules.
const (
	maxMissed     = 100
	grace         = time.Minute
	shortestEvery = time.Second
	longestEvery  = 366 * 24 * time.Hour
	firstBackoff  = 30 * time.Second // of a cron schedule
	longBackoff   = 15 * time.Minute
)

// Schedule says when a Watch runs: give either Every or Cron.
type Schedule struct {
	// Every is the time from the beginning of one run to that of the next, 1 s to 366 days. Times that pass while a run
	// still goes on are left out.
	Every time.Duration

	// Cron is an expression of five fields (minute, hour, day of the month, month, day of the week), or one of @hourly,
	// @daily, @weekly, @monthly and @yearly. A time that names an hour comes once a day even where the clocks
	// change: what they skip comes when they do, and what they show twice comes the first time. An expression of
	// every hour ("*") goes by time that passes.
	Cron string

	// Location is the place whose clocks Cron means. Default: UTC.
	Location *time.Location

	// CatchUp says what becomes of runs that were missed while no Watcher ran. Default: CatchUpOnce.
	CatchUp CatchUp

	// Jitter delays each run by a random time below this, so that many watches do not come to a partner at once.
	// Default: none.
	Jitter time.Duration
}

// check reports each wrong field.
func (s Schedule) check(wrong wrongFunc) {
	switch {
	case (s.Every == 0) == (s.Cron == ""):
		wrong(true, "Every is %v and Cron is %q (give one of them)", s.Every, shorten(s.Cron))
	case s.Cron != "":
		_, err := parseCron(s.Cron, s.location())
		wrong(err != nil, "Cron is %q, which %v (use five fields, such as %q)", shorten(s.Cron), err, "30 2 * * 1-5")
	default:
		wrong(s.Every < shortestEvery || s.Every > longestEvery, "Every is %v (use %v to %v)", s.Every, shortestEvery, longestEvery)
	}
	known := s.CatchUp == "" || s.CatchUp == CatchUpOnce || s.CatchUp == CatchUpAll || s.CatchUp == CatchUpNone
	wrong(!known, "CatchUp is %q (use %s, %s or %s)", s.CatchUp, CatchUpOnce, CatchUpAll, CatchUpNone)
	wrong(s.Jitter < 0, "Jitter is %v (use more than 0, or 0 for none)", s.Jitter)
}

func (s Schedule) location() *time.Location {
	if s.Location == nil {
		return time.UTC
	}
	return s.Location
}

// timetable is a Schedule that was read.
type timetable struct {
	Schedule
	cron *cron // nil with Every
}

// newTimetable reads a Schedule that check found right.
func newTimetable(s Schedule) (*timetable, error) {
	t := &timetable{Schedule: s}
	if s.CatchUp == "" {
		t.CatchUp = CatchUpOnce
	}
	if s.Cron == "" {
		return t, nil
	}
	var err error
	t.cron, err = parseCron(s.Cron, s.location())
	return t, err
}

// first is when a watch runs that never did.
func (t *timetable) first(now time.Time) time.Time {
	if t.cron == nil {
		return now
	}
	return t.cron.after(now)
}

// following is the first time behind now, where next was due. By the Store's clock that may be a little before next.
func (t *timetable) following(next, now time.Time) time.Time {
	if t.cron != nil && next.After(now) {
		return t.cron.after(next)
	}
	if t.cron != nil {
		return t.cron.after(now)
	}
	if next.After(now) {
		return next.Add(t.Every)
	}
	return next.Add((now.Sub(next)/t.Every + 1) * t.Every)
}

// owed is how many runs are to be made at now, where next was due.
func (t *timetable) owed(next, now time.Time) int {
	late := now.Sub(next) > grace+t.Jitter
	switch {
	case !late || t.CatchUp == CatchUpOnce:
		return 1
	case t.CatchUp == CatchUpNone:
		return 0
	case t.cron == nil:
		return int(min(now.Sub(next)/t.Every+1, maxMissed))
	}
	n := 0
	for at := next; !at.After(now) && !at.IsZero() && n < maxMissed; at = t.cron.after(at) {
		n++
	}
	return n
}

// backoff is how long to wait after so many failures in a row, from now to the time that is due next.
func (t *timetable) backoff(failures int, untilNext time.Duration) time.Duration {
	if t.cron != nil {
		return min(doubled(firstBackoff, failures, longBackoff), untilNext)
	}
	return max(doubled(t.Every, failures, max(longBackoff, t.Every)), untilNext)
}

// doubled is d, doubled with each failure after the first, at most longest.
func doubled(d time.Duration, failures int, longest time.Duration) time.Duration {
	for range failures - 1 {
		if d >= longest {
			break
		}
		d *= 2
	}
	return min(d, longest)
}

// delay is a random part of Jitter.
func (t *timetable) delay() time.Duration {
	if t.Jitter == 0 {
		return 0
	}
	return rand.N(t.Jitter)
}

func (t *timetable) String() string {
	if t.cron != nil {
		return fmt.Sprintf("cron %s", t.cron)
	}
	return fmt.Sprintf("every %v", t.Every)
}
