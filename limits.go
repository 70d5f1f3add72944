package transfer

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// Limits bound how much moves, and when. A field that is zero is no limit. They hold on each node for itself: for a limit
// over all nodes, divide it by their number.
type Limits struct {
	// BytesPerSecond is how many bytes of content move in a second to and from partners, 1,000 or more. It is kept
	// evenly: over any span of time no more than a quarter of a second's worth comes beside it. Files share it in equal
	// parts, whatever their size and way. What is read to verify a delivery counts as well; names, listings and what a
	// protocol adds do not. A protocol that sends whole messages (AS2) has each wait as long as it would take, and then
	// sends it at once.
	BytesPerSecond int64 `json:",omitempty"`

	// FilesPerSecond is how many files are taken up in a second, 0.0001 or more, each attempt at a file counted. No more
	// than a quarter of a second's worth, or one, comes at once. A Rule cannot have it.
	FilesPerSecond float64 `json:",omitempty"`

	// Open are the times in which the partner may be contacted, up to 100, by this node's clock. Outside of them no
	// connection is made, and files that move come to their next window's end, within two seconds where BytesPerSecond
	// is what they wait for, and wait. What is just being published is. Default: always.
	Open []TimeWindow `json:",omitempty"`
}

const (
	leastBytesPerSecond = 1000
	leastFilesPerSecond = 0.0001
	maxTimeWindows      = 100
)

// check reports each wrong field as "<where>.<field> is …".
func (l *Limits) check(where string, wrong func(is bool, format string, args ...any)) {
	wrong(l.BytesPerSecond < 0 || l.BytesPerSecond > 0 && l.BytesPerSecond < leastBytesPerSecond,
		"%s.BytesPerSecond is %d (use %d or more, or 0 for no limit)", where, l.BytesPerSecond, leastBytesPerSecond)
	wrong(!(l.FilesPerSecond == 0 || l.FilesPerSecond >= leastFilesPerSecond) || math.IsInf(l.FilesPerSecond, 0),
		"%s.FilesPerSecond is %v (use %v or more, or 0 for no limit)", where, l.FilesPerSecond, leastFilesPerSecond)
	wrong(len(l.Open) > maxTimeWindows, "%s.Open has %d windows, more than %d", where, len(l.Open), maxTimeWindows)
	for i := range l.Open[:min(len(l.Open), maxTimeWindows)] {
		l.Open[i].check(where, i, wrong)
	}
}

// checkZones reports the time zones that cannot be kept as data.
func (l *Limits) checkZones(where string, wrong func(is bool, format string, args ...any)) {
	for i := range l.Open[:min(len(l.Open), maxTimeWindows)] {
		zone := l.Open[i].Location
		wrong(zone != nil && !named(zone), `%s.Open[%d].Location is %q, which no other node can find by its name (use time.LoadLocation("Europe/Berlin"))`, where, i, zone)
	}
}

// isZero reports whether there is no limit at all.
func (l *Limits) isZero() bool {
	return l == nil || l.BytesPerSecond == 0 && l.FilesPerSecond == 0 && len(l.Open) == 0
}

// checkLimits reports what is wrong with the limits of the node and of its rules.
func (c *Config) checkLimits(wrong func(is bool, format string, args ...any)) {
	c.Limits.check("Limits", wrong)
	for _, name := range slices.Sorted(maps.Keys(c.Rules)) {
		rule := c.Rules[name]
		where := fmt.Sprintf("Rules[%q]", shorten(name, maxShownValue))
		rule.Limits.check(where+".Limits", wrong)
		wrong(rule.Limits.FilesPerSecond != 0, "%s.Limits.FilesPerSecond is %v (a rule cannot have it: give it to the connector, or to Config.Limits)", where, rule.Limits.FilesPerSecond)
	}
}

func validPriority(p store.Priority) bool { return p >= store.Low && p <= store.High }

// ruleLimits are those of a rule, as this node keeps them.
type ruleLimits struct {
	bytes *rate // nil: no limit
	hours schedule
}

func newRuleLimits(rules map[string]Rule) map[string]ruleLimits {
	limits := make(map[string]ruleLimits, len(rules))
	for name, rule := range rules {
		if !rule.Limits.isZero() {
			limits[name] = ruleLimits{newRate(float64(rule.Limits.BytesPerSecond)), scheduleOf(&rule.Limits)}
		}
	}
	return limits
}

// longestQuiet is how long what has no opening in sight waits before somebody looks again.
const longestQuiet = 24 * time.Hour
