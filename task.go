package transfer

import (
	"context"
	"maps"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// Task is one step of a Rule's chain. Where in its chains a file is, is kept in the Store before each task begins: after a
// crash the chain goes on at the task that was running. A pause, a cancellation and the node's end take effect between
// tasks; what a user wants ends ctx of a task that takes longer than half a second more, unless it is one that is not
// Repeatable and the file is to be paused.
//
// Methods MUST be safe for concurrent use: files of a rule share its tasks. Name and Repeatable MUST NOT change.
type Task interface {
	// Name says what the task does in logs, messages and traces, such as "gunzip" or "move source to /archive": 1 to 255
	// characters of one line.
	Name() string

	// Repeatable reports whether the task may run again when nobody knows whether it has run: because its node died
	// while it ran, or it was cut off. If not, the file fails then, with detail TASK_INTERRUPTED.
	Repeatable() bool

	// Run does the task. It MUST return promptly once ctx has ended. An error whose Code is retryable has the file wait
	// and go on with this task in its next attempt, under the connector's RetryPolicy; with any other the file fails. An
	// error without a Code is TASK_FAILED: retryable if the task is Repeatable, and otherwise not. Of a task that is not
	// Repeatable only an [Error] or a Code counts as one: standard errors, such as a deadline, do not say what was done.
	Run(ctx context.Context, f *TaskFile) error
}

// Causes of files that failed in a task. Both are published as INTERNAL_ERROR.
const (
	TaskFailed      Code = "TASK_FAILED"      // its error says no more
	TaskInterrupted Code = "TASK_INTERRUPTED" // nobody knows whether it has run, and it must not run twice
)

// TaskFile is the file that a Task is about. A task that moves the file says so in SourcePath or TargetPath, and one that
// makes another file of what was delivered in TargetPath, Size and SHA256 together: later tasks, Forward among them, see it
// there. Paths of tasks that failed, and other changes, are not kept. The file's row keeps the paths of the request.
type TaskFile struct {
	TransferID  string
	FileID      int64
	ConnectorID string
	FollowID    string
	RuleName    string
	Metadata    map[string]string // a copy
	Direction   store.Direction
	CreatedAt   time.Time // of the transfer
	Attempt     int       // how often the file was taken up, this time included

	SourcePath string // where it is taken from, by now; before-tasks may change it, too
	TargetPath string // where it goes, or is by now; only once it was Delivered it can change
	Size       int64  // bytes at TargetPath, once Delivered; before, of the source, or -1
	SHA256     []byte // of the content at TargetPath, once Delivered

	Delivered bool // it is at its target
	Repeated  bool // an earlier run of this task may have done it, wholly or in part

	// Why the file fails, in error-tasks.
	FailureCode    Code
	FailureDetail  Code
	FailureMessage string

	identity       string // of the source that was delivered, as long as it is at SourcePath
	phase          store.Phase
	index          int
	engine         *engine
	job            *job
	source, target Place
}

// Place is one of the two sides between which a file moves, as tasks reach it. On the partner's side one file is open at a
// time at most. A storage of ours without directories of its own fails requests about names with
// UnsupportedOperationError.
type Place interface {
	Storage
	Directories
}

// Source is the side that the file is taken from. The connection to a partner is made when it is first needed, and ends
// with the task.
func (f *TaskFile) Source() Place { return f.source }

// Target is the side that the file goes to, likewise.
func (f *TaskFile) Target() Place { return f.target }

// ourPlace is our side.
type ourPlace struct {
	Storage
	Directories
}

func newOurPlace(s Storage) Place {
	if d, ok := s.(Directories); ok {
		return ourPlace{s, d}
	}
	return ourPlace{s, NoDirectories{}}
}

// theirPlace is the partner's side.
type theirPlace struct{ *session }

func (t theirPlace) ListDirectory(ctx context.Context, dir string, found func(DirectoryEntry) (more bool)) error {
	return t.ask(ctx, func(d Directories) error { return d.ListDirectory(ctx, dir, found) })
}

func (t theirPlace) RemovePath(ctx context.Context, path string) error {
	return t.ask(ctx, func(d Directories) error { return d.RemovePath(ctx, path) })
}

func (t theirPlace) MovePath(ctx context.Context, from, to string) error {
	return t.ask(ctx, func(d Directories) error { return d.MovePath(ctx, from, to) })
}

func (t theirPlace) MakeDirectory(ctx context.Context, path string) error {
	return t.ask(ctx, func(d Directories) error { return d.MakeDirectory(ctx, path) })
}

func (t theirPlace) ask(ctx context.Context, do func(Directories) error) error {
	if err := t.connect(ctx); err != nil {
		return err
	}
	return do(t.remote)
}

// newTaskFile is the file for its present task. The caller closes it.
func (e *engine) newTaskFile(j *job, task Task, repeated bool) *TaskFile {
	f, c := &j.file.File, &j.chain
	t := &TaskFile{
		TransferID: f.TransferID, FileID: f.ID, ConnectorID: f.ConnectorID, FollowID: f.FollowID, RuleName: f.RuleName,
		Metadata: maps.Clone(f.Metadata), Direction: f.Direction, CreatedAt: f.CreatedAt, Attempt: f.Attempts,
		SourcePath: j.sourcePath(), TargetPath: j.targetPath(), Delivered: c.delivered(), Repeated: repeated,
		identity: c.Identity, phase: c.Phase, index: c.Task, engine: e, job: j,
	}
	t.Size, t.SHA256 = j.content()
	if c.Failed != nil {
		t.FailureCode, t.FailureDetail, t.FailureMessage = Code(c.Failed.Code), Code(c.Failed.Detail), c.Failed.Message
	}
	theirs := e.sessionOf(j)
	if theirs.throttle != nil && !task.Repeatable() {
		theirs.throttle.stop = nil // it is not cut off in its middle
	}
	t.source, t.target = newOurPlace(e.cfg.Storage), theirPlace{theirs}
	if f.Direction == store.Retrieve {
		t.source, t.target = t.target, t.source
	}
	return t
}

// theirs is the session with the partner.
func (f *TaskFile) theirs() *session {
	if t, ok := f.source.(theirPlace); ok {
		return t.session
	}
	return f.target.(theirPlace).session
}

func (f *TaskFile) close() { _ = f.theirs().close() }
