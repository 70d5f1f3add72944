package transfer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// hub hands the events of this node to its subscriptions.
type hub struct {
	engine *engine
	wanted atomic.Uint32 // the types that any subscription wants
	check  chan struct{} // hint: files of transfers have ended
	last   chan struct{} // closed: no more events come

	mu    sync.Mutex // guards the fields below, and the order of events
	subs  []*Subscription
	seq   int64
	ended map[string]struct{} // transfers of which a file has ended
	over  bool
}

// maxEndedTransfers is how many transfers may wait to be looked at; of others the subscriptions lose the event.
const maxEndedTransfers = 10_000

func (h *hub) init(e *engine) {
	h.engine, h.check, h.last = e, make(chan struct{}, 1), make(chan struct{})
	h.ended = make(map[string]struct{})
}

func (h *hub) add(s *Subscription) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.over:
		return &ServiceUnavailableException{Message: "the client was shut down"}
	case len(h.subs) >= maxSubscriptions:
		return &ThrottlingException{Message: fmt.Sprintf("Exceeded maximum subscriptions (%d)", maxSubscriptions)}
	}
	h.subs = append(h.subs, s)
	h.count()
	return nil
}

func (h *hub) remove(s *Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subs = slices.DeleteFunc(h.subs, func(other *Subscription) bool { return other == s })
	h.count()
}

// count is called with mu locked.
func (h *hub) count() {
	all := uint32(0)
	for _, s := range h.subs {
		all |= s.wants
	}
	h.wanted.Store(all)
}

// wants reports whether there is anybody to tell of events of any of these types.
func (h *hub) wants(types ...EventType) bool {
	all := h.wanted.Load()
	return all != 0 && slices.ContainsFunc(types, func(t EventType) bool { return all&typeBit(t) != 0 })
}

// publish hands an event to whoever wants it.
func (h *hub) publish(e Event) {
	bit := typeBit(e.Type)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq++
	e.Seq = h.seq
	for _, s := range h.subs {
		s.offer(&e, bit)
	}
}

// started tells that an attempt at a file begins.
func (h *hub) started(f *store.File) {
	if !h.wants(EventFileStarted) {
		return
	}
	e := fileEvent(f)
	e.Type = EventFileStarted
	e.ID = eventID(fmt.Sprintf("%s started %d", fileEventName(f.TransferID, f.ID), f.Token))
	h.publish(e)
}

// recorded tells of what was written of a job. Only the goroutine that writes to the Store calls it.
func (h *hub) recorded(j *job, c *store.Change) {
	if h.wanted.Load() == 0 || c.State == store.Running && c.Offset == j.told {
		return
	}
	j.told = c.Offset
	f := j.file.File
	f.Progress, f.Failure, f.State, f.UpdatedAt = c.Progress, c.Failure, c.State, time.Now().UTC()
	if c.State == store.Waiting || c.State == store.Interrupted {
		switch {
		case j.isWanted(store.Cancelled):
			f.State, f.Failure = store.Cancelled, store.CancelledFailure
		case j.isWanted(store.Paused):
			f.State = store.Paused
		}
		f.ReadyAt = f.UpdatedAt.Add(c.Delay)
	}
	if f.State.Final() {
		f.FinishedAt = f.UpdatedAt
	}
	h.file(&f)
}

// file tells of a file as it is now.
func (h *hub) file(f *store.File) {
	if t := stateEvents[f.State]; h.wants(t) {
		h.publish(fileEvent(f))
	}
	if f.State.Final() && h.wants(EventTransferFinished) {
		h.endOf(f.TransferID)
	}
}

// endOf has somebody look whether the transfer has ended.
func (h *hub) endOf(transferID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.ended) >= maxEndedTransfers {
		h.lose()
		return
	}
	h.ended[transferID] = struct{}{}
	hint(h.check)
}

// lose counts an EventTransferFinished that cannot be told. It is called with mu locked.
func (h *hub) lose() {
	for _, s := range h.subs {
		if s.wants&typeBit(EventTransferFinished) != 0 {
			s.lost.Add(1)
		}
	}
}

// followTransfers tells of transfers that have ended, until no more events come.
func (h *hub) followTransfers(ctx context.Context) {
	ends := transferEnds{store: h.engine.store}
	for more := true; more; {
		select {
		case <-h.check:
		case <-h.last:
			more = false
		}
		for _, id := range h.take() {
			if err := h.tellEnd(ctx, &ends, id); err != nil {
				h.mu.Lock()
				h.lose()
				h.mu.Unlock()
				h.engine.cfg.Logger.Debug("cannot tell whether a transfer has ended", "transfer", id, "error", err)
			}
		}
	}
}

// take returns the transfers that are to be looked at.
func (h *hub) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := slices.Collect(maps.Keys(h.ended))
	clear(h.ended)
	return ids
}

func (h *hub) tellEnd(ctx context.Context, ends *transferEnds, id string) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	ended, err := ends.ended(ctx, id)
	if err != nil || !ended {
		return err
	}
	e, err := transferEvent(ctx, h.engine.store, id)
	if err == nil {
		h.publish(e)
	}
	return err
}

// close ends all subscriptions.
func (h *hub) close() {
	h.mu.Lock()
	subs := h.subs
	h.subs, h.over = nil, true
	h.count()
	h.mu.Unlock()
	for _, s := range subs {
		s.end()
	}
}
