package transfer

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// EventSink is told of events at least once each: of every file that has come to its end, and of every transfer whose
// files all have.
type EventSink interface {
	// Deliver takes one event, and returns nil once it is safe. Otherwise the event comes again, after a while that grows
	// from a second to five minutes, or as a [RetryLaterError] says, until it is taken. Events of one file come in their
	// order, each after the one before was taken; those of several files may come at once, eight at most. It MUST return
	// promptly once ctx has ended, which is after a minute at the latest.
	Deliver(ctx context.Context, e Event) error
}

// ProgressSink is an EventSink that may ask for the progress of files too.
type ProgressSink interface {
	EventSink

	// WantsProgress reports whether EventFileProgress is delivered as well: about one event for each running file and
	// Config.ProgressInterval. Those that later ones have overtaken are left out. It MUST NOT change.
	WantsProgress() bool
}

func wantsProgress(s EventSink) bool {
	p, ok := s.(ProgressSink)
	return ok && p.WantsProgress()
}

// EventSinkFunc is a Go function as an EventSink.
type EventSinkFunc func(ctx context.Context, e Event) error

// Deliver calls f.
func (f EventSinkFunc) Deliver(ctx context.Context, e Event) error { return f(ctx, e) }

// RetryLaterError is what a sink returns that wants to be left alone for a while, whatever the event.
type RetryLaterError struct {
	After time.Duration // nothing is delivered to the sink before; 15 minutes at most
	Err   error         // what went wrong
}

// Error names what went wrong and the time.
func (e *RetryLaterError) Error() string { return fmt.Sprintf("%v (again after %v)", e.Err, e.After) }

// Unwrap returns what went wrong.
func (e *RetryLaterError) Unwrap() error { return e.Err }

// leftAlone is how long a sink wants to be left alone after err.
func leftAlone(err error) time.Duration {
	var later *RetryLaterError
	if !errors.As(err, &later) || later == nil {
		return 0
	}
	return max(0, min(later.After, maxLeftAlone))
}

// maxLeftAlone is how long a sink may ask to be left alone.
const maxLeftAlone = 15 * time.Minute

// maxSinkName is how many characters the name of a sink may have.
const maxSinkName = 100

// validSinkName reports whether a stream and a duty may be named for a sink.
func validSinkName(name string) bool {
	for _, r := range name {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_', r == '.':
		default:
			return false
		}
	}
	return name != "" && len(name) <= maxSinkName
}
