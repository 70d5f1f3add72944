package transfer

import (
	"context"
	"errors"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// sweepInterval is how often a node looks for what failed and cancelled files have left behind.
const sweepInterval = time.Minute

const sweepBatch = 100

// keepHouse removes what is left over, from storages and from the Store, until the node stops.
func (e *engine) keepHouse(ctx context.Context) {
	sweep, purge := time.NewTicker(sweepInterval), time.NewTicker(purgeInterval)
	defer sweep.Stop()
	defer purge.Stop()
	var later sweepTurns
	e.sweep(ctx, later.round(time.Now()))
	e.purge(ctx)
	e.warnOfSinks(ctx)
	for {
		select {
		case <-sweep.C:
			e.sweep(ctx, later.round(time.Now()))
		case <-purge.C:
			e.purge(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (e *engine) purge(ctx context.Context) {
	removed, err := purge(ctx, e.store, e.cfg.Retention)
	if err != nil && ctx.Err() == nil {
		e.cfg.Logger.Error("cannot purge old files", "error", err)
	}
	if removed > 0 {
		e.cfg.Logger.Info("old files purged", "files", removed)
	}
	for n := operationsPurgeOnce; err == nil && n == operationsPurgeOnce; {
		if n, err = e.store.PurgeOperations(ctx, operationsKept, operationsPurgeOnce); err != nil && ctx.Err() == nil {
			e.cfg.Logger.Error("cannot purge old operations", "error", err)
		}
	}
}

// sweep removes temporary files and uploads of finished files that could not be removed when they failed or were
// cancelled. They are ours alone: their names, or the ids of their uploads, are kept with the file; and a finished file is
// nobody's work any more. Several nodes may sweep at once.
func (e *engine) sweep(ctx context.Context, later *sweepTurns) {
	q := store.Query{Litter: true, Limit: sweepBatch}
	for ctx.Err() == nil {
		files, err := e.store.ListFiles(ctx, q)
		if err != nil {
			if ctx.Err() == nil {
				e.cfg.Logger.Error("cannot look for what is left behind", "error", err)
			}
			return
		}
		var swept []int64
		for i := range files {
			if e.sweepFile(ctx, &files[i], later) {
				swept = append(swept, files[i].ID)
			}
		}
		if len(swept) > 0 {
			if err := e.store.Swept(ctx, swept); err != nil && ctx.Err() == nil {
				e.cfg.Logger.Error("cannot note what was swept", "error", err)
			}
		}
		if len(files) < sweepBatch {
			return
		}
		q.After = q.CursorOf(&files[len(files)-1])
	}
}

// sweepFile reports whether nothing is left of what an attempt at f delivered.
func (e *engine) sweepFile(ctx context.Context, f *store.File, later *sweepTurns) (gone bool) {
	last := parseCheckpoint(f.Checkpoint)
	if !last.usable() {
		return true // nobody could find it
	}
	side := f.ConnectorID
	if f.Direction == store.Retrieve {
		side = "" // ours
	} else if known, deleted := e.partners.has(side); !known {
		return deleted // there is nobody to ask, and never will be
	} else if !e.partners.open(side, time.Now()) {
		return false
	}
	if !later.due(side) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
	defer cancel()
	ctx, end := e.cfg.observe(ctx, Activity{Kind: ActivitySweep, ConnectorID: f.ConnectorID, TransferID: f.TransferID})
	err := guarded(func() error { return e.removeLitter(ctx, f, &last) })
	end(err)
	if err != nil {
		later.failed(side)
		e.cfg.Logger.Warn("could not sweep what a file has left behind", "file", f.ID, "transfer", f.TransferID, "connector", f.ConnectorID, "target", f.TargetPath, "error", err)
		return false
	}
	later.succeeded(side)
	e.cfg.Logger.Info("swept what a file has left behind", "file", f.ID, "transfer", f.TransferID, "connector", f.ConnectorID, "target", f.TargetPath)
	return true
}

func (e *engine) removeLitter(ctx context.Context, f *store.File, last *checkpoint) error {
	if f.Direction == store.Retrieve {
		return discard(ctx, e.cfg.Storage, f, last)
	}
	p, probe := e.partners.acquire(f.ConnectorID), 0
	defer e.partners.release(p)
	b, gate := p.breaker, p.breaker.gate(time.Now())
	if p.conn == nil { // since a moment
		gate = gateShut
	}
	switch gate {
	case gateShut:
		return &Error{Op: "connect", Path: f.ConnectorID, Code: ConnectionError, Err: errors.New("the partner cannot be reached just now")}
	case gateProbe:
		probe = b.begin()
		defer b.end(probe)
	}
	remote := &session{engine: e, partner: p, probe: probe}
	defer func() { _ = remote.close() }()
	return discard(ctx, remote, f, last)
}

// sweepPatience is how long what cannot be removed is left alone at most.
const sweepPatience = time.Hour

// sweepTurns knows when to try again at a partner, or in our storage (""), where something could not be removed: after
// one minute, two, four, … an hour.
type sweepTurns struct {
	sides map[string]*sweepTurn
	now   time.Time // of the round
}

type sweepTurn struct {
	until time.Time
	wait  time.Duration
	since time.Time // the round that failed last
}

func (p *sweepTurns) round(now time.Time) *sweepTurns {
	if p.sides == nil {
		p.sides = make(map[string]*sweepTurn)
	}
	p.now = now
	return p
}

func (p *sweepTurns) due(side string) bool {
	s := p.sides[side]
	return s == nil || !p.now.Before(s.until)
}

// succeeded ends the side's waiting, unless something else failed in this round.
func (p *sweepTurns) succeeded(side string) {
	if s := p.sides[side]; s != nil && s.since != p.now {
		delete(p.sides, side)
	}
}

// failed puts the side's next turn off, once in a round.
func (p *sweepTurns) failed(side string) {
	s := p.sides[side]
	if s == nil {
		s = &sweepTurn{wait: sweepInterval / 2}
		p.sides[side] = s
	}
	if s.since == p.now {
		return
	}
	s.since, s.wait = p.now, min(2*s.wait, sweepPatience)
	s.until = p.now.Add(s.wait)
}
