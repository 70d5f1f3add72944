// Package otelx tells OpenTelemetry what a transfer.Client does: metrics of files, attempts, bytes, the queue, the partners
// and the Store, and a trace of each attempt at a file, with a span for each of its parts.
//
//	observer, err := otelx.New(otelx.Config{})
//	…
//	client, err := transfer.New(transfer.Config{Observer: observer, …})
//
// It imports OpenTelemetry's API alone. Which metrics and traces are kept, and where they go, is the program's business: its
// MeterProvider and TracerProvider say. All metrics, their units and attributes, and all spans are listed in
// docs/operations.md. Names of files are in no metric, and in spans only where Config.FilePaths asks for them.
package otelx
