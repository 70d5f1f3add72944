package transfer

import (
	"encoding/json"
	"time"
)

// ConnectorDefinition describes a partner in plain data, kept in the Store, so that every Client over it works with the
// same. Secrets are not part of it: it names them (SftpConnectorConfig.UserSecretID). Texts have one line each.
type ConnectorDefinition struct {
	// URL is the partner's server, such as "sftp://sftp.example.com:2222" or "https://as2.example.com/receive", without user
	// and password, and for SFTP without path and query; up to 255 characters. Its scheme chooses one of Config.Protocols.
	// Required.
	URL string

	// SftpConfig is what a connector with the scheme "sftp" needs. Required for those, refused for others.
	SftpConfig *SftpConnectorConfig

	// ProtocolConfig is what a connector with any other scheme needs: a JSON object that its Protocol checks, up to
	// 64 KiB. It is kept and returned as it is, so it MUST NOT hold secrets.
	ProtocolConfig json.RawMessage `json:",omitempty"`

	// Tags are the caller's own: up to 50, keys up to 128 and values up to 256 characters.
	Tags map[string]string `json:",omitempty"`

	// AccessRole, LoggingRole and SecurityPolicyName are AWS's and kept for its clients, up to 2,048 characters each.
	// The roles have no effect; what the policy means is the Protocol's matter (see sftpx.Protocol).
	AccessRole         string `json:",omitempty"`
	LoggingRole        string `json:",omitempty"`
	SecurityPolicyName string `json:",omitempty"`

	// The fields below are not AWS's.

	// Partner is the remote side's name in rows and queries, up to 255 characters. Default: the connector's id.
	Partner string `json:",omitempty"`

	// Description is for people, up to 1,024 characters.
	Description string `json:",omitempty"`

	// Retry says how this partner's files are tried again. Nil, and a policy that is all zero, stand for Config.Retry.
	Retry *RetryPolicy `json:",omitempty"`

	// Limits bound what moves to and from this partner, on each node. The time zones of its windows are kept by their names
	// ("Europe/Berlin"), which every node must know. Nil, and what is all zero, stand for none.
	Limits *Limits `json:",omitempty"`
}

// SftpConnectorConfig is what a definition says of an SFTP server.
type SftpConnectorConfig struct {
	// UserSecretID names the secret with user and credentials in Config.Secrets, up to 2,048 characters. Required.
	UserSecretID string

	// TrustedHostKeys are the accepted keys of the server, up to 10 of up to 2,048 characters: each a line as ssh-keyscan
	// prints it, with or without the host in front and a comment behind. Without any the connector can be tested, which
	// tells the key that the server shows, but nothing is moved.
	TrustedHostKeys []string `json:",omitempty"`

	// MaxConcurrentConnections is how many connections each node makes at most. 0 is the Protocol's default, 2 for
	// sftpx.
	MaxConcurrentConnections int32 `json:",omitempty"`

	// Profile is not AWS's: how the partner's server differs from others, and how much it is given to do, as a JSON
	// object of sftpx.Settings.
	Profile json.RawMessage `json:",omitempty"`
}

// CreateConnectorInput says what the new connector is.
type CreateConnectorInput ConnectorDefinition

// CreateConnectorOutput answers a CreateConnector.
type CreateConnectorOutput struct {
	ConnectorID string // "c-" and 17 hexadecimal digits
}

// UpdateConnectorInput says what changes. What is nil, and a URL that is empty, stays as it is.
type UpdateConnectorInput struct {
	ConnectorID string // required
	URL         string

	// SftpConfig changes field by field: what is zero in it stays as it is. TrustedHostKeys that are empty but not nil
	// remove all keys; a Profile of {} is the default.
	SftpConfig *SftpConnectorConfig

	ProtocolConfig     json.RawMessage   // in place of the one before
	Tags               map[string]string // in place of those before
	AccessRole         *string
	LoggingRole        *string
	SecurityPolicyName *string
	Partner            *string // of files from then on
	Description        *string
	Retry              *RetryPolicy // all zero: as Config.Retry from then on
	Limits             *Limits      // in place of those before, for the next files; all zero: none from then on
}

// UpdateConnectorOutput answers an UpdateConnector.
type UpdateConnectorOutput struct {
	ConnectorID string
}

// DescribeConnectorInput names a connector.
type DescribeConnectorInput struct {
	ConnectorID string // required
}

// DescribeConnectorOutput answers a DescribeConnector.
type DescribeConnectorOutput struct {
	Connector DescribedConnector
}

// ConnectorStatus says whether this Client can work with a connector.
type ConnectorStatus string

// Statuses of a connector.
const (
	ConnectorActive  ConnectorStatus = "ACTIVE"
	ConnectorErrored ConnectorStatus = "ERRORED" // see DescribedConnector.ErrorMessage
)

// DescribedConnector is a connector and its definition.
type DescribedConnector struct {
	ConnectorID string
	ConnectorDefinition

	Status       ConnectorStatus
	ErrorMessage string // why this Client cannot work with it; empty while ACTIVE

	// The fields below are not AWS's.

	InConfig  bool      // it is one of Config.Connectors, of which URL, Partner, Retry and Limits are known
	MaxFiles  int       // files in flight at once, over all nodes; 0 where this Client has no Protocol for it
	Revision  int64     // grows with every change; 0 for InConfig
	CreatedAt time.Time // UTC; zero for InConfig
	UpdatedAt time.Time
}

// ListConnectorsInput asks for a page of connectors.
type ListConnectorsInput struct {
	MaxResults int32  // connectors in a page: 1 to 1,000; default 100
	NextToken  string // of the page before; empty for the first page
}

// ListConnectorsOutput is one page, in the order of connector ids.
type ListConnectorsOutput struct {
	Connectors []ListedConnector
	NextToken  string // empty on the last page
}

// ListedConnector is a connector in a list.
type ListedConnector struct {
	ConnectorID string
	URL         string
}

// DeleteConnectorInput names a connector.
type DeleteConnectorInput struct {
	ConnectorID string // required
}

// DeleteConnectorOutput answers a DeleteConnector.
type DeleteConnectorOutput struct{}

// TestConnectionInput names a connector.
type TestConnectionInput struct {
	ConnectorID string // required
}

// Statuses of TestConnectionOutput.
const (
	TestConnectionOK    = "OK"
	TestConnectionError = "ERROR"
)

// TestConnectionOutput tells how a test went.
type TestConnectionOutput struct {
	ConnectorID           string
	Status                string // TestConnectionOK or TestConnectionError
	StatusMessage         string // "Connection succeeded", or why not; parts may come from the server
	SftpConnectionDetails *SftpConnectionDetails

	// The fields below are not AWS's.

	FailureDetail Code   // the cause, such as HostKeyMismatch
	Server        string // how the server names itself; hostile input
}

// SftpConnectionDetails is what an SFTP server has shown.
type SftpConnectionDetails struct {
	// HostKey is the key that the server has shown, accepted or not: "type base64". Do not trust it before the partner
	// has confirmed its fingerprint by another way: whoever sits in between would show a key as well.
	HostKey string
}
