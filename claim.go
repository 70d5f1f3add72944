package transfer

import (
	"context"
	"maps"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// claim takes files, as many as there is room for and limits allow, and reports whether there may be more at once.
func (e *engine) claim(ctx context.Context) (more bool) {
	free := e.cfg.MaxFiles - e.count()
	all := e.partners.limits()
	if free <= 0 || len(all) == 0 || ctx.Err() != nil || e.away.Load() {
		return false
	}
	now := time.Now()
	r := e.gates(all, now)
	for _, id := range r.probes { // first: the others may never leave room
		if free > 0 && e.mayBegin(1, now) > 0 {
			free -= e.take(ctx, 1, map[string]int{id: all[id]}, nil, true)
		}
	}
	n := free
	if len(all) > 1 && free > 0 {
		n = r.share(e.busy(), free, e.cfg.MaxFiles/reservedPart)
	}
	n = e.mayBegin(n, now)
	return n > 0 && len(r.limits) > 0 && e.take(ctx, n, r.limits, r.most, false) == n
}

// allowed is what may be claimed of connectors.
type allowed struct {
	limits map[string]int // files at once, of those whose files may be claimed freely
	most   map[string]int // files to claim now, of those of which there is a bound
	probes []string       // connectors of which one file may be claimed, to find out whether the partner can be reached
}

// gates returns what may be claimed by the partners' breakers, time windows and rates.
func (e *engine) gates(all map[string]int, now time.Time) (r allowed) {
	r.limits = all
	for id, p := range e.partners.all() {
		if _, known := all[id]; !known {
			continue
		}
		g := p.breaker.gate(now)
		if !p.hours.open(now) {
			g = gateShut
		}
		if p.files != nil && g != gateShut {
			if n, _ := p.files.ready(now); n == 0 {
				g = gateShut
			} else {
				r.bound(id, n)
			}
		}
		if g == gateOpen {
			continue
		}
		if len(r.limits) == len(all) {
			r.limits = maps.Clone(r.limits)
		}
		delete(r.limits, id)
		if g == gateProbe {
			r.probes = append(r.probes, id)
		}
	}
	return r
}

// bound lets no more than n files of a connector be claimed.
func (r *allowed) bound(id string, n int) {
	if r.most == nil {
		r.most = make(map[string]int)
	}
	if before, is := r.most[id]; is {
		n = min(n, before)
	}
	r.most[id] = n
}

// reservedPart says which part of a node's places is for connectors of which no file runs there.
const reservedPart = 8

// fewConnectors is up to how many connectors the last places are given to one each: that costs the Store a look at each of
// them. Of more, half of the last places go to those whose turn it is.
const fewConnectors = 100

// share divides the free places of a node between several connectors, and returns how many files to claim in one call.
//
// A connector that has as many files running here as places are free gets none, and one call takes half of the free places
// at most. So a flood for one partner leaves half of the places to others, floods for two a third, and so on, however
// long a file takes. The last places are for connectors of which no file runs, one each.
func (r *allowed) share(running map[string]int, free, reserved int) (n int) {
	left := max(0, free-reserved)
	for id, n := range running {
		r.bound(id, min(left, max(0, (free-n+1)/2)))
	}
	if left > 0 || reserved == 0 || len(r.limits) > fewConnectors {
		return (free + 1) / 2
	}
	for id := range r.limits {
		r.bound(id, 1)
	}
	return free
}

// busy returns how many files of each connector run here.
func (e *engine) busy() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.places)
}

// mayBegin is how many of n files the node's rate allows to be taken up.
func (e *engine) mayBegin(n int, now time.Time) int {
	if e.files == nil {
		return n
	}
	ready, _ := e.files.ready(now)
	return min(n, ready)
}

// nextPaid returns when a rate that is used up allows the next file. It is zero where none is.
func (e *engine) nextPaid(now time.Time) (first time.Time) {
	note := func(r *rate) {
		if r == nil {
			return
		}
		if _, at := r.ready(now); !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	note(e.files)
	for _, p := range e.partners.metered() {
		note(p.files)
	}
	return first
}

// take claims up to n files, starts to move them, and returns how many they are.
func (e *engine) take(ctx context.Context, n int, limits, most map[string]int, probe bool) int {
	asked := time.Now()
	call, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	claimed, err := e.store.Claim(call, store.ClaimRequest{Worker: e.cfg.Name, Max: n, Lease: e.cfg.Lease, Limits: limits, Most: most})
	if err != nil {
		if ctx.Err() == nil {
			e.cfg.Logger.Error("cannot claim files", "error", err)
		}
		return 0
	}
	for i := range claimed {
		p := e.partners.acquire(claimed[i].ConnectorID)
		observed, by := e.claimed(&claimed[i], p.info.URL)
		j := newJob(observed, &claimed[i], asked)
		j.partner, j.watched = p, by
		if probe {
			j.probe = j.partner.breaker.begin()
		}
		e.hub.started(&j.file.File)
		e.admit(j)
		if e.stopped() {
			j.giveBack()
		}
		e.hand(j)
	}
	return len(claimed)
}

// admit notes that a file runs.
func (e *engine) admit(j *job) {
	e.mu.Lock()
	e.running[j] = struct{}{}
	e.places[j.file.ConnectorID]++
	e.mu.Unlock()
	for _, r := range [...]*rate{e.files, j.partner.files} {
		if r != nil {
			r.spend()
		}
	}
}

// leave is called with mu locked, for a job that has ended.
func (e *engine) leave(j *job) {
	delete(e.running, j)
	if e.places[j.file.ConnectorID]--; e.places[j.file.ConnectorID] == 0 {
		delete(e.places, j.file.ConnectorID)
	}
}
