package watch

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// candidate is a file that may be started.
type candidate struct {
	entry
	path    key // of its path
	version key
	marks   key // of what its marker speaks of
}

// survey is one look into a directory: what is there that was not started before.
type survey struct {
	*flow
	guard  Guard
	marker *marker
	ledger store.Ledger // nil: not asked
	log    *slog.Logger
	known  table // from the looks before
	once   bool  // a path is started once, whatever its version

	now   time.Time
	next  table            // what is known now
	files []candidate      // that may be started
	marks map[key]struct{} // what markers speak of
	batch []candidate      // not looked up in the ledger yet
	counts
	soonest time.Duration // until one of those that wait may be ready; 0: none waits for time
}

// counts are those of one look.
type counts struct {
	Listed     int  // files that the directory has, and those below
	Matched    int  // that are meant, new or not
	Waiting    int  // that are new and wait for Guard or MinAge
	PassedOver int  // whose names cannot be used
	Truncated  bool // there were more than 200,000 files and directories
}

const lookUpBatch = 500

// run looks. After an error what it has found is of no use.
func (s *survey) run(ctx context.Context, from lister) error {
	s.now, s.next, s.marks = time.Now(), make(table, len(s.known)), make(map[key]struct{})
	err := s.list(ctx, from)
	if err == nil {
		err = s.lookUp(ctx)
	}
	if s.PassedOver > 0 {
		s.log.Warn("names passed over that cannot be used", "files", s.PassedOver)
	}
	if s.Truncated {
		s.log.Warn("the directory has too many files, not all were looked at", "most", maxListed)
		s.keepUnseen()
	}
	return err
}

func (s *survey) list(ctx context.Context, from lister) error {
	for e, err := range from.list(ctx, s.flow) {
		if err != nil {
			return fmt.Errorf("list %s: %w", s.listed, err)
		}
		if err := s.see(ctx, &e); err != nil {
			return err
		}
	}
	return nil
}

// see takes one file that is there.
func (s *survey) see(ctx context.Context, e *entry) error {
	s.Truncated = s.Truncated || e.truncated
	if e.directory {
		return nil
	}
	s.Listed++
	if why := s.usable(e); why != "" {
		if s.PassedOver++; s.PassedOver == 1 {
			s.log.Warn("name passed over", "name", fmt.Sprintf("%q", shorten(e.rel)), "why", why)
		}
		return nil
	}
	if s.marker != nil {
		if of, is := s.marker.marks(e.rel); is {
			s.marks[keyOf(of)] = struct{}{}
			return nil
		}
	}
	if !s.selects(e) || s.tooOld(e, s.now) {
		return nil
	}
	s.Matched++
	return s.consider(ctx, e)
}

// consider sorts out what was started before.
func (s *survey) consider(ctx context.Context, e *entry) error {
	c := candidate{entry: *e, path: keyOf(s.requested(e.rel)), version: keyOf(e.version())}
	if k, ok := s.known[c.path]; ok && k.started && (s.once || k.version == c.version) {
		s.next[c.path] = k
		return nil
	}
	if s.marker != nil {
		c.marks = keyOf(s.marker.of(e.rel))
	}
	if s.ledger == nil {
		s.take(c)
		return nil
	}
	if s.batch = append(s.batch, c); len(s.batch) < lookUpBatch {
		return nil
	}
	return s.lookUp(ctx)
}

// lookUp takes the batch, but for those that the ledger knows in this version.
func (s *survey) lookUp(ctx context.Context) error {
	if len(s.batch) == 0 {
		return nil
	}
	paths := make([]string, len(s.batch))
	for i := range s.batch {
		paths[i] = s.path(s.batch[i].rel)
	}
	entries, err := s.ledger.LookUp(ctx, transfer.LedgerScope(s.ConnectorID, s.Direction), paths)
	if err != nil {
		return fmt.Errorf("look up in the ledger: %w", err)
	}
	done := make(map[string]string, len(entries))
	for _, entry := range entries {
		done[entry.Path] = entry.Identity
	}
	for i, c := range s.batch {
		if identity, ok := done[paths[i]]; !ok || identity != c.entry.version() {
			s.take(c)
		}
	}
	s.batch = s.batch[:0]
	return nil
}

// take adds a file to those that may be started, if its time has come.
func (s *survey) take(c candidate) {
	k := s.guard.look(s.known[c.path], c.version, s.now)
	if s.guard.Unchanged > 0 || s.MinAge > 0 {
		s.next[c.path] = k
	}
	wait, ready := s.guard.ready(k, &c.entry, s.Selection, s.now)
	if ready {
		s.files = append(s.files, c)
		return
	}
	s.Waiting++
	if s.soonest == 0 || wait < s.soonest {
		s.soonest = wait
	}
}

// ready returns the files to start, in their order, and at most so many.
func (s *survey) ready(most int) []candidate {
	if s.marker != nil {
		before := len(s.files)
		s.files = slices.DeleteFunc(s.files, func(c candidate) bool { _, marked := s.marks[c.marks]; return !marked })
		s.Waiting += before - len(s.files)
	}
	slices.SortFunc(s.files, func(a, b candidate) int { return s.compare(&a, &b) })
	return s.files[:min(len(s.files), max(most, 0))]
}

// keepUnseen remembers, too, what this look did not come to, as far as there is room.
func (s *survey) keepUnseen() {
	for path, k := range s.known {
		if len(s.next) >= maxListed {
			return
		}
		if _, seen := s.next[path]; !seen {
			s.next[path] = k
		}
	}
}
