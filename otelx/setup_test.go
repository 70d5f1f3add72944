package otelx_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/otelx"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// rig is a started client under observation.
type rig struct {
	t        *testing.T
	reader   *sdkmetric.ManualReader
	spans    *tracetest.InMemoryExporter
	tracing  *sdktrace.TracerProvider
	observer *otelx.Observer
	local    *transfer.Memory
	partner  *transfertest.Connector
	store    store.Store
	client   *transfer.Client
}

func setup(t *testing.T, cfg otelx.Config, change ...func(*transfer.Config)) *rig {
	t.Helper()
	r := &rig{
		t: t, reader: sdkmetric.NewManualReader(), spans: tracetest.NewInMemoryExporter(),
		local: transfer.NewMemory(), store: store.NewMemory(),
		partner: transfertest.NewConnector(nil, transfertest.ConnectorOptions{URL: "sftp://alice@sftp.example.com:2222"}),
	}
	r.tracing = sdktrace.NewTracerProvider(sdktrace.WithSyncer(r.spans))
	cfg.MeterProvider, cfg.TracerProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.reader)), r.tracing
	var err error
	r.observer, err = otelx.New(cfg)
	require.NoError(t, err)
	c := transfer.Config{
		Storage: r.local, Store: r.store, Connectors: map[string]transfer.Connector{"acme": pooled{r.partner}},
		Observer: r.observer, PollInterval: time.Millisecond, WindowSize: 1000, WindowsPerFile: 1, MemoryBudget: 100_000,
		Retry: transfer.RetryPolicy{MaxAttempts: 2, FirstDelay: time.Millisecond},
	}
	for _, f := range change {
		f(&c)
	}
	r.client, err = transfer.New(c)
	require.NoError(t, err)
	require.NoError(t, r.client.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() { require.NoError(t, r.client.Shutdown(context.Background())) })
	return r
}

// pooled is a connector that says that it keeps connections.
type pooled struct{ transfer.Connector }

func (pooled) Connections() (used, idle int) { return 1, 2 }

// run moves files and returns once all are finished.
func (r *rig) run(ctx context.Context, in transfer.StartFileTransferInput) string {
	r.t.Helper()
	in.ConnectorID = "acme"
	out, err := r.client.StartFileTransfer(ctx, &in)
	require.NoError(r.t, err)
	_, err = r.client.Wait(r.t.Context(), out.TransferID)
	require.NoError(r.t, err)
	told := func() bool { return r.client.NodeStats().Running == 0 } // the observer is told after the store
	require.Eventually(r.t, told, 10*time.Second, time.Millisecond)
	return out.TransferID
}

// collect returns all metrics by name.
func (r *rig) collect() map[string]metricdata.Metrics {
	r.t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(r.t, r.reader.Collect(context.Background(), &all))
	byName := make(map[string]metricdata.Metrics)
	for _, scope := range all.ScopeMetrics {
		require.Equal(r.t, "github.com/seed62b9dc43/transfer/otelx", scope.Scope.Name)
		for _, m := range scope.Metrics {
			byName[m.Name] = m
		}
	}
	return byName
}

// point is one measurement: the sum, the last value, or of a histogram the count.
type point struct {
	attributes attribute.Set
	value      float64
	sum        float64 // of a histogram
}

func points(t *testing.T, data metricdata.Aggregation) (kind string, all []point) {
	t.Helper()
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range d.DataPoints {
			all = append(all, point{p.Attributes, float64(p.Value), 0})
		}
		if d.IsMonotonic {
			return "counter", all
		}
		return "up-down counter", all
	case metricdata.Gauge[int64]:
		for _, p := range d.DataPoints {
			all = append(all, point{p.Attributes, float64(p.Value), 0})
		}
		return "gauge", all
	case metricdata.Gauge[float64]:
		for _, p := range d.DataPoints {
			all = append(all, point{p.Attributes, p.Value, 0})
		}
		return "gauge", all
	case metricdata.Histogram[float64]:
		for _, p := range d.DataPoints {
			all = append(all, point{p.Attributes, float64(p.Count), p.Sum})
		}
		return "histogram", all
	case metricdata.Histogram[int64]:
		for _, p := range d.DataPoints {
			all = append(all, point{p.Attributes, float64(p.Count), float64(p.Sum)})
		}
		return "histogram", all
	}
	require.Failf(t, "unknown aggregation", "%T", data)
	return "", nil
}

// values returns the measurements of a metric by their attributes, such as "transfer.direction=send".
func values(t *testing.T, m metricdata.Metrics) map[string]float64 {
	t.Helper()
	_, all := points(t, m.Data)
	byAttributes := make(map[string]float64)
	for _, p := range all {
		byAttributes[p.attributes.Encoded(attribute.DefaultEncoder())] = p.value
	}
	return byAttributes
}
