//go:build unix

package endtoend

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
	"github.com/seed62b9dc43/transfer/webhook"
)

// eventsVariable holds the folder of a process that delivers events.
const eventsVariable = "TRANSFER_TEST_EVENTS"

// TestEventsProcess is not a test of its own: it is what the processes do that TestEventsOfKilledProcesses kills.
func TestEventsProcess(t *testing.T) {
	dir := os.Getenv(eventsVariable)
	if dir == "" {
		t.Log("only in a process of its own")
		return
	}
	client := eventsClient(t, dir)
	require.NoError(t, client.Start(context.Background()))
	_, err := os.Stdin.Read(make([]byte, 1)) // until the parent closes it
	t.Log(err)
	require.NoError(t, client.Shutdown(context.Background()))
}

var eventsSecret = []byte("0123456789abcdef0123456789abcdef")

// eventsClient is a client over what is in dir, with an audit trail and a webhook.
func eventsClient(t *testing.T, dir string) *transfer.Client {
	t.Helper()
	secret, err := webhook.NewSecret(eventsSecret)
	require.NoError(t, err)
	address, err := os.ReadFile(filepath.Join(dir, "receiver"))
	require.NoError(t, err)
	sink, err := webhook.New(webhook.Config{URL: string(address), Secrets: webhook.Secrets(secret), Progress: true, Timeout: 300 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sink.Close()) })
	database, err := os.ReadFile(filepath.Join(dir, "database"))
	require.NoError(t, err)
	st := crashStore(t, dir, string(database))
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	partner := transfertest.NewConnector(nil, transfertest.ConnectorOptions{MaxFiles: 4})
	partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Delay: 5 * time.Millisecond})
	storage := transfer.NewMemory() // the same in each process
	for i := range eventsFiles {
		storage.WriteFile(fmt.Sprintf("/out/%d", i), content(uint64(i), 1000))
	}
	client, err := transfer.New(transfer.Config{
		Storage: storage, Store: st, Connectors: map[string]transfer.Connector{"acme": partner}, Sinks: map[string]transfer.EventSink{"hook": sink},
		Audit: true, WindowSize: 100, Lease: time.Second, ProgressInterval: 20 * time.Millisecond, PollInterval: 20 * time.Millisecond,
		Retry: transfer.RetryPolicy{MaxAttempts: 20, FirstDelay: 50 * time.Millisecond, MaxDelay: 100 * time.Millisecond},
	})
	require.NoError(t, err)
	return client
}

const eventsFiles = 40

// rough is a receiver that fails, hangs, and loses its answers, by turns.
type rough struct {
	t *testing.T

	mu    sync.Mutex // guards the fields below
	tries map[string]int
	seen  []transfer.Event
}

func (r *rough) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // its sender was killed
	}
	secret, err := webhook.NewSecret(eventsSecret)
	if err == nil {
		err = webhook.Verify(request.Header, body, []webhook.Secret{secret}, 0)
	}
	var e transfer.Event
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	if err != nil {
		r.t.Error(err)
		return
	}
	r.mu.Lock()
	r.seen = append(r.seen, e)
	r.tries[e.ID]++
	first, turn := r.tries[e.ID] == 1, len(r.tries)%4
	r.mu.Unlock()
	switch {
	case !first || turn == 3:
	case turn == 0:
		w.WriteHeader(http.StatusBadGateway)
	case turn == 1:
		<-request.Context().Done()
	case turn == 2:
		panic(http.ErrAbortHandler)
	}
}

func (r *rough) events() []transfer.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

// TestEventsOfKilledProcesses: every event arrives at least once, in order for each file, whoever dies.
func TestEventsOfKilledProcesses(t *testing.T) { onBothStores(t, killAndDeliver) }

func killAndDeliver(t *testing.T, database string) {
	r := &rough{t: t, tries: map[string]int{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "database"), []byte(database), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "receiver"), []byte(server.URL), 0o600))
	client := eventsClient(t, dir) // it only submits and lists
	require.NoError(t, client.EnsureSinks(t.Context()))
	in := &transfer.StartFileTransferInput{ConnectorID: "acme", RemoteDirectoryPath: "/in"}
	for i := range eventsFiles {
		in.SendFilePaths = append(in.SendFilePaths, fmt.Sprintf("/out/%d", i))
	}
	out, err := client.StartFileTransfer(t.Context(), in)
	require.NoError(t, err)
	for range 3 {
		before := len(r.events())
		worker := startProcess(t, "TestEventsProcess", eventsVariable, dir)
		require.Eventually(t, func() bool { return len(r.events()) > before+8 }, time.Minute, time.Millisecond)
		require.NoError(t, worker.Process.Kill())
		_ = worker.Wait()
	}
	startProcess(t, "TestEventsProcess", eventsVariable, dir)
	require.Eventually(t, func() bool {
		all, err := client.SinkStatus(t.Context())
		require.NoError(t, err)
		events := r.events()
		return all[0].Pending == 0 && slices.ContainsFunc(events, func(e transfer.Event) bool { return e.Type == transfer.EventTransferFinished })
	}, 2*time.Minute, 20*time.Millisecond)
	requireEvents(t, r.events(), out.TransferID)
	requireTrail(t, client, out.TransferID)
}

// requireEvents checks that nothing is missing and nothing goes back.
func requireEvents(t *testing.T, events []transfer.Event, id string) {
	t.Helper()
	last, ended := map[int64]int64{}, map[int64]bool{}
	for _, e := range events {
		require.Equal(t, id, e.TransferID)
		if e.Type == transfer.EventTransferFinished {
			require.Len(t, ended, eventsFiles)
			require.Equal(t, eventsFiles, e.FilesCompleted)
			continue
		}
		require.GreaterOrEqual(t, e.Seq, last[e.FileID], "file %d", e.FileID)
		last[e.FileID] = e.Seq
		if e.Type == transfer.EventFileCompleted {
			ended[e.FileID] = true
		}
	}
	require.Len(t, ended, eventsFiles)
}

// requireTrail checks that the audit trail has the request and the end of each file, once.
func requireTrail(t *testing.T, client *transfer.Client, id string) {
	t.Helper()
	count := map[transfer.AuditAction]int{}
	for r, err := range client.AuditTrail(t.Context(), transfer.AuditQuery{TransferID: id}) {
		require.NoError(t, err)
		count[r.Action]++
	}
	require.Equal(t, map[transfer.AuditAction]int{transfer.AuditStartTransfer: 1, transfer.AuditFileFinished: eventsFiles}, count)
}
