package transfertest

import (
	"context"
	"fmt"
	"sync"

	"github.com/seed62b9dc43/transfer"
)

// Protocol is a transfer.Protocol without a network: every connector that is made of a definition leads to one partner.
// Each session fetches the secret first, as a real one would.
type Protocol struct {
	partner *Connector

	mu         sync.Mutex // guards all below
	opened     int        // connectors, and not closed
	made       int
	fetched    []string // secrets that sessions have got
	violations []string
}

var _ transfer.Protocol = (*Protocol)(nil)

// NewProtocol returns a Protocol that leads to partner; nil means a new Connector with a transfer.Memory.
func NewProtocol(partner *Connector) *Protocol {
	if partner == nil {
		partner = NewConnector(nil, ConnectorOptions{})
	}
	return &Protocol{partner: partner}
}

// Check finds nothing wrong.
func (p *Protocol) Check(*transfer.ConnectorDefinition) []transfer.InvalidField { return nil }

// Open returns a connector with the definition's URL and, where that is said, as many files at once as
// MaxConcurrentConnections.
func (p *Protocol) Open(d *transfer.ConnectorDefinition, secrets transfer.Secrets) (transfer.OpenedConnector, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened++
	p.made++
	c := &openedConnector{Connector: p.partner, protocol: p, secrets: secrets, info: p.partner.Info()}
	c.info.URL, c.info.Partner, c.info.Retry = d.URL, d.Partner, d.Retry
	if s := d.SftpConfig; s != nil {
		c.secret = s.UserSecretID
		if n := int(s.MaxConcurrentConnections); n > 0 {
			c.info.MaxFiles = n
		}
	}
	return c, nil
}

// Opened returns how many connectors were made and not closed.
func (p *Protocol) Opened() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.opened
}

// Made returns how many connectors were made.
func (p *Protocol) Made() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made
}

// Fetched returns the secrets that sessions have got, in their order.
func (p *Protocol) Fetched() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.fetched...)
}

// Violations returns what the client did against the contract of transfer.OpenedConnector: closed twice, closed under open
// sessions, used after that.
func (p *Protocol) Violations() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.violations...)
}

// openedConnector is what Open made.
type openedConnector struct {
	*Connector
	protocol *Protocol
	secrets  transfer.Secrets
	secret   string // its id
	info     transfer.ConnectorInfo

	// Guarded by protocol.mu.
	sessions int
	closed   bool
}

func (c *openedConnector) Info() transfer.ConnectorInfo { return c.info }

func (c *openedConnector) Connect(ctx context.Context) (transfer.Remote, error) {
	c.protocol.note(func() {
		c.sessions++
		if c.closed {
			c.protocol.violations = append(c.protocol.violations, fmt.Sprintf("connector to %s: Connect after Close", c.info.URL))
		}
	})
	remote, err := c.connect(ctx)
	if err != nil {
		c.left()
		return nil, err
	}
	return &openedRemote{remote, c}, nil
}

func (c *openedConnector) connect(ctx context.Context) (transfer.Remote, error) {
	secret, err := c.secrets.Secret(ctx, c.secret)
	if err != nil {
		return nil, &transfer.Error{Op: "connect", Path: c.info.URL, Code: transfer.AuthenticationFailed, Err: err}
	}
	c.protocol.note(func() { c.protocol.fetched = append(c.protocol.fetched, string(secret)) })
	return c.Connector.Connect(ctx)
}

func (c *openedConnector) left() { c.protocol.note(func() { c.sessions-- }) }

// Close notes the end of the connector; the partner goes on.
func (c *openedConnector) Close() error {
	c.protocol.note(func() {
		if c.closed || c.sessions > 0 {
			c.protocol.violations = append(c.protocol.violations, fmt.Sprintf("connector to %s: closed twice, or with %d open sessions", c.info.URL, c.sessions))
		}
		if !c.closed {
			c.protocol.opened--
		}
		c.closed = true
	})
	return nil
}

func (p *Protocol) note(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

type openedRemote struct {
	transfer.Remote
	connector *openedConnector
}

func (r *openedRemote) Close() error {
	defer r.connector.left()
	return r.Remote.Close()
}
