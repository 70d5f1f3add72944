package waarpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
	"github.com/seed62b9dc43/transfer/waarpapi"
)

// bench is the API of a client between our storage and a partner, both with faults on request.
type bench struct {
	t             *testing.T
	local, remote *transfer.Memory
	partner       *transfertest.Connector
	store         store.Store
	client        *transfer.Client
	api           http.Handler
}

// rules are those of every bench.
func rules() map[string]waarpapi.Rule {
	return map[string]waarpapi.Rule{
		"out":     {Direction: waarpapi.Send, LocalDirectory: "/outbox", RemoteDirectory: "/in"},
		"in":      {Direction: waarpapi.Retrieve, LocalDirectory: "/inbox", RemoteDirectory: "/ready"},
		"any":     {Direction: waarpapi.Send},
		"fetch":   {Direction: waarpapi.Retrieve, LocalDirectory: "/inbox"},
		"private": {Direction: waarpapi.Send, Partners: []string{"initech"}},
	}
}

// setup returns a bench whose client is not started. Without change the API lets everybody do everything.
func setup(t *testing.T, change ...func(*waarpapi.Config)) *bench {
	t.Helper()
	b := &bench{t: t, local: transfer.NewMemory(), remote: transfer.NewMemory(), store: store.NewMemory()}
	b.partner = transfertest.NewConnector(b.remote, transfertest.ConnectorOptions{})
	other := transfertest.NewConnector(nil, transfertest.ConnectorOptions{Partner: "INITECH"})
	var err error
	b.client, err = transfer.New(transfer.Config{
		Storage: b.local, Store: b.store, Name: "us",
		Connectors: map[string]transfer.Connector{"acme": b.partner, "c-1": other},
		Retry:      transfer.RetryPolicy{MaxAttempts: 1},
	})
	require.NoError(t, err)
	b.api = b.handler(change...)
	return b
}

// started is setup with a client that moves files.
func started(t *testing.T, change ...func(*waarpapi.Config)) *bench {
	t.Helper()
	b := setup(t, change...)
	require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		require.NoError(t, b.client.Shutdown(ctx))
	})
	return b
}

// handler returns another API of the same client.
func (b *bench) handler(change ...func(*waarpapi.Config)) http.Handler {
	b.t.Helper()
	cfg := waarpapi.Config{Rules: rules()}
	for _, f := range change {
		f(&cfg)
	}
	cfg.NoAuthentication = cfg.Users == nil
	api, err := waarpapi.NewHandler(b.client, cfg)
	require.NoError(b.t, err)
	return api
}

// bubble runs a test on a clock of its own, which moves on when everybody waits.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

// answer is what a request was answered with.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

// do makes a request: headers are "Name: value".
func (b *bench) do(method, target, body string, headers ...string) answer {
	b.t.Helper()
	return do(b.t, b.api, method, target, body, headers...)
}

func do(t *testing.T, api http.Handler, method, target, body string, headers ...string) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	return answerOf(t, w.Result())
}

func answerOf(t *testing.T, r *http.Response) answer {
	t.Helper()
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return answer{t, r.StatusCode, r.Header, string(body)}
}

// is requires a status.
func (a answer) is(status int) answer {
	a.t.Helper()
	require.Equal(a.t, status, a.status, a.body)
	return a
}

// says requires errors, each as "code message".
func (a answer) says(errors ...string) answer {
	a.t.Helper()
	require.Equal(a.t, errors, a.errors())
	return a
}

func (a answer) errors() (all []string) {
	a.t.Helper()
	var body transfer.QueryStringError
	decodeStrictly(a.t, a.body, &body)
	for _, e := range body.Errors {
		all = append(all, fmt.Sprintf("%d %s", e.ErrorCode, e.Message))
	}
	return all
}

func (a answer) record() (r transfer.TransferRecord) {
	a.t.Helper()
	decodeStrictly(a.t, a.body, &r)
	return r
}

// page is the body of a list.
type page struct {
	TotalResults int64                     `json:"totalResults"`
	Results      []transfer.TransferRecord `json:"results"`
}

func (a answer) page() (p page) {
	a.t.Helper()
	decodeStrictly(a.t, a.is(http.StatusOK).body, &p)
	return p
}

// ids returns the ids of a page's records.
func (p page) ids() []int64 {
	ids := []int64{}
	for _, r := range p.Results {
		ids = append(ids, r.ID)
	}
	return ids
}

func decodeStrictly(t *testing.T, text string, into any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(into), text)
}

// post starts a transfer and returns its record.
func (b *bench) post(body string) transfer.TransferRecord {
	b.t.Helper()
	return b.do("POST", "/v2/transfers", body).is(http.StatusCreated).record()
}

// send starts a transfer of a file that is there.
func (b *bench) send(name, content string) transfer.TransferRecord {
	b.t.Helper()
	b.local.WriteFile("/outbox/"+name, []byte(content))
	return b.post(fmt.Sprintf(`{"ruleName":"out","filename":%q,"requested":"acme"}`, name))
}

func (b *bench) get(id int64) transfer.TransferRecord {
	b.t.Helper()
	return b.do("GET", fmt.Sprintf("/v2/transfers/%d", id), "").is(http.StatusOK).record()
}

// await waits, on a bubble's clock, until a transfer has a status.
func (b *bench) await(id int64, status transfer.Status) transfer.TransferRecord {
	b.t.Helper()
	for range 10_000 {
		if r := b.get(id); r.Status == status {
			return r
		}
		time.Sleep(10 * time.Millisecond)
	}
	require.Equal(b.t, status, b.get(id).Status)
	return transfer.TransferRecord{}
}

type configuration = waarpapi.Config

func newPartner(name string) transfer.Connector {
	return transfertest.NewConnector(nil, transfertest.ConnectorOptions{Partner: name})
}

// stuck is a store whose counts never come.
type stuck struct{ store.Store }

func (stuck) CountFiles(ctx context.Context, _ store.Query) (map[store.State]int64, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func serve(api http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	return w
}

// contains reports whether an Allow header has a method.
func contains(allow, method string) bool {
	return slices.Contains(strings.Split(allow, ", "), method)
}
