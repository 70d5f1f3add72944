package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"sync"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// Limits of operations.
const (
	maxItems            = 200_000 // AWS: StartDirectoryListing, MaxItems
	defaultMaxItems     = 1000
	maxPendingRequests  = 1000             // AWS: for each connector; here for each Client
	operationsAtOnce    = 16               // of one Client; the others wait
	operationTime       = 15 * time.Minute // for all of an operation, with its wait
	operationTerm       = 20 * time.Minute // after which it has ended for sure
	operationsKept      = 7 * 24 * time.Hour
	operationsPurgeOnce = 1000
)

// StartDirectoryListing lists a directory of the partner, one level deep, into a file in our storage, and returns at once.
// The file, "<connector id>-<listing id>.json", has the shape of AWS's:
//
//	{"files":[{"filePath":"/in/a.csv","modifiedTimestamp":"2024-01-30T20:34:54Z","size":2323}],
//	 "paths":[{"path":"/in/old"}],"truncated":"false"}
//
// Times and sizes that the server does not say are left out, as are names that no request could name: those that are not
// UTF-8 or contain line breaks. "truncated" is "true" where MaxItems, or 64 MiB of names, were not enough.
//
// This Client works on it, and must have been started. DescribeRemoteOperation tells how it goes. If the node dies, nobody
// goes on with it; a Client that is shut down ends it as FAILED.
//
// Errors: InvalidRequestException with every wrong field; ResourceNotFoundException for an unknown connector;
// ThrottlingException while 1,000 operations of this Client are under way; ServiceUnavailableException when the Store
// failed, the Client does not run, or it has no Protocol for the connector.
func (c *Client) StartDirectoryListing(ctx context.Context, in *StartDirectoryListingInput) (*StartDirectoryListingOutput, error) {
	if in == nil {
		in = &StartDirectoryListingInput{}
	}
	var p problems
	p.text("ConnectorID", in.ConnectorID, 1, maxNameLength)
	p.text("RemoteDirectoryPath", in.RemoteDirectoryPath, 1, maxPathLength)
	p.text("OutputDirectoryPath", in.OutputDirectoryPath, 1, maxPathLength)
	if in.MaxItems < 0 || in.MaxItems > maxItems {
		p.add("MaxItems", fmt.Sprint(in.MaxItems), "is out of range (use 1 to %d, or 0 for %d)", maxItems, defaultMaxItems)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	id := newUUID(time.Now())
	name := in.ConnectorID + "-" + id + ".json"
	spec := operationSpec{Kind: RemoteList, Path: in.RemoteDirectoryPath, MaxItems: int(in.MaxItems), Target: path.Join(in.OutputDirectoryPath, name)}
	fill(&spec.MaxItems, defaultMaxItems)
	if err := c.startOperation(ctx, id, in.ConnectorID, spec); err != nil {
		return nil, err
	}
	return &StartDirectoryListingOutput{ListingID: id, OutputFileName: name}, nil
}

// StartRemoteDelete removes one file, or one directory that is empty, from the partner's server, and returns at once. It is
// done once or not at all: after a failure nobody tries again. For all else see StartDirectoryListing.
func (c *Client) StartRemoteDelete(ctx context.Context, in *StartRemoteDeleteInput) (*StartRemoteDeleteOutput, error) {
	if in == nil {
		in = &StartRemoteDeleteInput{}
	}
	var p problems
	p.text("ConnectorID", in.ConnectorID, 1, maxNameLength)
	p.text("DeletePath", in.DeletePath, 1, maxPathLength)
	if err := p.err(); err != nil {
		return nil, err
	}
	id := newUUID(time.Now())
	if err := c.startOperation(ctx, id, in.ConnectorID, operationSpec{Kind: RemoteDelete, Path: in.DeletePath}); err != nil {
		return nil, err
	}
	return &StartRemoteDeleteOutput{DeleteID: id}, nil
}

// StartRemoteMove gives one file or directory of the partner's server another path there, and returns at once. What is at
// the new path already is not replaced, as far as the server lets that be known. It is done once or not at all: after a
// failure nobody tries again. For all else see StartDirectoryListing.
func (c *Client) StartRemoteMove(ctx context.Context, in *StartRemoteMoveInput) (*StartRemoteMoveOutput, error) {
	if in == nil {
		in = &StartRemoteMoveInput{}
	}
	var p problems
	p.text("ConnectorID", in.ConnectorID, 1, maxNameLength)
	p.text("SourcePath", in.SourcePath, 1, maxPathLength)
	p.text("TargetPath", in.TargetPath, 1, maxPathLength)
	if err := p.err(); err != nil {
		return nil, err
	}
	id := newUUID(time.Now())
	spec := operationSpec{Kind: RemoteMove, Path: in.SourcePath, Target: in.TargetPath}
	if err := c.startOperation(ctx, id, in.ConnectorID, spec); err != nil {
		return nil, err
	}
	return &StartRemoteMoveOutput{MoveID: id}, nil
}

// DescribeRemoteOperation tells how a listing, a removal or a move goes, whatever Client works on it. It is known for seven
// days. One whose Client died is IN_PROGRESS until its time is over, twenty minutes after it began, and then FAILED with
// UNKNOWN_ERROR: it may have been done or not.
//
// Errors: InvalidRequestException; ResourceNotFoundException for an unknown id; ServiceUnavailableException when the Store
// failed.
func (c *Client) DescribeRemoteOperation(ctx context.Context, in *DescribeRemoteOperationInput) (*DescribeRemoteOperationOutput, error) {
	if in == nil {
		in = &DescribeRemoteOperationInput{}
	}
	var p problems
	if !p.text("OperationID", in.OperationID, 1, 512) {
		return nil, p.err()
	}
	o, err := c.cfg.Store.GetOperation(ctx, in.OperationID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, &ResourceNotFoundException{
			Message: fmt.Sprintf("operation %q is not known", in.OperationID), Resource: in.OperationID, ResourceType: "Operation",
		}
	}
	if err != nil {
		return nil, storeFailure("get operation "+in.OperationID, err)
	}
	return describeOperation(&o)
}

func describeOperation(o *store.Operation) (*DescribeRemoteOperationOutput, error) {
	var spec operationSpec
	var result operationResult
	err := json.Unmarshal(o.Spec, &spec)
	if len(o.Result) > 0 {
		err = errors.Join(err, json.Unmarshal(o.Result, &result))
	}
	if err != nil {
		return nil, &InternalServiceError{Message: "decode operation " + o.ID + ": " + err.Error(), Err: err}
	}
	out := &DescribeRemoteOperationOutput{
		OperationID: o.ID, ConnectorID: o.ConnectorID, Kind: spec.Kind, Path: spec.Path, TargetPath: spec.Target,
		StatusCode: TransferTableStatusInProgress, FailureCode: Code(o.Code), FailureDetail: Code(o.Detail), FailureMessage: o.Message,
		Items: result.Items, LeftOut: result.LeftOut, Truncated: result.Truncated, CreatedAt: o.CreatedAt, FinishedAt: o.FinishedAt,
	}
	switch {
	case o.Expired:
		out.StatusCode, out.FinishedAt, out.FailureCode = TransferTableStatusFailed, o.Until, UnknownError
		out.FailureMessage = "the client that worked on it did not say how it ended: it may have been done or not"
	case o.Finished && o.Code != "":
		out.StatusCode = TransferTableStatusFailed
	case o.Finished:
		out.StatusCode = TransferTableStatusCompleted
	}
	return out, nil
}

// operationSpec is what was asked for; the store keeps it as opaque bytes.
type operationSpec struct {
	Kind     RemoteOperationKind `json:"kind"`
	Path     string              `json:"path"`
	Target   string              `json:"target,omitempty"`
	MaxItems int                 `json:"maxItems,omitempty"`
}

// operationResult is what came of it, likewise.
type operationResult struct {
	Items     int  `json:"items,omitempty"`
	LeftOut   int  `json:"leftOut,omitempty"`
	Truncated bool `json:"truncated,omitempty"`
}

// startOperation stores an operation and begins with it.
func (c *Client) startOperation(ctx context.Context, id, connectorID string, spec operationSpec) error {
	if _, err := c.connectorInfo(ctx, connectorID); err != nil {
		return err
	}
	ops, err := c.runningOperations()
	if err != nil {
		return err
	}
	c.engine.catchUp(ctx) // it may have been created a moment ago
	p := c.engine.partners.acquire(connectorID)
	if p.conn == nil {
		c.engine.partners.release(p)
		return &ServiceUnavailableException{Message: fmt.Sprintf("this client cannot work with connector %q (DescribeConnector says why)", connectorID)}
	}
	asked := AuditAsked{ConnectorID: connectorID, OperationID: id, Paths: []string{spec.Path}, TargetPath: spec.Target}
	if err = c.audit(ctx, operationActions[spec.Kind], asked); err == nil {
		err = ops.start(ctx, &operation{id: id, partner: p, spec: spec})
	}
	if err != nil {
		c.engine.partners.release(p)
	}
	return err
}

var operationActions = map[RemoteOperationKind]AuditAction{RemoteList: AuditRemoteList, RemoteDelete: AuditRemoteDelete, RemoteMove: AuditRemoteMove}

// runningOperations returns those of a Client that was started.
func (c *Client) runningOperations() (*operations, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.engine.cut == nil || c.engine.stopped() {
		return nil, &ServiceUnavailableException{Message: "the client does not run (call Start; operations are done by the client that is asked)"}
	}
	return &c.engine.operations, nil
}

// operations are those that a node works on.
type operations struct {
	engine *engine
	slots  chan struct{} // has a token for each that may be worked on at once
	tasks  sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	pending int
	over    bool // no more are begun
}

// operation is one of them.
type operation struct {
	id      string
	partner *partner
	spec    operationSpec
	result  operationResult
}

func (ops *operations) start(ctx context.Context, o *operation) error {
	if !ops.enter() {
		return &ThrottlingException{Message: fmt.Sprintf("Exceeded maximum pending requests (%d)", maxPendingRequests), RetryAfter: time.Second}
	}
	text, err := json.Marshal(o.spec)
	if err != nil {
		ops.left()
		return &InternalServiceError{Message: "encode operation: " + err.Error(), Err: err}
	}
	_, err = ops.engine.store.CreateOperation(ctx, store.Operation{ID: o.id, ConnectorID: o.partner.id, Spec: text, Limit: operationTerm})
	if err != nil {
		ops.left()
		return storeFailure("start operation", err)
	}
	ops.engine.cfg.Logger.Info("operation started", "operation", o.id, "connector", o.partner.id, "kind", o.spec.Kind, "path", o.spec.Path)
	begun := time.Now()
	ops.mu.Lock()
	defer ops.mu.Unlock()
	if ops.over { // since a moment
		ops.pending--
		ops.engine.partners.release(o.partner)
		ops.record(o, errNotBegun)
		return nil
	}
	ops.tasks.Go(func() {
		defer ops.left()
		defer ops.engine.partners.release(o.partner)
		ops.record(o, ops.run(o, begun))
	})
	return nil
}

func (ops *operations) enter() bool {
	ops.mu.Lock()
	defer ops.mu.Unlock()
	if ops.pending >= maxPendingRequests {
		return false
	}
	ops.pending++
	return true
}

func (ops *operations) left() {
	ops.mu.Lock()
	defer ops.mu.Unlock()
	ops.pending--
}

// wait returns when no operation is under way, and lets none begin any more. The node has been told to stop.
func (ops *operations) wait() {
	ops.mu.Lock()
	ops.over = true
	ops.mu.Unlock()
	ops.tasks.Wait()
}

// errNotBegun is the end of an operation that the node's end has overtaken.
var errNotBegun = &Error{Op: "begin", Code: TimeoutError, Err: errors.New("the client was shut down before it began")}

// run does one operation. Listings end when the node stops; others, which are short, are not cut off then.
func (ops *operations) run(o *operation, begun time.Time) (err error) {
	e := ops.engine
	select {
	case ops.slots <- struct{}{}:
		defer func() { <-ops.slots }()
	case <-e.stopping:
		return errNotBegun
	}
	if e.stopped() {
		return errNotBegun
	}
	ctx, end := e.cfg.observe(e.cut, Activity{
		Kind: ActivityOperation, Name: string(o.spec.Kind), ConnectorID: o.partner.id, URL: o.partner.info.URL,
	})
	defer func() { end(err) }()
	ctx, cancel := context.WithDeadline(ctx, begun.Add(operationTime))
	defer cancel()
	s := &session{engine: e, partner: o.partner}
	defer func() { _ = s.close() }()
	explain := func(err error) error { return err }
	if o.spec.Kind == RemoteList {
		defer context.AfterFunc(e.house, cancel)()
		ctx, cancel, explain = s.untilClosing(ctx)
		defer cancel()
	}
	return explain(guarded(func() error {
		if err := s.connect(ctx); err != nil {
			return err
		}
		switch o.spec.Kind {
		case RemoteList:
			return ops.list(ctx, s.remote, o)
		case RemoteDelete:
			return s.remote.RemovePath(ctx, o.spec.Path)
		default:
			return s.remote.MovePath(ctx, o.spec.Path, o.spec.Target)
		}
	}))
}

// record writes how an operation ended. A Store that is away for longer leaves it to expire.
func (ops *operations) record(o *operation, err error) {
	e := ops.engine
	done := store.Operation{ID: o.id, Failure: o.failure(err)}
	done.Result, _ = json.Marshal(o.result) // a number and a bool
	log := e.cfg.Logger.With("operation", o.id, "connector", o.partner.id, "kind", o.spec.Kind, "path", o.spec.Path)
	if err != nil {
		log.Warn("operation failed", "error", err)
	} else {
		log.Info("operation done", "items", o.result.Items, "left_out", o.result.LeftOut, "truncated", o.result.Truncated)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.cut), storeTimeout)
	defer cancel()
	for pause := storeRetryFirst; ; pause = min(2*pause, storeRetryLast) {
		err := e.store.FinishOperation(ctx, done)
		if err == nil {
			return
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
			if !errors.Is(err, store.ErrState) && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrClosed) {
				continue
			}
		case <-ctx.Done():
			again.Stop()
		}
		log.Error("cannot note how an operation ended", "error", err)
		return
	}
}

// operationCodes are the codes under which AWS reports failures of which the cause says no more.
var operationCodes = map[RemoteOperationKind]Code{RemoteList: ListDirectoryError, RemoteDelete: DeleteError, RemoteMove: RenameError}

// failure is what is published of an error.
func (o *operation) failure(err error) store.Failure {
	if err == nil {
		return store.Failure{}
	}
	detail := CodeOf(err)
	code, ok := publishedCodes[detail]
	switch {
	case ok:
	case errors.As(err, new(outputError)):
		code = WriteFileError
	case detail == FileNotFound && o.spec.Kind == RemoteList:
		code, detail = DirectoryNotFound, ""
	case detail == FileNotFound, detail == DirectoryNotFound, detail == PathNotFound, detail == TimeoutError, detail == UnsupportedOperationError, detail == InternalError:
		code, detail = detail, ""
	default:
		code = operationCodes[o.spec.Kind]
	}
	if detail == UnknownError || detail == code {
		detail = ""
	}
	text := fmt.Sprintf("%s on %s: %v", o.spec.Path, o.partner.info.URL, err)
	return store.Failure{Code: string(code), Detail: string(detail), Message: printable(text)}
}
