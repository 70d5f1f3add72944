package store

import (
	"context"
	"time"
)

// Journal keeps streams of events: an outbox, whose events are dropped once they were delivered, or an audit trail, whose
// events stay. What happens to files is appended in the same step in which it is written, by whatever node and whether or
// not anybody reads the stream just then: an event is there if and only if the change is.
type Journal interface {
	// OpenStream makes a stream, which from now on receives events of s.Kinds. For one that is open it changes the kinds.
	OpenStream(ctx context.Context, s Stream) error

	// CloseStream removes a stream and all of its events. An unknown one is ErrNotFound.
	CloseStream(ctx context.Context, name string) error

	// ListStreams returns the open streams in the order of their names, byte by byte, with Kinds in ascending order.
	ListStreams(ctx context.Context) ([]Stream, error)

	// AppendEvents appends events of kind Noted to a stream, all or nothing: of each the TransferID, FileID and Note are
	// taken. An unknown stream is ErrNotFound.
	AppendEvents(ctx context.Context, stream string, events []Event) error

	// ListEvents returns events of a stream in the order of Seq. Events of one file have growing Seq in the order in which
	// things happened. An event of another file may become visible after one with a greater Seq: whoever drops what
	// was delivered reads from the beginning again from time to time.
	ListEvents(ctx context.Context, q EventQuery) ([]Event, error)

	// CountEvents returns how many events a stream holds. It may be counted one by one.
	CountEvents(ctx context.Context, stream string) (int64, error)

	// DropEvents removes events of a stream. Unknown ones are left aside.
	DropEvents(ctx context.Context, stream string, seqs []int64) error

	// PurgeEvents removes up to limit events of a stream, the oldest first, that are at least so old, and returns how many.
	PurgeEvents(ctx context.Context, stream string, olderThan time.Duration, limit int) (int, error)
}

// Stream is where events of some kinds go.
type Stream struct {
	Name  string
	Kinds []EventKind // of FileProgressed and FileFinished, each once; Noted ones come in any case
}

// EventKind is what happened. The numbers are kept by durable stores.
type EventKind uint8

// Kinds of events.
const (
	// FileProgressed: Update has written Running with a greater Offset than before.
	FileProgressed EventKind = 1
	// FileFinished: a file has reached a final state, by Update or Control.
	FileFinished EventKind = 2
	// Noted: AppendEvents.
	Noted EventKind = 3
)

// Event is one thing that happened.
type Event struct {
	Seq        int64 // above 0; grows, not without gaps, over all streams
	Stream     string
	Kind       EventKind
	At         time.Time // of a change of a file: its UpdatedAt then
	TransferID string
	FileID     int64  // 0: not about a file
	State      State  // of the file then; 0 of Noted ones
	Offset     int64  // of the file then, bytes; 0 of Noted ones
	Size       int64  // of the file then, bytes; -1 if not known; 0 of Noted ones
	Note       []byte // of FileFinished the Change's, if it had one; of Noted ones the caller's; opaque to the store
}

// EventQuery selects events of one stream.
type EventQuery struct {
	Stream     string
	TransferID string    // of this transfer; empty for all
	FileID     int64     // of this file; 0 for all
	From, To   time.Time // bounds of At, both inclusive; zero for none
	After      int64     // a Seq: those behind it
	Limit      int       // at most so many; 0 for all
}
