package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// EnsureSinks makes the Store keep events for Config.Sinks, and the trail of Config.Audit, from now on, whoever moves the
// files: an event is kept in the same step in which its file is written. Start does so too. What ends before the first
// Client of all that has a sink was started, or has called EnsureSinks, is not told to it.
//
// Errors: ServiceUnavailableException when the Store failed.
func (c *Client) EnsureSinks(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(c.cfg.Sinks)) {
		stream := store.Stream{Name: sinkPlace(name), Kinds: []store.EventKind{store.FileFinished}}
		if wantsProgress(c.cfg.Sinks[name]) {
			stream.Kinds = append(stream.Kinds, store.FileProgressed)
		}
		if err := c.cfg.Store.OpenStream(ctx, stream); err != nil {
			return storeFailure("open the stream of sink "+name, err)
		}
		if err := c.cfg.Store.CreateDuty(ctx, store.Duty{Name: stream.Name}); err != nil && !errors.Is(err, store.ErrExists) {
			return storeFailure("create the duty of sink "+name, err)
		}
	}
	if c.cfg.Audit {
		if err := openTrail(ctx, c.cfg.Store); err != nil {
			return storeFailure("open the audit trail", err)
		}
	}
	return nil
}

// SinkStatus tells how delivering to a sink goes, on whatever node.
type SinkStatus struct {
	Name       string
	Configured bool      // it is one of this Client's Config.Sinks
	Pending    int64     // events that the Store keeps for it
	Oldest     time.Time // when the first of them happened; zero if there are none
	Node       string    // the Client that has the duty to deliver; empty if none has; one that has died keeps it for Config.Lease

	// The fields below are those of a moment ago: up to a third of Config.Lease.
	Delivered   int64     // events, since the sink was first known; after a crash some are not counted
	LastTakenAt time.Time // when the sink has taken an event last
	LastError   string    // why an event was not taken, the last time that happened
	LastErrorAt time.Time
}

// SinkStatus returns how delivering goes, to the sinks of all Clients over this Store, in the order of their names.
// Events may be counted one by one: ask every few seconds at most where thousands are pending.
//
// Errors: ServiceUnavailableException when the Store failed.
func (c *Client) SinkStatus(ctx context.Context) ([]SinkStatus, error) {
	names, err := knownSinks(ctx, c.cfg.Store)
	if err != nil {
		return nil, err
	}
	duties, err := c.cfg.Store.ListDuties(ctx, store.DutyQuery{Prefix: sinkPrefix})
	if err != nil {
		return nil, storeFailure("list the duties of sinks", err)
	}
	all := make([]SinkStatus, len(names))
	for i, name := range names {
		s := &all[i]
		s.Name = name
		_, s.Configured = c.cfg.Sinks[name]
		if s.Pending, err = c.cfg.Store.CountEvents(ctx, sinkPlace(name)); err != nil {
			return nil, storeFailure("count events of sink "+name, err)
		}
		oldest, err := c.cfg.Store.ListEvents(ctx, store.EventQuery{Stream: sinkPlace(name), Limit: 1})
		if err != nil {
			return nil, storeFailure("list events of sink "+name, err)
		}
		if len(oldest) > 0 {
			s.Oldest = oldest[0].At
		}
		if i := slices.IndexFunc(duties, func(d store.Duty) bool { return d.Name == sinkPlace(name) }); i >= 0 {
			s.read(&duties[i])
		}
	}
	return all, nil
}

func (s *SinkStatus) read(d *store.Duty) {
	var state outboxState
	_ = json.Unmarshal(d.State, &state) // one that cannot be read says nothing
	s.Node, s.Delivered, s.LastTakenAt, s.LastError, s.LastErrorAt = d.Worker, state.Delivered, state.LastTakenAt, state.LastError, state.LastErrorAt
}

// knownSinks returns the names of all sinks that the Store keeps events for.
func knownSinks(ctx context.Context, st store.Store) ([]string, error) {
	streams, err := st.ListStreams(ctx)
	if err != nil {
		return nil, storeFailure("list streams", err)
	}
	var names []string
	for _, s := range streams {
		if name, ok := strings.CutPrefix(s.Name, sinkPrefix); ok {
			names = append(names, strings.TrimSuffix(name, "/"))
		}
	}
	return names, nil
}

// RemoveSink removes a sink that no Client has in its Config.Sinks any more, with all events that it was not told of. As
// long as that is not done the Store keeps events for it, more and more.
//
// Errors: InvalidRequestException for one of this Client's Config.Sinks, ResourceNotFoundException for an unknown one,
// ServiceUnavailableException when the Store failed.
func (c *Client) RemoveSink(ctx context.Context, name string) error {
	var p problems
	if _, is := c.cfg.Sinks[name]; is {
		p.add("Name", name, "is one of Config.Sinks (remove it there first, for all Clients)")
	}
	p.text("Name", name, 1, maxSinkName)
	if err := p.err(); err != nil {
		return err
	}
	if err := c.audit(ctx, AuditRemoveSink, AuditAsked{Sink: name}); err != nil {
		return err
	}
	err := c.cfg.Store.CloseStream(ctx, sinkPlace(name))
	if errors.Is(err, store.ErrNotFound) {
		return &ResourceNotFoundException{Message: fmt.Sprintf("sink %q is not known", name), Resource: name, ResourceType: "Sink"}
	}
	if err != nil {
		return storeFailure("close the stream of sink "+name, err)
	}
	if err := c.cfg.Store.DeleteDuty(ctx, sinkPlace(name), 0); err != nil && !errors.Is(err, store.ErrNotFound) {
		return storeFailure("delete the duty of sink "+name, err)
	}
	c.cfg.Logger.Info("sink removed", "sink", name)
	return nil
}

// warnOfSinks logs which sinks nobody may deliver to any more.
func (e *engine) warnOfSinks(ctx context.Context) {
	names, err := knownSinks(ctx, e.store)
	if err != nil && ctx.Err() == nil {
		e.cfg.Logger.Warn("cannot look for sinks of other clients", "error", err)
	}
	for _, name := range names {
		if _, known := e.cfg.Sinks[name]; known {
			continue
		}
		pending, err := e.store.CountEvents(ctx, sinkPlace(name))
		e.cfg.Logger.Warn("events are kept for a sink that this client does not have (if no client has it any more, call RemoveSink)",
			"sink", name, "pending", pending, "error", err)
	}
}
