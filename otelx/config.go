package otelx

import (
	"fmt"
	"slices"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed62b9dc43/transfer"
)

// Config says where telemetry goes. The zero value of every field stands for its default.
type Config struct {
	// MeterProvider takes the metrics. Default: the global one (otel.GetMeterProvider).
	MeterProvider metric.MeterProvider

	// TracerProvider takes the spans. Default: the global one (otel.GetTracerProvider).
	TracerProvider trace.TracerProvider

	// Propagator writes the span under which a transfer was started into the transfer, and reads it where its files are
	// moved. Default: W3C Trace Context (propagation.TraceContext).
	Propagator propagation.TextMapPropagator

	// Attributes come to all metrics and spans: what tells Clients of one process apart.
	Attributes []attribute.KeyValue

	// Queue says which queues the metrics transfer.queue.depth and transfer.queue.age are of, and whether the Store is asked
	// at all, for sinks too. Default: QueueTotal.
	Queue Queue

	// SameTrace makes attempts at files part of the trace in which the transfer was started, even if that was days ago.
	// By default each is a trace of its own, with a link to that span.
	SameTrace bool

	// FilePaths puts the paths of files, and failure messages, which name them, into spans.
	FilePaths bool
}

// Queue says which queues are measured. Each collection asks the Store: once, or once for each connector.
type Queue string

// Queues to measure.
const (
	QueueTotal       Queue = "total"        // all connectors in one
	QueueByConnector Queue = "by_connector" // each of the node's connectors, 100 at most, in the order of their ids
	QueueNotMeasured Queue = "none"         // the Store is not asked
	mostQueues             = 100            // of QueueByConnector
	scope                  = "github.com/seed62b9dc43/transfer/otelx"
)

func (c Config) withDefaults() Config {
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	if c.Propagator == nil {
		c.Propagator = propagation.TraceContext{}
	}
	if c.Queue == "" {
		c.Queue = QueueTotal
	}
	c.Attributes = slices.Clone(c.Attributes)
	return c
}

func (c Config) validate() error {
	switch c.Queue {
	case QueueTotal, QueueByConnector, QueueNotMeasured:
		return nil
	}
	return fmt.Errorf("otelx: Config.Queue is %q (use %q, %q or %q)", c.Queue, QueueTotal, QueueByConnector, QueueNotMeasured)
}

// Observer is a transfer.Observer. It is safe for concurrent use. Make one for each Client, with Attributes of its own where
// a process has several: two Clients with one Observer overwrite each other's gauges.
type Observer struct {
	cfg    Config
	meter  metric.Meter
	tracer trace.Tracer
	sets   sets
	instruments
}

var _ transfer.Observer = (*Observer)(nil)

// New returns an Observer, for Config.Observer of a Client. Its error names what is wrong with cfg, or with the
// MeterProvider.
func New(cfg Config) (*Observer, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	o := &Observer{cfg: cfg, meter: cfg.MeterProvider.Meter(scope), tracer: cfg.TracerProvider.Tracer(scope)}
	if err := o.instruments.build(o.meter); err != nil {
		return nil, fmt.Errorf("otelx: make instruments: %w", err)
	}
	o.sets.always = cfg.Attributes
	return o, nil
}
