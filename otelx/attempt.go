package otelx

import (
	"context"
	"encoding/json"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// attempt is an attempt at a file that is under way.
type attempt struct {
	o      *Observer
	span   trace.Span
	traced bool            // the span is recorded
	ctx    context.Context // of measurements: with the span, which may become their exemplar
	began  time.Time
	server string // URL
	sets   *routeSets
	chain  trace.Span // of tasks that run, or nil; the parts of an attempt begin one after the other
}

// Carry returns the span of ctx as text.
func (o *Observer) Carry(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	o.cfg.Propagator.Inject(ctx, carrier)
	if len(carrier) == 0 {
		return ""
	}
	text, _ := json.Marshal(carrier) // strings
	return string(text)
}

// Claimed begins the span of an attempt.
func (o *Observer) Claimed(ctx context.Context, a transfer.Attempt) (context.Context, transfer.AttemptObserver) {
	began := time.Now()
	at := o.sets.route(route{a.ConnectorID, directions[a.Direction]})
	ctx, from := o.extract(ctx, a.Trace)
	options := []trace.SpanStartOption{
		trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(transferID.String(a.TransferID), fileID.Int64(a.FileID), connectorID.String(a.ConnectorID), direction.String(at.direction)),
	}
	if !o.cfg.SameTrace {
		options = append(options, trace.WithNewRoot())
		if from.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: from}))
		}
	}
	ctx, span := o.tracer.Start(ctx, "transfer "+at.direction, options...)
	traced := span.IsRecording()
	if traced {
		span.SetAttributes(o.about(&a)...)
	}
	o.waited.Record(ctx, a.Waited.Seconds(), at.plain.record...)
	seen := trace.ContextWithSpan(context.Background(), span)
	return ctx, &attempt{o: o, span: span, traced: traced, ctx: seen, began: began, server: a.URL, sets: at}
}

// extract returns ctx with what Carry has written, and the span that it speaks of. What cannot be read is nothing.
func (o *Observer) extract(ctx context.Context, text string) (context.Context, trace.SpanContext) {
	var carrier propagation.MapCarrier
	if text == "" || json.Unmarshal([]byte(text), &carrier) != nil {
		return ctx, trace.SpanContext{}
	}
	ctx = o.cfg.Propagator.Extract(ctx, carrier)
	return ctx, trace.SpanContextFromContext(ctx)
}

// about is what is known of an attempt when it begins.
func (o *Observer) about(a *transfer.Attempt) []attribute.KeyValue {
	attrs := append(server(a.URL), o.cfg.Attributes...)
	attrs = append(attrs, followID.String(a.FollowID), attemptNumber.Int(a.Number), queueWait.Float64(a.Waited.Seconds()))
	if a.RuleName != "" {
		attrs = append(attrs, ruleName.String(a.RuleName))
	}
	if o.cfg.FilePaths {
		attrs = append(attrs, filePathSource.String(a.SourcePath), filePathTarget.String(a.TargetPath))
	}
	return attrs
}

// Begin begins the span of a part. Parts of an attempt that is not recorded have none.
func (a *attempt) Begin(ctx context.Context, p transfer.Part, name string) (context.Context, func(error)) {
	began := time.Now()
	if !a.traced {
		return ctx, func(err error) { a.measurePart(p, time.Since(began), err) }
	}
	ctx, span := a.startPart(ctx, p, name, began)
	return ctx, func(err error) {
		ended := time.Now()
		if span == a.chain {
			a.chain = nil
		}
		a.measurePart(p, ended.Sub(began), err)
		a.o.end(span, err, ended)
	}
}

func isChain(p transfer.Part) bool {
	return p == transfer.PartBefore || p == transfer.PartAfter || p == transfer.PartOnError
}

func (a *attempt) startPart(ctx context.Context, p transfer.Part, name string, began time.Time) (context.Context, trace.Span) {
	kind := trace.SpanKindInternal
	if p == transfer.PartConnect || p == transfer.PartReceipt {
		kind = trace.SpanKindClient
	}
	if p == transfer.PartTask && a.chain != nil {
		ctx = trace.ContextWithSpan(ctx, a.chain)
	}
	ctx, span := a.o.tracer.Start(ctx, string(p), trace.WithTimestamp(began), trace.WithSpanKind(kind), trace.WithAttributes(a.o.cfg.Attributes...))
	if kind == trace.SpanKindClient {
		span.SetAttributes(server(a.server)...)
	}
	if isChain(p) {
		a.chain = span
	}
	if name != "" {
		span.SetAttributes(taskName.String(name))
	}
	return ctx, span
}

func (a *attempt) measurePart(p transfer.Part, took time.Duration, err error) {
	measured := a.sets.phases[p]
	if err != nil || measured == nil {
		measured = a.o.sets.of(labels{
			connector: a.sets.connector, direction: a.sets.direction, phase: string(p), errorType: string(transfer.CodeOf(err)),
		})
	}
	a.o.phaseTook.Record(a.ctx, took.Seconds(), measured.record...)
}

// end ends the span of something that may have failed.
func (o *Observer) end(span trace.Span, err error, at time.Time) {
	if err != nil {
		text := ""
		if o.cfg.FilePaths {
			text = err.Error()
		}
		span.SetAttributes(errorType.String(string(transfer.CodeOf(err))))
		span.SetStatus(codes.Error, text)
	}
	span.End(trace.WithTimestamp(at))
}

// Moved counts bytes.
func (a *attempt) Moved(bytes int64) {
	a.o.moved.Add(a.ctx, bytes, a.sets.plain.add...)
}

// End ends the span and counts the attempt.
func (a *attempt) End(r transfer.AttemptResult) {
	a.measure(&r)
	if a.traced {
		a.span.SetAttributes(outcome.String(string(r.Outcome)), fileSize.Int64(r.Size), bytesMoved.Int64(r.Bytes))
		if r.Delay > 0 {
			a.span.SetAttributes(retryDelay.Float64(r.Delay.Seconds()))
		}
		if r.Failure != (store.Failure{}) {
			a.fail(r.Failure)
		}
	}
	a.span.End(trace.WithTimestamp(r.Ended))
}

func (a *attempt) fail(f store.Failure) {
	text := ""
	if a.o.cfg.FilePaths {
		text = f.Message
	}
	a.span.SetAttributes(errorType.String(cause(f)), failureCode.String(f.Code))
	a.span.SetStatus(codes.Error, text)
}

// cause is the finest cause of a failure that there is.
func cause(f store.Failure) string {
	if f.Detail != "" {
		return f.Detail
	}
	return f.Code
}

func (a *attempt) measure(r *transfer.AttemptResult) {
	o, at := a.o, a.sets.outcomes[r.Outcome]
	o.attemptTook.Record(a.ctx, r.Ended.Sub(a.began).Seconds(), at.record...)
	if r.Outcome == transfer.OutcomeCompleted {
		o.fileSize.Record(a.ctx, r.Size, a.sets.plain.record...)
	}
	counted := at
	if r.Failure != (store.Failure{}) {
		counted = o.sets.of(labels{
			connector: a.sets.connector, direction: a.sets.direction, outcome: string(r.Outcome),
			code: r.Failure.Code, errorType: cause(r.Failure),
		})
	}
	o.attempts.Add(a.ctx, 1, counted.add...)
	if r.Outcome.Final() {
		o.fileTook.Record(a.ctx, r.Since.Seconds(), at.record...)
		o.finished.Add(a.ctx, 1, counted.add...)
	}
}
