package transfer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// TimeWindow is a part of a day, on some days of the week. What counts is what a clock on the wall shows in Location:
// where clocks are set forward a window is shorter that day, and may not be at all; where they are set back, times that
// come twice are in it twice.
type TimeWindow struct {
	Days     []time.Weekday // on which it begins; empty: every day
	From     string         // "HH:MM", included
	To       string         // "HH:MM", not included; where it is not after From it is of the next day
	Location *time.Location // default: UTC
}

// clockLayout is how From and To are written.
const clockLayout = "15:04"

// parseClock returns the seconds since midnight of an "HH:MM".
func parseClock(text string) (seconds int, ok bool) {
	t, err := time.Parse(clockLayout, text)
	if err != nil || len(text) != len(clockLayout) {
		return 0, false
	}
	return t.Hour()*3600 + t.Minute()*60, true
}

// check reports each wrong field of window i of <where>.Open.
func (w *TimeWindow) check(where string, i int, wrong func(is bool, format string, args ...any)) {
	for name, text := range map[string]string{"From": w.From, "To": w.To} {
		_, ok := parseClock(text)
		wrong(!ok, `%s.Open[%d].%s is %q (use "HH:MM", from "00:00" to "23:59"; a window to midnight ends at "00:00")`, where, i, name, shorten(text, maxShownValue))
	}
	for n, day := range w.Days {
		wrong(day < time.Sunday || day > time.Saturday, "%s.Open[%d].Days[%d] is %d (use time.Sunday to time.Saturday)", where, i, n, int(day))
	}
	wrong(len(w.Days) > 7, "%s.Open[%d].Days has %d days (a week has 7)", where, i, len(w.Days))
}

// timeWindowText is a TimeWindow in JSON, with the names of days and of the time zone, such as "Europe/Berlin".
type timeWindowText struct {
	Days     []string `json:",omitempty"`
	From     string
	To       string
	Location string `json:",omitempty"`
}

// MarshalJSON writes days and the time zone by their names. A Location without a name in the time zone database, such as
// time.Local, is an error.
func (w TimeWindow) MarshalJSON() ([]byte, error) {
	text := timeWindowText{From: w.From, To: w.To}
	for _, day := range w.Days {
		text.Days = append(text.Days, day.String())
	}
	if w.Location != nil {
		if !named(w.Location) {
			return nil, fmt.Errorf("time zone %q has no name in the time zone database", w.Location)
		}
		text.Location = w.Location.String()
	}
	return json.Marshal(text)
}

// named reports whether a time zone can be found again by its name.
func named(l *time.Location) bool {
	_, err := time.LoadLocation(l.String())
	return err == nil && l.String() != "Local" && l.String() != ""
}

// UnmarshalJSON reads what MarshalJSON writes. The time zone must be known to the machine.
func (w *TimeWindow) UnmarshalJSON(b []byte) error {
	var text timeWindowText
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	read := TimeWindow{From: text.From, To: text.To}
	for _, name := range text.Days {
		day := slices.IndexFunc(weekdays[:], func(d time.Weekday) bool { return strings.EqualFold(d.String(), name) })
		if day < 0 {
			return fmt.Errorf(`%q is no day of the week (use "Monday")`, shorten(name, maxShownValue))
		}
		read.Days = append(read.Days, weekdays[day])
	}
	if text.Location == "Local" {
		return fmt.Errorf("the time zone is %q, which is another one on each machine (name it)", text.Location)
	}
	if text.Location != "" {
		location, err := time.LoadLocation(text.Location)
		if err != nil {
			return fmt.Errorf("the time zone (Location) is %q, which is unknown here (use a name such as Europe/Berlin; the system, or time/tzdata, must know it): %w", shorten(text.Location, maxShownValue), err)
		}
		read.Location = location
	}
	*w = read
	return nil
}

var weekdays = [7]time.Weekday{time.Sunday, time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday, time.Saturday}
