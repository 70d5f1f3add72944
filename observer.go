package transfer

import (
	"context"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// Observer is told of what a Client does, while it does it. Package otelx makes metrics and traces of it, for
// OpenTelemetry.
//
// Methods are called on the way of each file: they MUST be safe for concurrent use, MUST return at once, without waiting
// for anybody, and MUST NOT panic. A context that one returns MUST end with the one that it was given; what an activity or
// a part calls gets it, so that it can carry a span. Embed [NoObserver] to be told of some things only, and to stay an
// Observer when there are more of them.
type Observer interface {
	// Started is called while a Client starts; what it returns is called once, when every file has been let go and
	// nothing of the Client runs any more. It MUST NOT call the Client before it has returned.
	Started(c *Client) (stopped func())

	// Begin is called when an activity begins; what it returns is called once, when that ends, with what went wrong.
	Begin(ctx context.Context, a Activity) (context.Context, func(err error))

	// Carry returns what of ctx, that of a StartFileTransfer, goes with the files to the nodes that move them
	// (Attempt.Trace), such as a W3C traceparent. It is kept in the Store; more than 1,024 bytes are left out.
	Carry(ctx context.Context) string

	// Claimed is called when an attempt at a file begins. The observer that it returns may be nil.
	Claimed(ctx context.Context, a Attempt) (context.Context, AttemptObserver)
}

// AttemptObserver is told of one attempt at one file. What is said of [Observer] holds for it, too.
type AttemptObserver interface {
	// Begin is called when a part of the attempt begins; what it returns is called once, when that ends, with what went
	// wrong. Parts may lie in one another, and every one ends before the attempt. The name is that of a Task, else empty.
	Begin(ctx context.Context, p Part, name string) (context.Context, func(err error))

	// Moved says how many more bytes the target has acknowledged: about once in a Config.ProgressInterval, and before End.
	Moved(bytes int64)

	// End is called once, as the last, when the Store knows the outcome or the file was lost.
	End(r AttemptResult)
}

// ActivityKind is what an Activity is.
type ActivityKind string

// Kinds of activities.
const (
	ActivitySubmit    ActivityKind = "submit"    // a transfer is stored, of a StartFileTransfer or a RetryTransfer
	ActivityOperation ActivityKind = "operation" // Name says which: LIST, DELETE or MOVE
	ActivitySweep     ActivityKind = "sweep"     // what an earlier attempt at one file left behind is removed
	ActivityStore     ActivityKind = "store"     // a call to the Store; Name says which, such as "claim"
)

// Activity is something that a Client does, apart from moving files.
type Activity struct {
	Kind        ActivityKind
	Name        string
	ConnectorID string          // empty where none is concerned
	URL         string          // of the connector, where it is known; it holds no secret
	Direction   store.Direction // of a submission, else 0
	TransferID  string          // of a sweep
	Files       int             // of a submission
}

// Attempt is one attempt at one file, from its claim on.
type Attempt struct {
	TransferID  string
	FileID      int64
	ConnectorID string
	URL         string // of the connector; it holds no secret
	FollowID    string
	RuleName    string
	Direction   store.Direction
	SourcePath  string
	TargetPath  string
	Number      int           // how often the file was claimed, this time included
	Waited      time.Duration // how long it was ready, by the Store's clock
	// Trace is what Observer.Carry returned when the transfer was started, perhaps on another node; for a file that is
	// repeated (RetryTransfer), when it was started first.
	Trace string
}

// Part is a part of an attempt.
type Part string

// Parts of attempts. An attempt has those that it comes to.
const (
	PartConnect  Part = "connect"      // wait for a session with the partner; inside of the first part that needs one
	PartBefore   Part = "before_tasks" // the Before of a Rule, with a PartTask for each
	PartOpen     Part = "open"         // pin the source
	PartCreate   Part = "create"       // begin the target, or go on with it
	PartData     Part = "data"         // move the windows
	PartFinalize Part = "finalize"     // check and publish the target
	PartVerify   Part = "verify"       // read the target back
	PartAfter    Part = "after_tasks"  // the After of a Rule
	PartOnError  Part = "error_tasks"  // the OnError of a Rule
	PartTask     Part = "task"         // one task, in the part of its chain, although not under the context of that
	PartReceipt  Part = "receipt"      // ask for the partner's word on what was handed over earlier
)

// Outcome is what became of an attempt.
type Outcome string

// Outcomes of attempts.
const (
	OutcomeCompleted   Outcome = "completed"   // the file was delivered
	OutcomeSkipped     Outcome = "skipped"     // it is completed without having been moved
	OutcomeFailed      Outcome = "failed"      // for good
	OutcomeCancelled   Outcome = "cancelled"   // by a user
	OutcomeRetry       Outcome = "retry"       // it failed, and waits for its next attempt
	OutcomeHandedOver  Outcome = "handed_over" // the partner has it, and its receipt is awaited
	OutcomePaused      Outcome = "paused"      // by a user
	OutcomeInterrupted Outcome = "interrupted" // the node stops
	OutcomeLost        Outcome = "lost"        // to another node, or the Store is away for good: its outcome is not in the Store
)

// Final reports whether the file is finished, too.
func (o Outcome) Final() bool {
	return o == OutcomeCompleted || o == OutcomeSkipped || o == OutcomeFailed || o == OutcomeCancelled
}

// AttemptResult is how an attempt ended. Files that are cancelled while no node has them have no attempt that says so.
type AttemptResult struct {
	Outcome Outcome
	Failure store.Failure // of OutcomeFailed and OutcomeRetry
	Size    int64         // bytes of the file; -1 where that was not found out
	Bytes   int64         // that this attempt moved
	Delay   time.Duration // before the next attempt, of OutcomeRetry and OutcomeHandedOver
	Ended   time.Time     // when the work was over, by the node's clock; the Store was told after that
	Since   time.Duration // from when the file could be claimed first until then, by the Store's clock
}

// NoObserver is an Observer that does nothing, to be embedded in others.
type NoObserver struct{}

// Started returns nil.
func (NoObserver) Started(*Client) (stopped func()) { return nil }

// Begin returns ctx and a function that does nothing.
func (NoObserver) Begin(ctx context.Context, _ Activity) (context.Context, func(error)) {
	return ctx, unobserved
}

// Carry returns nothing.
func (NoObserver) Carry(context.Context) string { return "" }

// Claimed returns ctx and nobody.
func (NoObserver) Claimed(ctx context.Context, _ Attempt) (context.Context, AttemptObserver) {
	return ctx, nil
}

var _ Observer = NoObserver{}
