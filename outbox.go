package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// Bounds of what is done for a sink.
const (
	outboxWindow   = 4000             // events that are read and not dropped yet
	outboxBatch    = 500              // events read, or dropped, in one call
	outboxAtOnce   = 8                // deliveries of one sink
	outboxAgain    = 10 * time.Second // after which the stream is read from its beginning again
	deliverTimeout = time.Minute      // one delivery
	lastDeliveries = 5 * time.Second  // for what is still to be delivered when the node stops
	redeliverFirst = time.Second
	redeliverLast  = 5 * time.Minute
)

// outboxes deliver events to the sinks, each on the one node that has its duty.
type outboxes struct {
	engine *engine
	last   chan struct{} // closed: no more events come from this node
	tasks  sync.WaitGroup
	cancel context.CancelFunc
}

// start begins to deliver. It ends at finish, or at once with ctx.
func (o *outboxes) start(ctx context.Context, e *engine) {
	o.engine, o.last = e, make(chan struct{})
	ctx, o.cancel = context.WithCancel(ctx)
	for _, name := range slices.Sorted(maps.Keys(e.cfg.Sinks)) {
		b := &outbox{
			engine: e, name: sinkPlace(name), sink: e.cfg.Sinks[name], last: o.last, progress: wantsProgress(e.cfg.Sinks[name]),
			log: e.cfg.Logger.With("sink", name),
		}
		o.tasks.Go(func() { b.run(ctx) })
	}
}

// finish returns once what can be delivered at once has been, or the time for that is over.
func (o *outboxes) finish() {
	close(o.last)
	late := time.AfterFunc(lastDeliveries, o.cancel)
	o.tasks.Wait()
	late.Stop()
	o.cancel()
}

// sinkPrefix is that of the names of all sinks' streams and duties.
const sinkPrefix = "sink/"

// sinkPlace names a sink's stream and its duty. None is the beginning of another one's.
func sinkPlace(name string) string { return sinkPrefix + name + "/" }

// outbox delivers the events of one sink.
type outbox struct {
	engine   *engine
	name     string // of its stream and its duty
	sink     EventSink
	progress bool // the sink wants that too
	last     <-chan struct{}
	log      *slog.Logger
}

// run waits for the duty again and again, and does it.
func (b *outbox) run(ctx context.Context) {
	changed := b.engine.store.Watch(ctx, store.DutiesChanged)
	poll := time.NewTicker(max(b.engine.cfg.PollInterval, b.engine.cfg.Lease/3))
	defer poll.Stop()
	for {
		if duty, ok := b.claim(ctx); ok {
			b.deliver(ctx, duty)
		}
		select {
		case <-b.last:
			return
		case <-ctx.Done():
			return
		case <-changed:
		case <-poll.C:
		}
	}
}

func (b *outbox) claim(ctx context.Context) (store.Duty, bool) {
	if isClosed(b.last) {
		return store.Duty{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	duties, err := b.engine.store.ClaimDuties(ctx, store.DutyRequest{Worker: b.engine.cfg.Name, Prefix: b.name, Max: 1, Lease: b.engine.cfg.Lease})
	if err != nil && ctx.Err() == nil {
		b.log.Error("cannot ask for the duty to deliver events", "error", err)
	}
	if err != nil || len(duties) == 0 {
		return store.Duty{}, false
	}
	return duties[0], true
}

// outboxState is what the duty keeps: how the sink does, for whoever asks, on whatever node.
type outboxState struct {
	Delivered   int64     `json:"delivered,omitempty"` // events
	LastError   string    `json:"lastError,omitempty"`
	LastErrorAt time.Time `json:"lastErrorAt,omitzero"`
	LastTakenAt time.Time `json:"lastTakenAt,omitzero"`
}

// deliver delivers events until the duty is another node's, or the node stops.
func (b *outbox) deliver(ctx context.Context, duty store.Duty) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &delivering{
		outbox: b, duty: duty, renewed: time.Now(), renewal: time.Now().Add(b.engine.cfg.Lease / 3), known: make(map[int64]bool), lines: make(map[lineKey]*line), open: make(map[string]int),
		results: make(chan result, outboxAtOnce), ends: transferEnds{store: b.engine.store},
	}
	_ = json.Unmarshal(duty.State, &d.state) // one that cannot be read counts from zero
	b.log.Debug("delivers events")
	d.run(ctx)
	cancel()
	d.workers.Wait()
	d.giveUp()
}

// delivering is one node's work for one sink. One goroutine decides (run); others call the sink.
type delivering struct {
	*outbox
	duty    store.Duty
	state   outboxState
	renewed time.Time // when the duty was extended last
	renewal time.Time // when to extend it
	lost    bool      // it is another node's
	workers sync.WaitGroup
	results chan result // has room for all
	ends    transferEnds

	after int64          // the last event that was read
	more  bool           // there may be more behind it
	begun time.Time      // when the stream was read from its beginning
	known map[int64]bool // by Seq: events that were read and not dropped; true: taken

	open    map[string]int // by transfer: ends of its files that were read and not taken
	lines   map[lineKey]*line
	ready   []*line // those whose first event can be delivered, in turns
	waiting []*line // those that failed, by the time when they are due
	busy    int     // deliveries under way
	failing int     // deliveries that failed in a row
	quiet   time.Time

	taken  []store.Event // ends of files, taken, of which it is to be found out whether they end a transfer
	finish []int64       // to be dropped
}

// run goes on until the duty is lost, ctx ends, or nothing is left to be done at the node's end.
func (d *delivering) run(ctx context.Context) {
	appended := d.engine.store.Watch(ctx, store.EventsAppended)
	last := d.last
	d.more = true
	for {
		d.read(ctx)
		d.conclude(ctx)
		d.renew(ctx) // last: the calls to the Store may have taken long
		if ctx.Err() != nil || d.lost {
			return
		}
		d.launch(ctx)
		if last == nil && d.idle() {
			return
		}
		timer := time.NewTimer(d.pause())
		select {
		case r := <-d.results:
			d.settle(r)
			for len(d.results) > 0 {
				d.settle(<-d.results)
			}
		case <-appended:
			d.more = true
		case <-timer.C:
			d.more = true
		case <-last:
			last, d.more = nil, true
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// idle reports whether there is nothing to be done just now.
func (d *delivering) idle() bool {
	return d.busy == 0 && len(d.taken)+len(d.finish) == 0 && (len(d.ready) == 0 || !d.mayCall(time.Now()))
}

// pause is how long to wait for something to happen.
func (d *delivering) pause() time.Duration {
	now := time.Now()
	wait := min(d.engine.cfg.PollInterval, d.renewal.Sub(now))
	if len(d.waiting) > 0 {
		wait = min(wait, d.waiting[0].due.Sub(now))
	}
	return max(wait, time.Millisecond)
}

// renew keeps the duty. A node that cannot reach the Store goes on until the duty may be another's.
func (d *delivering) renew(ctx context.Context) {
	lease, asked := d.engine.cfg.Lease, time.Now()
	if asked.Before(d.renewal) && age(d.renewed) < lease {
		return
	}
	d.renewal = asked.Add(storeRetryFirst)
	switch err := d.update(ctx, lease); {
	case err == nil:
		d.renewed, d.renewal = asked, asked.Add(lease/3)
	case errors.Is(err, store.ErrLeaseLost) || age(d.renewed) > lease:
		d.lost = true
		d.log.Warn("another node delivers events from now on", "error", err)
	}
}

// giveUp lets another node have the duty at once.
func (d *delivering) giveUp() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.engine.cut), storeTimeout)
	defer cancel()
	for len(d.results) > 0 {
		d.settle(<-d.results)
	}
	if d.lost {
		return
	}
	d.conclude(ctx)
	if err := d.update(ctx, 0); err != nil && !errors.Is(err, store.ErrLeaseLost) && !errors.Is(err, store.ErrClosed) {
		d.log.Warn("cannot give the duty to deliver events up; others have it after its lease", "error", err)
	}
}

func (d *delivering) update(ctx context.Context, lease time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	d.duty.State, _ = json.Marshal(d.state) // numbers, times and valid UTF-8
	d.duty.DueAt = time.Time{}
	return d.engine.store.UpdateDuty(ctx, d.duty, lease)
}

// failed logs a failure of the Store, after which the same is tried again at the next turn.
func (d *delivering) failed(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		d.log.Error("cannot deliver events", "doing", what, "error", err)
	}
}
