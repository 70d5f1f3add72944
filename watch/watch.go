package watch

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"crypto/rand"

	"github.com/seed62b9dc43/transfer"
)

// Watch looks into a directory again and again, and starts what is new there.
type Watch struct {
	Selection
	Delivery
	Schedule

	// Guard keeps files from being picked up while they are being written.
	Guard Guard
}

// Config says what a Watcher works with.
type Config struct {
	// Client starts the transfers and lists the directories; its Store keeps what the Watcher knows. It must have been
	// started where the Watcher is. Required.
	Client *transfer.Client

	// Watches by name, 1 to 100 characters of one line without a slash. Watchers over one Store must have the same ones.
	Watches map[string]Watch

	// Logger receives what happens. Default: silence.
	Logger *slog.Logger

	// Name tells this Watcher from others. Default: host name, process id and a random part.
	Name string

	// MaxRuns is how many runs there are at once on this node. Default 4. A run waits for a free connection of its partner: give
	// more where there are many partners with few connections and long files.
	MaxRuns int

	// Lease is how long a run stays with a node that no longer answers before another takes it over. Default 30 s, at
	// least 1 s.
	Lease time.Duration

	// PollInterval is how often the Store is asked for what is due when no hint comes. Default 1 s.
	PollInterval time.Duration
}

// Defaults of Config.
const (
	defaultMaxRuns = 4
	defaultLease   = 30 * time.Second
	defaultPoll    = time.Second
	longestWatch   = 100 // characters of a name
)

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Name == "" {
		c.Name = nodeName()
	}
	if c.MaxRuns == 0 {
		c.MaxRuns = defaultMaxRuns
	}
	if c.Lease == 0 {
		c.Lease = defaultLease
	}
	if c.PollInterval == 0 {
		c.PollInterval = defaultPoll
	}
	return c
}

func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), rand.Text()[:8])
}

// watched is a Watch that was read.
type watched struct {
	flow
	name      string
	guard     Guard
	marker    *marker
	timetable *timetable
}

// read returns the watches, or one error that names every wrong field.
func (c Config) read() (map[string]*watched, error) {
	p := &problems{}
	wrong := p.in("watch: Config")
	wrong(c.Client == nil, "Client is nil (make one with transfer.New)")
	wrong(c.MaxRuns < 0, "MaxRuns is %d (use 1 or more, or 0 for %d)", c.MaxRuns, defaultMaxRuns)
	wrong(c.Lease < time.Second, "Lease is %v (use 1s or more, or 0 for %v)", c.Lease, defaultLease)
	wrong(c.PollInterval < 0, "PollInterval is %v (use more than 0, or 0 for %v)", c.PollInterval, defaultPoll)
	if c.Client == nil {
		return nil, p.err()
	}
	watches := make(map[string]*watched, len(c.Watches))
	for _, name := range slices.Sorted(maps.Keys(c.Watches)) {
		right := validText(name, 1, longestWatch) && !strings.Contains(name, "/")
		wrong(!right, "Watches has the name %q (use 1 to %d characters of one line without a slash)", shorten(name), longestWatch)
		w, err := readWatch(name, c.Watches[name], c.Client, p.in(fmt.Sprintf("watch: Config.Watches[%q]", shorten(name))))
		if err == nil {
			watches[name] = w
		}
	}
	return watches, p.err()
}

// readWatch reads a watch and reports each wrong field; with any the result is of no use.
func readWatch(name string, w Watch, client *transfer.Client, wrong wrongFunc) (*watched, error) {
	guard := w.Guard.withDefaults()
	guard.check(wrong)
	w.Schedule.check(wrong)
	f := newFlow(w.Selection, w.Delivery, client.Rule, wrong)
	table, err := newTimetable(w.Schedule)
	m, ok := parseMarker(guard.Marker)
	if !ok {
		err = errors.Join(err, errors.New("no marker"))
	}
	return &watched{flow: f, name: name, guard: guard, marker: m, timetable: table}, err
}
