package as2x

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"
)

const maxResponseHeader = 64 << 10 // bytes

// newHTTPClient returns a client for one partner: HTTP/1.1, no redirects, no compression, certificates as configured.
func newHTTPClient(cfg Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            stallingDial(cfg),
			TLSClientConfig:        tlsConfig(cfg.Local, cfg.Partner),
			TLSHandshakeTimeout:    cfg.ConnectTimeout,
			TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{}, // AS2 servers speak HTTP/1.1
			ResponseHeaderTimeout:  cfg.ResponseTimeout,
			MaxResponseHeaderBytes: maxResponseHeader,
			DisableCompression:     true,
			MaxIdleConnsPerHost:    cfg.MaxFiles,
			IdleConnTimeout:        30 * time.Second, // less than servers wait, so that none closes under a request
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// stallingDial bounds dialling, and how long a write may stand still.
func stallingDial(cfg Config) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
		defer cancel()
		conn, err := cfg.Dial(ctx, network, addr)
		if err != nil {
			return nil, &dialError{err}
		}
		return &stallingConn{conn, cfg.StallTimeout}, nil
	}
}

// dialError is a failure to connect, as opposed to one on a connection.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

type stallingConn struct {
	net.Conn
	limit time.Duration
}

// Write writes p in pieces, each of which must get somewhere in time.
func (c *stallingConn) Write(p []byte) (n int, err error) {
	for {
		if err := c.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
			return n, err
		}
		m, err := c.Conn.Write(p[n:min(n+64<<10, len(p))])
		if n += m; err != nil || n == len(p) {
			return n, err
		}
	}
}

// errPin says that a server's certificate is not a pinned one.
var errPin = errors.New("the server's certificate is neither one of Partner.TLS nor issued by one of them")

// tlsConfig trusts the pinned certificates alone, if there are any.
func tlsConfig(l Local, p Partner) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: l.TLS}
	if len(p.TLS) == 0 {
		return cfg
	}
	cfg.InsecureSkipVerify = true // VerifyConnection does it
	cfg.VerifyConnection = func(s tls.ConnectionState) error {
		leaf := s.PeerCertificates[0]
		roots, between := x509.NewCertPool(), x509.NewCertPool()
		for _, c := range p.TLS {
			if leaf.Equal(c) {
				return nil
			}
			roots.AddCert(c)
		}
		for _, c := range s.PeerCertificates[1:] {
			between.AddCert(c)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: s.ServerName}); err != nil {
			return errors.Join(errPin, err)
		}
		return nil
	}
	return cfg
}

// as2Headers are those that neither Config.Headers nor CustomHTTPHeaders may replace, in lower case.
var as2Headers = map[string]bool{
	"as2-version": true, "as2-from": true, "as2-to": true, "message-id": true, "subject": true, "date": true,
	"mime-version": true, "content-type": true, "content-length": true, "content-disposition": true,
	"content-transfer-encoding": true, "disposition-notification-to": true, "disposition-notification-options": true,
	"receipt-delivery-option": true, "host": true, "connection": true, "transfer-encoding": true, "authorization": true,
	"expect": true, "trailer": true, "upgrade": true,
}

func reserved(name string) bool { return as2Headers[strings.ToLower(name)] }

// set gives a header exactly this spelling: some AS2 servers compare names with their case.
func set(h http.Header, name, value string) { h[name] = []string{value} }
