package as2x

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"

	"github.com/seed62b9dc43/transfer"
)

var _ transfer.ConnectionTester = (*Connector)(nil)

// TestPartner implements [transfer.ConnectionTester]: it connects to the partner's server, with TLS if the URL is https,
// and sends no request, since every one would be a message to somebody. So it says nothing of BasicAuth, of AS2 names and
// of the certificates that messages need, and little of mutual TLS: TLS 1.3 refuses a client only later.
func (c *Connector) TestPartner(ctx context.Context) transfer.ConnectionTest {
	if err := c.shakeHands(ctx); err != nil {
		return transfer.ConnectionTest{Err: &transfer.Error{
			Op: "connect to", Path: c.cfg.URL, Code: requestCode(err), Err: errors.New(shorten(clean(err.Error()), 400)),
		}}
	}
	return transfer.ConnectionTest{}
}

func (c *Connector) shakeHands(ctx context.Context) error {
	u, err := url.Parse(c.cfg.URL)
	if err != nil {
		return err
	}
	port := "80"
	if u.Scheme == "https" {
		port = "443"
	}
	conn, err := stallingDial(c.cfg)(ctx, "tcp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port)))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if u.Scheme != "https" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	cfg := tlsConfig(c.cfg.Local, c.cfg.Partner)
	cfg.ServerName = u.Hostname()
	return tls.Client(conn, cfg).HandshakeContext(ctx)
}
