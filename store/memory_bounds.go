package store

import (
	"math"
	"time"
)

// bounded reports whether q has bounds on an axis.
func (q *Query) bounded(a axis) bool {
	return a == byStart && !(q.From.IsZero() && q.To.IsZero()) || a == byStop && !q.Updated.IsZero()
}

// bounds returns the part of an axis that q selects: what is not before from and before to.
func (q *Query) bounds(a axis) (from, to entry) {
	from, to = lowest, highest
	switch a {
	case byStart:
		if !q.From.IsZero() {
			from = notBefore(q.From)
		}
		if !q.To.IsZero() {
			to = after(q.To)
		}
	case byStop:
		if !q.Updated.IsZero() {
			from = notBefore(q.Updated)
		}
	}
	return from, to
}

// notBefore returns the first place at t or later.
func notBefore(t time.Time) entry {
	e := entry{t.UnixMicro(), math.MinInt64}
	if t.Nanosecond()%1000 > 0 {
		e.key++
	}
	return e
}

// after returns the first place later than t.
func after(t time.Time) entry { return entry{t.UnixMicro() + 1, math.MinInt64} }

// behind narrows a part of an axis, which is that of q's order, to what is behind q's cursor.
func (q *Query) behind(a axis, from, to entry) (entry, entry) {
	if q.After == (Cursor{}) {
		return from, to
	}
	at := q.cursor(a)
	if q.Order.descending() {
		if at.before(to) {
			to = at
		}
	} else {
		if at.id < math.MaxInt64 {
			at.id++
		}
		if from.before(at) {
			from = at
		}
	}
	return from, to
}

// cursor returns the place of q's cursor on an axis. Compare defines where a cursor is that has more than the axis has.
func (q *Query) cursor(a axis) entry {
	t := q.After.Time
	switch {
	case q.After.Text != "":
		return highest
	case a != byID && t.Nanosecond()%1000 > 0:
		return after(t)
	case a != byID:
		return entry{t.UnixMicro(), q.After.ID}
	case t.IsZero():
		return entry{q.After.ID, q.After.ID}
	case t.After(time.Time{}):
		return highest
	}
	return lowest
}
