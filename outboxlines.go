package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// line is what is to be delivered about one file, in order, or that a transfer has ended.
type line struct {
	key      lineKey
	events   []store.Event
	made     *Event // of the first of them
	failures int    // deliveries of the first one that failed
	flying   bool   // it is being delivered
	due      time.Time
}

// lineKey is what a line is about.
type lineKey struct {
	transfer string
	file     int64 // 0: that the transfer has ended
}

// result is how a delivery went.
type result struct {
	line  *line
	made  *Event        // what it tried to deliver, if it came so far
	err   error         // nil: it was taken
	text  string        // of err
	alone time.Duration // that the sink wants to be left alone
}

// errNoAnswer is what becomes of a delivery whose sink has ended the goroutine.
var errNoAnswer = errors.New("the sink did not return")

// fail says why an event was not taken. The error is the sink's, so that this may panic.
func (r *result) fail(err error) error {
	r.err = err
	r.text, r.alone = printable(err.Error()), leftAlone(err)
	return nil
}

// read takes in new events, as long as there is room for a whole batch.
func (d *delivering) read(ctx context.Context) {
	if d.hasRoom() && (len(d.known) == 0 || time.Since(d.begun) > outboxAgain) { // some may have become visible late
		d.after, d.begun = 0, time.Now()
	}
	for d.more && d.hasRoom() && ctx.Err() == nil {
		call, cancel := context.WithTimeout(ctx, storeTimeout)
		events, err := d.engine.store.ListEvents(call, store.EventQuery{Stream: d.name, After: d.after, Limit: outboxBatch})
		cancel()
		if err != nil {
			d.failed(ctx, "read events", err)
			return
		}
		d.more = len(events) == outboxBatch
		for _, e := range events {
			d.after = e.Seq
			d.add(e)
		}
	}
}

func (d *delivering) hasRoom() bool { return len(d.known) <= outboxWindow-outboxBatch }

// add takes an event in that was not read before.
func (d *delivering) add(e store.Event) {
	if _, known := d.known[e.Seq]; known {
		return
	}
	d.known[e.Seq] = false
	if e.Kind == store.Noted || e.Kind == store.FileProgressed && !d.progress {
		d.drop(e.Seq)
		return
	}
	if e.Kind == store.FileFinished {
		d.open[e.TransferID]++
	}
	d.enqueue(lineKey{e.TransferID, e.FileID}, e)
}

func (d *delivering) enqueue(key lineKey, e store.Event) {
	l := d.lines[key]
	if l == nil {
		l = &line{key: key}
		d.lines[key] = l
		d.ready = append(d.ready, l)
	}
	l.events = append(l.events, e)
	if n := len(l.events); n > 2 || n == 2 && !l.flying {
		d.pass(l, n-2)
	}
}

// drop has an event removed from the Store with the next ones.
func (d *delivering) drop(seq int64) {
	d.known[seq] = true
	d.finish = append(d.finish, seq)
}

// launch begins deliveries. A sink that takes nothing is called by one at a time. As long as something that was taken is not
// dropped, nothing that follows is delivered: if this node dies, another would go back in the order. Nor is anything as long
// as the duty may be another node's.
func (d *delivering) launch(ctx context.Context) {
	now := time.Now()
	for len(d.waiting) > 0 && !d.waiting[0].due.After(now) {
		d.ready = append(d.ready, d.waiting[0])
		d.waiting = d.waiting[1:]
	}
	if len(d.finish) > 0 || age(d.renewed) >= d.engine.cfg.Lease {
		return
	}
	for len(d.ready) > 0 && d.busy < outboxAtOnce && d.mayCall(now) && ctx.Err() == nil {
		l := d.ready[0]
		d.ready = d.ready[1:]
		if len(l.events) > 1 {
			d.pass(l, 0)
		}
		l.flying = true
		d.busy++
		first, made := l.events[0], l.made
		d.workers.Go(func() { d.tryOne(ctx, l, first, made) })
	}
}

// tryOne delivers one event and hands in how that went, whatever the sink does.
func (d *delivering) tryOne(ctx context.Context, l *line, first store.Event, made *Event) {
	r := result{line: l, made: made, err: errNoAnswer, text: errNoAnswer.Error()}
	defer func() { d.results <- r }()
	bad := guarded(func() (err error) {
		if r.made, err = d.call(ctx, first, made); err != nil {
			return r.fail(err)
		}
		r.err = nil
		return nil
	})
	if bad != nil {
		_ = r.fail(bad)
	}
}

// mayCall reports whether the sink may be called now.
func (d *delivering) mayCall(now time.Time) bool {
	return !now.Before(d.quiet) && (d.failing < outboxAtOnce || d.busy == 0)
}

// pass leaves the event at this place out if it is progress, which the next one has overtaken.
func (d *delivering) pass(l *line, at int) {
	if l.events[at].Kind != store.FileProgressed {
		return
	}
	d.drop(l.events[at].Seq)
	l.events = slices.Delete(l.events, at, at+1)
	if at > 0 {
		return
	}
	l.made = nil
	if l.events[0].Kind != store.FileProgressed {
		l.failures = 0
	}
}

// call delivers one event.
func (d *delivering) call(ctx context.Context, e store.Event, made *Event) (*Event, error) {
	ctx, cancel := context.WithTimeout(ctx, deliverTimeout)
	defer cancel()
	if made == nil {
		event, err := d.make(ctx, e)
		if err != nil {
			return nil, err
		}
		made = &event
	}
	own := *made
	own.Metadata = maps.Clone(made.Metadata) // the sink may change it
	return made, d.sink.Deliver(ctx, own)
}

// make returns the event with what the Store knows of its file or transfer.
func (d *delivering) make(ctx context.Context, e store.Event) (Event, error) {
	if e.FileID == 0 {
		event, err := transferEvent(ctx, d.engine.store, e.TransferID)
		if event.Time.IsZero() {
			event.Time = e.At
		}
		return event, err
	}
	found, err := d.engine.store.ListFiles(ctx, store.Query{After: store.Cursor{ID: e.FileID - 1}, Limit: 1})
	if err != nil {
		return Event{}, fmt.Errorf("get file %d: %w", e.FileID, err)
	}
	if len(found) == 0 || found[0].ID != e.FileID {
		return purgedEvent(e), nil
	}
	f := found[0]
	if e.Kind == store.FileProgressed { // the row has gone on
		f.Failure, f.SHA256, f.FinishedAt = store.Failure{}, nil, time.Time{}
	}
	f.State, f.Offset, f.Size, f.UpdatedAt = e.State, e.Offset, e.Size, e.At
	event := fileEvent(&f)
	event.Seq = e.Seq
	return event, nil
}

// purgedEvent is what is known of a file whose row is gone.
func purgedEvent(e store.Event) Event {
	f := store.File{ID: e.FileID, TransferID: e.TransferID, State: e.State, UpdatedAt: e.At}
	f.Offset, f.Size = e.Offset, e.Size
	if e.State.Final() {
		f.FinishedAt = e.At
	}
	if e.State == store.Cancelled {
		f.Failure = store.CancelledFailure
	}
	var n fileNote
	known := json.Unmarshal(e.Note, &n) == nil
	if known {
		n.restore(&f)
	}
	event := fileEvent(&f)
	event.Seq, event.Purged = e.Seq, true
	if !known {
		event.Operation = ""
	}
	return event
}

// settle takes in how a delivery went.
func (d *delivering) settle(r result) {
	d.busy--
	l := r.line
	l.made, l.flying = r.made, false
	if r.err != nil {
		d.putOff(l, &r)
		return
	}
	d.failing = 0
	d.state.Delivered++
	d.state.LastTakenAt = time.Now().UTC()
	e := l.events[0]
	l.events, l.made, l.failures = l.events[1:], nil, 0
	switch {
	case l.key.file == 0:
		d.finish = append(d.finish, seqsOf(l.events)...) // the files' events that were held until now
		l.events = nil
	case e.Kind == store.FileFinished:
		d.known[e.Seq] = true
		d.taken = append(d.taken, e)
		if d.open[e.TransferID]--; d.open[e.TransferID] == 0 {
			delete(d.open, e.TransferID)
		}
	default:
		d.drop(e.Seq)
	}
	if len(l.events) == 0 {
		delete(d.lines, l.key)
		return
	}
	d.ready = append(d.ready, l)
}

// putOff has an event delivered again, later.
func (d *delivering) putOff(l *line, r *result) {
	d.failing++
	now := time.Now()
	d.state.LastError, d.state.LastErrorAt = r.text, now.UTC()
	l.failures++
	l.due = now.Add(redeliveryDelay(l.failures))
	if r.alone > 0 {
		d.quiet = now.Add(r.alone)
		l.due = d.quiet
	}
	i, _ := slices.BinarySearchFunc(d.waiting, l.due, func(l *line, due time.Time) int { return l.due.Compare(due) })
	d.waiting = slices.Insert(d.waiting, i, l)
	d.log.Warn("event was not taken", "transfer", l.key.transfer, "file", l.key.file, "failures", l.failures, "again", l.due.Sub(now), "error", r.text)
}

// redeliveryDelay doubles from one second to five minutes, with jitter: between half of that and all.
func redeliveryDelay(failures int) time.Duration {
	full := redeliverFirst << min(failures-1, 20)
	full = min(full, redeliverLast)
	return full/2 + rand.N(full/2+1)
}

func seqsOf(events []store.Event) []int64 {
	seqs := make([]int64, len(events))
	for i, e := range events {
		seqs[i] = e.Seq
	}
	return seqs
}
