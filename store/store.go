// Package store keeps the state of transfers: one record for each StartFileTransfer call, one row for each file, and
// the leases under which workers move the files. It keeps the definitions of connectors, too.
//
// [Store] is the contract. [Memory] keeps everything in the process. Package storetest checks any implementation.
package store

import (
	"context"
	"errors"
	"time"
)

// Errors that a Store returns; test for them with errors.Is.
var (
	// ErrNotFound says that no transfer, connector or operation has this id.
	ErrNotFound = errors.New("store: not found")
	// ErrTokenReused says that a client token was used before with another request.
	ErrTokenReused = errors.New("store: client token was used with another request")
	// ErrLeaseLost says that the file is leased to somebody else by now, or is no longer running.
	ErrLeaseLost = errors.New("store: lease lost")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("store: closed")
	// ErrState says that the file's state does not allow what was asked for.
	ErrState = errors.New("store: not possible in this state")
	// ErrPauseWanted and ErrCancelWanted come from Update: the change was written, and a user wants the file paused
	// or cancelled. The worker that holds it shall stop and write Interrupted.
	ErrPauseWanted  = errors.New("store: a pause is wanted")
	ErrCancelWanted = errors.New("store: a cancellation is wanted")
)

// Store holds transfers and their files and hands the files out to workers.
//
// All methods MUST be safe for concurrent use and MUST return promptly when ctx ends. A Store MUST keep no slice or
// map that it was given and MUST return copies that the caller may change. Times are UTC, truncated to microseconds,
// and come from the store's own clock, never from the caller's. A failure of the store itself (not one of the errors
// above) MUST leave nothing half-done behind.
type Store interface {
	// CreateTransfer stores t and its files in one step, all or nothing, and returns what is stored.
	// The store assigns Files, CreatedAt (one moment for the transfer and all of its files) and, growing in the order
	// of files, each File's ID (above 0, below 2^53); files start Queued and become ready at their StartAt, or at
	// CreatedAt if that is zero or past. An ID that is known already is refused. All texts are valid UTF-8 without
	// NUL.
	// If t.ClientToken is not empty and is known already, nothing is stored: with an equal RequestHash the earlier
	// transfer is returned, with another one ErrTokenReused.
	CreateTransfer(ctx context.Context, t Transfer, files []NewFile) (Transfer, error)

	// GetTransfer returns the transfer with this id, or ErrNotFound.
	GetTransfer(ctx context.Context, id string) (Transfer, error)

	// ListFiles returns the files that q matches, in its order. No match is an empty result, not an error.
	ListFiles(ctx context.Context, q Query) ([]File, error)

	// CountFiles counts the files that q matches by state, leaving After, Offset and Limit aside. States without a
	// file are absent.
	CountFiles(ctx context.Context, q Query) (map[State]int64, error)

	// Claim leases up to r.Max ready files to r.Worker and returns them, Running, with a new Token.
	//
	// A file is ready if it is Queued, Waiting or Interrupted and its ReadyAt has come, or if it is Running under a
	// lease that has expired. Only files of the connectors named in r.Limits are claimed, and never so many that
	// more files of a connector run under live leases, over all workers, than its limit. Connectors take turns, one
	// file each, so that the backlog of one does not hold up another; within a connector files of higher Priority come
	// first, of one Priority the file that has been ready longest, ties by id. Of a connector named in r.Most no more
	// files than that are claimed in this call.
	// A file whose lease expired counts as ready from that moment on. The turns of connectors need not be remembered
	// from call to call, but no connector may come last each time. The limit is never exceeded by claiming; it may be
	// when a lease that had expired is extended after all.
	// A file that is Wanted otherwise when its lease expires is claimed with that: its worker shall write Interrupted.
	// Claiming adds one to Attempts, sets StartedAt the first time, and sets Phase to PhaseConnect; Failure stays
	// that of the attempt before.
	Claim(ctx context.Context, r ClaimRequest) ([]Claimed, error)

	// Update writes the changes of leased files, each on its own, and returns one error for each change, nil where
	// it was written. A change is written only if the file is Running and its Token is equal (the lease may have
	// expired meanwhile, as long as nobody claimed the file); otherwise its error is ErrLeaseLost and the file is
	// as it was. Changes are applied in their order; one with another state than Running, Waiting, Interrupted, Failed
	// and Done is refused with an error of its own. What cannot be written of one change is that change's error and
	// MUST NOT hold up the others. The second result is for a failure of the store itself; then nothing is known to
	// be written.
	// If the file is Wanted otherwise, Running is written and answered with ErrPauseWanted or ErrCancelWanted, and
	// instead of Waiting and Interrupted the file becomes what is wanted: Paused with the change's Failure, or Cancelled
	// with CancelledFailure.
	Update(ctx context.Context, changes []Change) ([]error, error)

	// Control pauses, resumes or cancels files for a user, each on its own, and returns one error for each, nil where
	// that is done or under way: ErrNotFound, or one that wraps ErrState and names the state.
	//
	// To Paused: Queued, Waiting and Interrupted files are paused at once; Paused ones stay so; Running ones become
	// Wanted Paused, unless they are Wanted Cancelled, which is ErrState.
	// To Cancelled: Queued, Waiting, Interrupted and Paused files are cancelled at once; Cancelled ones stay so;
	// Running ones become Wanted Cancelled.
	// To Queued: Paused files become ready now, Queued (not before their StartAt) if they never ran and Interrupted if
	// they did; the delay of Waiting ones ends now; Running ones that are Wanted Paused are no longer; other Queued,
	// Interrupted and Running ones stay as they are; Running ones that are Wanted Cancelled are ErrState.
	// Files in other final states are ErrState always. A Running file whose lease has expired is nobody's: instead of
	// becoming Wanted it is paused or cancelled at once. What stays as it is is not touched, UpdatedAt included. With
	// another To the call fails and nothing is changed.
	Control(ctx context.Context, r ControlRequest) ([]error, error)

	// Swept says that nothing is left any more of what the checkpoints of these finished files name: it empties them
	// and changes nothing else, UpdatedAt included. Other files are left alone.
	Swept(ctx context.Context, ids []int64) error

	// Purge removes up to r.Max finished files, those that finished first, and returns how many. A transfer goes with
	// the last of its files, its id and client token with it; until then Transfer.Files stays what it was.
	Purge(ctx context.Context, r PurgeRequest) (int, error)

	Connectors
	Operations
	Duties
	Journal
	Ledger

	// Watch returns a channel that receives after something of this topic happened: a hint that saves waiting for
	// the next poll. Hints may be merged, late, missing or spurious. The channel is never closed; what stands
	// behind it ends with ctx.
	Watch(ctx context.Context, topic Topic) <-chan struct{}

	// Close frees what the store holds. Later calls return ErrClosed. Closing twice is allowed.
	Close() error
}

// Topic is what a Watch is about.
type Topic uint8

// Topics of Watch.
const (
	// FilesReady: files were created or given back and can be claimed.
	FilesReady Topic = iota + 1
	// FilesFinished: files reached a final state.
	FilesFinished
	// FilesWanted: running files are to be paused or cancelled.
	FilesWanted
	// ConnectorsChanged: a connector was created, updated or deleted.
	ConnectorsChanged
	// EventsAppended: a stream has events that it had not.
	EventsAppended
	// DutiesChanged: a duty was created or given up, and may be due.
	DutiesChanged
)

// Transfer is one StartFileTransfer call.
type Transfer struct {
	ID          string // UUIDv7, given by the caller
	ConnectorID string
	ClientToken string // the caller's idempotency token, or empty
	RequestHash []byte // tells whether two requests with one ClientToken are the same
	FollowID    string // the caller's id, carried across hops (Waarp followId)
	RuleName    string
	Metadata    map[string]string
	Spec        []byte // the request; opaque to the store, written once
	Files       int    // how many files it has
	CreatedAt   time.Time
}

// NewFile is what the caller of CreateTransfer says of one file.
type NewFile struct {
	Direction  Direction
	Partner    string // the remote side, as Waarp's "requested"
	SourcePath string // as given in the request
	TargetPath string
	StartAt    time.Time // zero: at once
	Parent     int64     // the finished file that this one repeats; 0: none
	Priority   Priority
}

// Priority says which of a connector's files come first. The numbers are kept by durable stores.
type Priority int8

// Priorities, in three steps. The zero value is the one in the middle.
const (
	Low    Priority = -1
	Normal Priority = 0
	High   Priority = 1
)

// File is one row: one file of one transfer, the unit of leasing, retrying, resuming and reporting.
type File struct {
	ID          int64
	TransferID  string
	ConnectorID string
	FollowID    string
	RuleName    string
	Metadata    map[string]string
	NewFile

	State  State
	Wanted State // of a Running file: Paused or Cancelled, once a user asked for that; otherwise 0
	Progress
	Failure

	Attempts   int       // how often it was claimed
	ReadyAt    time.Time // when it may be claimed (next)
	CreatedAt  time.Time
	StartedAt  time.Time // first claim; zero before
	UpdatedAt  time.Time // last event of any kind
	FinishedAt time.Time // zero until the state is final

	Worker     string    // who holds the lease; empty if nobody
	Token      int64     // grows by one at every claim
	LeaseUntil time.Time // zero if nobody holds the lease
}

// Progress is how far a file has come. A Change replaces it as a whole.
type Progress struct {
	Phase     Phase
	Size      int64 // bytes; -1 until known
	Offset    int64 // bytes acknowledged by the target
	BlockSize int64 // bytes of a window; 0 until known
	Rank      int64 // acknowledged windows below the first gap (Waarp's rank)
	// Checkpoint is what the worker needs to go on, opaque to the store. A file that is Done has none; one that Failed
	// or was Cancelled has one as long as what it names (a temporary file, an upload) was not removed.
	Checkpoint []byte
	SHA256     []byte // of the content, once it was delivered
	Skipped    bool   // done without moving it: the target was there and the policy is to skip
	Task       int    // index of the task in the chain of its Phase (Waarp's step); of a file that failed, of the task that did
	Failures   int    // attempts that failed; the worker counts them
}

// Failure says why a file failed or waits. All fields are empty where nothing went wrong.
type Failure struct {
	Code    string // the published code, such as RETRIEVE_FILE_NOT_FOUND
	Detail  string // the finer cause, such as HOST_KEY_MISMATCH, or empty
	Message string
}

// CancelledFailure is the Failure of files that are Cancelled. The store writes it when they become so.
var CancelledFailure = Failure{Code: "CANCELLED", Message: "cancelled on request"}

// ClaimRequest asks for work.
type ClaimRequest struct {
	Worker string
	Max    int
	Lease  time.Duration
	Limits map[string]int // by connector id: files running at once over all workers; others are not claimed
	Most   map[string]int // by connector id: files to claim now at most; those that are missing have no such bound
}

// Claimed is a leased file together with its transfer's request.
type Claimed struct {
	File
	Spec []byte
}

// Change is what a worker writes about a file that it holds.
type Change struct {
	ID    int64
	Token int64
	// State Running keeps the lease and extends it by Lease, counted from now; Waiting and Interrupted give it up
	// and make the file ready again after Delay; Done and Failed give it up for good.
	State State
	Lease time.Duration
	Delay time.Duration
	Progress
	Failure
	Note  []byte       // for the FileFinished events, where the change makes the file final
	Enter *LedgerEntry // for the Ledger, where the file becomes Done; FileID and At are the store's
}

// ControlRequest asks for a change of state on behalf of a user.
type ControlRequest struct {
	IDs []int64
	To  State // Paused, Cancelled, or Queued to resume
}

// PurgeRequest says which files to remove.
type PurgeRequest struct {
	States    []State       // of Done, Failed and Cancelled; others are never removed
	OlderThan time.Duration // at least so long ago, by the store's clock, they finished
	Max       int           // at most so many in this call
}

// Direction is which way a file goes, seen from us.
type Direction uint8

// Directions.
const (
	Send     Direction = iota + 1 // from our storage to the partner
	Retrieve                      // from the partner to our storage
)

// State is where a file stands. It is the single truth about the file; the numbers are kept by durable stores and
// never change their meaning.
type State uint8

// States of a file.
const (
	Queued      State = 1 // not started yet (scheduled, while ReadyAt lies ahead)
	Running     State = 2 // leased to a worker
	Waiting     State = 3 // for its next attempt
	Paused      State = 4 // by the user; never resumes by itself
	Interrupted State = 5 // the worker stopped; resumes by itself
	Failed      State = 6
	Cancelled   State = 7
	Done        State = 8
)

// States returns all states.
func States() []State {
	return []State{Queued, Running, Waiting, Paused, Interrupted, Failed, Cancelled, Done}
}

// Final reports whether a file in this state never changes again.
func (s State) Final() bool { return s == Failed || s == Cancelled || s == Done }

var stateNames = [...]string{"Unknown", "Queued", "Running", "Waiting", "Paused", "Interrupted", "Failed", "Cancelled", "Done"}

// String returns the state's name, such as "Queued".
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return stateNames[0]
}

// Phase is the part of its work that a running file is in, or the last one that it entered. The numbers are kept by
// durable stores.
type Phase uint8

// Phases of a file.
const (
	PhaseNone     Phase = 0 // never started
	PhaseConnect  Phase = 1
	PhaseBefore   Phase = 2 // tasks before the transfer
	PhaseData     Phase = 3
	PhaseFinalize Phase = 4 // check, rename, publish
	PhaseAfter    Phase = 5 // tasks after the transfer
	// PhaseErrors is added to the phase that failed while the tasks run that follow an error. A file that has failed for
	// good has the phase that failed.
	PhaseErrors Phase = 8
)
