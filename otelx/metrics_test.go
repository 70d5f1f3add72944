package otelx_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/otelx"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// busy does everything once of which there are metrics.
func busy(t *testing.T) *rig {
	t.Helper()
	r := setup(t, otelx.Config{Queue: otelx.QueueByConnector}, func(c *transfer.Config) {
		c.Sinks = map[string]transfer.EventSink{"audit": stubborn{}}
	})
	r.local.WriteFile("a.bin", make([]byte, 2500))
	r.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 2, Err: transfer.ConnectionLost})
	r.run(t.Context(), transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
	r.run(t.Context(), transfer.StartFileTransferInput{SendFilePaths: []string{"missing.bin"}})
	r.run(t.Context(), transfer.StartFileTransferInput{RetrieveFilePaths: []string{"a.bin"}, LocalDirectoryPath: "in"})
	_, err := r.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "nobody", SendFilePaths: []string{"a.bin"}})
	require.Error(t, err)
	out, err := r.client.StartRemoteDelete(t.Context(), &transfer.StartRemoteDeleteInput{ConnectorID: "acme", DeletePath: "missing.bin"})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		o, err := r.client.DescribeRemoteOperation(t.Context(), &transfer.DescribeRemoteOperationInput{OperationID: out.DeleteID})
		require.NoError(t, err)
		return o.StatusCode == transfer.TransferTableStatusFailed
	}, 10*time.Second, time.Millisecond)
	_, end := r.observer.Begin(t.Context(), transfer.Activity{Kind: transfer.ActivitySweep, ConnectorID: "acme"})
	end(transfer.PermissionDenied)
	_, end = r.observer.Begin(t.Context(), transfer.Activity{Kind: transfer.ActivityStore, Name: "claim"})
	end(fmt.Errorf("disk on fire"))
	return r
}

// stubborn is a sink that takes nothing.
type stubborn struct{}

func (stubborn) Deliver(context.Context, transfer.Event) error { return transfer.ConnectionRefused }

// TestMetricsAreThoseOfTheManual compares names, instruments, units and attributes with the table in docs/operations.md.
func TestMetricsAreThoseOfTheManual(t *testing.T) {
	t.Parallel()
	r := busy(t)
	var rows []string
	for _, m := range r.collect() {
		require.NotEmpty(t, m.Description, m.Name)
		require.True(t, strings.HasSuffix(m.Description, "."), m.Name)
		kind, all := points(t, m.Data)
		keys := make(map[string]bool)
		for _, p := range all {
			for _, kv := range p.attributes.ToSlice() {
				keys["`"+string(kv.Key)+"`"] = true
			}
		}
		names := strings.Join(slices.Sorted(maps.Keys(keys)), ", ")
		if names == "" {
			names = "–"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |", m.Name, kind, m.Unit, names))
	}
	manual := section(t, "## 10. Metrics")
	require.ElementsMatch(t, rows, table(manual, "| `transfer.", 4), "docs/operations.md, section 10, shall list:\n%s", strings.Join(rows, "\n"))
}

// section returns what a section of docs/operations.md says.
func section(t *testing.T, heading string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "operations.md"))
	require.NoError(t, err)
	_, after, found := strings.Cut(string(text), "\n"+heading+"\n")
	require.True(t, found, heading)
	before, _, _ := strings.Cut(after, "\n## ")
	return before
}

// table returns the first columns of the rows that begin with start.
func table(text, start string, columns int) (rows []string) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, start) {
			cells := strings.Split(strings.TrimSpace(line), "|")
			rows = append(rows, strings.Join(cells[:columns+1], "|")+"|")
		}
	}
	return rows
}

func TestMetricsCountWhatHappened(t *testing.T) {
	t.Parallel()
	r := busy(t)
	all := r.collect()
	const send, retrieve = "transfer.connector.id=acme,transfer.direction=send", "transfer.connector.id=acme,transfer.direction=retrieve"
	require.Equal(t, map[string]float64{send: 2, retrieve: 1, "error.type=ResourceNotFoundException,transfer.connector.id=nobody,transfer.direction=send": 1},
		values(t, all["transfer.file.submitted"]))
	require.Equal(t, map[string]float64{
		send + ",transfer.outcome=completed":     1,
		retrieve + ",transfer.outcome=completed": 1,
		"error.type=SEND_FILE_NOT_FOUND," + send + ",transfer.failure.code=SEND_FILE_NOT_FOUND,transfer.outcome=failed": 1,
	}, values(t, all["transfer.file.finished"]))
	require.Equal(t, map[string]float64{
		send + ",transfer.outcome=completed":     1,
		retrieve + ",transfer.outcome=completed": 1,
		"error.type=SEND_FILE_NOT_FOUND," + send + ",transfer.failure.code=SEND_FILE_NOT_FOUND,transfer.outcome=failed": 1,
		"error.type=CONNECTION_LOST," + send + ",transfer.failure.code=CONNECTION_ERROR,transfer.outcome=retry":         1,
	}, values(t, all["transfer.attempts"]))
	require.Equal(t, map[string]float64{send: 2500, retrieve: 2500}, values(t, all["transfer.io"]))
	require.Equal(t, map[string]float64{send: 1, retrieve: 1}, values(t, all["transfer.file.size"]))
	require.Equal(t, map[string]float64{send: 3, retrieve: 1}, values(t, all["transfer.queue.wait_time"]))
	require.EqualValues(t, 1, values(t, all["transfer.store.operation.duration"])["error.type=_OTHER,transfer.store.operation=claim"])
	require.Equal(t, map[string]float64{"transfer.connector.id=acme,transfer.connection.state=used": 1, "transfer.connector.id=acme,transfer.connection.state=idle": 2},
		encoded(values(t, all["transfer.connection.count"])))
	require.Equal(t, map[string]float64{"closed": 1, "open": 0, "half_open": 0}, by(t, all["transfer.breaker.status"], "transfer.breaker.state"))
	require.Equal(t, map[string]float64{"queued": 0, "running": 0, "waiting": 0, "paused": 0, "interrupted": 0}, by(t, all["transfer.queue.depth"], "transfer.file.state"))
	require.Equal(t, map[string]float64{"": 0}, by(t, all["transfer.queue.age"], "transfer.file.state"))
	require.Equal(t, map[string]float64{"audit": 3}, by(t, all["transfer.sink.pending"], "transfer.sink.name"))
	require.Contains(t, by(t, all["transfer.sink.age"], "transfer.sink.name"), "audit")
	require.Equal(t, map[string]float64{"": 100_000}, by(t, all["transfer.buffer.limit"], ""))
	for name, m := range all {
		if name == "transfer.file.size" {
			continue
		}
		if kind, took := points(t, m.Data); kind == "histogram" {
			for _, p := range took {
				require.Less(t, p.sum, time.Minute.Seconds(), "%s is measured in seconds", name)
			}
		}
	}
}

// encoded puts attributes in the order of their names.
func encoded(values map[string]float64) map[string]float64 {
	sorted := make(map[string]float64)
	for key, v := range values {
		parts := strings.Split(key, ",")
		slices.Sort(parts)
		slices.Reverse(parts)
		sorted[strings.Join(parts, ",")] = v
	}
	return sorted
}

// by returns the measurements of a metric by one attribute.
func by(t *testing.T, m metricdata.Metrics, key attribute.Key) map[string]float64 {
	t.Helper()
	_, all := points(t, m.Data)
	values := make(map[string]float64)
	for _, p := range all {
		v, _ := p.attributes.Value(key)
		values[v.AsString()] = p.value
	}
	return values
}

// TestMetricsNameNoFiles looks for the names of files, transfers and servers in all attributes.
func TestMetricsNameNoFiles(t *testing.T) {
	t.Parallel()
	r := busy(t)
	for name, m := range r.collect() {
		_, all := points(t, m.Data)
		require.Less(t, len(all), 50, "series of %s", name)
		for _, p := range all {
			require.NotContains(t, p.attributes.Encoded(attribute.DefaultEncoder()), ".bin", name)
		}
	}
}

func TestMetricsEndWithTheClient(t *testing.T) {
	t.Parallel()
	r := setup(t, otelx.Config{Attributes: []attribute.KeyValue{attribute.String("tenant", "blue")}})
	require.Equal(t, map[string]float64{"blue": 0}, by(t, r.collect()["transfer.queue.age"], "tenant"))
	r.local.WriteFile("a.bin", make([]byte, 10))
	r.run(t.Context(), transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
	require.NoError(t, r.client.Shutdown(t.Context()))
	all := r.collect()
	require.NotContains(t, all, "transfer.queue.age", "nobody asks the store any more")
	require.Equal(t, map[string]float64{"blue": 10}, by(t, all["transfer.io"], "tenant"))
	for _, s := range r.spans.GetSpans() {
		require.Contains(t, s.Attributes, attribute.String("tenant", "blue"), s.Name)
	}
}

func TestQueueNotMeasured(t *testing.T) {
	t.Parallel()
	r := setup(t, otelx.Config{Queue: otelx.QueueNotMeasured})
	all := r.collect()
	require.NotContains(t, all, "transfer.queue.depth")
	require.Contains(t, all, "transfer.buffer.usage")
	total := setup(t, otelx.Config{})
	_, known := total.collect()["transfer.queue.depth"].Data.(metricdata.Gauge[int64]).DataPoints[0].Attributes.Value("transfer.connector.id")
	require.False(t, known)
}

func TestACollectionSaysThatTheStoreIsAway(t *testing.T) {
	t.Parallel()
	r := setup(t, otelx.Config{})
	require.NoError(t, r.store.Close())
	var all metricdata.ResourceMetrics
	require.ErrorContains(t, r.reader.Collect(t.Context(), &all), "ServiceUnavailableException")
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := otelx.New(otelx.Config{Queue: "all", MeterProvider: sdkmetric.NewMeterProvider()})
	require.EqualError(t, err, `otelx: Config.Queue is "all" (use "total", "by_connector" or "none")`)
}
