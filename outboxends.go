package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seed62b9dc43/transfer/store"
)

// conclude finds out which transfers have ended, and drops events that are done with.
func (d *delivering) conclude(ctx context.Context) {
	left := d.taken
	d.taken = nil
	slices.SortStableFunc(left, func(a, b store.Event) int { return cmp.Compare(a.TransferID, b.TransferID) })
	for len(left) > 0 {
		n := 1
		for n < len(left) && left[n].TransferID == left[0].TransferID {
			n++
		}
		if err := d.concludeTransfer(ctx, left[:n]); err != nil {
			d.failed(ctx, "look whether a transfer has ended", err)
			d.taken = append(d.taken, left[:n]...)
		}
		left = left[n:]
	}
	for len(d.finish) > 0 {
		n := min(len(d.finish), outboxBatch)
		call, cancel := context.WithTimeout(ctx, storeTimeout)
		err := d.engine.store.DropEvents(call, d.name, d.finish[:n])
		cancel()
		if err != nil {
			d.failed(ctx, "drop events that were delivered", err)
			return
		}
		for _, seq := range d.finish[:n] {
			delete(d.known, seq)
		}
		d.finish = d.finish[n:]
	}
}

// concludeTransfer deals with ends of files of one transfer that were taken. The last of them are not dropped before the
// end of the transfer was taken too: if this node dies, another one finds them and comes to the end again.
func (d *delivering) concludeTransfer(ctx context.Context, events []store.Event) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	id := events[0].TransferID
	last, err := false, error(nil)
	if d.open[id] == 0 {
		last, err = d.ends.ended(ctx, id)
	}
	if last && err == nil {
		last, err = d.areLast(ctx, id, len(events))
	}
	if err != nil {
		return err
	}
	if !last {
		for _, e := range events {
			d.drop(e.Seq)
		}
		return nil
	}
	key := lineKey{transfer: id}
	d.enqueue(key, store.Event{Kind: store.FileFinished, TransferID: id, At: events[len(events)-1].At})
	l := d.lines[key]
	l.events = append(l.events, events...)
	return nil
}

// areLast reports whether no end of a file of this transfer, all of whose files have ended, waits for its delivery besides n
// that were taken just now.
func (d *delivering) areLast(ctx context.Context, id string, n int) (bool, error) {
	t, err := d.engine.store.GetTransfer(ctx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, fmt.Errorf("get transfer %s: %w", id, err)
	}
	if err == nil && t.Files == n {
		return true, nil
	}
	for q := (store.EventQuery{Stream: d.name, TransferID: id, Limit: outboxBatch}); ; {
		events, err := d.engine.store.ListEvents(ctx, q)
		if err != nil {
			return false, fmt.Errorf("list events of transfer %s: %w", id, err)
		}
		if slices.ContainsFunc(events, func(e store.Event) bool { return e.Kind == store.FileFinished && !d.known[e.Seq] }) {
			return false, nil
		}
		if len(events) < q.Limit {
			return true, nil
		}
		q.After = events[len(events)-1].Seq
	}
}
