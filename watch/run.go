package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// Limits of a plan, which is written before its transfers are started.
const (
	plannedFiles = 5000
	plannedBytes = 1 << 20 // of paths
)

// run is one run of a watch, or a selection.
type run struct {
	*flow
	w      *Watcher
	guard  Guard
	marker *marker
	held   *held
	state  *state
	once   bool   // of a selection: a path is started once
	follow string // the FollowID of all transfers; empty for their own
	actor  string // in whose name they are started, for the audit trail
	log    *slog.Logger

	soonest time.Duration // until a file that waits may be ready; 0: none waits for time
	refused error         // the last request that was
}

// do makes one run. What it started is in the state, also after an error.
func (r *run) do(ctx context.Context) error {
	r.state.LastRun = time.Now().UTC()
	if err := r.start(ctx); err != nil { // what was planned before a crash
		return err
	}
	s := &survey{flow: r.flow, guard: r.guard, marker: r.marker, log: r.log, known: r.state.known, once: r.once}
	if r.asksLedger() {
		s.ledger = r.w.store
	}
	if err := s.run(ctx, r.w.lister); err != nil {
		return err
	}
	files := s.ready(r.left())
	r.state.known, r.state.Last, r.soonest = s.next, s.counts, s.soonest
	if err := r.startAll(ctx, files); err != nil {
		return err
	}
	return r.refused
}

// left is how many files may be started in this run.
func (r *run) left() int {
	if r.once {
		return r.MaxFiles - int(min(r.state.Started, int64(r.MaxFiles)))
	}
	return r.MaxFiles
}

// startAll starts transfers, plan by plan.
func (r *run) startAll(ctx context.Context, files []candidate) error {
	for len(files) > 0 {
		n := fitting(files)
		r.plan(files[:n])
		if err := r.state.save(ctx, r.held); err != nil {
			return err
		}
		if err := r.start(ctx); err != nil {
			return err
		}
		files = files[n:]
	}
	return nil
}

// fitting is how many of the files make a plan.
func fitting(files []candidate) int {
	size := 0
	for i := range files[:min(len(files), plannedFiles)] {
		if size += len(files[i].rel); size > plannedBytes {
			return i
		}
	}
	return min(len(files), plannedFiles)
}

// plan notes the requests for some files, one for each directory that they go to, and that they were started.
func (r *run) plan(files []candidate) {
	most := plannedFiles
	if n := r.w.client.MaxPaths(); n > 0 {
		most = min(most, n)
	}
	open := make(map[string]*bundle)
	var bundles []*bundle
	for i := range files {
		f := &files[i]
		target, name := r.targetOf(f.rel), r.naming(path.Base(f.rel))
		b := open[target]
		if b == nil || len(b.paths) >= most || b.names[name] {
			b = &bundle{target: target, names: make(map[string]bool)}
			open[target] = b
			bundles = append(bundles, b)
		}
		b.names[name] = true
		b.paths = append(b.paths, r.requested(f.rel))
		r.state.known[f.path] = known{version: f.version, started: true}
	}
	for _, b := range bundles {
		r.state.Plan = append(r.state.Plan, r.requestOf(b))
	}
}

// bundle are files that go to one directory in one transfer.
type bundle struct {
	target string
	paths  []string
	names  map[string]bool // at the target: no two of one transfer have the same
}

func (r *run) requestOf(b *bundle) transfer.StartFileTransferInput {
	in := r.request(b.target)
	in.ClientToken, in.FollowID = r.state.token(), r.follow
	if r.Direction == store.Send {
		in.SendFilePaths = b.paths
	} else {
		in.RetrieveFilePaths = b.paths
	}
	return in
}

// start makes the requests of the plan, which was saved. One whose outcome is not known stays in the plan.
func (r *run) start(ctx context.Context) error {
	ctx = transfer.WithActor(ctx, r.actor)
	for len(r.state.Plan) > 0 {
		in := r.state.Plan[0]
		out, err := r.w.client.StartFileTransfer(ctx, &in)
		switch {
		case err == nil:
			r.state.note(out.TransferID, len(in.SendFilePaths)+len(in.RetrieveFilePaths))
		case isRefused(err):
			r.unmark(&in)
			r.refused = fmt.Errorf("start files: %w", err)
		default:
			return fmt.Errorf("start files: %w", err)
		}
		r.state.Plan = r.state.Plan[1:]
	}
	return nil
}

// isRefused reports whether a request was not stored, and never will be as it is.
func isRefused(err error) bool {
	return errors.As(err, new(*transfer.InvalidRequestException)) || errors.As(err, new(*transfer.ResourceNotFoundException))
}

// unmark forgets that the files of a request were started.
func (r *run) unmark(in *transfer.StartFileTransferInput) {
	for _, paths := range [...][]string{in.SendFilePaths, in.RetrieveFilePaths} {
		for _, p := range paths {
			delete(r.state.known, keyOf(p))
		}
	}
}
