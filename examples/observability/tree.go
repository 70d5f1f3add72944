package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// tree is an exporter that keeps spans, to print each below its parent.
type tree struct {
	mu    sync.Mutex // guards spans
	spans []sdktrace.ReadOnlySpan
}

// ExportSpans keeps spans.
func (t *tree) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spans = append(t.spans, spans...)
	return nil
}

// Shutdown does nothing.
func (t *tree) Shutdown(context.Context) error { return nil }

func (t *tree) print(out io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.SortStableFunc(t.spans, func(a, b sdktrace.ReadOnlySpan) int {
		return cmp.Or(a.StartTime().Compare(b.StartTime()), cmp.Compare(a.Name(), b.Name()))
	})
	t.printBelow(out, trace.SpanID{}, "")
}

func (t *tree) printBelow(out io.Writer, parent trace.SpanID, indent string) {
	for _, s := range t.spans {
		if s.Parent().SpanID() != parent {
			continue
		}
		fmt.Fprintf(out, "%s%s%s\n", indent, s.Name(), about(s))
		t.printBelow(out, s.SpanContext().SpanID(), indent+"  ")
	}
}

// about is what a line says of a span beside its name.
func about(s sdktrace.ReadOnlySpan) string {
	var b strings.Builder
	for _, a := range s.Attributes() {
		switch a.Key {
		case "transfer.outcome", "transfer.io", "error.type":
			fmt.Fprintf(&b, " %s=%s", a.Key, a.Value.String())
		}
	}
	if len(s.Links()) > 0 {
		b.WriteString(" (linked to its submission)")
	}
	return b.String()
}
