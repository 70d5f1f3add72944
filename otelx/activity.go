package otelx

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// Begin begins an activity: with a span, but calls to the Store, of which there are only metrics.
func (o *Observer) Begin(ctx context.Context, a transfer.Activity) (context.Context, func(error)) {
	began := time.Now()
	if a.Kind == transfer.ActivityStore {
		return ctx, func(err error) {
			o.storeCalls.Record(ctx, time.Since(began).Seconds(), o.sets.of(labels{store: a.Name, errorType: storeError(err)}).record...)
		}
	}
	ctx, span := o.tracer.Start(ctx, spanName(&a), trace.WithTimestamp(began), trace.WithSpanKind(spanKinds[a.Kind]),
		trace.WithAttributes(o.cfg.Attributes...), trace.WithAttributes(attributesOf(&a)...))
	return ctx, func(err error) {
		ended := time.Now()
		o.measure(ctx, &a, ended.Sub(began), err)
		o.end(span, err, ended)
	}
}

var spanKinds = map[transfer.ActivityKind]trace.SpanKind{
	transfer.ActivitySubmit:    trace.SpanKindProducer,
	transfer.ActivityOperation: trace.SpanKindClient,
	transfer.ActivitySweep:     trace.SpanKindInternal,
}

func spanName(a *transfer.Activity) string {
	if a.Kind == transfer.ActivityOperation {
		return "transfer " + string(a.Kind) + " " + a.Name
	}
	return "transfer " + string(a.Kind)
}

func attributesOf(a *transfer.Activity) []attribute.KeyValue {
	attrs := []attribute.KeyValue{connectorID.String(a.ConnectorID)}
	if a.URL != "" {
		attrs = append(attrs, server(a.URL)...)
	}
	if a.TransferID != "" {
		attrs = append(attrs, transferID.String(a.TransferID))
	}
	if a.Direction != 0 {
		attrs = append(attrs, direction.String(directions[a.Direction]), files.Int(a.Files))
	}
	return attrs
}

func (o *Observer) measure(ctx context.Context, a *transfer.Activity, took time.Duration, err error) {
	l := labels{connector: a.ConnectorID, direction: directions[a.Direction], errorType: string(transfer.CodeOf(err))}
	switch a.Kind {
	case transfer.ActivitySubmit:
		l.errorType = submitError(err)
		o.submitted.Add(ctx, int64(a.Files), o.sets.of(l).add...)
	case transfer.ActivityOperation:
		l.operation = a.Name
		o.operations.Record(ctx, took.Seconds(), o.sets.of(l).record...)
	case transfer.ActivitySweep:
		o.swept.Add(ctx, 1, o.sets.of(l).add...)
	}
}

// submitError names the exception.
func submitError(err error) string {
	var exception interface{ ErrorCode() string }
	switch {
	case err == nil:
		return ""
	case errors.As(err, &exception):
		return exception.ErrorCode()
	}
	return string(transfer.CodeOf(err))
}

// storeError says in a few words what was wrong with a Store.
func storeError(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, store.ErrClosed):
		return "closed"
	}
	return "_OTHER"
}
