package transfer_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

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
					id, _ := b.sendByRule(2500)
					time.Sleep(2 * time.Second)
					require.NoError(t, c.control(b.client, t.Context(), &transfer.ControlInput{TransferID: id}))
					time.Sleep(10 * time.Second)
					require.Equal(t, c.state, b.row(id).State)
					require.Equal(t, []string{"0"}, d.read(), "the task came to its end, and none followed")
					if c.state == store.Cancelled {
						time.Sleep(5 * time.Minute)
						require.Zero(t, b.partner.Calls(transfertest.OpAbort), "what was delivered is nothing to sweep")
						require.Equal(t, []string{"0"}, d.read(), "no error-tasks after a cancellation")
						litter, err := b.store.ListFiles(t.Context(), store.Query{Litter: true})
						require.NoError(t, err)
						require.Empty(t, litter, "the place in the chain is no litter")
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
				tasks := []transfer.Task{d.once("0", taking(3*time.Second)), d.once("1")}
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

// What fails because the node stops is not held against the file.
func TestATaskThatFailsWhileTheNodeStopsIsInterrupted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d diary
		rule := withRule(transfer.Rule{After: []transfer.Task{d.task("a0", taking(3*time.Second), failingOnce(transfer.PermissionDenied))}})
		b := setup(t, rule)
		id, _ := b.sendByRule(100)
		time.Sleep(2 * time.Second)
		require.NoError(t, b.client.Shutdown(t.Context()))
		r := b.row(id)
		require.Equal(t, store.Interrupted, r.State)
		require.Zero(t, r.Failures)
		b.client = b.newClient(rule)
		require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
		require.NoError(t, b.wait(id).Err())
		require.Equal(t, []string{"a0", "a0"}, d.read())
	})
}

// A file that was delivered goes on with what needs no partner, although its connector is gone.
func TestADeletedConnectorEndsOnlyTasksThatNeedIt(t *testing.T) {
	for name, c := range map[string]struct {
		last   transfer.Task
		detail transfer.Code
		ran    []string
	}{
		"ours":        {transfer.DeleteSource(), "", []string{"a0", "a0", "a1"}},
		"a partner's": {transfer.VerifyTarget(), transfer.ConnectorDeleted, []string{"a0", "a0", "a1", "e0"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var d diary
				b := setupDynamic(t, withRule(transfer.Rule{After: []transfer.Task{d.task("a0", failingOnce(transfer.NoSpace)), d.task("a1"), c.last}, OnError: []transfer.Task{d.task("e0")}}),
					func(c *transfer.Config) { c.Retry.FirstDelay, c.Retry.MaxDelay = time.Hour, time.Hour })
				b.local.WriteFile("a", content(1, 100))
				out, err := b.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: b.id, RuleName: "r", SendFilePaths: []string{"a"}})
				require.NoError(t, err)
				synctest.Wait()
				_, err = b.client.DeleteConnector(t.Context(), &transfer.DeleteConnectorInput{ConnectorID: b.id})
				require.NoError(t, err)
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				require.Equal(t, c.detail, b.results1(out.TransferID).FailureDetail)
				require.Equal(t, c.ran, d.read())
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
