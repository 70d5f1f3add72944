package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// diary notes what happens, in order.
type diary struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

// task returns a task that notes its name, and then does what is given.
func (d *diary) task(name string, do ...func(context.Context, *transfer.TaskFile) error) transfer.Task {
	return transfer.Call(name, true, d.noting(name, do...))
}

// once is a task that must not run twice.
func (d *diary) once(name string, do ...func(context.Context, *transfer.TaskFile) error) transfer.Task {
	return transfer.Call(name, false, d.noting(name, do...))
}

func (d *diary) noting(name string, do ...func(context.Context, *transfer.TaskFile) error) func(context.Context, *transfer.TaskFile) error {
	return func(ctx context.Context, f *transfer.TaskFile) error {
		d.note(name)
		for _, f2 := range do {
			if err := f2(ctx, f); err != nil {
				return err
			}
		}
		return nil
	}
}

func failing(err error) func(context.Context, *transfer.TaskFile) error {
	return func(context.Context, *transfer.TaskFile) error { return err }
}

// failingOnce fails the first time.
func failingOnce(err error) func(context.Context, *transfer.TaskFile) error {
	var once sync.Once
	return func(context.Context, *transfer.TaskFile) (result error) {
		once.Do(func() { result = err })
		return result
	}
}

// withRule gives the client one rule, "r", and retries.
func withRule(r transfer.Rule) func(*transfer.Config) {
	return func(c *transfer.Config) {
		c.Rules = map[string]transfer.Rule{"r": r}
		c.Retry, c.PollInterval, c.ProgressInterval = transfer.RetryPolicy{MaxAttempts: 3}, time.Second, time.Second
	}
}

// sendByRule starts to send a file of so many bytes by the rule "r".
func (b *bench) sendByRule(size int) (id string, data []byte) {
	data = content(7, size)
	b.local.WriteFile("a.bin", data)
	return b.start(transfer.StartFileTransferInput{RuleName: "r", SendFilePaths: []string{"a.bin"}, RemoteDirectoryPath: "in", Metadata: map[string]string{"k": "v"}}), data
}

// record is the file as Waarp shows it.
func (b *bench) record(id string) transfer.TransferRecord {
	row := b.row(id)
	return row.Record()
}

func TestChainsRunAroundTheTransfer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d diary
		var seen []transfer.TaskFile
		see := func(_ context.Context, f *transfer.TaskFile) error { seen = append(seen, *f); return nil }
		b := setup(t, withRule(transfer.Rule{
			Before: []transfer.Task{d.task("b0", see), d.task("b1")}, After: []transfer.Task{d.task("a0", see), d.once("a1")}, OnError: []transfer.Task{d.task("e0")},
		}))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpCreate | transfertest.OpCommit, Do: func(c transfertest.Call) { d.note(c.Op.String()) }})
		id, data := b.sendByRule(2500)
		r := b.wait(id)
		require.NoError(t, r.Err())
		require.Equal(t, 1, r.Attempts)
		require.Equal(t, []string{"b0", "b1", transfertest.OpCreate.String(), transfertest.OpCommit.String(), "a0", "a1"}, d.read())

		before, after := seen[0], seen[1]
		require.Equal(t, "a.bin", before.SourcePath)
		require.Equal(t, "in/a.bin", before.TargetPath)
		require.False(t, before.Delivered)
		require.Empty(t, before.SHA256)
		require.Equal(t, "r", before.RuleName)
		require.Equal(t, "acme", before.ConnectorID)
		require.Equal(t, id, before.TransferID)
		require.Equal(t, id, before.FollowID)
		require.Equal(t, r.FileID, before.FileID)
		require.Equal(t, map[string]string{"k": "v"}, before.Metadata)
		require.Equal(t, store.Send, before.Direction)
		require.Equal(t, 1, before.Attempt)
		require.Equal(t, r.CreatedAt, before.CreatedAt)
		require.True(t, after.Delivered)
		require.EqualValues(t, len(data), after.Size)
		require.Equal(t, r.SHA256, fmt.Sprintf("%x", after.SHA256))
	})
}

// The row says where the file is, in both vocabularies, while tasks run.
func TestTheRowTellsWhichTaskRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hold := func(context.Context, *transfer.TaskFile) error { time.Sleep(10 * time.Second); return nil }
		b := setup(t, withRule(transfer.Rule{
			Before:  []transfer.Task{transfer.Call("b0", true, nothing), transfer.Call("b1", true, hold)},
			After:   []transfer.Task{transfer.Call("a0", true, nothing), transfer.Call("a1", true, hold), transfer.Call("a2", false, failing(errors.New("no")))},
			OnError: []transfer.Task{transfer.Call("e0", true, nothing), transfer.Call("e1", true, hold)},
		}))
		id, _ := b.sendByRule(100)
		time.Sleep(5 * time.Second)
		requireSteps := func(global, last transfer.GlobalStep, step int, status string, aws transfer.TransferTableStatus) {
			t.Helper()
			w := b.record(id)
			require.Equal(t, []any{global, last, step, status, aws}, []any{w.GlobalStep, w.GlobalLastStep, w.Step, w.StepStatus, b.row(id).StatusCode})
		}
		requireSteps(transfer.StepPreTask, transfer.StepPreTask, 1, "Running", transfer.TransferTableStatusInProgress)
		time.Sleep(10 * time.Second)
		requireSteps(transfer.StepPostTask, transfer.StepPostTask, 1, "Running", transfer.TransferTableStatusInProgress)
		time.Sleep(10 * time.Second)
		requireSteps(transfer.StepErrorTask, transfer.StepPostTask, 1, "Running", transfer.TransferTableStatusInProgress)
		require.Equal(t, transfer.TaskFailed, b.row(id).FailureDetail, "why it is going to fail can be seen already")
		b.wait(id)
		requireSteps(transfer.StepErrorTask, transfer.StepPostTask, 2, "ExternalOp", transfer.TransferTableStatusFailed)
		require.Equal(t, transfer.InternalError, b.row(id).FailureCode)
		require.Equal(t, `task After[2], "a2": no`, b.row(id).FailureMessage)
	})
}

func TestATaskThatMayPassIsTriedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		err        error
		repeatable bool
		state      store.State
		runs       int
	}{
		"a plain error":                            {errors.New("no"), true, store.Done, 2},
		"a plain error of one that runs once":      {errors.New("no"), false, store.Failed, 1},
		"a standard error of one that runs once":   {context.DeadlineExceeded, false, store.Failed, 1},
		"a retryable code":                         {transfer.PartnerBusy, true, store.Done, 2},
		"a retryable code of one that runs once":   {&transfer.Error{Op: "x", Code: transfer.ConnectionLost}, false, store.Done, 2},
		"a code that does not pass":                {transfer.PermissionDenied, true, store.Failed, 1},
		"a code that does not pass, of one of one": {transfer.PermissionDenied, false, store.Failed, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var d diary
				make := d.task
				if !c.repeatable {
					make = d.once
				}
				b := setup(t, withRule(transfer.Rule{Before: []transfer.Task{d.task("b0")}, After: []transfer.Task{d.task("a0"), make("a1", failingOnce(c.err))}}))
				id, data := b.sendByRule(2500)
				r := b.wait(id)
				require.Equal(t, c.state, r.State, r.FailureMessage)
				want := []string{"b0", "a0", "a1", "a1"}[:2+c.runs]
				require.Equal(t, want, d.read(), "the chain goes on at the task that failed")
				require.Equal(t, 1, b.partner.Calls(transfertest.OpCommit), "a file in its after-tasks is never moved again")
				got, err := b.remote.ReadFile("in/a.bin")
				require.NoError(t, err)
				require.Equal(t, data, got)
			})
		})
	}
}

func TestTasksAreTriedAgainUnderThePolicy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d diary
		b := setup(t, withRule(transfer.Rule{After: []transfer.Task{d.task("a0", failing(errors.New("no")))}, OnError: []transfer.Task{d.task("e0")}}))
		id, _ := b.sendByRule(100)
		r := b.wait(id)
		require.Equal(t, transfer.TaskFailed, r.FailureDetail)
		require.Equal(t, []string{"a0", "a0", "a0", "e0"}, d.read())
		require.NotEmpty(t, r.SHA256)
	})
}

// Each task that was passed is progress, as each window is.
func TestATaskPassedIsProgress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d diary
		var tasks []transfer.Task
		for i := range 6 {
			tasks = append(tasks, d.task(fmt.Sprint(i), failingOnce(transfer.Stalled)))
		}
		b := setup(t, withRule(transfer.Rule{After: tasks}))
		id, _ := b.sendByRule(100)
		require.NoError(t, b.wait(id).Err(), "six failures in all, and never three in a row without coming further")
	})
}

func TestErrorTasksRunWhenAFileFailsForGood(t *testing.T) {
	for name, c := range map[string]struct {
		inject transfertest.Rule
		before error
		code   transfer.Code
		last   transfer.GlobalStep
		size   int
	}{
		"in a before-task":  {before: transfer.PermissionDenied, code: transfer.InternalError, last: transfer.StepPreTask},
		"while connecting":  {inject: transfertest.Rule{Op: transfertest.OpConnect, Err: transfer.AuthenticationFailed}, code: transfer.ConnectionError, last: transfer.StepTransferTask},
		"at the target":     {inject: transfertest.Rule{Op: transfertest.OpWriteWindow, Err: transfer.PermissionDenied}, code: transfer.WriteFileError, last: transfer.StepTransferTask},
		"after its retries": {inject: transfertest.Rule{Op: transfertest.OpCommit, Err: transfer.ConnectionLost}, code: transfer.ConnectionError, last: transfer.StepTransferTask},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var d diary
				var saw transfer.TaskFile
				see := func(_ context.Context, f *transfer.TaskFile) error { saw = *f; return nil }
				b := setup(t, withRule(transfer.Rule{
					Before: []transfer.Task{transfer.Call("b0", true, failing(c.before))}, After: []transfer.Task{d.task("a0")}, OnError: []transfer.Task{d.task("e0", see), d.once("e1")},
				}))
				if c.inject.Op != 0 {
					b.partner.Inject(c.inject)
				}
				id, _ := b.sendByRule(2500)
				r := b.wait(id)
				require.Equal(t, store.Failed, r.State)
				require.Equal(t, c.code, r.FailureCode)
				require.Equal(t, []string{"e0", "e1"}, d.read())
				require.Equal(t, c.code, saw.FailureCode)
				require.Equal(t, r.FailureMessage, saw.FailureMessage)
				require.False(t, saw.Delivered)
				w := b.record(id)
				require.Equal(t, transfer.StepErrorTask, w.GlobalStep)
				require.Equal(t, c.last, w.GlobalLastStep)
				time.Sleep(2 * time.Minute)
				require.Empty(t, b.remote.Partials())
			})
		})
	}
}

// The first error-task that fails ends the chain, in whatever way it fails, and the failure stays what it was.
func TestAnErrorTaskThatFailsEndsTheChain(t *testing.T) {
	for name, do := range map[string]func(context.Context, *transfer.TaskFile) error{
		"for good":  failing(transfer.PermissionDenied),
		"retryably": failing(transfer.ConnectionLost),
		"panicking": func(context.Context, *transfer.TaskFile) error { panic("oh") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var d diary
				b := setup(t, withRule(transfer.Rule{OnError: []transfer.Task{d.task("e0", do), d.task("e1")}}))
				r := b.wait(b.start(transfer.StartFileTransferInput{RuleName: "r", SendFilePaths: []string{"none"}}))
				require.Equal(t, transfer.SendFileNotFound, r.FailureCode)
				require.Contains(t, r.FailureMessage, "does not exist; then task OnError[0], \"e0\": ")
				require.Equal(t, []string{"e0"}, d.read())
				require.Equal(t, 1, r.Attempts)
			})
		})
	}
}

func TestAPanickingTaskFailsItsFileAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, withRule(transfer.Rule{Before: []transfer.Task{transfer.Call("b0", true, func(context.Context, *transfer.TaskFile) error { panic("oh") })}}))
		id, _ := b.sendByRule(10)
		r := b.wait(id)
		require.Equal(t, transfer.InternalError, r.FailureCode)
		require.Contains(t, r.FailureMessage, "panic: oh")
	})
}

// A file whose time was over has error-tasks that are not cut off at once.
func TestErrorTasksHaveTheirOwnTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d diary
		patient := func(ctx context.Context, _ *transfer.TaskFile) error {
			select {
			case <-time.After(30 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		b := setup(t, withRule(transfer.Rule{OnError: []transfer.Task{d.task("e0", patient), d.task("e1")}}), func(c *transfer.Config) { c.FileTimeout = time.Minute })
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Block: true})
		id, _ := b.sendByRule(100)
		r := b.wait(id)
		require.Equal(t, transfer.TimeoutError, r.FailureCode)
		require.NotContains(t, r.FailureMessage, "then")
		require.Equal(t, []string{"e0", "e1"}, d.read())
	})
}

func TestATaskThatTakesTooLongIsEnded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d diary
		stuck := func(ctx context.Context, _ *transfer.TaskFile) error { <-ctx.Done(); return ctx.Err() }
		b := setup(t, withRule(transfer.Rule{Before: []transfer.Task{d.task("b0", stuck)}, OnError: []transfer.Task{d.task("e0", stuck)}}), func(c *transfer.Config) {
			c.FileTimeout, c.Retry.MaxAttempts = time.Minute, 2
		})
		id, _ := b.sendByRule(100)
		r := b.wait(id)
		require.Equal(t, transfer.TimeoutError, r.FailureCode)
		require.Equal(t, []string{"b0", "b0", "e0"}, d.read())
		require.Contains(t, r.FailureMessage, "it took longer than 1m0s (Config.FileTimeout); then task OnError[0]")
	})
}

// A skipped file was not delivered by us: after-tasks that would remove its source must not run.
func TestASkippedFileHasNoAfterTasks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d diary
		b := setup(t, withRule(transfer.Rule{Overwrite: transfer.OverwriteSkip, After: []transfer.Task{d.task("a0")}}))
		b.remote.WriteFile("in/a.bin", []byte("theirs"))
		id, _ := b.sendByRule(100)
		r := b.wait(id)
		require.True(t, r.Skipped)
		require.Equal(t, store.Done, r.State)
		require.Empty(t, d.read())
	})
}

// Tasks on our side do not bother the partner, and hold no session of it.
func TestOnlyWhatNeedsThePartnerConnects(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var open []int
		var b *bench
		count := func(context.Context, *transfer.TaskFile) error {
			open = append(open, b.partner.OpenRemotes())
			return nil
		}
		b = setup(t, withRule(transfer.Rule{
			Before: []transfer.Task{transfer.Call("b0", true, count)},
			After:  []transfer.Task{transfer.Call("a0", true, count), transfer.Call("a1", true, failingOnce(transfer.NoSpace)), transfer.Call("a2", true, count)},
		}))
		id, _ := b.sendByRule(100)
		require.NoError(t, b.wait(id).Err())
		require.Equal(t, []int{0, 0, 0}, open)
		require.Equal(t, 1, b.partner.Calls(transfertest.OpConnect), "for the data, although there were two attempts")
	})
}

func TestTasksReachBothSides(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var at []string
		look := func(ctx context.Context, f *transfer.TaskFile) error {
			for _, p := range []transfer.Place{f.Source(), f.Target()} {
				err := p.ListDirectory(ctx, "/", func(e transfer.DirectoryEntry) bool { at = append(at, e.Name); return true })
				if err != nil {
					return err
				}
			}
			return nil
		}
		b := setup(t, withRule(transfer.Rule{Before: []transfer.Task{transfer.Call("b0", true, look)}}))
		b.remote.WriteFile("there", nil)
		id, _ := b.sendByRule(100)
		require.NoError(t, b.wait(id).Err())
		require.Equal(t, []string{"a.bin", "there"}, at)
	})
}

func TestPauseAndCancelTakeEffectBetweenTasks(t *testing.T) {
	for name, c := range map[string]struct {
		control func(*transfer.Client, context.Context, *transfer.ControlInput) error
		state   store.State
	}{
		"pause": {func(c *transfer.Client, ctx context.Context, in *transfer.ControlInput) error {
			_, err := pause(c, ctx, in)
			return err
		}, store.Paused},
		"cancel": {func(c *transfer.Client, ctx context.Context, in *transfer.ControlInput) error {
			_, err := cancel(c, ctx, in)
			return err
		}, store.Cancelled},
	} {
		for _, chain := range []string{"before", "after", "errors"} {
			t.Run(name+" in "+chain, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var d diary
					short := func(context.Context, *transfer.TaskFile) error { time.Sleep(3 * time.Second); return nil }
					tasks := []transfer.Task{d.task("0", short), d.task("1")}
					r := map[string]transfer.Rule{"before": {Before: tasks, OnError: []transfer.Task{d.task("e")}}, "after": {After: tasks, OnError: []transfer.Task{d.task("e")}},
						"errors": {Before: []transfer.Task{transfer.Call("b", false, failing(errors.New("no")))}, OnError: tasks}}[chain]
					b := setup(t, withRule(r))
					id, _ := b.sendByRule(100)
					time.Sleep(2 * time.Second)
					require.NoError(t, c.control(b.client, t.Context(), &transfer.ControlInput{TransferID: id}))
					time.Sleep(10 * time.Second)
					require.Equal(t, c.state, b.row(id).State)
					require.Equal(t, []string{"0"}, d.read(), "the task came to its end, and none followed")
					if c.state == store.Cancelled {
						time.Sleep(5 * time.Minute)
						require.Equal(t, []string{"0"}, d.read(), "no error-tasks after a cancellation")
						files, err := b.store.ListFiles(t.Context(), store.Query{TransferID: id})
						require.NoError(t, err)
						require.Empty(t, files[0].Checkpoint, "the place in the chain is no litter")
						return
					}
					_, err := resume(b.client, t.Context(), &transfer.ControlInput{TransferID: id})
					require.NoError(t, err)
					b.wait(id)
					require.Equal(t, []string{"0", "1"}, d.read(), "it goes on where it was")
					require.Equal(t, chain == "errors", b.row(id).State == store.Failed)
				})
			})
		}
	}
}

// A task that takes longer is ended when a user wants the file stopped, unless it must not run twice and may go on later.
func TestWhatAUserWantsEndsALongTask(t *testing.T) {
	for name, c := range map[string]struct {
		repeatable, cancels bool
		ended               bool
	}{
		"paused": {true, false, true}, "paused, once": {false, false, false}, "cancelled": {true, true, true}, "cancelled, once": {false, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var ended bool
				long := func(ctx context.Context, _ *transfer.TaskFile) error {
					select {
					case <-ctx.Done():
						ended = true
						return ctx.Err()
					case <-time.After(time.Minute):
						return nil
					}
				}
				b := setup(t, withRule(transfer.Rule{After: []transfer.Task{transfer.Call("a0", c.repeatable, long), transfer.Call("a1", true, nothing)}}))
				id, _ := b.sendByRule(100)
				time.Sleep(2 * time.Second)
				verb, state := pause, store.Paused
				if c.cancels {
					verb, state = cancel, store.Cancelled
				}
				_, err := verb(b.client, t.Context(), &transfer.ControlInput{TransferID: id})
				require.NoError(t, err)
				time.Sleep(2 * time.Minute)
				require.Equal(t, state, b.row(id).State)
				require.Equal(t, c.ended, ended)
				require.Contains(t, b.remote.Paths(), "in/a.bin", "what was delivered stays")
				if !c.cancels {
					_, err := resume(b.client, t.Context(), &transfer.ControlInput{TransferID: id})
					require.NoError(t, err)
					require.NoError(t, b.wait(id).Err())
				}
			})
		})
	}
}

func TestShutdownInterruptsBetweenTasks(t *testing.T) {
	for _, chain := range []string{"before", "after", "errors"} {
		t.Run(chain, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var d diary
				short := func(context.Context, *transfer.TaskFile) error { time.Sleep(3 * time.Second); return nil }
				tasks := []transfer.Task{d.once("0", short), d.once("1")}
				r := map[string]transfer.Rule{"before": {Before: tasks}, "after": {After: tasks},
					"errors": {Before: []transfer.Task{transfer.Call("b", false, failing(errors.New("no")))}, OnError: tasks}}[chain]
				b := setup(t, withRule(r))
				id, _ := b.sendByRule(100)
				time.Sleep(2 * time.Second)
				require.NoError(t, b.client.Shutdown(t.Context()))
				require.Equal(t, store.Interrupted, b.row(id).State)
				require.Equal(t, []string{"0"}, d.read())
				w := b.record(id)
				require.Equal(t, 1, w.Step, "the next task")
				require.Equal(t, "INTERRUPTED", string(w.Status))
				require.Equal(t, map[string]transfer.GlobalStep{"before": transfer.StepPreTask, "after": transfer.StepPostTask, "errors": transfer.StepErrorTask}[chain], w.GlobalStep)

				b.client = b.newClient(withRule(r))
				require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
				b.wait(id)
				require.Equal(t, []string{"0", "1"}, d.read())
			})
		})
	}
}

// A task that is cut off with its node runs again if it may.
func TestATaskThatWasCutOff(t *testing.T) {
	for name, c := range map[string]struct {
		repeatable bool
		runs       []string
		detail     transfer.Code
	}{
		"repeatable": {true, []string{"a0", "a0", "a1"}, ""},
		"not":        {false, []string{"a0", "e0"}, transfer.TaskInterrupted},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var d diary
				stuck := func(ctx context.Context, _ *transfer.TaskFile) error {
					select {
					case <-ctx.Done():
						return ctx.Err()
					case <-time.After(time.Minute):
						return nil
					}
				}
				make := d.task
				if !c.repeatable {
					make = d.once
				}
				rule := withRule(transfer.Rule{After: []transfer.Task{make("a0", stuck), d.task("a1")}, OnError: []transfer.Task{d.task("e0")}})
				b := setup(t, rule)
				id, _ := b.sendByRule(2500)
				time.Sleep(2 * time.Second)
				ended, cut := context.WithCancel(t.Context())
				cut()
				require.Error(t, b.client.Shutdown(ended))
				require.Equal(t, store.Interrupted, b.row(id).State)
				b.client = b.newClient(rule)
				require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
				r := b.wait(id)
				require.Equal(t, c.runs, d.read())
				require.Equal(t, c.detail, r.FailureDetail)
				require.Equal(t, 1, b.partner.Calls(transfertest.OpCommit))
			})
		})
	}
}

// A rule was changed while a file was in one of its tasks.
func TestATaskIsNotRunInThePlaceOfAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d diary
		stuck := func(ctx context.Context, _ *transfer.TaskFile) error { <-ctx.Done(); return ctx.Err() }
		b := setup(t, withRule(transfer.Rule{After: []transfer.Task{d.task("verify", stuck)}}))
		id, _ := b.sendByRule(100)
		time.Sleep(2 * time.Second)
		ended, cut := context.WithCancel(t.Context())
		cut()
		require.Error(t, b.client.Shutdown(ended))
		b.client = b.newClient(withRule(transfer.Rule{After: []transfer.Task{d.task("delete source")}}))
		require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
		r := b.wait(id)
		require.Equal(t, transfer.TaskInterrupted, r.FailureDetail)
		require.Equal(t, []string{"verify"}, d.read())
	})
}

// A node that lost the file's lease begins no task.
func TestALostLeaseEndsTheChain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d diary
		unreliable := &flaky{Store: store.NewMemory()}
		ended := make(chan error, 1)
		wait := func(ctx context.Context, _ *transfer.TaskFile) error {
			if len(d.read()) > 1 {
				return nil
			}
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return ctx.Err()
		}
		rule := withRule(transfer.Rule{After: []transfer.Task{d.task("a0", wait), d.task("a1")}})
		b := setup(t, rule, func(c *transfer.Config) { c.Store = unreliable })
		b.store = unreliable
		id, _ := b.sendByRule(100)
		time.Sleep(2 * time.Second)
		unreliable.down.Store(true)
		time.Sleep(time.Minute)
		other := b.newClient(rule, func(c *transfer.Config) { c.Store = unreliable.Store })
		require.NoError(t, other.Start(context.WithoutCancel(t.Context())))
		synctest.Wait()
		time.Sleep(time.Minute)
		require.Equal(t, []string{"a0", "a0", "a1"}, d.read(), "another node went on with it")
		unreliable.down.Store(false)
		require.ErrorContains(t, <-ended, "lease lost")
		require.NoError(t, b.wait(id).Err())
		require.NoError(t, other.Shutdown(t.Context()))
		require.Equal(t, []string{"a0", "a0", "a1"}, d.read())
	})
}

func TestBeforeTasksChangeTheSource(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, withRule(transfer.Rule{Before: []transfer.Task{transfer.MoveSource("work")}, After: []transfer.Task{transfer.DeleteSource()}}))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 2, Err: transfer.ConnectionLost})
		id, data := b.sendByRule(2500)
		require.NoError(t, b.wait(id).Err())
		got, err := b.remote.ReadFile("in/a.bin")
		require.NoError(t, err)
		require.Equal(t, data, got)
		require.Empty(t, b.local.Paths())
		require.Equal(t, "a.bin", b.row(id).FilePath, "the row keeps the path of the request")
	})
}

func TestABeforeTaskCannotMoveTheTarget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, withRule(transfer.Rule{Before: []transfer.Task{transfer.Call("b0", true, func(_ context.Context, f *transfer.TaskFile) error {
			f.TargetPath = "elsewhere"
			return nil
		})}}))
		id, _ := b.sendByRule(10)
		require.Contains(t, b.wait(id).FailureMessage, "it has changed the target's path")
	})
}

func TestATaskCannotMakeAWrongPath(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, withRule(transfer.Rule{After: []transfer.Task{transfer.Call("a0", true, func(_ context.Context, f *transfer.TaskFile) error {
			f.SourcePath = "a\nb"
			return nil
		})}}))
		id, _ := b.sendByRule(10)
		require.Contains(t, b.wait(id).FailureMessage, "it has made a wrong path")
	})
}
