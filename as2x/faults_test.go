package as2x

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

// opened unwraps a message of ours as the partner does.
func opened(t testing.TB, h http.Header, body io.Reader) *unwrapper {
	u := &unwrapper{
		keys:    []cms.KeyPair{{Certificate: partnerKey.get(t).Certificate.Certificate, Key: partnerKey.get(t).Key.(crypto.Decrypter)}},
		signers: []*x509.Certificate{ourKey.get(t).Certificate.Certificate}, limit: -1, micHash: crypto.SHA256,
	}
	require.NoError(t, u.unwrap(headerOf(h), body))
	t.Cleanup(u.close)
	return u
}

// confirm answers a message with an MDN that was changed, signed with a key; without a key it is not signed.
func confirm(t testing.TB, key *testKey, change func(*report)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer{http.StatusOK, mdnFor(t, r, key, change)}.write(w)
	}
}

func mdnFor(t testing.TB, r *http.Request, key *testKey, change func(*report)) *note {
	u := opened(t, r.Header, r.Body)
	rep := report{
		from: "PARTNER", to: "US", originalID: bareID(r.Header.Get("Message-ID")), messageID: "mdn@partner", mic: u.digest.String(), now: time.Now(),
	}
	if change != nil {
		change(&rep)
	}
	n, err := rep.plain()
	if key != nil {
		n, err = rep.signed(key.get(t), crypto.SHA256)
	}
	require.NoError(t, err)
	return &n
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// TestWhatPartnersAnswer sends one file to partners that answer wrongly.
func TestWhatPartnersAnswer(t *testing.T) {
	t.Parallel()
	modified := func(m string) http.HandlerFunc {
		return confirm(t, partnerKey, func(r *report) { r.modifier, r.mic = m, "" })
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		code   transfer.Code
		detail transfer.Code
	}{
		"right":           {confirm(t, partnerKey, nil), "", ""},
		"wrong MIC":       {confirm(t, partnerKey, func(r *report) { r.mic = mic{crypto.SHA256, make([]byte, 32)}.String() }), transfer.VerificationFailed, ""},
		"no MIC":          {confirm(t, partnerKey, func(r *report) { r.mic = "" }), transfer.VerificationFailed, ""},
		"broken MIC":      {confirm(t, partnerKey, func(r *report) { r.mic = "?, sha-256" }), transfer.VerificationFailed, ""},
		"MIC of another":  {confirm(t, partnerKey, func(r *report) { r.mic = strings.Replace(r.mic, "sha-256", "sha-512", 1) }), transfer.VerificationFailed, ""},
		"wrong id":        {confirm(t, partnerKey, func(r *report) { r.originalID = "another@us" }), transfer.MDNMalformed, ""},
		"unsigned":        {confirm(t, nil, nil), transfer.MDNUnsigned, ""},
		"other signer":    {confirm(t, otherKey, nil), transfer.VerificationKeyNotFound, ""},
		"short signature": {lineEndMore(t), "", ""},
		"tampered":        {tampered(t), transfer.VerificationFailed, ""},
		"authentication":  {modified("error: authentication-failed"), transfer.MDNAuthenticationFailed, ""},
		"decompression":   {modified("error: decompression-failed"), transfer.MDNDecompressionFailed, ""},
		"decryption":      {modified("Error:decryption-failed"), transfer.MDNDecryptionFailed, ""},
		"insufficient":    {modified("error: insufficient-message-security"), transfer.MDNInsufficientSecurity, ""},
		"integrity":       {modified("Error: integrity-check-failed"), transfer.MDNIntegrityCheckFailed, ""},
		"unexpected":      {modified("error: unexpected-processing-error"), transfer.MDNUnexpectedError, ""},
		"another error":   {modified("error: sender-equals-receiver"), transfer.MDNFailure, ""},
		"failure":         {modified("failure: unsupported format"), transfer.MDNFailure, ""},
		"duplicate":       {modified("warning: duplicate-document"), transfer.MDNDuplicate, ""},
		"warning":         {confirm(t, partnerKey, func(r *report) { r.modifier = "warning: slow day" }), "", ""},
		"no disposition":  {modified("odd: thing"), transfer.MDNMalformed, ""},
		"nothing":         {status(200), transfer.MDNMissing, ""},
		"a web page":      {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, transfer.MDNMalformed, ""},
		"too much":        {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2<<20)) }, transfer.MDNMalformed, ""},
		"half an MDN":     {half(t), transfer.MDNMalformed, ""},
		"not found":       {status(404), transfer.HTTPErrorResponse, ""},
		"no password":     {status(401), transfer.HTTPErrorResponse, ""},
		"server error":    {status(500), transfer.HTTPErrorResponse, transfer.HTTPServerError},
		"too many":        {status(429), transfer.HTTPErrorResponse, transfer.HTTPServerError},
		"hangs up":        {hangUp, transfer.ConnectionError, transfer.ConnectionLost},
		"redirect":        {http.RedirectHandler("/elsewhere", http.StatusTemporaryRedirect).ServeHTTP, transfer.HTTPErrorResponse, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			partner, server := newScript(t, test.answer)
			sender := newSender(t, configOf(t, server.URL))
			r := sender.send(t, "/out/orders.edi", []byte("orders"))
			require.Equal(t, test.code, r.FailureCode, r.FailureMessage)
			require.Equal(t, test.detail, r.FailureDetail)
			require.Equal(t, 1, partner.count())
			folder := "out/failed"
			if test.code == "" {
				folder = "out/processed"
			}
			file, mdn := resultFile(t, sender.storage, folder)
			require.Equal(t, r.StatusCode, file.StatusCode)
			require.Equal(t, r.FailureCode, file.FailureCode)
			if test.code == "" || strings.HasPrefix(string(test.code), "MDN_RESPONSE") {
				require.NotEmpty(t, file.Disposition)
				require.NotNil(t, mdn)
			}
		})
	}
}

// tampered answers with an MDN that was changed after it was signed.
func tampered(t testing.TB) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n := mdnFor(t, r, partnerKey, func(r *report) { r.modifier = "error: decryption-failed" })
		n.body = bytes.Replace(n.body, []byte("processed/error: decryption-failed"), []byte("processed"), 1)
		answer{http.StatusOK, n}.write(w)
	}
}

// lineEndMore answers with an MDN that has a line end which was not signed, as libas2 does.
func lineEndMore(t testing.TB) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n := mdnFor(t, r, partnerKey, nil)
		before := len(n.body)
		n.body = bytes.Replace(n.body, []byte("--\r\n\r\n--signed-"), []byte("--\r\n\r\n\r\n--signed-"), 1)
		require.Len(t, n.body, before+2)
		answer{http.StatusOK, n}.write(w)
	}
}

// half answers with the first half of an MDN.
func half(t testing.TB) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n := mdnFor(t, r, partnerKey, nil)
		n.body = n.body[:len(n.body)/2]
		answer{http.StatusOK, n}.write(w)
	}
}

func TestUnsignedMDNsCanBeAllowed(t *testing.T) {
	t.Parallel()
	_, server := newScript(t, confirm(t, nil, nil))
	cfg := configOf(t, server.URL)
	cfg.AllowUnsignedMDN = true
	require.NoError(t, newSender(t, cfg).send(t, "/a.edi", []byte("x")).Err())
	cfg.AllowUnsignedMDN, cfg.MDNSigningAlgorithm = false, SigningNone
	require.NoError(t, newSender(t, cfg).send(t, "/a.edi", []byte("x")).Err())

	_, server = newScript(t, confirm(t, otherKey, nil)) // signed although nobody asked
	cfg.URL = server.URL
	require.Equal(t, transfer.VerificationKeyNotFound, newSender(t, cfg).send(t, "/a.edi", []byte("x")).FailureCode)
	cfg.Partner.Signing = nil
	require.NoError(t, newSender(t, cfg).send(t, "/a.edi", []byte("x")).Err())
}

func TestNoMDN(t *testing.T) {
	t.Parallel()
	partner, server := newScript(t, status(202))
	cfg := configOf(t, server.URL)
	cfg.MDNResponse = MDNNone
	require.NoError(t, newSender(t, cfg).send(t, "/a.edi", []byte("x")).Err())
	for name := range partner.requests[0].Header {
		require.False(t, strings.HasPrefix(name, "Disposition-Notification"), name)
	}
}

func TestPartnersThatCannotBeReached(t *testing.T) {
	t.Parallel()
	dial := func(err error) func(context.Context, string, string) (net.Conn, error) {
		return func(context.Context, string, string) (net.Conn, error) { return nil, err }
	}
	silent := func(ctx context.Context, _, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe() // takes nothing and says nothing
		t.Cleanup(func() { _ = theirs.Close() })
		return ours, nil
	}
	for name, test := range map[string]struct {
		dial         func(context.Context, string, string) (net.Conn, error)
		code, detail transfer.Code
	}{
		"unknown host":    {dial(&net.DNSError{Err: "no such host", Name: "partner.example", IsNotFound: true}), transfer.UnableToResolveHostname, ""},
		"nobody listens":  {dial(&net.OpError{Op: "dial", Err: io.EOF}), transfer.UnableToConnect, ""},
		"takes nothing":   {silent, transfer.TimeoutError, transfer.Stalled},
		"does not answer": {swallowing(t), transfer.TimeoutError, transfer.OperationTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := configOf(t, "http://partner.example/as2")
			cfg.Dial, cfg.StallTimeout, cfg.ResponseTimeout = test.dial, 100*time.Millisecond, 100*time.Millisecond
			r := newSender(t, cfg).send(t, "/a.edi", []byte("x"))
			require.Equal(t, test.code, r.FailureCode, r.FailureMessage)
			require.Equal(t, test.detail, r.FailureDetail, r.FailureMessage)
			require.True(t, r.Retryable())
		})
	}
}

// TestAPartnerThatIsAwayForAWhile is waited for: attempts that did not reach it do not count.
func TestAPartnerThatIsAwayForAWhile(t *testing.T) {
	t.Parallel()
	_, server := newScript(t, confirm(t, partnerKey, nil))
	cfg := configOf(t, server.URL)
	cfg.Retry = &transfer.RetryPolicy{MaxAttempts: 2, FirstDelay: time.Millisecond, MaxDelay: time.Millisecond}
	var dials atomic.Int32
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dials.Add(1) < 6 {
			return nil, syscall.ECONNREFUSED
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	r := newSender(t, cfg).send(t, "/a.edi", []byte("x"))
	require.NoError(t, r.Err())
	require.Equal(t, 6, r.Attempts)
	require.Zero(t, r.Failures)
}

// swallowing connects to somebody who reads everything and says nothing.
func swallowing(t *testing.T) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(io.Discard, theirs)
		}()
		t.Cleanup(func() { _ = theirs.Close(); <-done })
		return ours, nil
	}
}

// retrying is a policy that loses no time.
func retrying(cfg Config) Config {
	cfg.Retry = &transfer.RetryPolicy{MaxAttempts: 4, FirstDelay: time.Millisecond, MaxDelay: time.Millisecond}
	return cfg
}

// requireOneMessage checks that all requests carried one message: the same id, and the same bytes signed.
func requireOneMessage(t *testing.T, s *script, n int) {
	t.Helper()
	require.Equal(t, n, s.count())
	first := opened(t, s.requests[0].Header, bytes.NewReader(s.bodies[0])).digest
	for i, r := range s.requests {
		require.Equal(t, s.requests[0].Header.Get("Message-ID"), r.Header.Get("Message-ID"))
		require.True(t, first.equal(opened(t, r.Header, bytes.NewReader(s.bodies[i])).digest))
	}
}

// TestALostMDN loses the partner's answer after the partner has stored the file.
func TestALostMDN(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{"one window": []byte("orders"), "several": random(3, 200_000)} {
		for _, compression := range []Compression{CompressionDisabled, CompressionZLIB} {
			t.Run(name+" "+string(compression), func(t *testing.T) {
				t.Parallel()
				partner := newPartner(t)
				lose := func(_ http.ResponseWriter, r *http.Request) {
					partner.receiver.ServeHTTP(discarding{http.Header{}}, r)
					hangUp(nil, nil)
				}
				script, server := newScript(t, lose, status(503), lose, partner.receiver.ServeHTTP)
				cfg := retrying(configOf(t, server.URL))
				cfg.Compression = compression
				r := newSender(t, cfg).send(t, "/out/orders.edi", data)
				require.NoError(t, r.Err())
				require.Equal(t, 4, r.Attempts)
				requireOneMessage(t, script, 4)
				_, got := partner.received(t)
				require.True(t, bytes.Equal(data, got))
				require.Len(t, partner.rows(t), 1)
			})
		}
	}
}

type discarding struct{ h http.Header }

func (d discarding) Header() http.Header       { return d.h }
func (discarding) Write(p []byte) (int, error) { return len(p), nil }
func (discarding) WriteHeader(int)             {}

// TestADuplicateIsDelivered meets a partner that says of the second attempt that it had the first.
func TestADuplicateIsDelivered(t *testing.T) {
	t.Parallel()
	script, server := newScript(t, hangUp, confirm(t, partnerKey, func(r *report) { r.modifier, r.mic = "Warning: duplicate-document", "" }))
	sender := newSender(t, retrying(configOf(t, server.URL)))
	require.NoError(t, sender.send(t, "/out/orders.edi", []byte("x")).Err())
	requireOneMessage(t, script, 2)
	file, _ := resultFile(t, sender.storage, "out/processed")
	require.Contains(t, file.Disposition, "duplicate-document")
}

// TestTheContentChangesBetweenThePasses changes what was signed before it is sent.
func TestTheContentChangesBetweenThePasses(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1000, spoolMemory + 1000} {
		for _, change := range []func(*Config){
			func(*Config) {},
			func(c *Config) { c.Compression = CompressionZLIB },
			func(c *Config) { c.SigningAlgorithm, c.MDNSigningAlgorithm = SigningNone, SHA256 },
		} {
			partner, server := newScript(t, status(200))
			cfg := configOf(t, server.URL)
			cfg.SpoolDir = t.TempDir()
			change(&cfg)
			c, err := New(cfg)
			require.NoError(t, err)
			remote, err := c.Connect(t.Context())
			require.NoError(t, err)
			data := random(4, size)
			s, err := remote.Create(t.Context(), "/a.edi", transfer.CreateOptions{Size: int64(size), WindowSize: 1 << 20, Key: strings.Repeat("a", 32)})
			require.NoError(t, err)
			window := max(size/2, 600)
			for off := 0; off < size; off += window {
				require.NoError(t, s.WriteWindow(t.Context(), data[off:min(off+window, size)], int64(off)))
			}
			k := s.(*sink)
			m, err := k.message()
			require.NoError(t, err)
			if k.spool.file != nil {
				_, err = k.spool.file.WriteAt([]byte("changed"), 500)
				require.NoError(t, err)
			} else {
				copy(k.spool.data[500:], "changed")
			}
			err = c.send(t.Context(), k, m)
			require.Equal(t, transfer.SourceChanged, transfer.CodeOf(err), "%v", err)
			require.Zero(t, partner.count(), "the partner got all of it")
			require.NoError(t, s.Close())
			require.NoError(t, c.Close())
			server.Close()
		}
	}
}
