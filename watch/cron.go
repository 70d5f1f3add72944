package watch

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/adhocore/gronx"
)

// cron is a parsed cron expression in a place's time.
//
// The library is asked about times on the wall alone, as if there were no change of the clocks: what such a change means
// is decided here.
type cron struct {
	expression string
	location   *time.Location
	hourly     bool // in every hour: it goes by time that passes
}

// parseCron reads an expression of five fields, or a tag such as @daily.
func parseCron(expression string, location *time.Location) (*cron, error) {
	tag := strings.HasPrefix(expression, "@")
	switch n := len(strings.Fields(expression)); {
	case !validText(expression, 1, 255) || tag && !gronx.IsValid(expression):
		return nil, errors.New("is not a cron expression")
	case !tag && n != 5:
		return nil, fmt.Errorf("has %d fields, and not five", n)
	case !gronx.IsValid(expression):
		return nil, errors.New("has a field that is out of range (minute 0 to 59, hour 0 to 23, day 1 to 31, month 1 to 12, day of the week 0 to 7)")
	}
	fields, err := gronx.Segments(expression)
	if err != nil || len(fields) != 6 || fields[0] != "0" {
		return nil, errors.New("does not have five fields")
	}
	c := &cron{expression: strings.Join(fields[1:], " "), location: location, hourly: fields[2] == "*"}
	if c.after(time.Now()).IsZero() {
		return nil, errors.New("never comes")
	}
	return c, nil
}

// after returns the first time behind t, or zero if none is found.
func (c *cron) after(t time.Time) time.Time {
	if c.hourly {
		return c.passing(t)
	}
	return c.onTheWall(t)
}

// onTheWall returns the next time for an expression that names hours: one that the clocks skip comes when they do, and one
// that they show twice comes the first time.
func (c *cron) onTheWall(t time.Time) time.Time {
	wall := asUTC(t.In(c.location))
	for {
		next, err := gronx.NextTickAfter(c.expression, wall, false)
		if err != nil {
			return time.Time{}
		}
		if at := instant(next, c.location); at.After(t) {
			return at
		}
		wall = next
	}
}

// passing returns the next time for an expression of every hour: between two changes of the clocks all is as usual, and
// hours that are shown twice are two.
func (c *cron) passing(t time.Time) time.Time {
	const changes = 20
	for range changes {
		_, offset := t.In(c.location).Zone()
		_, end := t.In(c.location).ZoneBounds()
		shift := time.Duration(offset) * time.Second
		next, err := gronx.NextTickAfter(c.expression, t.UTC().Add(shift), false)
		if err != nil {
			return time.Time{}
		}
		at := next.Add(-shift)
		if end.IsZero() || at.Before(end) {
			return at.In(c.location)
		}
		if c.due(end) {
			return end.In(c.location)
		}
		t = end
	}
	return time.Time{}
}

// due reports whether the clocks show a time of the expression at t.
func (c *cron) due(t time.Time) bool {
	due, err := gronx.New().IsDue(c.expression, asUTC(t.In(c.location)))
	return err == nil && due && t.Second() == 0
}

// asUTC returns what the clocks show at t as a time of UTC, where no clock ever changes.
func asUTC(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// instant returns when the clocks of a place show wall first, or, if they never do, when they skip it.
func instant(wall time.Time, place *time.Location) time.Time {
	const day = 24 * time.Hour
	_, before := wall.Add(-day).In(place).Zone()
	_, after := wall.Add(day).In(place).Zone()
	early := wall.Add(-time.Duration(max(before, after)) * time.Second)
	late := wall.Add(-time.Duration(min(before, after)) * time.Second)
	for _, at := range [...]time.Time{early, late} {
		if asUTC(at.In(place)).Equal(wall) {
			return at.In(place)
		}
	}
	start, _ := late.In(place).ZoneBounds()
	return start
}

func (c *cron) String() string { return fmt.Sprintf("%s in %s", c.expression, c.location) }
