package otelx_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/otelx"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// tree draws spans, each below its parent.
func tree(spans tracetest.SpanStubs) string {
	slices.SortStableFunc(spans, func(a, b tracetest.SpanStub) int {
		return cmp.Or(a.StartTime.Compare(b.StartTime), cmp.Compare(a.Name, b.Name))
	})
	var b strings.Builder
	var draw func(parent trace.SpanID, depth int)
	draw = func(parent trace.SpanID, depth int) {
		for _, s := range spans {
			if s.Parent.SpanID() != parent {
				continue
			}
			fmt.Fprintf(&b, "%s%s (%s)", strings.Repeat("  ", depth), s.Name, s.SpanKind)
			if s.Status.Code == codes.Error {
				fmt.Fprintf(&b, " %s", value(s, "error.type"))
			}
			b.WriteByte('\n')
			draw(s.SpanContext.SpanID(), depth+1)
		}
	}
	draw(trace.SpanID{}, 0)
	return b.String()
}

func value(s tracetest.SpanStub, key attribute.Key) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}

// finished returns the spans of all that has ended.
func (r *rig) finished() tracetest.SpanStubs {
	r.t.Helper()
	require.NoError(r.t, r.client.Shutdown(r.t.Context()))
	return r.spans.GetSpans()
}

func named(spans tracetest.SpanStubs, name string) (found tracetest.SpanStubs) {
	for _, s := range spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

func TestAttemptsAreTracesWithTheirParts(t *testing.T) {
	t.Parallel()
	r := setup(t, otelx.Config{})
	r.local.WriteFile("a.bin", make([]byte, 2500))
	r.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 2, Err: transfer.ConnectionLost})
	r.run(t.Context(), transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, Verify: transfer.VerifyReadBack, RuleName: "daily", FollowID: "f1"})
	spans := r.finished()
	require.Equal(t, `transfer submit (producer)
transfer send (consumer) CONNECTION_LOST
  open (internal)
  connect (client)
  create (internal)
  data (internal) CONNECTION_LOST
transfer send (consumer)
  open (internal)
  connect (client)
  create (internal)
  data (internal)
  finalize (internal)
  verify (internal)
`, tree(spans))

	submitted := named(spans, "transfer submit")[0]
	require.Equal(t, "1", value(submitted, "transfer.file.count"))
	attempts := named(spans, "transfer send")
	for i, s := range attempts {
		require.Len(t, s.Links, 1)
		require.Equal(t, submitted.SpanContext.SpanID(), s.Links[0].SpanContext.SpanID())
		require.NotEqual(t, submitted.SpanContext.TraceID(), s.SpanContext.TraceID())
		for key, want := range map[attribute.Key]string{
			"transfer.connector.id": "acme", "transfer.direction": "send", "transfer.rule.name": "daily", "transfer.follow.id": "f1",
			"transfer.attempt.number": fmt.Sprint(i + 1), "transfer.file.id": "1",
			"server.address": "sftp.example.com", "server.port": "2222", "network.protocol.name": "sftp",
			"transfer.file.size": "2500", "transfer.io": []string{"1000", "1500"}[i], "transfer.outcome": []string{"retry", "completed"}[i],
			"transfer.failure.code": []string{"CONNECTION_ERROR", ""}[i], "transfer.file.source": "",
		} {
			require.Equal(t, want, value(s, key), key)
		}
		require.Empty(t, s.Status.Description, "it would name the file")
	}
	connect := named(spans, "connect")[0]
	require.Equal(t, "sftp.example.com", value(connect, "server.address"))
	require.False(t, connect.EndTime.After(attempts[0].EndTime))
}

func TestAttemptsMayBelongToTheTraceOfTheSubmission(t *testing.T) {
	t.Parallel()
	r := setup(t, otelx.Config{SameTrace: true, FilePaths: true})
	ctx, caller := r.tracing.Tracer("caller").Start(t.Context(), "order")
	r.run(ctx, transfer.StartFileTransferInput{RetrieveFilePaths: []string{"missing.bin"}, LocalDirectoryPath: "in"})
	caller.End()
	spans := r.finished()
	require.Equal(t, `order (internal)
  transfer submit (producer)
    transfer retrieve (consumer) RETRIEVE_FILE_NOT_FOUND
      open (internal) FILE_NOT_FOUND
        connect (client)
`, tree(spans))
	attempt := named(spans, "transfer retrieve")[0]
	require.Empty(t, attempt.Links)
	require.Equal(t, "missing.bin", value(attempt, "transfer.file.source"))
	require.Equal(t, "in/missing.bin", value(attempt, "transfer.file.target"))
	require.Contains(t, attempt.Status.Description, "missing.bin")
}

func TestTasksLieInTheirChains(t *testing.T) {
	t.Parallel()
	var inTask trace.SpanContext
	look := func(ctx context.Context, _ *transfer.TaskFile) error {
		inTask = trace.SpanContextFromContext(ctx)
		return nil
	}
	r := setup(t, otelx.Config{}, func(c *transfer.Config) {
		c.Rules = map[string]transfer.Rule{"daily": {
			Before: []transfer.Task{transfer.Call("look", true, look)},
			After:  []transfer.Task{transfer.VerifyTarget(), transfer.DeleteSource()},
		}}
	})
	r.local.WriteFile("a.bin", make([]byte, 10))
	r.run(t.Context(), transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, RuleName: "daily"})
	spans := r.finished()
	require.Equal(t, `transfer submit (producer)
transfer send (consumer)
  before_tasks (internal)
    task (internal)
  open (internal)
  connect (client)
  create (internal)
  data (internal)
  finalize (internal)
  after_tasks (internal)
    task (internal)
      connect (client)
    task (internal)
`, tree(spans))
	tasks := named(spans, "task")
	require.Equal(t, inTask, tasks[0].SpanContext, "what a task calls comes under it")
	require.Equal(t, "look", value(tasks[0], "transfer.task.name"))
}

func TestOperationsAndSweepsHaveSpans(t *testing.T) {
	t.Parallel()
	r := busy(t)
	spans := r.finished()
	operation := named(spans, "transfer operation DELETE")
	require.Len(t, operation, 1)
	require.Equal(t, trace.SpanKindClient, operation[0].SpanKind)
	require.Equal(t, "FILE_NOT_FOUND", value(operation[0], "error.type"))
	require.Equal(t, "sftp.example.com", value(operation[0], "server.address"))
	require.Len(t, named(spans, "transfer sweep"), 1)
	refused := named(spans, "transfer submit")[3]
	require.Equal(t, codes.Error, refused.Status.Code)
}

// TestWhatACarrierSaysIsNotTrusted reads texts that Carry never wrote.
func TestWhatACarrierSaysIsNotTrusted(t *testing.T) {
	t.Parallel()
	r := setup(t, otelx.Config{})
	for _, text := range []string{"", "{", `{"traceparent":7}`, `{"traceparent":"00-0-0-01"}`, `["a"]`} {
		ctx, attempt := r.observer.Claimed(t.Context(), transfer.Attempt{Trace: text, Direction: store.Send})
		require.True(t, trace.SpanContextFromContext(ctx).IsValid())
		attempt.End(transfer.AttemptResult{Outcome: transfer.OutcomeLost})
	}
	for _, s := range named(r.finished(), "transfer send") {
		require.Empty(t, s.Links)
	}
}

func TestSpansAreInTheManual(t *testing.T) {
	t.Parallel()
	manual := section(t, "## 11. Traces")
	names := []string{"transfer submit", "transfer send", "transfer retrieve", "transfer operation", "transfer sweep"}
	for _, p := range []transfer.Part{
		transfer.PartConnect, transfer.PartBefore, transfer.PartOpen, transfer.PartCreate, transfer.PartData, transfer.PartFinalize,
		transfer.PartVerify, transfer.PartAfter, transfer.PartOnError, transfer.PartTask, transfer.PartReceipt,
	} {
		names = append(names, string(p))
	}
	for _, name := range names {
		require.Contains(t, manual, "`"+name, name)
	}
	r := setup(t, otelx.Config{FilePaths: true})
	ctx, attempt := r.observer.Claimed(context.Background(), transfer.Attempt{URL: "sftp://h:22", RuleName: "r", Direction: store.Send})
	_, end := attempt.Begin(ctx, transfer.PartTask, "gunzip")
	end(nil)
	attempt.End(transfer.AttemptResult{Outcome: transfer.OutcomeRetry, Delay: 1, Failure: store.Failure{Code: "X", Message: "y"}})
	_, end = r.observer.Begin(ctx, transfer.Activity{Kind: transfer.ActivitySubmit, TransferID: "t", Direction: store.Send, URL: "sftp://h:22"})
	end(nil)
	for _, s := range r.finished() {
		for _, a := range s.Attributes {
			require.Contains(t, manual, "`"+string(a.Key)+"`")
		}
	}
}
