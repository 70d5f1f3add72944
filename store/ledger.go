package store

import (
	"context"
	"time"
)

// Ledger knows what was transferred before, for longer than the files' rows are kept. A Change that makes a file Done may
// bring an entry, which is written in the same step.
type Ledger interface {
	// LookUp returns the entries of these paths, as far as there are any, in the order of their paths, byte by byte.
	LookUp(ctx context.Context, scope string, paths []string) ([]LedgerEntry, error)

	// Forget removes the entries of these paths. Unknown ones are left aside.
	Forget(ctx context.Context, scope string, paths []string) error

	// PurgeLedger removes up to limit entries, of whatever scope, that were written at least so long ago, the oldest first,
	// and returns how many.
	PurgeLedger(ctx context.Context, olderThan time.Duration, limit int) (int, error)
}

// LedgerEntry says which version of a file was transferred last. There is one for each Scope and Path.
type LedgerEntry struct {
	Scope    string // whose files: opaque to the store
	Path     string // of the source
	Identity string // of the version: size and time, or a tag; opaque to the store
	Size     int64  // bytes
	SHA256   []byte // of the content
	FileID   int64  // of the file that was Done; assigned by the store
	At       time.Time
}
