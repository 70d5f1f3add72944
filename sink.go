package transfer

import "context"

// EventSink is told of events at least once each.
type EventSink interface {
	// Deliver takes one event, and returns nil once it is safe. Otherwise the event comes again, after a while that grows.
	// Events of one file come in their order, each after the one before was taken; those of several files may come at
	// once. It MUST return promptly once ctx has ended.
	Deliver(ctx context.Context, e Event) error
}

// Event is something that happened to a file or a transfer.
type Event struct{}
