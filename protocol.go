package transfer

import (
	"context"
	"io"
)

// Protocol makes connectors of one URL scheme out of definitions, such as sftpx.Protocol. Methods MUST be safe for
// concurrent use.
type Protocol interface {
	// Check returns all that is wrong with the parts of a definition that are the protocol's, field by field, with
	// names as in ConnectorDefinition. It connects to nothing and fetches no secret. What is common to all definitions
	// was checked before.
	Check(d *ConnectorDefinition) []InvalidField

	// Open returns a live connector for a definition that Check finds nothing wrong with. It connects to nothing and
	// fetches no secret: its sessions do, whenever they log in, so that a secret that was changed is used from the next
	// one on. The Client closes it.
	Open(d *ConnectorDefinition, secrets Secrets) (OpenedConnector, error)
}

// OpenedConnector is a Connector that belongs to the Client.
type OpenedConnector interface {
	Connector
	// Close ends all sessions. The Client calls it once, when none of its files use the connector any more.
	io.Closer
}

// ConnectionTester is implemented by connectors that can tell more of a connection than that it was made.
type ConnectionTester interface {
	// TestPartner makes a connection of its own, bounded by ctx, and says how that went. It writes nothing.
	TestPartner(ctx context.Context) ConnectionTest
}

// ConnectionTest is how the test of a connection went.
type ConnectionTest struct {
	Server  string // how the server names itself; hostile input
	HostKey string // that the server has shown, "type base64"; empty where there is none
	Err     error  // why no session was made, or nil
}
