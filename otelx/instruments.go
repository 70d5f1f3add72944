package otelx

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
)

// Boundaries of histograms.
var (
	seconds      = []float64{0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400}
	storeSeconds = []float64{0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10}
	sizes        = []float64{1 << 10, 1 << 14, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26, 1 << 28, 1 << 30, 1 << 32, 1 << 34, 1 << 36, 1 << 38}
)

// instruments are all metrics; docs/operations.md lists them.
type instruments struct {
	submitted    metric.Int64Counter
	attempts     metric.Int64Counter
	finished     metric.Int64Counter
	moved        metric.Int64Counter
	swept        metric.Int64Counter
	attemptTook  metric.Float64Histogram
	phaseTook    metric.Float64Histogram
	fileTook     metric.Float64Histogram
	waited       metric.Float64Histogram
	fileSize     metric.Int64Histogram
	operations   metric.Float64Histogram
	storeCalls   metric.Float64Histogram
	queueDepth   metric.Int64ObservableGauge
	queueAge     metric.Float64ObservableGauge
	sinkPending  metric.Int64ObservableGauge
	sinkAge      metric.Float64ObservableGauge
	running      metric.Int64ObservableUpDownCounter
	sessions     metric.Int64ObservableUpDownCounter
	connections  metric.Int64ObservableUpDownCounter
	breaker      metric.Int64ObservableUpDownCounter
	memory       metric.Int64ObservableUpDownCounter
	memoryBudget metric.Int64ObservableUpDownCounter
}

func (i *instruments) build(m metric.Meter) error {
	return errors.Join(i.makeCounters(m), i.makeHistograms(m), i.makeObserved(m))
}

func (i *instruments) makeCounters(m metric.Meter) error {
	var errs []error
	counter := func(c *metric.Int64Counter, name, unit, text string) {
		made, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(text))
		*c, errs = made, append(errs, err)
	}
	counter(&i.submitted, "transfer.file.submitted", "{file}", "Files that this client was asked to move.")
	counter(&i.attempts, "transfer.attempts", "{attempt}", "Attempts at files that have ended.")
	counter(&i.finished, "transfer.file.finished", "{file}", "Files that were finished by an attempt.")
	counter(&i.moved, "transfer.io", "By", "Bytes of content that the target has acknowledged.")
	counter(&i.swept, "transfer.sweep.files", "{file}", "Files whose remains were to be removed.")
	return errors.Join(errs...)
}

func (i *instruments) makeHistograms(m metric.Meter) error {
	var errs []error
	duration := func(h *metric.Float64Histogram, name, text string, bounds []float64) {
		made, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(text), metric.WithExplicitBucketBoundaries(bounds...))
		*h, errs = made, append(errs, err)
	}
	duration(&i.attemptTook, "transfer.attempt.duration", "Duration of attempts at files, from the claim to the end of the work.", seconds)
	duration(&i.phaseTook, "transfer.phase.duration", "Duration of the phases of attempts.", seconds)
	duration(&i.fileTook, "transfer.file.duration", "Time from when a file could be taken up first until it was finished.", seconds)
	duration(&i.waited, "transfer.queue.wait_time", "Time that files were ready before they were taken up.", seconds)
	duration(&i.operations, "transfer.operation.duration", "Duration of listings, removals and moves at partners.", seconds)
	duration(&i.storeCalls, "transfer.store.operation.duration", "Duration of calls to the store.", storeSeconds)
	var err error
	i.fileSize, err = m.Int64Histogram("transfer.file.size", metric.WithUnit("By"), metric.WithDescription("Size of files that were delivered."),
		metric.WithExplicitBucketBoundaries(sizes...))
	return errors.Join(append(errs, err)...)
}

func (i *instruments) makeObserved(m metric.Meter) error {
	var errs []error
	current := func(c *metric.Int64ObservableUpDownCounter, name, unit, text string) {
		made, err := m.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(text))
		*c, errs = made, append(errs, err)
	}
	current(&i.running, "transfer.active_files", "{file}", "Files that this node moves.")
	current(&i.sessions, "transfer.session.count", "{session}", "Sessions with the partner that files and operations of this node have open.")
	current(&i.connections, "transfer.connection.count", "{connection}", "Connections in the pool of a connector.")
	current(&i.breaker, "transfer.breaker.status", "1", "1 for the state that the breaker of a connector is in, 0 for the others.")
	current(&i.memory, "transfer.buffer.usage", "By", "Memory of windows in use.")
	current(&i.memoryBudget, "transfer.buffer.limit", "By", "Memory that windows may use.")
	return errors.Join(append(errs, i.makeStored(m))...)
}

// makeStored makes those that the Store is asked for.
func (i *instruments) makeStored(m metric.Meter) error {
	var errs []error
	count := func(g *metric.Int64ObservableGauge, name, unit, text string) {
		made, err := m.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(text))
		*g, errs = made, append(errs, err)
	}
	age := func(g *metric.Float64ObservableGauge, name, text string) {
		made, err := m.Float64ObservableGauge(name, metric.WithUnit("s"), metric.WithDescription(text))
		*g, errs = made, append(errs, err)
	}
	count(&i.queueDepth, "transfer.queue.depth", "{file}", "Files in the store that are not finished, over all nodes.")
	age(&i.queueAge, "transfer.queue.age", "How long the file has been ready that waits for the longest, over all nodes; 0 if none is.")
	count(&i.sinkPending, "transfer.sink.pending", "{event}", "Events in the store that a sink has not taken, over all nodes.")
	age(&i.sinkAge, "transfer.sink.age", "How long ago the oldest of these happened; 0 if there are none.")
	return errors.Join(errs...)
}

// observed are those that are asked for.
func (i *instruments) observed() []metric.Observable {
	return []metric.Observable{i.queueDepth, i.queueAge, i.sinkPending, i.sinkAge, i.running, i.sessions, i.connections, i.breaker, i.memory, i.memoryBudget}
}
