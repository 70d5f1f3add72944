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
		f.Phase = rapid.SampledFrom([]store.Phase{store.PhaseConnect, store.PhaseData, store.PhaseFinalize}).Draw(t, "phase")
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
			require.Equal(t, f.State == store.Failed || f.State == store.Cancelled, r.GlobalStep == StepErrorTask)
			require.NotEmpty(t, r.StepStatus)
			require.GreaterOrEqual(t, r.Stop, r.Start)
			if f.State != store.Queued {
				require.NotEqual(t, "Unknown", r.StepStatus, "%v", f.Failure)
			}
		}
	})
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
