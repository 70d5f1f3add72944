// Observability moves files under OpenTelemetry's eyes: metrics that Prometheus can collect, and a trace of each attempt at a
// file. It needs nothing but Go: the partner's SFTP server runs inside the program.
//
//	go run ./examples/observability          # prints traces, and serves metrics until it is interrupted
//	go run ./examples/observability -once    # prints the spans as a tree and some metrics, and ends
//
// One file does not exist, and is expected to fail.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/seed62b9dc43/transfer/otelx"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "observability:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("observability", flag.ContinueOnError)
	once := flags.Bool("once", false, "print the spans and some metrics, and end")
	if err := flags.Parse(args); err != nil {
		return err
	}
	spans := &tree{}
	exporter := sdktrace.SpanExporter(spans)
	if !*once {
		if exporter, err = stdouttrace.New(stdouttrace.WithWriter(out), stdouttrace.WithPrettyPrint()); err != nil {
			return err
		}
	}
	tel, err := newTelemetry(exporter)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tel.close(ctx)) }()
	rig, err := newRig(ctx, tel.observer)
	if err != nil {
		return err
	}
	if err = rig.move(ctx); err == nil && !*once {
		fmt.Fprintf(out, "metrics: %s (Ctrl-C ends)\n", tel.url)
		<-ctx.Done()
	}
	err = errors.Join(err, rig.close(ctx)) // by then everything has been told
	if err != nil || !*once {
		return err
	}
	return show(ctx, out, tel, spans)
}

// show prints what was measured so far.
func show(ctx context.Context, out io.Writer, tel *telemetry, spans *tree) error {
	if err := tel.tracers.ForceFlush(ctx); err != nil {
		return err
	}
	fmt.Fprintln(out, "Spans:")
	spans.print(out)
	lines, err := scrape(ctx, tel.url)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "\nMetrics:")
	for _, line := range lines {
		fmt.Fprintln(out, line)
	}
	return nil
}

// telemetry is what a program has for all that it observes, and an HTTP server for Prometheus.
type telemetry struct {
	meters   *sdkmetric.MeterProvider
	tracers  *sdktrace.TracerProvider
	observer *otelx.Observer
	url      string
	server   *http.Server
	served   chan error
}

func newTelemetry(exporter sdktrace.SpanExporter) (*telemetry, error) {
	registry := prometheus.NewRegistry()
	reader, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo())
	if err != nil {
		return nil, err
	}
	tel := &telemetry{
		meters:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
		tracers: sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter)),
		served:  make(chan error, 1),
	}
	if tel.observer, err = otelx.New(otelx.Config{MeterProvider: tel.meters, TracerProvider: tel.tracers}); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	tel.url = fmt.Sprintf("http://%s/metrics", listener.Addr())
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	tel.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { tel.served <- tel.server.Serve(listener) }()
	return tel, nil
}

// close sends what is left, and ends the server.
func (tel *telemetry) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := errors.Join(tel.tracers.Shutdown(ctx), tel.server.Shutdown(ctx), tel.meters.Shutdown(ctx))
	if served := <-tel.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// shown are the metrics that scrape selects.
var shown = []string{"transfer_file_submitted_total", "transfer_file_finished_total", "transfer_io_bytes_total"}

// scrape asks for the metrics as Prometheus does.
func scrape(ctx context.Context, url string) (lines []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("scrape %s: %s", url, response.Status)
	}
	for text := bufio.NewScanner(response.Body); text.Scan(); {
		name, _, _ := strings.Cut(text.Text(), "{")
		if slices.Contains(shown, name) {
			lines = append(lines, text.Text())
		}
	}
	return lines, nil
}
