package waarpapi_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// put asks for a verb.
func (b *bench) put(id int64, verb string) answer {
	b.t.Helper()
	return b.do("PUT", fmt.Sprintf("/v2/transfers/%d_acme/%s", id, verb), "")
}

// in returns a transfer in a state, under a started client.
func (b *bench) in(state string) transfer.TransferRecord {
	b.t.Helper()
	later := `{"ruleName":"out","filename":"a","requested":"acme","start":"2001-01-01"}`
	b.local.WriteFile("/outbox/a", []byte("a"))
	switch state {
	case "Queued":
		return b.post(later)
	case "Paused":
		return b.put(b.post(later).ID, "stop").is(http.StatusAccepted).record()
	case "Cancelled":
		return b.put(b.post(later).ID, "cancel").is(http.StatusAccepted).record()
	case "Failed":
		r := b.post(`{"ruleName":"out","filename":"none","requested":"acme"}`)
		return b.await(r.ID, transfer.StatusInError)
	case "Done":
		return b.await(b.send("a", "a").ID, transfer.StatusDone)
	case "Running":
		hold := make(chan struct{})
		rule := b.partner.Inject(transfertest.Rule{Op: transfertest.OpCreate, Hold: hold, Times: 1})
		b.t.Cleanup(func() { close(hold) })
		r := b.send("a", "a")
		<-rule.Hit()
		return b.await(r.ID, transfer.StatusRunning)
	}
	b.t.Fatalf("there is no state %s", state)
	return transfer.TransferRecord{}
}

// TestVerbs holds what each verb does in each state: the status that is answered and in the end, or why it is refused.
func TestVerbs(t *testing.T) {
	t.Parallel()
	stop, restart, cancel := "only a transfer that is neither DONE nor INERROR can be stopped", "only a transfer that is not DONE can be restarted", "only a transfer that is neither DONE nor INERROR can be cancelled"
	for _, test := range []struct {
		state, verb string
		end         transfer.Status // "" if it is refused
		status, why string          // of the refusal
	}{
		{state: "Queued", verb: "stop", end: "INTERRUPTED"},
		{state: "Queued", verb: "restart", end: "TOSUBMIT"},
		{state: "Queued", verb: "cancel", end: "INERROR"},
		{state: "Running", verb: "stop", end: "INTERRUPTED"},
		{state: "Running", verb: "restart", end: "RUNNING"},
		{state: "Running", verb: "cancel", end: "INERROR"},
		{state: "Paused", verb: "stop", end: "INTERRUPTED"},
		{state: "Paused", verb: "restart", end: "TOSUBMIT"},
		{state: "Paused", verb: "cancel", end: "INERROR"},
		{state: "Cancelled", verb: "cancel", end: "INERROR"},
		{state: "Cancelled", verb: "stop", status: "INERROR", why: stop},
		{state: "Failed", verb: "stop", status: "INERROR", why: stop},
		{state: "Failed", verb: "cancel", status: "INERROR", why: cancel},
		{state: "Done", verb: "stop", status: "DONE", why: stop},
		{state: "Done", verb: "restart", status: "DONE", why: restart},
		{state: "Done", verb: "cancel", status: "DONE", why: cancel},
	} {
		t.Run(test.verb+" "+test.state, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := started(t)
				before := b.in(test.state)
				got := b.put(before.ID, test.verb)
				if test.end == "" {
					got.is(http.StatusBadRequest).says(fmt.Sprintf("7 Field 'status' : illegal value '%s' (%s).", test.status, test.why))
					require.Equal(t, before, b.get(before.ID), "nothing was done")
					return
				}
				require.Equal(t, before.ID, got.is(http.StatusAccepted).record().ID)
				b.await(before.ID, test.end)
			})
		})
	}
}

// TestRestartRepeats restarts files that are at their end: under a new id, once.
func TestRestartRepeats(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"Failed", "Cancelled"} {
		t.Run(state, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := started(t)
				before := b.in(state)
				earlier, err := b.client.GetFile(t.Context(), before.ID)
				require.NoError(t, err)
				b.local.WriteFile("/outbox/none", []byte("found"))
				got := b.put(before.ID, "restart").is(http.StatusAccepted)
				repeated := got.record()
				require.Greater(t, repeated.ID, before.ID)
				require.Equal(t, fmt.Sprintf("/v2/transfers/%d_acme", repeated.ID), got.header.Get("transferURI"))
				b.await(repeated.ID, transfer.StatusDone)
				require.Equal(t, before, b.get(before.ID), "it stays what it is")
				row, err := b.client.GetFile(t.Context(), repeated.ID)
				require.NoError(t, err)
				require.Equal(t, earlier.FollowID, row.FollowID)
				require.Equal(t, before.ID, row.RetryOf)
				require.Equal(t, repeated.ID, b.put(before.ID, "restart").is(http.StatusAccepted).record().ID, "once")
			})
		})
	}
}

func TestStoppedTransferGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := started(t)
		r := b.in("Running")
		b.put(r.ID, "stop").is(http.StatusAccepted)
		b.await(r.ID, transfer.StatusInterrupted)
		time.Sleep(time.Hour)
		require.Equal(t, transfer.StatusInterrupted, b.get(r.ID).Status, "not by itself")
		require.Equal(t, r.ID, b.put(r.ID, "restart").is(http.StatusAccepted).record().ID, "under its id")
		b.await(r.ID, transfer.StatusDone)
	})
}

func TestBeingCancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := started(t)
		stuck := make(chan struct{})
		rule := b.partner.Inject(transfertest.Rule{Op: transfertest.OpCreate, Do: func(transfertest.Call) { <-stuck }, Hold: make(chan struct{})})
		r := b.send("a", "a")
		<-rule.Hit()
		require.Equal(t, transfer.StatusRunning, b.put(r.ID, "cancel").is(http.StatusAccepted).record().Status, "it follows")
		for _, verb := range []string{"stop", "restart"} {
			b.put(r.ID, verb).is(http.StatusBadRequest).says("7 Field 'status' : illegal value 'RUNNING' (it is being cancelled: wait until it is INERROR).")
		}
		b.put(r.ID, "cancel").is(http.StatusAccepted)
		close(stuck)
		b.await(r.ID, transfer.StatusInError)
		_, err := b.remote.ReadFile("/in/a")
		require.Error(t, err)
	})
}

func TestRestartWithoutItsConnector(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.send("a", "a")
	b.put(r.ID, "cancel").is(http.StatusAccepted)
	client, err := transfer.New(transfer.Config{Store: b.store})
	require.NoError(t, err)
	b.client = client
	b.api = b.handler()
	b.put(r.ID, "restart").is(http.StatusBadRequest).says("11 Field 'requested' : there is no host 'acme' (use a partner of this server).")
}

// TestMethods holds what is where.
func TestMethods(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.send("a", "a")
	list, file, verb := "GET, HEAD, POST, OPTIONS", "GET, HEAD, OPTIONS", "PUT, OPTIONS"
	for path, allow := range map[string]string{
		"/v2/transfers": list, "/v2/transfers?x=y": list, "/v2/transfers/1": file, "/v2/transfers/nobody": file,
		"/v2/transfers/1/stop": verb, "/v2/transfers/1/restart": verb, "/v2/transfers/1/cancel": verb,
	} {
		got := do(t, b.api, "OPTIONS", path, "").is(http.StatusOK)
		require.Equal(t, allow, got.header.Get("Allow"), path)
		require.Empty(t, got.body)
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "get", "X"} {
			if !contains(allow, method) {
				refused := do(t, b.api, method, path, "").is(http.StatusMethodNotAllowed)
				require.Equal(t, allow, refused.header.Get("Allow"), "%s %s", method, path)
			}
		}
	}
	for _, path := range []string{
		"/", "/v2", "/v2/", "/v2/transfers/", "/v2/transfers//", "/v2/transfersx", "/v1/transfers", "/v2/hosts", "/v2/transfers/1/", "/v2/transfers/1/pause",
		"/v2/transfers/1/stop/", "/v2/transfers/1/stop/now", "/v2/transfers//stop", "/V2/transfers", "/v2/%74ransfers", "/v2/transfers/../transfers", "*",
	} {
		for _, method := range []string{"GET", "PUT", "POST", "OPTIONS"} {
			r, _ := http.NewRequestWithContext(t.Context(), method, "http://example.com/", nil)
			r.URL.Path, r.RequestURI = path, path
			if path == "/v2/%74ransfers" {
				r.URL.Path, r.URL.RawPath = "/v2/transfers", path
			}
			require.Equal(t, http.StatusNotFound, serve(b.api, r).Code, "%s %s", method, path)
		}
	}
	require.EqualValues(t, 1, b.query("").TotalResults, "nothing was started")
}
