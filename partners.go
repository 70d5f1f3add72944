package transfer

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// partner is a connector as the engine works with it: one revision of one.
type partner struct {
	id       string
	conn     Connector // nil: deleted, or not to be made here
	info     ConnectorInfo
	revision int64           // 0: of Config
	opened   OpenedConnector // conn, if it is ours to close
	breaker  *breaker
	share    *buffers // all revisions of a connector have the same, unless its rate changes
	bytes    *rate    // per second; nil: no limit; likewise
	files    *rate    // to be taken up; likewise
	hours    schedule // when it, and the node, is open
	deleted  bool
	sessions atomic.Int64 // open just now

	mu      sync.Mutex  // guards users, retired, resting
	users   int         // files and operations
	retired bool        // another revision has taken its place
	resting *time.Timer // nil, or set when the last user left: connections are let go of then
}

// use notes one more user, unless the partner was retired.
func (p *partner) use() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.retired {
		return false
	}
	p.users++
	p.wake()
	return true
}

// leave notes that a user has gone, and reports whether the partner is to be closed.
func (p *partner) leave() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users--; p.users == 0 {
		p.rest()
	}
	return p.retired && p.users == 0
}

// retire lets nobody use the partner any more, and reports whether it is to be closed now.
func (p *partner) retire() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = true
	p.wake()
	return p.users == 0
}

// roster is all partners at one moment. It does not change.
type roster struct {
	revision int64 // of the Store's connectors
	partners map[string]*partner
	limits   map[string]int // files at once, of those that files can be claimed for
	metered  []*partner     // of those the ones with a limit of files in a second
	deleted  []string
}

// partners is the roster of a node, which follows the Store.
type partners struct {
	cfg     Config
	buffers *buffers
	closing sync.WaitGroup // connectors that are being closed

	now atomic.Pointer[roster]

	mu     sync.Mutex // guards closed, and the making of rosters
	closed bool
}

func newPartners(cfg Config, b *buffers) *partners {
	ps := &partners{cfg: cfg, buffers: b}
	r := &roster{partners: make(map[string]*partner, len(cfg.Connectors)), limits: make(map[string]int, len(cfg.Connectors))}
	for id, conn := range cfg.Connectors {
		p := &partner{id: id, conn: conn, info: conn.Info(), breaker: &breaker{}}
		p.limit(&cfg.Limits, nil)
		p.share = ps.newShare(p.info.Limits)
		r.partners[id] = p
	}
	r.note()
	ps.now.Store(r)
	return ps
}

// follows reports whether there may be connectors in the Store that are of use here.
func (ps *partners) follows() bool { return len(ps.cfg.Protocols) > 0 }

// limits returns how many files of each connector may run.
func (ps *partners) limits() map[string]int { return ps.now.Load().limits }

// acquire returns the connector's present revision to a user, who calls release. One that is deleted, or cannot be made
// here, has no conn.
func (ps *partners) acquire(id string) *partner {
	for {
		r := ps.now.Load()
		p := r.partners[id]
		if p == nil {
			_, deleted := slices.BinarySearch(r.deleted, id)
			p = &partner{id: id, deleted: deleted, breaker: &breaker{}, share: ps.newShare(nil)}
		}
		if p.use() {
			return p
		}
		if ps.now.Load() == r { // closed
			return &partner{id: id, users: 1, breaker: &breaker{}, share: ps.newShare(nil)}
		}
	}
}

func (ps *partners) release(p *partner) {
	if p.leave() {
		ps.close(p)
	}
}

// close ends the connections of a partner that nobody uses any more.
func (ps *partners) close(p *partner) {
	if p.opened == nil {
		return
	}
	ps.closing.Go(func() {
		if err := guarded(p.opened.Close); err != nil {
			ps.cfg.Logger.Warn("could not close a connector", "connector", p.id, "revision", p.revision, "error", err)
		}
	})
}

// urlOf says where a connector leads, for messages.
func (ps *partners) urlOf(id string) string {
	if p := ps.now.Load().partners[id]; p != nil {
		return p.info.URL
	}
	return "connector " + id
}

// shutdown closes all connectors that are ours and waits for that. No user is left.
func (ps *partners) shutdown() {
	ps.mu.Lock()
	ps.closed = true
	r := ps.now.Load()
	ps.mu.Unlock()
	for _, p := range r.partners {
		if p.retire() {
			ps.close(p)
		}
	}
	ps.closing.Wait()
}

// refresh makes the roster that of the Store and reports whether anything has changed.
func (ps *partners) refresh(ctx context.Context) (changed bool, err error) {
	if !ps.follows() {
		return false, nil
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	before := ps.now.Load()
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	revision, err := ps.cfg.Store.ConnectorsRevision(ctx)
	if err != nil || revision == before.revision || ps.closed {
		return false, err
	}
	stored, err := ps.cfg.Store.ListConnectors(ctx, store.ConnectorQuery{})
	if err != nil {
		return false, err
	}
	deleted, err := ps.cfg.Store.ListConnectors(ctx, store.ConnectorQuery{Deleted: true})
	if err != nil {
		return false, err
	}
	after := ps.follow(before, stored)
	after.revision = revision
	for i := range deleted {
		after.deleted = append(after.deleted, deleted[i].ID)
	}
	ps.now.Store(after)
	for id, old := range before.partners {
		if after.partners[id] != old && old.retire() {
			ps.close(old)
		}
	}
	return true, nil
}

// follow returns the roster with these connectors of the Store: what is still the same is taken over.
func (ps *partners) follow(before *roster, stored []store.Connector) *roster {
	after := &roster{partners: make(map[string]*partner, len(before.partners)), limits: make(map[string]int, len(before.limits))}
	for id := range ps.cfg.Connectors {
		after.partners[id] = before.partners[id]
	}
	for i := range stored {
		c := &stored[i]
		if _, taken := ps.cfg.Connectors[c.ID]; taken {
			ps.cfg.Logger.Error("a connector of the Store has the id of one of Config.Connectors, which is used", "connector", c.ID)
			continue
		}
		p := before.partners[c.ID]
		if p == nil || p.revision != c.Revision {
			p = ps.make(c, p)
		}
		after.partners[c.ID] = p
	}
	after.note()
	return after
}

// make makes a partner for one revision of a connector.
func (ps *partners) make(c *store.Connector, before *partner) *partner {
	p := &partner{id: c.ID, revision: c.Revision, breaker: &breaker{}, info: ConnectorInfo{URL: c.URL}}
	d, err := decodeDefinition(c)
	p.info.Limits = d.Limits
	p.limit(&ps.cfg.Limits, before)
	if before != nil && before.share.budget == ps.shareOf(d.Limits) {
		p.share = before.share
	} else {
		p.share = ps.newShare(d.Limits)
	}
	if err == nil {
		p.opened, err = ps.cfg.open(&d)
	}
	if err != nil {
		ps.cfg.Logger.Warn("cannot work with a connector", "connector", c.ID, "revision", c.Revision, "error", err)
		return p
	}
	p.conn, p.info = p.opened, p.opened.Info()
	p.info.Partner, p.info.Retry, p.info.Limits = d.Partner, d.Retry, d.Limits
	ps.cfg.Logger.Debug("connector ready", "connector", c.ID, "revision", c.Revision, "url", c.URL)
	return p
}

// deletedIDs returns the connectors that were deleted.
func (ps *partners) deletedIDs() []string { return ps.now.Load().deleted }

// all returns the partners that files can be claimed for.
func (ps *partners) all() map[string]*partner { return ps.now.Load().partners }

// followStore keeps the roster up to date until ctx ends.
func (e *engine) followStore(ctx context.Context) {
	changed := e.store.Watch(ctx, store.ConnectorsChanged)
	poll, orphans := time.NewTicker(e.cfg.PollInterval), time.NewTicker(sweepInterval)
	defer poll.Stop()
	defer orphans.Stop()
	for {
		e.catchUp(ctx)
		select {
		case <-changed:
		case <-poll.C:
		case <-orphans.C: // what waits for its next attempt, or is resumed
			hint(e.orphaned)
		case <-ctx.Done():
			return
		}
	}
}

// catchUp makes the roster that of the Store. A Store that is away is asked again at the next poll.
func (e *engine) catchUp(ctx context.Context) {
	news, err := e.partners.refresh(ctx)
	if err != nil && ctx.Err() == nil {
		e.cfg.Logger.Error("cannot read the connectors", "error", err)
	}
	if news {
		hint(e.freed)
		hint(e.orphaned)
	}
}

// orphansAtOnce is how many deleted connectors one claim names: each costs the Store something.
const orphansAtOnce = 100

// failOrphans claims files of deleted connectors, which then fail.
func (e *engine) failOrphans(ctx context.Context) {
	for ids := range slices.Chunk(e.partners.deletedIDs(), orphansAtOnce) {
		limits := make(map[string]int, len(ids))
		for _, id := range ids {
			limits[id] = e.cfg.MaxFiles
		}
		for {
			room := e.cfg.MaxFiles - e.count()
			if room <= 0 {
				hint(e.orphaned)
				return
			}
			if ctx.Err() != nil || e.stopped() || e.away.Load() || e.take(ctx, room, maps.Clone(limits), nil, false) < room {
				break
			}
		}
	}
}

// missing is why nothing can be moved for a partner without a conn.
func (p *partner) missing() error {
	if !p.deleted {
		return errStopped // it was there when the file was claimed; another node may have it
	}
	return stepError{stepQueue, &Error{Op: "connect", Path: p.id, Code: ConnectorDeleted}}
}

// has reports whether a connector can be worked with, and whether it was deleted.
func (ps *partners) has(id string) (known, deleted bool) {
	r := ps.now.Load()
	if p := r.partners[id]; p != nil {
		return p.conn != nil, false
	}
	_, deleted = slices.BinarySearch(r.deleted, id)
	return false, deleted
}
