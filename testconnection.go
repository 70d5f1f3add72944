package transfer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/seed62b9dc43/transfer/store"
)

// DescribeConnector returns the definition of a connector, and whether this Client can work with it. It connects to
// nothing.
//
// Errors: InvalidRequestException, ResourceNotFoundException, ServiceUnavailableException when the Store failed.
func (c *Client) DescribeConnector(ctx context.Context, in *DescribeConnectorInput) (*DescribeConnectorOutput, error) {
	if in == nil {
		in = &DescribeConnectorInput{}
	}
	if err := checkConnectorID(in.ConnectorID); err != nil {
		return nil, err
	}
	if configured, ok := c.cfg.Connectors[in.ConnectorID]; ok {
		info := configured.Info()
		return &DescribeConnectorOutput{DescribedConnector{
			ConnectorID: in.ConnectorID, Status: ConnectorActive, InConfig: true, MaxFiles: info.MaxFiles,
			ConnectorDefinition: ConnectorDefinition{URL: info.URL, Partner: info.Partner, Retry: info.Retry, Limits: info.Limits},
		}}, nil
	}
	known, d, err := c.definition(ctx, in.ConnectorID)
	if err != nil {
		return nil, err
	}
	described := DescribedConnector{
		ConnectorID: known.ID, ConnectorDefinition: d, Status: ConnectorActive,
		Revision: known.Revision, CreatedAt: known.CreatedAt, UpdatedAt: known.UpdatedAt,
	}
	opened, err := c.cfg.open(&d)
	if err != nil {
		described.Status, described.ErrorMessage = ConnectorErrored, err.Error()
		return &DescribeConnectorOutput{described}, nil
	}
	described.MaxFiles = opened.Info().MaxFiles
	return &DescribeConnectorOutput{described}, opened.Close()
}

func checkConnectorID(id string) error {
	var p problems
	p.text("ConnectorID", id, 1, maxNameLength)
	return p.err()
}

// open makes a live connector out of a definition that may be another version's or another program's.
func (c *Config) open(d *ConnectorDefinition) (opened OpenedConnector, err error) {
	protocol, err := c.checkDefinition(d)
	if err != nil {
		return nil, err
	}
	bad := guarded(func() error { opened, err = protocol.Open(d, c.Secrets); return err })
	if bad != nil {
		return nil, fmt.Errorf("open connector to %s: %w", d.URL, bad)
	}
	if n := opened.Info().MaxFiles; n < 1 {
		return nil, errors.Join(fmt.Errorf("open connector to %s: its protocol allows %d files at once (its Info must say 1 or more)", d.URL, n), opened.Close())
	}
	return opened, nil
}

// TestConnection makes a connection to a partner, logs in, and says how that went. It moves nothing, writes nothing, and
// works on a Client that was not started. A test that fails is no error: see Status. It ends with ctx, or when the
// connector's own limit for connecting has passed. Outside of the time windows of the connector and of this Client
// (Limits.Open) it fails without connecting, with FailureDetail OutsideWindow.
//
// Errors: InvalidRequestException, ResourceNotFoundException, ServiceUnavailableException when the Store failed.
func (c *Client) TestConnection(ctx context.Context, in *TestConnectionInput) (*TestConnectionOutput, error) {
	if in == nil {
		in = &TestConnectionInput{}
	}
	if err := checkConnectorID(in.ConnectorID); err != nil {
		return nil, err
	}
	out := &TestConnectionOutput{ConnectorID: in.ConnectorID, Status: TestConnectionOK, StatusMessage: "Connection succeeded"}
	if configured, ok := c.cfg.Connectors[in.ConnectorID]; ok {
		out.fill(c.testConnector(ctx, in.ConnectorID, configured, configured.Info().Limits))
		return out, nil
	}
	_, d, err := c.definition(ctx, in.ConnectorID)
	if err != nil {
		return nil, err
	}
	opened, err := c.cfg.open(&d)
	if err != nil {
		out.fill(ConnectionTest{Err: err})
		return out, nil
	}
	out.fill(c.testConnector(ctx, in.ConnectorID, opened, d.Limits))
	return out, opened.Close()
}

// testConnector makes one connection, if that may be now.
func (c *Client) testConnector(ctx context.Context, id string, conn Connector, limits *Limits) (t ConnectionTest) {
	if hours, now := scheduleOf(limits, &c.cfg.Limits), time.Now(); !hours.open(now) {
		return ConnectionTest{Err: outsideWindow(id, hours, now)}
	}
	bad := guarded(func() error {
		if tester, ok := conn.(ConnectionTester); ok {
			t = tester.TestPartner(ctx)
			return nil
		}
		remote, err := conn.Connect(ctx)
		if err != nil {
			return err
		}
		t.Server = remote.Features().Server
		return remote.Close()
	})
	if bad != nil {
		t.Err = bad
	}
	return t
}

// fill says what a test has found.
func (o *TestConnectionOutput) fill(t ConnectionTest) {
	o.Server = printable(t.Server)
	if t.HostKey != "" {
		o.SftpConnectionDetails = &SftpConnectionDetails{HostKey: t.HostKey}
	}
	if t.Err == nil {
		return
	}
	o.Status, o.StatusMessage = TestConnectionError, printable(t.Err.Error())
	o.FailureDetail = CodeOf(t.Err)
}

// printable cuts and cleans a text that may come from the other side.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	return shorten(text, maxMessage)
}

// takesHeaders refuses headers for a connector that has no use for them. Of one in the Store only its Protocol knows.
func (c *Client) takesHeaders(ctx context.Context, id string, info ConnectorInfo) error {
	if _, ok := c.cfg.Connectors[id]; !ok {
		_, d, err := c.definition(ctx, id)
		if err != nil {
			return err
		}
		opened, err := c.cfg.open(&d)
		if err != nil {
			return invalid(InvalidField{"CustomHTTPHeaders", "", "are for a connector that this client cannot work with: " + err.Error()})
		}
		defer func() { _ = opened.Close() }()
		info = opened.Info()
	}
	if !info.CustomHeaders {
		return invalid(InvalidField{"CustomHTTPHeaders", "", "are for AS2 connectors only (leave them out)"})
	}
	return nil
}

// connectorInfo describes a connector that files may be started for.
func (c *Client) connectorInfo(ctx context.Context, id string) (ConnectorInfo, error) {
	if configured, ok := c.cfg.Connectors[id]; ok {
		return configured.Info(), nil
	}
	known, err := c.cfg.Store.GetConnector(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return ConnectorInfo{}, &ResourceNotFoundException{
			Message:  fmt.Sprintf("connector %q is not known (Config.Connectors has %s, and none was created with this id)", id, quotedKeys(c.cfg.Connectors)),
			Resource: id, ResourceType: "Connector",
		}
	}
	if err != nil {
		return ConnectorInfo{}, storeFailure("get connector "+id, err)
	}
	d, err := decodeDefinition(&known)
	if err != nil {
		return ConnectorInfo{}, &InternalServiceError{Message: err.Error(), Err: err}
	}
	return ConnectorInfo{URL: d.URL, Partner: d.Partner, Retry: d.Retry, Limits: d.Limits}, nil
}
