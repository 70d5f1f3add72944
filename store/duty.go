package store

import (
	"context"
	"time"
)

// Duties are pieces of work that one node at a time does, such as looking into a directory again and again. They are
// leased as files are, each on its own.
type Duties interface {
	// CreateDuty stores a duty that nobody holds, with its Spec and State. It is due at d.DueAt, or now if that is zero.
	// The store assigns CreatedAt and UpdatedAt, one moment, and begins Token at 0. A Name that is known is ErrExists.
	CreateDuty(ctx context.Context, d Duty) error

	// ClaimDuties leases up to r.Max duties to r.Worker and returns them with a new Token: those whose DueAt has come
	// and that nobody holds, or whose lease has expired, the one with the earliest DueAt first, ties by name.
	ClaimDuties(ctx context.Context, r DutyRequest) ([]Duty, error)

	// UpdateDuty replaces the State of a duty that is held with d.Token; otherwise the error is ErrLeaseLost and nothing
	// is written (the lease may have expired meanwhile, as long as nobody claimed the duty). With a lease above 0 the
	// duty stays held so long from now on, and DueAt stays. Otherwise it is given up and due at d.DueAt, or, if that is
	// zero, d.Delay from now on.
	UpdateDuty(ctx context.Context, d Duty, lease time.Duration) error

	// DeleteDuty removes the duty with this name, if it is held with this token, or whatever its token if token is 0.
	// Another token is ErrLeaseLost, an unknown name ErrNotFound.
	DeleteDuty(ctx context.Context, name string, token int64) error

	// ListDuties returns duties in the order of their names, byte by byte.
	ListDuties(ctx context.Context, q DutyQuery) ([]Duty, error)
}

// Duty is one of them.
type Duty struct {
	Name  string
	Spec  []byte        // what is to be done; opaque to the store, written once
	State []byte        // how far it has come; opaque to the store
	DueAt time.Time     // when it may be claimed (next)
	Delay time.Duration // of UpdateDuty alone

	Worker     string    // who holds it; empty if nobody
	Token      int64     // grows by one at every claim
	LeaseUntil time.Time // zero if nobody holds it
	CreatedAt  time.Time
	UpdatedAt  time.Time // of the last claim or update
}

// DutyRequest asks for duties.
type DutyRequest struct {
	Worker string
	Prefix string // of their names; empty for all
	Max    int
	Lease  time.Duration
}

// DutyQuery selects duties.
type DutyQuery struct {
	Prefix string // of their names; empty for all
	After  string // a name: those behind it; empty for all
	Limit  int    // at most so many; 0 for all
}
