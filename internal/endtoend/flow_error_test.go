//go:build unix

package endtoend

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/watch"
	"github.com/seed62b9dc43/transfer/webhook"
)

// receiver takes the events of a webhook.
type receiver struct {
	*httptest.Server

	mu   sync.Mutex // guards seen
	seen []transfer.Event
}

func newReceiver(t *testing.T) (*receiver, *webhook.Sink) {
	t.Helper()
	secret, err := webhook.NewSecret(eventsSecret)
	require.NoError(t, err)
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		var e transfer.Event
		if err != nil || webhook.Verify(request.Header, body, []webhook.Secret{secret}, 0) != nil || json.Unmarshal(body, &e) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.seen = append(r.seen, e)
	}))
	t.Cleanup(r.Close)
	sink, err := webhook.New(webhook.Config{URL: r.URL, Secrets: webhook.Secrets(secret)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sink.Close()) })
	return r, sink
}

// of returns what was told of a type.
func (r *receiver) of(kind transfer.EventType) (found []transfer.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.seen {
		if e.Type == kind {
			found = append(found, e)
		}
	}
	return found
}

func pack(t *testing.T, data []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return packed.Bytes()
}

// TestErrorFlow: of two files that are retrieved one cannot be unpacked: it goes to quarantine at the partner, what was
// delivered of it is taken back, and the webhook is told.
func TestErrorFlow(t *testing.T) {
	onBothStores(t, func(t *testing.T, database string) {
		f := newFlow(t, database)
		quarantine := filepath.Join(filepath.Dir(f.Drop), "quarantine")
		good, bad := pack(t, content(1, 200_000)), pack(t, content(2, 200_000))
		bad[len(bad)/2] ^= 1
		require.NoError(t, os.WriteFile(filepath.Join(f.Drop, "good.csv.gz"), good, 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(f.Drop, "bad.csv.gz"), bad, 0o644))
		hook, sink := newReceiver(t)
		p := f.assemble(t, nil, f.storage(t, nil), transfer.Config{
			Sinks: map[string]transfer.EventSink{"hook": sink},
			Rules: map[string]transfer.Rule{"orders": {
				Direction: store.Retrieve, SourceDirectory: f.Drop, TargetDirectory: f.Bucket + "/inbox",
				After:   []transfer.Task{transfer.GunzipTarget(1 << 20), transfer.DeleteSource()},
				OnError: []transfer.Task{transfer.MoveSource(quarantine), transfer.DeleteTarget()},
			}},
		}, map[string]watch.Watch{"drop": {
			Selection: watch.Selection{ConnectorID: "acme", Directory: "."}, Delivery: watch.Delivery{RuleName: "orders"}, Schedule: watch.Schedule{Every: time.Second},
		}})
		p.start(t)
		require.Eventually(t, func() bool { return len(hook.of(transfer.EventTransferFinished)) == 1 }, time.Minute, 20*time.Millisecond)

		failed, completed, finished := hook.of(transfer.EventFileFailed), hook.of(transfer.EventFileCompleted), hook.of(transfer.EventTransferFinished)[0]
		require.Len(t, failed, 1)
		require.Len(t, completed, 1)
		e := failed[0]
		require.Equal(t, []any{transfer.TransferTableStatusFailed, transfer.InternalError, transfer.IntegrityError, "orders", 1},
			[]any{e.StatusCode, e.FailureCode, e.FailureDetail, e.RuleName, e.Attempts}, e.FailureMessage)
		require.Equal(t, "bad.csv.gz", filepath.Base(e.FilePath))
		require.Contains(t, e.FailureMessage, `task After[0], "gunzip target"`)
		require.NotContains(t, e.FailureMessage, "then", "the error-tasks went well")
		require.Equal(t, []any{transfer.TransferTableStatusFailed, 2, 1, 1}, []any{finished.StatusCode, finished.Files, finished.FilesCompleted, finished.FilesFailed})

		b := bucket{testenvClient(t, f), f.Bucket}
		require.True(t, bytes.Equal(content(1, 200_000), b.get(t, "inbox/good.csv")))
		requireNoKeys(t, b, "inbox/bad")
		got, err := os.ReadFile(filepath.Join(quarantine, "bad.csv.gz"))
		require.NoError(t, err)
		require.True(t, bytes.Equal(bad, got))
		require.Zero(t, countFiles(t, f.Drop))
		p.requireQuiet(t, "drop", 2)
	})
}

// requireQuiet checks that a watch has started so many files, and starts none more when it looks again.
func (p parts) requireQuiet(t *testing.T, name string, files int64) {
	t.Helper()
	require.NoError(t, p.watcher.Trigger(t.Context(), name))
	require.Equal(t, files, p.nextLook(t, name).Started)
}

// nextLook returns how a watch stands after one more run.
func (p parts) nextLook(t *testing.T, name string) *watch.Status {
	t.Helper()
	before, err := p.watcher.Status(t.Context(), name)
	require.NoError(t, err)
	after := before
	require.Eventually(t, func() bool {
		after, err = p.watcher.Status(t.Context(), name)
		require.NoError(t, err)
		return after.Runs > before.Runs+1 // one that had begun before does not count
	}, time.Minute, 20*time.Millisecond)
	require.Empty(t, after.LastError)
	return after
}
