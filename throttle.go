package transfer

import (
	"context"
	"errors"
	"time"
)

const (
	smallestPiece = 512
	// wholePackets is what larger pieces are multiples of: requests to SFTP servers are of so many bytes.
	wholePackets = 32 << 10
	// stopWithin is how long a file that shall stop may take to come to a window's end.
	stopWithin = 2 * time.Second
)

// throttle keeps one file within rates. It stands between the copy loop and the partner's side, reads in pieces that are small
// enough to come evenly, and sends windows that are.
type throttle struct {
	rates  []*rate
	least  float64         // bytes per second, of the lowest rate
	piece  int             // bytes
	window int64           // bytes, of a file that is written in windows of the usual size
	stop   <-chan struct{} // of the job
	turn   chan struct{}   // has a token while one piece waits: each file has one place among those that share a rate
	end    time.Time       // when the file that shall stop stops at the latest; whoever has the turn may use it
}

// newThrottle returns nil if none of the rates is a limit.
func newThrottle(window int64, stop <-chan struct{}, rates ...*rate) *throttle {
	var t *throttle
	for _, r := range rates {
		switch {
		case r == nil:
			continue
		case t == nil:
			t = &throttle{window: window, stop: stop, turn: make(chan struct{}, 1), least: r.now()}
		}
		t.least = min(t.least, r.now())
		t.rates = append(t.rates, r)
	}
	if t != nil {
		t.piece = pieceFor(t.least)
	}
	return t
}

// pieceFor is what a rate gives in the time of its credit.
func pieceFor(perSecond float64) int {
	piece := int(min(perSecond*credit.Seconds(), maxWindowSize))
	if piece > wholePackets {
		return piece / wholePackets * wholePackets
	}
	return max(smallestPiece, piece)
}

// slow reports whether n bytes take longer than a file that shall stop has.
func (t *throttle) slow(n int64) bool { return float64(n) > stopWithin.Seconds()*t.least }

// wait returns once n more bytes may move.
func (t *throttle) wait(ctx context.Context, n int) error {
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-t.turn }()
	now := time.Now()
	due := now
	for _, r := range t.rates {
		if paid := r.take(now, n); paid.After(due) {
			due = paid
		}
	}
	err := t.sleep(ctx, due)
	if err != nil {
		for _, r := range t.rates {
			r.giveBack(n)
		}
	}
	return err
}

// sleep returns when due has come. A file that shall stop does not wait for what comes too late. The caller has the turn.
func (t *throttle) sleep(ctx context.Context, due time.Time) error {
	if isClosed(t.stop) {
		return t.hurry(ctx, due)
	}
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-t.stop:
		return t.hurry(ctx, due)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hurry is sleep for a file that shall stop.
func (t *throttle) hurry(ctx context.Context, due time.Time) error {
	if t.end.IsZero() {
		t.end = time.Now().Add(stopWithin)
	}
	if due.After(t.end) || time.Now().After(t.end) {
		return errStopped
	}
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// source throttles what is read from a partner.
func (t *throttle) source(s Source, err error) (Source, error) {
	if t == nil || err != nil {
		return s, err
	}
	return throttledSource{s, t}, nil
}

// sink throttles what is written to a partner.
func (t *throttle) sink(s Sink, err error) (Sink, error) {
	if t == nil || err != nil {
		return s, err
	}
	return throttledSink{s, t}, nil
}

type throttledSource struct {
	Source
	throttle *throttle
}

// Concurrency is 1 where one window after the other is enough, so that each is whole sooner.
func (s throttledSource) Concurrency() int {
	if s.throttle.slow(s.throttle.window) {
		return 1
	}
	return s.Source.Concurrency()
}

func (s throttledSource) ReadWindow(ctx context.Context, p []byte, off int64) error {
	for {
		n := min(len(p), s.throttle.piece)
		if err := s.throttle.wait(ctx, n); err != nil {
			return err
		}
		if err := s.Source.ReadWindow(ctx, p[:n], off); err != nil || n == len(p) {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
}

type throttledSink struct {
	Sink
	throttle *throttle
}

func (s throttledSink) WriteWindow(ctx context.Context, p []byte, off int64) error {
	if err := s.throttle.wait(ctx, len(p)); err != nil {
		return err
	}
	return s.Sink.WriteWindow(ctx, p, off)
}

// outsideWindow is why a partner is not contacted just now.
func outsideWindow(id string, s schedule, now time.Time) error {
	why := errors.New("none of its time windows (Limits.Open) meets another that must be open too")
	if opening, ok := s.next(now); ok {
		why = errors.New("its time window (Limits.Open) opens at " + opening.UTC().Format(time.RFC3339))
	}
	return &Error{Op: "connect", Path: id, Code: OutsideWindow, Err: why}
}

// untilOpen is how long it is until the schedule opens.
func (s schedule) untilOpen(now time.Time) time.Duration {
	if opening, ok := s.next(now); ok {
		return opening.Sub(now)
	}
	return longestQuiet
}
