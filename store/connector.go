package store

import (
	"context"
	"errors"
	"time"
)

// Errors of connectors and operations; test for them with errors.Is.
var (
	// ErrExists says that this id is or was somebody else's.
	ErrExists = errors.New("store: exists already")
	// ErrRevision says that the connector was changed since it was read.
	ErrRevision = errors.New("store: changed meanwhile")
)

// Connectors keeps the definitions of connectors, so that all nodes see them.
//
// Every change of any connector gets a revision of its own, which is greater than all before. A deleted connector stays
// as a mark without a definition: its id is not used again, and nodes know that its files have nowhere to go.
type Connectors interface {
	// CreateConnector stores a new connector and returns what is stored. The store assigns Revision, CreatedAt and
	// UpdatedAt. An ID that is known, or was, is ErrExists.
	CreateConnector(ctx context.Context, c Connector) (Connector, error)

	// UpdateConnector replaces URL and Definition and returns what is stored. c.Revision is that of the connector as
	// the caller knows it; if it has another one by now, nothing is written and the error is ErrRevision. Unknown and
	// deleted ones are ErrNotFound.
	UpdateConnector(ctx context.Context, c Connector) (Connector, error)

	// DeleteConnector empties URL and Definition and sets Deleted. Unknown and deleted ones are ErrNotFound.
	DeleteConnector(ctx context.Context, id string) error

	// GetConnector returns a connector that is not deleted, or ErrNotFound.
	GetConnector(ctx context.Context, id string) (Connector, error)

	// ListConnectors returns connectors in the order of their ids, byte by byte.
	ListConnectors(ctx context.Context, q ConnectorQuery) ([]Connector, error)

	// ConnectorsRevision returns the greatest revision that was ever given out, 0 before the first. Whoever sees a
	// revision sees every change up to it.
	ConnectorsRevision(ctx context.Context) (int64, error)
}

// Connector is the definition of one.
type Connector struct {
	ID         string
	Revision   int64  // of its last change; above 0
	URL        string // of the partner
	Definition []byte // opaque to the store
	Deleted    bool
	CreatedAt  time.Time
	UpdatedAt  time.Time // of its last change
}

// ConnectorQuery selects connectors.
type ConnectorQuery struct {
	After   string // an id: those behind it; empty for all
	Limit   int    // at most so many; 0 for all
	Deleted bool   // those that are deleted, in place of those that are not
}

// Operations keeps what becomes of single requests to partners, such as the listing of a directory. One node works on
// an operation, and only once: an operation whose time is over without an end may have been done or not.
type Operations interface {
	// CreateOperation stores an operation that begins now and returns what is stored. The store assigns CreatedAt and
	// sets Until to o.Limit later. An ID that is known is ErrExists.
	CreateOperation(ctx context.Context, o Operation) (Operation, error)

	// FinishOperation ends an operation: it sets Finished, FinishedAt, Failure and Result. One that was finished
	// before, or whose Until has come, is ErrState and stays as it is; an unknown one is ErrNotFound.
	FinishOperation(ctx context.Context, o Operation) error

	// GetOperation returns the operation with this id, or ErrNotFound. Expired is set if it has no end and its Until has
	// come.
	GetOperation(ctx context.Context, id string) (Operation, error)

	// ListOperations returns operations, the newest first by id.
	ListOperations(ctx context.Context, q OperationQuery) ([]Operation, error)

	// PurgeOperations removes up to limit operations that began at least so long ago and whose Until has come, and
	// returns how many.
	PurgeOperations(ctx context.Context, olderThan time.Duration, limit int) (int, error)
}

// OperationQuery selects operations.
type OperationQuery struct {
	ConnectorID string // of this connector; empty for all
	Before      string // an id: those that are older; empty for all
	Limit       int    // at most so many; 0 for all
}

// Operation is one request to a partner.
type Operation struct {
	ID          string
	ConnectorID string
	Spec        []byte        // what was asked for; opaque to the store
	Limit       time.Duration // of CreateOperation alone: how long it may take
	CreatedAt   time.Time
	Until       time.Time // when it has ended for sure
	Finished    bool
	Expired     bool      // Until has come without an end
	FinishedAt  time.Time // zero until Finished
	Failure               // why it failed, if it did
	Result      []byte    // opaque to the store
}
