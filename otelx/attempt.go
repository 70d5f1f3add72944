package otelx

import (
	"context"
	"encoding/json"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// attempt is an attempt at a file that is under way.
type attempt struct {
	o         *Observer
	span      trace.Span
	began     time.Time
	server    string // URL
	connector string
	direction string
	io        metric.MeasurementOption
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
	options := []trace.SpanStartOption{
		trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(o.cfg.Attributes...),
		trace.WithAttributes(transferID.String(a.TransferID), fileID.Int64(a.FileID), connectorID.String(a.ConnectorID), direction.String(directions[a.Direction])),
	}
	ctx, from := o.extract(ctx, a.Trace)
	if !o.cfg.SameTrace {
		options = append(options, trace.WithNewRoot())
		if from.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: from}))
		}
	}
	ctx, span := o.tracer.Start(ctx, "transfer "+directions[a.Direction], options...)
	if span.IsRecording() {
		span.SetAttributes(o.about(&a)...)
	}
	at := labels{connector: a.ConnectorID, direction: directions[a.Direction]}
	io := o.sets.of(at)
	o.waited.Record(ctx, a.Waited.Seconds(), io)
	return ctx, &attempt{
		o: o, span: span, began: began, server: a.URL, connector: at.connector, direction: at.direction, io: io,
	}
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
	attrs := append(server(a.URL), followID.String(a.FollowID), attemptNumber.Int(a.Number), queueWait.Float64(a.Waited.Seconds()))
	if a.RuleName != "" {
		attrs = append(attrs, ruleName.String(a.RuleName))
	}
	if o.cfg.FilePaths {
		attrs = append(attrs, filePathSource.String(a.SourcePath), filePathTarget.String(a.TargetPath))
	}
	return attrs
}

// Begin begins the span of a part.
func (a *attempt) Begin(ctx context.Context, p transfer.Part, name string) (context.Context, func(error)) {
	began := time.Now()
	options := []trace.SpanStartOption{trace.WithTimestamp(began), trace.WithAttributes(a.o.cfg.Attributes...)}
	if p == transfer.PartConnect || p == transfer.PartReceipt {
		options = append(options, trace.WithSpanKind(trace.SpanKindClient))
	}
	ctx, span := a.o.tracer.Start(ctx, string(p), options...)
	if span.IsRecording() {
		if p == transfer.PartConnect {
			span.SetAttributes(server(a.server)...)
		}
		if name != "" {
			span.SetAttributes(taskName.String(name))
		}
	}
	return ctx, func(err error) {
		ended := time.Now()
		l := labels{connector: a.connector, direction: a.direction, phase: string(p), errorType: string(transfer.CodeOf(err))}
		a.o.phaseTook.Record(ctx, ended.Sub(began).Seconds(), a.o.sets.of(l))
		a.o.end(span, err, ended)
	}
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
	a.o.moved.Add(trace.ContextWithSpan(context.Background(), a.span), bytes, a.io)
}

// End ends the span and counts the attempt.
func (a *attempt) End(r transfer.AttemptResult) {
	a.measure(&r)
	if a.span.IsRecording() {
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
	o, ctx := a.o, trace.ContextWithSpan(context.Background(), a.span)
	l := labels{connector: a.connector, direction: a.direction, outcome: string(r.Outcome)}
	o.attemptTook.Record(ctx, r.Ended.Sub(a.began).Seconds(), o.sets.of(l))
	if r.Outcome.Final() {
		o.fileTook.Record(ctx, r.Since.Seconds(), o.sets.of(l))
	}
	if r.Outcome == transfer.OutcomeCompleted {
		o.fileSize.Record(ctx, r.Size, a.io)
	}
	l.code, l.errorType = r.Failure.Code, cause(r.Failure)
	failed := o.sets.of(l)
	o.attempts.Add(ctx, 1, failed)
	if r.Outcome.Final() {
		o.finished.Add(ctx, 1, failed)
	}
}
