package as2x

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// as2Version is 1.2: compression, and EDIINT-Features (RFC 6017).
const as2Version = "1.2"

// userAgent names us; some servers want one.
const userAgent = "transfer-as2x"

// request makes the HTTP request of a message.
func (c *Connector) request(ctx context.Context, s *sink, m *message, body io.ReadCloser) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL, body)
	if err != nil {
		return nil, err
	}
	r.ContentLength = m.size // some servers refuse chunks
	if m.size == 0 {
		r.Body = http.NoBody
	}
	for name, values := range c.cfg.Headers {
		r.Header[name] = slices.Clone(values)
	}
	for _, h := range s.o.Origin.Headers {
		if !reserved(h.Key) {
			set(r.Header, h.Key, h.Value)
		}
	}
	c.setHeaders(r.Header, m)
	if c.cfg.BasicAuth != nil {
		user, password, err := c.cfg.BasicAuth(ctx)
		if err != nil {
			return nil, failedTo("send", s.path, transfer.CredentialsFailed, "%w", err)
		}
		r.SetBasicAuth(user, password)
	}
	return r, nil
}

// setHeaders sets AS2's headers (RFC 4130, section 6).
func (c *Connector) setHeaders(h http.Header, m *message) {
	for _, f := range m.header {
		set(h, f.name, f.value)
	}
	set(h, "AS2-Version", as2Version)
	set(h, "AS2-From", as2Name(c.cfg.Local.AS2ID))
	set(h, "AS2-To", as2Name(c.cfg.Partner.AS2ID))
	set(h, "Message-ID", "<"+m.id+">")
	set(h, "Subject", c.subject(m))
	set(h, "Date", time.Now().UTC().Format(http.TimeFormat))
	set(h, "MIME-Version", "1.0")
	set(h, "User-Agent", userAgent)
	if c.cfg.MDNResponse == MDNNone {
		return
	}
	set(h, "Disposition-Notification-To", as2Name(c.cfg.Local.AS2ID))
	if hash := c.cfg.MDNSigningAlgorithm.hash(); hash != 0 {
		// One algorithm only: of several, some take the first and some the last.
		set(h, "Disposition-Notification-Options", "signed-receipt-protocol=optional, pkcs7-signature; signed-receipt-micalg=optional, "+micNames[hash])
	}
	if c.cfg.MDNResponse == MDNAsync {
		set(h, "Receipt-Delivery-Option", c.cfg.AsyncMDNURL)
	}
}

func (c *Connector) subject(m *message) string {
	if c.cfg.MessageSubject != "" {
		return c.cfg.MessageSubject
	}
	return asciiOnly(m.fileName)
}

// asciiOnly is text as it can stand in a header.
func asciiOnly(text string) string {
	b := []rune(text)
	for i, r := range b {
		if r < ' ' || r > '~' {
			b[i] = '_'
		}
	}
	return string(b)
}

// answerHeaders are those of an answer that are kept with an MDN.
var answerHeaders = []string{
	"AS2-Version", "AS2-From", "AS2-To", "Message-ID", "Subject", "Date", "MIME-Version", "Content-Type",
	"Content-Transfer-Encoding", "Content-Disposition",
}

// note is a MIME entity that is small enough to be kept: an MDN with its header.
type note struct {
	header header
	body   []byte
}

func noteOf(h http.Header, body []byte) note {
	var fields header
	for _, name := range answerHeaders {
		if v := h.Get(name); v != "" {
			fields = append(fields, field{name, clean(v)})
		}
	}
	return note{fields, body}
}

func (n note) bytes() []byte { return append(n.header.bytes(), n.body...) }

func parseNote(data []byte) (note, error) {
	h, raw, err := splitFields(data)
	if err != nil {
		return note{}, err
	}
	return note{h, data[len(raw):]}, nil
}

// post sends the message and returns what the partner answers to it at once.
func (c *Connector) post(ctx context.Context, s *sink, m *message) (note, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body := &guardedBody{r: m.open()}
	defer func() { _ = body.Close() }() // afterwards nobody reads the content any more
	r, err := c.request(ctx, s, m, body)
	if err != nil {
		return note{}, err
	}
	answer, err := c.client.Do(r)
	if err != nil {
		return note{}, c.explain(ctx, s.path, body, err)
	}
	defer func() { _ = answer.Body.Close() }()
	timer := time.AfterFunc(c.cfg.ResponseTimeout, cancel)
	defer timer.Stop()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxMDN+1))
	switch {
	case answer.StatusCode < 200 || answer.StatusCode > 299:
		return note{}, statusError(s.path, answer)
	case err != nil && ctx.Err() != nil:
		return note{}, failedTo("read answer for", s.path, transfer.OperationTimeout, "it took longer than Config.ResponseTimeout")
	case err != nil:
		return note{}, c.explain(ctx, s.path, body, err)
	case len(text) > maxMDN:
		return note{}, failedTo("read answer for", s.path, transfer.MDNMalformed, "it has more than %d bytes", maxMDN)
	}
	return noteOf(answer.Header, text), nil
}

// statusError is what an HTTP status means that is not a success.
func statusError(path string, r *http.Response) error {
	code := transfer.HTTPErrorResponse
	switch r.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		code = transfer.HTTPServerError
	}
	if r.StatusCode >= 500 {
		code = transfer.HTTPServerError
	}
	said := shorten(clean(r.Status), 100)
	if to := r.Header.Get("Location"); to != "" {
		said += " to " + shorten(clean(to), 200) + ", which is not followed (set Config.URL to where the server is)"
	}
	return failedTo("send", path, code, "the partner's server says %s", said)
}

// explain finds the cause of a failed request.
func (c *Connector) explain(ctx context.Context, path string, body *guardedBody, err error) error {
	if bad := body.failure(); bad != nil {
		if errors.Is(bad, errChanged) {
			return failedTo("send", path, transfer.SourceChanged, "%w", bad)
		}
		return failedTo("send", path, transfer.EncryptionFailed, "%w", bad)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("send %s: %w", path, ctx.Err())
	}
	return &transfer.Error{Op: "send", Path: path, Code: requestCode(err), Err: errors.New(shorten(clean(err.Error()), 400))}
}

// requestCode is the cause of an error of net/http.
func requestCode(err error) transfer.Code {
	var dns *net.DNSError
	var dial *dialError
	var verification *tls.CertificateVerificationError
	var host x509.HostnameError
	var network net.Error
	switch {
	case errors.As(err, &dns):
		return transfer.UnableToResolveHostname
	case errors.As(err, &dial):
		return transfer.UnableToConnect
	case errors.Is(err, errPin), isAlert(err), errors.As(err, &verification), errors.As(err, &host):
		return transfer.TLSCertificateRefused
	case errors.Is(err, os.ErrDeadlineExceeded) && !isHeaderTimeout(err):
		return transfer.Stalled
	case errors.As(err, &network) && network.Timeout():
		return transfer.OperationTimeout
	}
	return transfer.ConnectionLost
}

// isAlert reports whether the partner's server has ended TLS, as one does that wants another client certificate.
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// isHeaderTimeout reports whether err is about ResponseHeaderTimeout, which has no value of its own.
func isHeaderTimeout(err error) bool {
	return bytes.Contains([]byte(err.Error()), []byte("awaiting response headers"))
}

// guardedBody lets nobody read the content after Close has returned: net/http may go on reading a body after the answer
// came, when the memory behind it is somebody else's already.
type guardedBody struct {
	r io.ReadCloser

	mu     sync.Mutex // guards closed and err
	closed bool
	err    error // of the content, not of the network
}

func (g *guardedBody) Read(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return 0, os.ErrClosed
	}
	n, err := g.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
		g.err = err
	}
	return n, err
}

func (g *guardedBody) Close() error {
	err := g.r.Close() // frees a Read that waits
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	return err
}

func (g *guardedBody) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}
