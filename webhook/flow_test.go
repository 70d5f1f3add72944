package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
	"github.com/seed62b9dc43/transfer/webhook"
)

// awful is a receiver that treats each event badly before it takes it: it fails, hangs, or takes it without saying so.
type awful struct {
	t       *testing.T
	secrets []webhook.Secret

	mu    sync.Mutex // guards the fields below
	tries map[string]int
	seen  []transfer.Event // as they came, whatever the answer
	taken map[string]bool  // by ID
}

func (a *awful) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := read(a.t, r)
	if err := webhook.Verify(r.Header, body, a.secrets, 0); err != nil {
		a.t.Error(err)
	}
	var e transfer.Event
	if err := json.Unmarshal(body, &e); err != nil {
		a.t.Error(err)
	}
	switch n, turn := a.note(e); {
	case n > 1:
		w.WriteHeader(http.StatusNoContent)
		a.take(e)
	case turn == 0:
		w.WriteHeader(http.StatusInternalServerError)
	case turn == 1:
		<-r.Context().Done() // it hangs, until the caller gives up
	default:
		a.take(e)
		panic(http.ErrAbortHandler) // the answer is lost
	}
}

// note returns how often the event came, and which turn it is.
func (a *awful) note(e transfer.Event) (n, turn int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tries[e.ID]++
	a.seen = append(a.seen, e)
	return a.tries[e.ID], len(a.tries) % 3
}

func (a *awful) take(e transfer.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken[e.ID] = true
}

// count returns how many of these events were taken.
func (a *awful) count(ids []string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		if a.taken[id] {
			n++
		}
	}
	return n
}

// TestEveryEventArrives has such a receiver, and nodes that die in the middle of deliveries: every event comes at least once, those
// of one file in their order, and the end of the transfer last.
func TestEveryEventArrives(t *testing.T) {
	t.Parallel()
	const files = 12
	a := &awful{t: t, secrets: []webhook.Secret{secret(t, secondSecret)}, tries: map[string]int{}, taken: map[string]bool{}}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	sink, err := webhook.New(webhook.Config{
		URL: server.URL, Secrets: webhook.Secrets(secret(t, firstSecret), a.secrets[0]), Progress: true, Timeout: 200 * time.Millisecond,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sink.Close()) })

	memory, s := transfer.NewMemory(), store.NewMemory()
	partner := transfertest.NewConnector(nil, transfertest.ConnectorOptions{MaxFiles: 4})
	partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Delay: 20 * time.Millisecond})
	start := func() *transfer.Client {
		client, err := transfer.New(transfer.Config{
			Storage: memory, Store: s, Connectors: map[string]transfer.Connector{"acme": partner}, Sinks: map[string]transfer.EventSink{"hook": sink},
			Lease: time.Second, ProgressInterval: 10 * time.Millisecond, PollInterval: 10 * time.Millisecond, WindowSize: 100,
		})
		require.NoError(t, err)
		require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
		return client
	}
	in := &transfer.StartFileTransferInput{ConnectorID: "acme", RemoteDirectoryPath: "/in"}
	for i := range files {
		name := fmt.Sprintf("/out/%d", i)
		memory.WriteFile(name, make([]byte, 500))
		in.SendFilePaths = append(in.SendFilePaths, name)
	}
	client := start()
	out, err := client.StartFileTransfer(t.Context(), in)
	require.NoError(t, err)
	pending := func() int64 {
		n, err := s.CountEvents(t.Context(), "sink/hook/")
		require.NoError(t, err)
		return n
	}
	for range 4 {
		require.Eventually(t, func() bool { return len(a.seenNow()) > 0 }, 30*time.Second, time.Millisecond)
		before := len(a.seenNow())
		require.Eventually(t, func() bool { return len(a.seenNow()) > before || pending() == 0 }, 30*time.Second, time.Millisecond)
		dead, cancel := context.WithCancel(t.Context())
		cancel()
		_ = client.Shutdown(dead) // cuts off what moves, and what is being delivered
		client = start()
	}
	_, err = client.Wait(t.Context(), out.TransferID)
	require.NoError(t, err)
	ids := idsOfEnds(t, client, out.TransferID)
	require.Eventually(t, func() bool { return a.count(ids) == files && a.finished() && pending() == 0 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, client.Shutdown(t.Context()))
	requireOrdered(t, a.seenNow(), files)
}

// finished reports whether the end of the transfer came.
func (a *awful) finished() bool {
	return slices.ContainsFunc(a.seenNow(), func(e transfer.Event) bool { return e.Type == transfer.EventTransferFinished })
}

func (a *awful) seenNow() []transfer.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]transfer.Event(nil), a.seen...)
}

// idsOfEnds returns the IDs of the events that must come.
func idsOfEnds(t *testing.T, client *transfer.Client, transferID string) (ids []string) {
	t.Helper()
	for row, err := range client.ListTransfers().Transfer(transferID).Each(t.Context()) {
		require.NoError(t, err)
		e := row.Event()
		require.Equal(t, transfer.EventFileCompleted, e.Type)
		ids = append(ids, e.ID)
	}
	return ids
}

// requireOrdered checks that what is new of a file never comes after something later of it, and the transfer's end after all.
func requireOrdered(t *testing.T, seen []transfer.Event, files int) {
	t.Helper()
	last, ended := map[int64]int64{}, map[int64]bool{}
	for _, e := range seen {
		if e.Type == transfer.EventTransferFinished {
			require.Len(t, ended, files)
			continue
		}
		require.GreaterOrEqual(t, e.Seq, last[e.FileID], "file %d", e.FileID)
		last[e.FileID] = e.Seq
		if e.Type == transfer.EventFileCompleted {
			ended[e.FileID] = true
		}
	}
}
