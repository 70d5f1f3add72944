package as2x

import (
	"bytes"
	"context"
	"crypto"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// patience bounds what tests wait for.
const patience = 30 * time.Second

// ourReceiver is where the partner's asynchronous MDNs come in.
type ourReceiver struct {
	records *Records
	handler *Receiver
	server  *httptest.Server
}

func newOurReceiver(t *testing.T, client *transfer.Client) *ourReceiver {
	t.Helper()
	o := &ourReceiver{records: &Records{Storage: transfer.NewMemory(), Directory: "as2"}}
	var err error
	o.handler, err = NewReceiver(ReceiverConfig{
		Agreements: []Agreement{{
			ID: "from-partner", Local: configOf(t, "").Local, Partner: configOf(t, "").Partner,
		}},
		Storage: transfer.NewMemory(), Records: o.records, Client: client,
	})
	require.NoError(t, err)
	o.server = httptest.NewServer(o.handler)
	t.Cleanup(func() {
		o.server.Close()
		require.NoError(t, o.handler.Close(context.Background()))
	})
	return o
}

// asyncConfig sends to url and wants MDNs at o.
func asyncConfig(t *testing.T, url string, o *ourReceiver) Config {
	cfg := configOf(t, url)
	cfg.MDNResponse, cfg.AsyncMDNURL, cfg.Records, cfg.MDNPoll = MDNAsync, o.server.URL, o.records, 10*time.Millisecond
	return cfg
}

// post posts an MDN to us and returns the HTTP status.
func (o *ourReceiver) post(t testing.TB, n *note) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, o.server.URL, bytes.NewReader(n.body))
	require.NoError(t, err)
	for _, f := range n.header {
		set(req.Header, f.name, f.value)
	}
	out, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, out.Body.Close())
	return out.StatusCode
}

func awaitState(t *testing.T, s *ourSide, id string, want store.State) transfer.ConnectorFileTransferResult {
	t.Helper()
	var r transfer.ConnectorFileTransferResult
	require.Eventually(t, func() bool { r = s.result(t, id); return r.State == want }, patience, 2*time.Millisecond, "%+v", &r)
	return r
}

// TestAsyncMDN goes the whole way between two Receivers.
func TestAsyncMDN(t *testing.T) {
	t.Parallel()
	o := newOurReceiver(t, nil)
	partner := newPartner(t, func(c *ReceiverConfig) { c.Agreements[0].AsyncMDNHosts = []string{"127.0.0.1"} })
	sender := newSender(t, asyncConfig(t, partner.server.URL, o))
	data := random(5, 200_000)
	r := sender.send(t, "/out/orders.edi", data)
	require.NoError(t, r.Err())
	_, got := partner.received(t)
	require.True(t, bytes.Equal(data, got))
	file, mdn := resultFile(t, sender.storage, "out/processed")
	require.Contains(t, file.Disposition, "processed")
	require.NotEmpty(t, file.MDNMessageID)
	require.NotEmpty(t, mdn)
}

// TestAsyncMDNTakesItsTime holds the MDN back: the file waits without a slot, and is woken up by its MDN.
func TestAsyncMDNTakesItsTime(t *testing.T) {
	t.Parallel()
	late := make(chan *note, 1)
	script, server := newScript(t, func(w http.ResponseWriter, r *http.Request) {
		late <- mdnFor(t, r, partnerKey, nil)
		w.WriteHeader(http.StatusNoContent)
	})
	shared := store.NewMemory()
	waker, err := transfer.New(transfer.Config{Store: shared})
	require.NoError(t, err)
	o := newOurReceiver(t, waker)
	cfg := asyncConfig(t, server.URL, o)
	cfg.MDNPoll, cfg.MaxFiles = time.Hour, 1
	sender := newSender(t, cfg, func(c *transfer.Config) { c.Store = shared })
	id := sender.start(t, "/out/orders.edi", []byte("orders"))
	r := awaitState(t, sender, id, store.Waiting)
	require.Equal(t, transfer.TransferTableStatusInProgress, r.StatusCode)
	require.Empty(t, r.FailureCode)
	require.Equal(t, o.server.URL, script.requests[0].Header.Get("Receipt-Delivery-Option"))
	second := sender.start(t, "/out/more.edi", []byte("more")) // the first one holds no slot
	mdn := <-late
	<-late
	awaitState(t, sender, second, store.Waiting)

	for name, bad := range map[string]struct {
		n    *note
		want int
	}{
		"other signer": {resigned(t, mdn, otherKey), http.StatusForbidden},
		"unsigned":     {resigned(t, mdn, nil), http.StatusForbidden},
		"unknown":      {forMessage(t, "never@us"), http.StatusNotFound},
	} {
		require.Equal(t, bad.want, o.post(t, bad.n), name)
	}
	require.Equal(t, transfer.TransferTableStatusInProgress, sender.result(t, id).StatusCode)
	sender.storage.Remove("/out/orders.edi")
	require.Equal(t, http.StatusOK, o.post(t, mdn))
	require.Equal(t, http.StatusOK, o.post(t, mdn), "it may come again")
	require.NoError(t, awaitState(t, sender, id, store.Done).Err())
	require.Equal(t, 2, script.count())
}

// resigned is an MDN with the same content from somebody else.
func resigned(t *testing.T, n *note, key *testKey) *note {
	t.Helper()
	m, err := parseMDN(n.header, n.body)
	require.NoError(t, err)
	return signedReport(t, report{from: "PARTNER", to: "US", originalID: m.originalID(), messageID: "bad@partner", now: time.Now()}, key)
}

func forMessage(t *testing.T, id string) *note {
	t.Helper()
	return signedReport(t, report{from: "PARTNER", to: "US", originalID: id, messageID: "bad@partner", now: time.Now()}, partnerKey)
}

func signedReport(t *testing.T, r report, key *testKey) *note {
	t.Helper()
	n, err := r.plain()
	if key != nil {
		n, err = r.signed(key.get(t), crypto.SHA256)
	}
	require.NoError(t, err)
	return &n
}

// TestAsyncMDNComesBeforeTheAnswer has the MDN here before the POST returns.
func TestAsyncMDNComesBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	o := newOurReceiver(t, nil)
	_, server := newScript(t, func(w http.ResponseWriter, r *http.Request) {
		if o.post(t, mdnFor(t, r, partnerKey, nil)) != http.StatusOK {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	sender := newSender(t, asyncConfig(t, server.URL, o))
	r := sender.send(t, "/out/orders.edi", []byte("orders"))
	require.NoError(t, r.Err())
	require.Equal(t, 1, r.Attempts, "there was nothing to wait for")
}

// TestAsyncMDNOfALostAnswer has the MDN here although the POST failed: the message is not sent again.
func TestAsyncMDNOfALostAnswer(t *testing.T) {
	t.Parallel()
	o := newOurReceiver(t, nil)
	script, server := newScript(t, func(w http.ResponseWriter, r *http.Request) {
		o.post(t, mdnFor(t, r, partnerKey, nil))
		hangUp(w, r)
	})
	sender := newSender(t, retrying(asyncConfig(t, server.URL, o)))
	r := sender.send(t, "/out/orders.edi", []byte("orders"))
	require.NoError(t, r.Err())
	require.Equal(t, 1, script.count())
}

func TestAsyncMDNThatSaysNo(t *testing.T) {
	t.Parallel()
	o := newOurReceiver(t, nil)
	_, server := newScript(t, func(w http.ResponseWriter, r *http.Request) {
		o.post(t, mdnFor(t, r, partnerKey, func(r *report) { r.modifier = "error: decryption-failed" }))
	})
	sender := newSender(t, asyncConfig(t, server.URL, o))
	r := sender.send(t, "/out/orders.edi", []byte("orders"))
	require.Equal(t, transfer.MDNDecryptionFailed, r.FailureCode)
	file, mdn := resultFile(t, sender.storage, "out/failed")
	require.NotEmpty(t, mdn)
	require.NotEmpty(t, file.AS2MessageID)
}

func TestAsyncMDNThatNeverComes(t *testing.T) {
	t.Parallel()
	o := newOurReceiver(t, nil)
	_, server := newScript(t, status(200))
	cfg := asyncConfig(t, server.URL, o)
	cfg.MDNTimeout = 50 * time.Millisecond
	sender := newSender(t, cfg)
	r := sender.send(t, "/out/orders.edi", []byte("orders"))
	require.Equal(t, transfer.MDNTimeout, r.FailureCode)
	require.Empty(t, r.FailureDetail)
	file, mdn := resultFile(t, sender.storage, "out/failed")
	require.Equal(t, transfer.MDNTimeout, file.FailureCode)
	require.Nil(t, mdn)
}

// TestAsyncMDNAfterARestart lets another process find the MDN.
func TestAsyncMDNAfterARestart(t *testing.T) {
	t.Parallel()
	o := newOurReceiver(t, nil)
	late := make(chan *note, 1)
	_, server := newScript(t, func(w http.ResponseWriter, r *http.Request) { late <- mdnFor(t, r, partnerKey, nil) })
	shared := store.NewMemory()
	cfg := asyncConfig(t, server.URL, o)
	first := newSender(t, cfg, func(c *transfer.Config) { c.Store = shared })
	id := first.start(t, "/out/orders.edi", random(6, 200_000))
	awaitState(t, first, id, store.Waiting)
	require.NoError(t, first.client.Shutdown(t.Context()))
	require.Equal(t, http.StatusOK, o.post(t, <-late))
	second := newSender(t, cfg, func(c *transfer.Config) { c.Store = shared }) // whose storage does not have the file
	require.NoError(t, awaitState(t, second, id, store.Done).Err())
}
