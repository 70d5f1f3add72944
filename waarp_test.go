package transfer

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed62b9dc43/transfer/store"
)

// nextStep draws a step of a file's life that the engine or its user can take.
func nextStep(t *rapid.T, f store.File, now time.Time) store.File {
	f.UpdatedAt = now
	to := []store.State{store.Paused, store.Cancelled}
	switch f.State {
	case store.Queued, store.Waiting, store.Interrupted:
		to = append(to, store.Running)
	case store.Running:
		to = append(to, store.Running, store.Waiting, store.Interrupted, store.Failed, store.Done)
	case store.Paused:
		to = []store.State{store.Cancelled, store.Waiting}
		if f.StartedAt.IsZero() {
			to[1] = store.Queued
		}
	}
	f.State = rapid.SampledFrom(to).Draw(t, "state")
	f.Failure = store.Failure{}
	if f.State == store.Running {
		if f.StartedAt.IsZero() {
			f.StartedAt = now
		}
		f.Phase = rapid.SampledFrom([]store.Phase{store.PhaseConnect, store.PhaseBefore, store.PhaseData, store.PhaseFinalize, store.PhaseAfter}).Draw(t, "phase")
		f.Task = 0
		if f.Phase == store.PhaseBefore || f.Phase == store.PhaseAfter {
			f.Task = rapid.IntRange(0, 5).Draw(t, "task")
		}
		if rapid.Bool().Draw(t, "error tasks") {
			f.Phase, f.Task = f.Phase|store.PhaseErrors, rapid.IntRange(0, 5).Draw(t, "error task")
		}
	}
	if f.State == store.Failed {
		f.Phase &^= store.PhaseErrors // the engine's last word is the phase that failed
	}
	if f.State == store.Failed || f.State == store.Waiting {
		code := rapid.SampledFrom([]Code{ConnectionError, ReadFileError, TimeoutError, SendFileNotFound}).Draw(t, "code")
		detail := rapid.SampledFrom([]Code{"", HostKeyMismatch, Stalled, NoSpace, "MY_OWN"}).Draw(t, "detail")
		f.Failure = store.Failure{Code: string(code), Detail: string(detail), Message: "why"}
	}
	return f
}

// progress orders AWS's statuses.
func progress(s TransferTableStatus) int {
	return slices.Index([]TransferTableStatus{TransferTableStatusQueued, TransferTableStatusInProgress, TransferTableStatusCompleted}, s)
}

func TestBothVocabulariesHoldOverWholeLives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		f := store.File{ID: 1, State: store.Queued, CreatedAt: now, UpdatedAt: now}
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			before := awsStatus(&f)
			if f.State.Final() {
				break
			}
			now = now.Add(time.Second)
			f = nextStep(t, f, now)

			after := awsStatus(&f)
			if after != TransferTableStatusFailed {
				require.GreaterOrEqual(t, progress(after), progress(before), "AWS's status never moves backwards")
			}
			waarp := waarpStatus(&f)
			final := after == TransferTableStatusCompleted || after == TransferTableStatusFailed
			require.Equal(t, f.State.Final(), final, "final in AWS is final in the engine")
			require.Equal(t, f.State.Final(), waarp == StatusDone || waarp == StatusInError, "and in Waarp")
			require.Equal(t, after == TransferTableStatusCompleted, waarp == StatusDone)

			r := newRecord(&f, "us")
			require.NotEqual(t, StepErrorTask, r.GlobalLastStep)
			require.Equal(t, f.State == store.Done, r.GlobalStep == StepAllDoneTask)
			failing := f.State != store.Done && f.Phase&store.PhaseErrors != 0
			require.Equal(t, f.State == store.Failed || f.State == store.Cancelled || failing, r.GlobalStep == StepErrorTask)
			if r.Step != 0 {
				require.Contains(t, []GlobalStep{StepPreTask, StepPostTask, StepErrorTask}, r.GlobalStep, "only these have tasks")
			}
			if r.GlobalStep != StepErrorTask {
				require.Equal(t, r.GlobalLastStep, r.GlobalStep)
			}
			require.NotEmpty(t, r.StepStatus)
			require.GreaterOrEqual(t, r.Stop, r.Start)
			if f.State != store.Queued {
				require.NotEqual(t, "Unknown", r.StepStatus, "%v", f.Failure)
			}
		}
	})
}

// The table of states in Waarp's words, one line for each kind of row.
func TestStepsOfEveryState(t *testing.T) {
	t.Parallel()
	failure := store.Failure{Code: string(ConnectionError), Detail: string(ConnectionLost)}
	failing := store.Failure{Code: string(InternalError), Detail: string(TaskFailed)}
	errors := func(p store.Phase) store.Phase { return p | store.PhaseErrors }
	for name, c := range map[string]struct {
		state        store.State
		phase        store.Phase
		task         int
		failure      store.Failure
		global, last GlobalStep
		step         int
		status       string
	}{
		"queued":                     {store.Queued, store.PhaseNone, 0, store.Failure{}, StepNoTask, StepNoTask, 0, "Unknown"},
		"connecting":                 {store.Running, store.PhaseConnect, 0, store.Failure{}, StepNoTask, StepNoTask, 0, "Running"},
		"connecting, claimed again":  {store.Running, store.PhaseConnect, 3, store.Failure{}, StepNoTask, StepNoTask, 0, "Running"},
		"before-task":                {store.Running, store.PhaseBefore, 2, store.Failure{}, StepPreTask, StepPreTask, 2, "Running"},
		"data":                       {store.Running, store.PhaseData, 0, store.Failure{}, StepTransferTask, StepTransferTask, 0, "Running"},
		"finalize":                   {store.Running, store.PhaseFinalize, 0, store.Failure{}, StepTransferTask, StepTransferTask, 0, "Running"},
		"after-task":                 {store.Running, store.PhaseAfter, 1, store.Failure{}, StepPostTask, StepPostTask, 1, "Running"},
		"error-task":                 {store.Running, errors(store.PhaseData), 1, failure, StepErrorTask, StepTransferTask, 1, "Running"},
		"error-task after a task":    {store.Running, errors(store.PhaseAfter), 0, failing, StepErrorTask, StepPostTask, 0, "Running"},
		"waiting":                    {store.Waiting, store.PhaseData, 0, failure, StepTransferTask, StepTransferTask, 0, "Disconnection"},
		"waiting for a task":         {store.Waiting, store.PhaseAfter, 4, failing, StepPostTask, StepPostTask, 4, "ExternalOp"},
		"waiting for a receipt":      {store.Waiting, store.PhaseFinalize, 0, store.Failure{}, StepTransferTask, StepTransferTask, 0, "TransferOk"},
		"paused":                     {store.Paused, store.PhaseBefore, 1, store.Failure{}, StepPreTask, StepPreTask, 1, "StoppedTransfer"},
		"interrupted":                {store.Interrupted, store.PhaseAfter, 2, store.Failure{}, StepPostTask, StepPostTask, 2, "Shutdown"},
		"interrupted in error-tasks": {store.Interrupted, errors(store.PhaseBefore), 2, failing, StepErrorTask, StepPreTask, 2, "Shutdown"},
		"failed":                     {store.Failed, store.PhaseData, 0, failure, StepErrorTask, StepTransferTask, 0, "Disconnection"},
		"failed while connecting":    {store.Failed, store.PhaseConnect, 0, failure, StepErrorTask, StepNoTask, 0, "Disconnection"},
		"failed in a task":           {store.Failed, store.PhaseAfter, 3, failing, StepErrorTask, StepPostTask, 3, "ExternalOp"},
		"cancelled":                  {store.Cancelled, store.PhaseAfter, 3, store.CancelledFailure, StepErrorTask, StepPostTask, 3, "CanceledTransfer"},
		"done":                       {store.Done, store.PhaseAfter, 3, store.Failure{}, StepAllDoneTask, StepAllDoneTask, 0, "CompleteOk"},
	} {
		r := newRecord(&store.File{State: c.state, Progress: store.Progress{Phase: c.phase, Task: c.task}, Failure: c.failure}, "us")
		require.Equal(t, []any{c.global, c.last, c.step, c.status}, []any{r.GlobalStep, r.GlobalLastStep, r.Step, r.StepStatus}, name)
	}
}

func TestStatusFiltersAreTheInverseImage(t *testing.T) {
	t.Parallel()
	seen := map[store.State]int{}
	for _, s := range statuses {
		for _, state := range statesOf(s) {
			seen[state]++
			require.Equal(t, s, waarpStatus(&store.File{State: state}))
		}
	}
	for _, state := range store.States() {
		require.Equal(t, 1, seen[state], "%v has exactly one status", state)
	}
	require.Len(t, seen, len(store.States()))
	require.Empty(t, statesOf(StatusNotUpdated))
	require.Empty(t, statesOf(StatusUnknown))
	for _, state := range []store.State{0, 99} {
		require.Equal(t, StatusUnknown, waarpStatus(&store.File{State: state}), "a row of another version")
	}
}

func TestEveryCodeHasAWaarpName(t *testing.T) {
	t.Parallel()
	for code := range publishedCodes {
		require.NotEqual(t, "Unknown", waarpCause("", code), code)
	}
	require.Equal(t, "RemoteError", waarpCause(HTTPErrorResponse, HTTPServerError))
	require.Equal(t, "MD5Error", waarpCause(MDNIntegrityCheckFailed, ""))
	require.Equal(t, "TransferOk", stepStatus(&store.File{State: store.Waiting}), "the receipt is to come")
	require.Equal(t, "FileNotAllowed", waarpCause(WriteFileError, PermissionDenied), "the finer cause counts")
	require.Equal(t, "TransferError", waarpCause(WriteFileError, ""))
	require.Equal(t, "TransferError", waarpCause(WriteFileError, "MY_OWN"), "an unknown one does not")
	require.Equal(t, "Unknown", waarpCause(UnknownError, ""))
}
