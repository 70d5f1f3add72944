package transfer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/seed62b9dc43/transfer/store"
)

// SubscribeInput says which events of this Client come. Empty fields are no filter.
type SubscribeInput struct {
	// Types are those that come. Default: all. Progress comes about every Config.ProgressInterval for each running file.
	Types []EventType

	ConnectorID string
	TransferID  string
	FileID      int64

	// Buffer is how many events wait for the reader at most, of about 0.5 KB each, which are taken at once; further ones
	// are lost and counted. Default 256, at most 65,536.
	Buffer int
}

// Bounds of Subscribe.
const (
	defaultEventBuffer = 256
	maxEventBuffer     = 65_536
	maxSubscriptions   = 1000
)

// Subscription receives events; make one with Client.Subscribe. Its methods are safe for concurrent use.
type Subscription struct {
	hub    *hub
	in     SubscribeInput
	wants  uint32 // a set of types
	events chan Event
	lost   atomic.Int64

	mu     sync.Mutex // guards closed, and sending into events
	closed bool
}

// Subscribe tells of what this Client does while it does it: of the files that it moves, and of those that wait and are
// paused or cancelled by calls of its own. It never holds up the engine: an event for which there is no room is lost.
// So events are hints, for progress bars and for waking up early; the Store is the truth, and Config.Sinks are told at
// least once of what all Clients do. A hint may come twice, with the same ID, or may name a state that another user has
// overtaken. EventTransferFinished comes from the Client that ended the transfer's last file, if it was started.
//
// Close the Subscription when it is no longer needed. Without subscriptions, events cost nothing.
//
// Errors: InvalidRequestException with every wrong field; ThrottlingException for more than 1,000 subscriptions;
// ServiceUnavailableException after Shutdown.
func (c *Client) Subscribe(in SubscribeInput) (*Subscription, error) {
	var p problems
	wants := uint32(0)
	for i, t := range in.Types {
		bit := typeBit(t)
		if bit == 0 {
			p.add(fmt.Sprintf("Types[%d]", i), string(t), "is no type of events (use %q and the like)", EventFileCompleted)
		}
		wants |= bit
	}
	if len(in.Types) == 0 {
		wants = 1<<len(eventTypes) - 1
	}
	if in.Buffer < 0 || in.Buffer > maxEventBuffer {
		p.add("Buffer", fmt.Sprint(in.Buffer), "is out of range (use 1 to %d, or 0 for %d)", maxEventBuffer, defaultEventBuffer)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	in.Types = slices.Clone(in.Types)
	fill(&in.Buffer, defaultEventBuffer)
	s := &Subscription{hub: &c.engine.hub, in: in, wants: wants, events: make(chan Event, in.Buffer)}
	if err := c.engine.hub.add(s); err != nil {
		return nil, err
	}
	return s, nil
}

// typeBit is the type's place in a set; 0 for an unknown type.
func typeBit(t EventType) uint32 {
	if i := slices.Index(eventTypes, t); i >= 0 {
		return 1 << i
	}
	return 0
}

// Events returns the channel of events. It is closed by Close, and once the Client was shut down.
func (s *Subscription) Events() <-chan Event { return s.events }

// Lost returns how many events were lost so far because there was no room for them.
func (s *Subscription) Lost() int64 { return s.lost.Load() }

// Close ends the subscription and closes its channel; what waits there can still be read. Closing again does nothing.
func (s *Subscription) Close() {
	s.hub.remove(s)
	s.end()
}

func (s *Subscription) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.events)
	}
}

// offer hands an event over, if it is wanted and there is room.
func (s *Subscription) offer(e *Event, bit uint32) {
	if s.wants&bit == 0 || !s.matches(e) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	own := *e
	own.Metadata = maps.Clone(e.Metadata) // the reader may change it
	select {
	case s.events <- own:
	default:
		s.lost.Add(1)
	}
}

func (s *Subscription) matches(e *Event) bool {
	return (s.in.ConnectorID == "" || s.in.ConnectorID == e.ConnectorID) &&
		(s.in.TransferID == "" || s.in.TransferID == e.TransferID) &&
		(s.in.FileID == 0 || s.in.FileID == e.FileID)
}

// tellControlled tells subscriptions of a file that a user has paused or cancelled and that did not run. Of one that runs
// tells who moves it.
func (c *Client) tellControlled(ctx context.Context, id int64) {
	h := &c.engine.hub
	if !h.wants(EventFilePaused, EventFileCancelled, EventTransferFinished) {
		return
	}
	found, err := c.cfg.Store.ListFiles(ctx, store.Query{After: store.Cursor{ID: id - 1}, Limit: 1})
	if err == nil && len(found) == 1 && found[0].ID == id && (found[0].State == store.Paused || found[0].State == store.Cancelled) {
		h.file(&found[0])
	}
}
