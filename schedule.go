package transfer

import (
	"slices"
	"time"
)

// schedule tells when something is open: when every one of its parts is, of which each is open in one of its spans. Without
// a part it is open always.
type schedule [][]span

// span is a TimeWindow.
type span struct {
	days     [7]bool
	from, to int // seconds since midnight; to of the next day where it is not after from
	zone     *time.Location
}

// scheduleOf returns when all of limits are open. They were checked.
func scheduleOf(limits ...*Limits) schedule {
	var s schedule
	for _, l := range limits {
		if l == nil || len(l.Open) == 0 {
			continue
		}
		part := make([]span, len(l.Open))
		for i := range l.Open {
			part[i] = newSpan(&l.Open[i])
		}
		s = append(s, part)
	}
	return s
}

func newSpan(w *TimeWindow) span {
	s := span{zone: w.Location}
	s.from, _ = parseClock(w.From)
	s.to, _ = parseClock(w.To)
	if s.zone == nil {
		s.zone = time.UTC
	}
	for _, day := range weekdays {
		s.days[day] = len(w.Days) == 0 || slices.Contains(w.Days, day)
	}
	return s
}

// with returns the schedule that is open when both are.
func (s schedule) with(other schedule) schedule {
	if len(other) == 0 {
		return s
	}
	return append(slices.Clone(s), other...)
}

// open reports whether t is in the schedule.
func (s schedule) open(t time.Time) bool {
	for _, part := range s {
		if !slices.ContainsFunc(part, func(w span) bool { return w.open(t) }) {
			return false
		}
	}
	return true
}

func (w span) open(t time.Time) bool {
	local := t.In(w.zone)
	now, today := secondOfDay(local), local.Weekday()
	if w.from < w.to {
		return w.days[today] && w.from <= now && now < w.to
	}
	yesterday := (today + 6) % 7
	return w.days[today] && w.from <= now || w.days[yesterday] && now < w.to
}

const secondsADay = 24 * 60 * 60

func secondOfDay(t time.Time) int { return t.Hour()*3600 + t.Minute()*60 + t.Second() }

// horizon is how far the schedule looks ahead. It comes again every week, but for those in which clocks are set.
const horizon = 16 * 24 * time.Hour

// next returns the first moment from t on that is in the schedule, t itself if it is. There may be none.
func (s schedule) next(t time.Time) (opening time.Time, ok bool) {
	for end := t.Add(horizon); t.Before(end); t = s.edge(t) {
		if s.open(t) {
			return t, true
		}
	}
	return time.Time{}, false
}

// closing returns the first moment after t, which is in the schedule, that is not. There may be none.
func (s schedule) closing(t time.Time) (closing time.Time, ok bool) {
	if len(s) == 0 {
		return time.Time{}, false
	}
	for end := t.Add(horizon); t.Before(end); {
		if t = s.edge(t); !s.open(t) {
			return t, true
		}
	}
	return time.Time{}, false
}

// edge returns a moment after t before which nothing changes.
func (s schedule) edge(t time.Time) (first time.Time) {
	for _, part := range s {
		for _, w := range part {
			if e := w.edge(t); first.IsZero() || e.Before(first) {
				first = e
			}
		}
	}
	return first
}

// edge returns when clocks show from or to next, or are set.
func (w span) edge(t time.Time) time.Time {
	local := t.In(w.zone)
	now, wait := secondOfDay(local), secondsADay
	for _, at := range [...]int{w.from, w.to} {
		if until := (at - now + secondsADay) % secondsADay; until > 0 {
			wait = min(wait, until)
		}
	}
	e := t.Add(time.Duration(wait)*time.Second - time.Duration(local.Nanosecond()))
	if _, set := local.ZoneBounds(); !set.IsZero() && set.Before(e) {
		return set
	}
	return e
}

// mostSpells bounds how many times openFor looks.
const mostSpells = 10_000

// openFor is how long of the time from one moment to another the schedule was open.
func (s schedule) openFor(from, to time.Time) (sum time.Duration) {
	if len(s) == 0 {
		return to.Sub(from)
	}
	for range mostSpells {
		opening, ok := s.next(from)
		if !ok || !opening.Before(to) {
			return sum
		}
		closing, ok := s.closing(opening)
		if !ok || closing.After(to) {
			return sum + to.Sub(opening)
		}
		sum += closing.Sub(opening)
		from = closing
	}
	return sum
}
