package transfer_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// chronicle is an observer that writes everything down, but calls to the store.
type chronicle struct {
	transfer.NoObserver

	mu      sync.Mutex // guards the fields below
	lines   []string
	open    int // activities, parts and attempts
	calls   map[string]int
	trace   string
	traces  []string // of attempts
	results []transfer.AttemptResult
	clients int
}

func (d *chronicle) note(change int, format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open += change
	d.lines = append(d.lines, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// told returns what was written down, and what is under way.
func (d *chronicle) told() (lines []string, open int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines), d.open
}

func (d *chronicle) Started(*transfer.Client) func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clients++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.clients--
	}
}

func (d *chronicle) Carry(context.Context) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.trace
}

func (d *chronicle) Begin(ctx context.Context, a transfer.Activity) (context.Context, func(error)) {
	if a.Kind == transfer.ActivityStore {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.calls == nil {
			d.calls = make(map[string]int)
		}
		d.calls[a.Name]++
		return ctx, func(error) {}
	}
	d.note(1, "%s %s %s %d", a.Kind, a.Name, a.ConnectorID, a.Files)
	return ctx, func(err error) { d.note(-1, "/%s %s", a.Kind, transfer.CodeOf(err)) }
}

func (d *chronicle) Claimed(ctx context.Context, a transfer.Attempt) (context.Context, transfer.AttemptObserver) {
	d.note(1, "attempt %d at %s for %s %s", a.Number, a.SourcePath, a.ConnectorID, a.URL)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.traces = append(d.traces, a.Trace)
	return ctx, chronicleEntry{d}
}

type chronicleEntry struct{ *chronicle }

func (d chronicleEntry) Begin(ctx context.Context, p transfer.Part, name string) (context.Context, func(error)) {
	d.note(1, "%s %s", p, name)
	return ctx, func(err error) { d.note(-1, "/%s %s", p, transfer.CodeOf(err)) }
}

func (d chronicleEntry) Moved(n int64) { d.note(0, "moved %d", n) }

func (d chronicleEntry) End(r transfer.AttemptResult) {
	d.note(-1, "%s %d of %d %s", r.Outcome, r.Bytes, r.Size, r.Failure.Code)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.results = append(d.results, r)
}

func observed(o transfer.Observer) func(*transfer.Config) {
	return func(c *transfer.Config) { c.Observer = o }
}

// seldom leaves progress out, of which nobody can say when it comes.
func seldom(c *transfer.Config) { c.Lease, c.ProgressInterval = time.Minute, 20*time.Second }

func TestAnObserverIsToldOfEachPartOfAnAttempt(t *testing.T) {
	t.Parallel()
	const begun = "attempt 1 at a.bin for acme sftp://alice@partner.example\n"
	for name, test := range map[string]struct {
		in   transfer.StartFileTransferInput
		err  error
		want string
	}{
		"send": {
			in:   transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}},
			want: "open\n/open\nconnect\n/connect\ncreate\n/create\ndata\n/data\nfinalize\n/finalize\nmoved 500\ncompleted 500 of 500",
		},
		"retrieve": {
			in:   transfer.StartFileTransferInput{RetrieveFilePaths: []string{"a.bin"}, LocalDirectoryPath: "in"},
			want: "open\nconnect\n/connect\n/open\ncreate\n/create\ndata\n/data\nfinalize\n/finalize\nmoved 500\ncompleted 500 of 500",
		},
		"verify": {
			in:   transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, Verify: transfer.VerifyReadBack},
			want: "open\n/open\nconnect\n/connect\ncreate\n/create\ndata\n/data\nfinalize\n/finalize\nverify\n/verify\nmoved 500\ncompleted 500 of 500",
		},
		"skip": {
			in:   transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, Overwrite: transfer.OverwriteSkip},
			err:  transfer.FileExists,
			want: "open\n/open\nconnect\n/connect\ncreate\n/create FILE_EXISTS\nskipped 0 of 500",
		},
		"fail": {
			in:   transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}},
			err:  transfer.PermissionDenied,
			want: "open\n/open\nconnect\n/connect\ncreate\n/create PERMISSION_DENIED\nfailed 0 of 500 WRITE_FILE_ERROR",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &chronicle{}
			b := setup(t, observed(d), seldom)
			b.local.WriteFile("a.bin", content(1, 500))
			b.remote.WriteFile("a.bin", content(1, 500))
			if test.err != nil {
				b.partner.Inject(transfertest.Rule{Op: transfertest.OpCreate, Err: test.err})
			}
			b.run(test.in)
			require.NoError(t, b.client.Shutdown(t.Context()))
			lines, open := d.told()
			require.Zero(t, open, "everything that began has ended")
			about := func(what string) func(string) bool { return func(l string) bool { return strings.Contains(l, what) } }
			require.True(t, slices.ContainsFunc(lines, about("submit  acme 1")))
			require.Equal(t, strings.Split(begun+test.want, "\n"), slices.DeleteFunc(lines, about("submit")))
		})
	}
}

func TestAnObserverIsToldOfTasks(t *testing.T) {
	t.Parallel()
	task := func(name string, err error) transfer.Task {
		return transfer.Call(name, false, func(context.Context, *transfer.TaskFile) error { return err })
	}
	d := &chronicle{}
	b := setup(t, observed(d), seldom, func(c *transfer.Config) {
		c.Rules = map[string]transfer.Rule{"daily": {
			Before:  []transfer.Task{task("first", nil), task("second", nil)},
			After:   []transfer.Task{transfer.VerifyTarget(), task("last", transfer.PermissionDenied)},
			OnError: []transfer.Task{task("tell", nil)},
		}}
	})
	b.local.WriteFile("a.bin", content(1, 500))
	b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, RuleName: "daily"})
	require.NoError(t, b.client.Shutdown(t.Context()))
	lines, open := d.told()
	require.Zero(t, open)
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "submit") || strings.HasPrefix(l, "moved") })
	require.Equal(t, []string{
		"attempt 1 at a.bin for acme sftp://alice@partner.example",
		"before_tasks", "task first", "/task", "task second", "/task", "/before_tasks",
		"open", "/open", "connect", "/connect", "create", "/create", "data", "/data", "finalize", "/finalize",
		`after_tasks`, "task verify target", "connect", "/connect", "/task", "task last", "/task PERMISSION_DENIED", "/after_tasks PERMISSION_DENIED",
		"error_tasks", "task tell", "/task", "/error_tasks",
		"failed 500 of 500 INTERNAL_ERROR",
	}, lines)
}

func TestAnObserverKnowsWhatEachAttemptMoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := &chronicle{}
		b := ordered(t, policy(transfer.RetryPolicy{FirstDelay: time.Minute}), observed(d))
		b.local.WriteFile("a.bin", content(1, 5000))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 3, Err: transfer.ConnectionLost})
		started := time.Now()
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
		_, err := b.client.Wait(t.Context(), id)
		require.NoError(t, err)
		require.NoError(t, b.client.Shutdown(t.Context()))

		require.Len(t, d.results, 2)
		first, last := d.results[0], d.results[1]
		require.Equal(t, transfer.OutcomeRetry, first.Outcome)
		require.False(t, first.Outcome.Final())
		require.EqualValues(t, 2000, first.Bytes)
		require.Equal(t, "CONNECTION_LOST", first.Failure.Detail)
		require.LessOrEqual(t, first.Delay, time.Minute)
		require.Equal(t, transfer.OutcomeCompleted, last.Outcome)
		require.True(t, last.Outcome.Final())
		require.EqualValues(t, 3000, last.Bytes, "the rest")
		require.GreaterOrEqual(t, last.Since, first.Delay, "it counts from when the file could be taken up first")
		require.Equal(t, last.Ended.Sub(started), last.Since)
		moved := 0
		lines, _ := d.told()
		for _, l := range lines {
			var n int
			if _, err := fmt.Sscanf(l, "moved %d", &n); err == nil {
				moved += n
			}
		}
		require.Equal(t, 5000, moved)
	})
}

func TestAnObserverIsToldOfAttemptsThatUsersAndNodesEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end  func(b *bench, id string) error
		want transfer.Outcome
	}{
		"pause": {func(b *bench, id string) error {
			_, err := b.client.PauseTransfer(b.t.Context(), &transfer.ControlInput{TransferID: id})
			return err
		}, transfer.OutcomePaused},
		"cancel": {func(b *bench, id string) error {
			_, err := b.client.CancelTransfer(b.t.Context(), &transfer.ControlInput{TransferID: id})
			return err
		}, transfer.OutcomeCancelled},
		"shutdown": {func(b *bench, _ string) error { return b.client.Shutdown(b.t.Context()) }, transfer.OutcomeInterrupted},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d := &chronicle{}
				b := ordered(t, observed(d))
				b.local.WriteFile("a.bin", content(1, 500_000))
				b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Times: -1, Delay: 100 * time.Millisecond})
				id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
				time.Sleep(time.Second)
				require.NoError(t, test.end(b, id))
				require.NoError(t, b.client.Shutdown(t.Context()))
				require.Len(t, d.results, 1)
				require.Equal(t, test.want, d.results[0].Outcome)
				require.Equal(t, store.Failure{}, d.results[0].Failure)
				_, open := d.told()
				require.Zero(t, open)
			})
		})
	}
}

func TestWhatAnObserverCarriesReachesTheNodeThatMovesTheFile(t *testing.T) {
	t.Parallel()
	d := &chronicle{trace: `{"traceparent":"00-<&>"}`}
	b := setup(t, observed(d))
	submitter := b.newClient(observed(&chronicle{trace: "sent by another"}))
	out, err := submitter.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"missing"}})
	require.NoError(t, err)
	_, err = b.client.Wait(t.Context(), out.TransferID)
	require.NoError(t, err)
	b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"missing"}})
	d.mu.Lock()
	d.trace = strings.Repeat("x", 1025)
	d.mu.Unlock()
	b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"missing"}})
	again, err := b.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{TransferID: out.TransferID})
	require.NoError(t, err)
	_, err = b.client.Wait(t.Context(), again.Transfers[0].TransferID)
	require.NoError(t, err)
	require.NoError(t, b.client.Shutdown(t.Context()))
	require.Equal(t, []string{"sent by another", `{"traceparent":"00-<&>"}`, "", "sent by another"}, d.traces)
}

func TestAnObserverIsToldOfClientsOperationsAndSweeps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := &chronicle{}
		b := setup(t, observed(d))
		require.Equal(t, 1, d.clients)
		b.remote.WriteFile("in/a.bin", content(1, 10))
		out, err := b.client.StartRemoteDelete(t.Context(), &transfer.StartRemoteDeleteInput{ConnectorID: "acme", DeletePath: "in/a.bin"})
		require.NoError(t, err)
		require.NotEmpty(t, out.DeleteID)
		b.local.WriteFile("b.bin", content(1, 5000))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 3, Err: transfer.PermissionDenied})
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpAbort, Nth: 1, Err: transfer.ConnectionLost})
		b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"b.bin"}})
		time.Sleep(2 * time.Minute)
		require.NoError(t, b.client.Shutdown(t.Context()))
		require.Zero(t, d.clients)
		lines, open := d.told()
		require.Zero(t, open)
		for _, want := range []string{"operation DELETE acme 0", "/operation", "sweep  acme 0", "/sweep"} {
			require.Contains(t, lines, want)
		}
		for _, want := range []string{"create_transfer", "claim", "update", "create_operation", "finish_operation", "list_files", "swept"} {
			require.NotZero(t, d.calls[want], want)
		}
	})
}

// TestAnObserverIsToldOfEveryCallToTheStore calls every method that a Store has.
func TestAnObserverIsToldOfEveryCallToTheStore(t *testing.T) {
	t.Parallel()
	d := &chronicle{}
	st := transfer.ObservedStore(store.NewMemory(), d)
	v := reflect.ValueOf(st)
	for i := range v.NumMethod() {
		m := v.Type().Method(i)
		if m.Name == "Watch" || m.Name == "Close" {
			continue // neither says anything
		}
		before := len(d.calls)
		args := []reflect.Value{reflect.ValueOf(t.Context())}
		for a := 1; a < v.Method(i).Type().NumIn(); a++ {
			args = append(args, reflect.Zero(v.Method(i).Type().In(a)))
		}
		v.Method(i).Call(args)
		require.Len(t, d.calls, before+1, "%s is told under a name of its own", m.Name)
	}
	require.NotZero(t, d.calls["claim"])
}

func TestNodeStatsAndQueueStats(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, policy(transfer.RetryPolicy{MaxAttempts: 2, FirstDelay: time.Hour}))
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			b.local.WriteFile(name, content(1, 500))
		}
		hold := make(chan struct{})
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Times: -1, Hold: hold})
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a", "b", "c", "d", "e", "f"}})
		b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a"}, StartAt: time.Now().Add(24 * time.Hour)})
		time.Sleep(time.Minute)

		s := b.client.NodeStats()
		require.Equal(t, 4, s.Running)
		require.EqualValues(t, 100_000, s.MemoryBudget)
		require.EqualValues(t, 4*1000, s.MemoryUsed)
		require.Equal(t, []transfer.ConnectorStats{{ConnectorID: "acme", Breaker: transfer.BreakerClosed, Running: 4, Sessions: 4, Connections: -1}}, s.Connectors)
		q, err := b.client.QueueStats(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, map[store.State]int64{store.Queued: 3, store.Running: 4, store.Waiting: 0, store.Paused: 0, store.Interrupted: 0}, q.Files)
		require.Equal(t, time.Minute, q.Oldest)
		of, err := b.client.QueueStats(t.Context(), &transfer.QueueStatsInput{ConnectorID: "acme"})
		require.NoError(t, err)
		require.Equal(t, q, of)
		_, err = b.client.QueueStats(t.Context(), &transfer.QueueStatsInput{ConnectorID: "other"})
		require.ErrorAs(t, err, new(*transfer.ResourceNotFoundException))

		close(hold)
		_, err = b.client.Wait(t.Context(), id)
		require.NoError(t, err)
		q, err = b.client.QueueStats(t.Context(), nil)
		require.NoError(t, err)
		require.EqualValues(t, 1, q.Files[store.Queued])
		require.Zero(t, q.Oldest, "what is scheduled is not ready")
		require.Zero(t, b.client.NodeStats().Running)

		b.partner.Inject(transfertest.Rule{Op: transfertest.OpConnect, Times: -1, Err: transfer.ConnectionRefused})
		b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a"}})
		time.Sleep(10 * time.Millisecond)
		require.Equal(t, transfer.BreakerOpen, b.client.NodeStats().Connectors[0].Breaker)
		time.Sleep(2 * time.Second)
		require.Equal(t, transfer.BreakerHalfOpen, b.client.NodeStats().Connectors[0].Breaker)
		q, err = b.client.QueueStats(t.Context(), nil)
		require.NoError(t, err)
		require.EqualValues(t, 1, q.Files[store.Waiting])
	})
}
