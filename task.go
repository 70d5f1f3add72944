package transfer

import "context"

// Task is one step of a Rule's chain. Where in its chains a file is, is kept in the Store before each task begins: after a
// crash the chain goes on at the task that was running.
type Task interface {
	// Name says what the task does in logs, messages and traces, such as "gunzip" or "move source to /archive".
	Name() string

	// Repeatable reports whether the task may run again when nobody knows whether it has run: because its node died
	// while it ran. If not, the file fails then, with detail TASK_INTERRUPTED.
	Repeatable() bool

	// Run does the task. It MUST return promptly once ctx has ended. An error whose Code is retryable has the file wait
	// and go on with this task in its next attempt, with any other the file fails.
	Run(ctx context.Context, f *TaskFile) error
}

// TaskFile is the file that a Task is about.
type TaskFile struct{}
