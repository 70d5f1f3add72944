package watch

import "time"

// Limits of a Guard.
const (
	maxUnchanged    = 1000
	defaultInterval = 10 * time.Second
	longestInterval = 24 * time.Hour
)

// Guard keeps files from being picked up while they are being written. What it knows is durable: a Watcher that takes over
// goes on counting. Its zero value trusts names alone (Selection.IncludeTemporary).
//
// Beside it, Selection.MinAge waits until a file was modified that long ago, as the clock of this node tells, or until this
// watch has known it unchanged for that long, whichever comes first. Where the clock of the other side is behind ours,
// files look older there than they are: then use Unchanged, which compares no clocks.
type Guard struct {
	// Unchanged is how many looks after the first one must find the same size and time, Interval apart at least. 0 to
	// 1,000. Between runs of a schedule there are looks for this alone, as long as files wait for them.
	Unchanged int

	// Interval is the time between two looks that count. Default 10 s; 1 s to 24 h.
	Interval time.Duration

	// Marker is the name of a file beside the one it speaks of, which says that that is complete: "{name}.done" for
	// a.csv.done, or "{base}.ok" for a.ok beside a.csv. Names that could be a marker's are never picked up. Markers are left
	// where they are: a task of the rule may remove them. One that is still there when a file comes again speaks of the new
	// one, too. Default: none.
	Marker string
}

func (g Guard) withDefaults() Guard {
	if g.Interval == 0 {
		g.Interval = defaultInterval
	}
	return g
}

// check reports each wrong field. g has its defaults.
func (g Guard) check(wrong wrongFunc) {
	wrong(g.Unchanged < 0 || g.Unchanged > maxUnchanged, "Guard.Unchanged is %d (use 0 to %d)", g.Unchanged, maxUnchanged)
	wrong(g.Interval < time.Second || g.Interval > longestInterval, "Guard.Interval is %v (use 1s to %v, or 0 for %v)", g.Interval, longestInterval, defaultInterval)
	_, ok := parseMarker(g.Marker)
	wrong(!ok, "Guard.Marker is %q (use a name with %s or %s in it, such as %q)", shorten(g.Marker), placeholderName, placeholderBase, "{name}.done")
}

// look notes that a file is there in this version, and returns what is known of it then.
func (g Guard) look(before known, version key, now time.Time) known {
	if before.since.IsZero() || before.version != version {
		return known{version: version, since: now, counted: now}
	}
	if now.Sub(before.counted) >= g.Interval && before.checks < maxUnchanged {
		before.checks++
		before.counted = now
	}
	return before
}

// ready reports whether a file may be picked up, and otherwise when to look again.
func (g Guard) ready(k known, e *entry, s Selection, now time.Time) (wait time.Duration, ready bool) {
	if k.checks < g.Unchanged {
		wait = g.Interval - now.Sub(k.counted)
	}
	if s.MinAge > 0 && !s.aged(e, now) && now.Sub(k.since) < s.MinAge {
		young := s.MinAge - now.Sub(k.since)
		if !e.modTime.IsZero() {
			young = min(young, s.MinAge-now.Sub(e.modTime))
		}
		wait = max(wait, young)
	}
	return wait, wait <= 0
}
