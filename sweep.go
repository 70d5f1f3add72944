package transfer

import (
	"context"
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
	e.sweep(ctx)
	e.purge(ctx)
	for {
		select {
		case <-sweep.C:
			e.sweep(ctx)
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
}

// sweep removes temporary files and uploads of finished files that could not be removed when they failed or were
// cancelled. They are ours alone: their names, or the ids of their uploads, are kept with the file; and a finished file is
// nobody's work any more. Several nodes may sweep at once.
func (e *engine) sweep(ctx context.Context) {
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
			if e.sweepFile(ctx, &files[i]) {
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
func (e *engine) sweepFile(ctx context.Context, f *store.File) (gone bool) {
	last := parseCheckpoint(f.Checkpoint)
	if !last.usable() {
		return true // nobody could find it
	}
	if _, ours := e.cfg.Connectors[f.ConnectorID]; !ours {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
	defer cancel()
	err := guarded(func() error { return e.removeLitter(ctx, f, &last) })
	if err != nil {
		e.cfg.Logger.Debug("could not sweep", "file", f.ID, "target", f.TargetPath, "error", err)
		return false
	}
	e.cfg.Logger.Info("swept what a file has left behind", "file", f.ID, "transfer", f.TransferID, "target", f.TargetPath)
	return true
}

func (e *engine) removeLitter(ctx context.Context, f *store.File, last *checkpoint) error {
	if f.Direction == store.Retrieve {
		return discard(ctx, e.cfg.Storage, f, last, false)
	}
	b := e.breakers[f.ConnectorID]
	switch b.gate(time.Now()) {
	case gateShut:
		return &Error{Op: "connect", Path: f.ConnectorID, Code: ConnectionError}
	case gateProbe:
		b.probe()
		defer b.end()
	}
	remote := e.session(f.ConnectorID)
	defer func() { _ = remote.close() }()
	if err := remote.connect(ctx); err != nil {
		return err
	}
	if remote.features().InPlace {
		return nil // another file may have taken its place
	}
	return discard(ctx, remote, f, last, false)
}
