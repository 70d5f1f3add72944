package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// maxAnswer is how much of an answer is read, so that its connection can be used again.
const maxAnswer = 64 << 10

// Sink delivers events to one receiver. It is safe for concurrent use.
type Sink struct {
	cfg    Config
	client *http.Client
	own    *http.Transport // to be closed; nil where Config has a Client
}

var _ transfer.ProgressSink = (*Sink)(nil)

// New returns a Sink, or one error that names every wrong field. It connects to nothing.
func New(cfg Config) (*Sink, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Sink{cfg: cfg, client: &http.Client{}}
	if cfg.Client != nil {
		*s.client = *cfg.Client
	} else {
		s.own = newTransport(cfg.Timeout)
		s.client.Transport = s.own
	}
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s, nil
}

func newTransport(timeout time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    timeout,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    8, // as many as events are delivered at once
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxAnswer,
	}
}

// WantsProgress is Config.Progress.
func (s *Sink) WantsProgress() bool { return s.cfg.Progress }

// Close ends idle connections. Call it once no Client delivers to the Sink any more. It returns nil.
func (s *Sink) Close() error {
	if s.own != nil {
		s.own.CloseIdleConnections()
	}
	return nil
}

// Deliver sends an event and returns nil once the receiver has taken it. With 429 and 503 and a Retry-After its error is a
// transfer.RetryLaterError. Errors never hold the URL's path and query, nor anything that the receiver has written.
func (s *Sink) Deliver(ctx context.Context, e transfer.Event) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	request, err := s.request(ctx, &e)
	if err != nil || request == nil {
		return err
	}
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	answer, err := s.client.Do(request.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err != nil {
		return fmt.Errorf("call webhook at %s: %w", request.URL.Host, reason(err, connected.Load()))
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer)
	return s.verdict(request.URL.Host, answer)
}

// verdict is what an answer means.
func (s *Sink) verdict(host string, answer *http.Response) error {
	status := answer.StatusCode
	if status >= 200 && status <= 299 || slices.Contains(s.cfg.Discard, status) {
		return nil
	}
	err := fmt.Errorf("webhook at %s answered %d (use a status from 200 to 299 to take an event)", host, status)
	if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return err
	}
	if after := retryAfter(answer.Header.Get("Retry-After"), time.Now()); after > 0 {
		return &transfer.RetryLaterError{After: after, Err: err}
	}
	return err
}

// retryAfter reads the header of this name (RFC 9110, section 10.2.3); 0 if it says nothing.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// request makes the signed request for an event, or none for one that the format has no form for.
func (s *Sink) request(ctx context.Context, e *transfer.Event) (*http.Request, error) {
	body, err := s.body(e)
	if errors.Is(err, transfer.ErrNotFinished) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	secrets, err := s.cfg.Secrets(ctx)
	if err != nil {
		return nil, fmt.Errorf("fetch the secrets of webhook: %w", err)
	}
	if len(secrets) == 0 || len(secrets) > maxSecrets || slices.ContainsFunc(secrets, func(s Secret) bool { return len(s.key) == 0 }) {
		return nil, fmt.Errorf("fetch the secrets of webhook: %d came, or an empty one (give 1 to %d made with NewSecret)", len(secrets), maxSecrets)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request of webhook: %w", reason(err, false))
	}
	now := time.Now()
	for name, values := range s.cfg.Header {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(HeaderID, e.ID)
	request.Header.Set(HeaderTimestamp, strconv.FormatInt(now.Unix(), 10))
	request.Header.Set(HeaderSignature, sign(e.ID, now, body, secrets))
	return request, nil
}

func (s *Sink) body(e *transfer.Event) ([]byte, error) {
	if s.cfg.Format == FormatEventBridge {
		return e.EventBridge(s.cfg.Source)
	}
	return json.Marshal(e)
}

// errAnswer stands for errors of net/http that show what the receiver has written.
var errAnswer = errors.New("the answer is no HTTP that can be read (look at the scheme and the port of Config.URL)")

// reason is why a request failed, without the URL, which often holds a token, and without anything of the answer, which may
// be in the errors of net/http from the connection on.
func reason(err error, connected bool) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var ofNetwork net.Error
	switch {
	case !connected, errors.Is(err, context.Canceled), errors.As(err, &ofNetwork):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the receiver has closed the connection")
	}
	return errAnswer
}
