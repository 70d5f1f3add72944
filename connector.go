package transfer

import "context"

// Connector reaches one partner, such as an SFTP server (package sftpx).
//
// Methods MUST be safe for concurrent use. The Client never closes a Connector: whoever made it does.
type Connector interface {
	// Connect returns a live session, new or from a pool, bounded by ctx. The caller closes it. Failures carry
	// their cause (HostNotFound, ConnectionRefused, HostKeyMismatch, AuthenticationFailed, …) as an [Error].
	Connect(ctx context.Context) (Remote, error)

	// Info describes the connector without connecting. It MUST NOT change.
	Info() ConnectorInfo
}

// ConnectorInfo describes a connector.
type ConnectorInfo struct {
	URL      string // such as "sftp://alice@sftp.example.com:22"; MUST NOT hold a secret
	Partner  string // the remote side's name in rows and queries; empty means the connector's id
	MaxFiles int    // files in flight at once, over all nodes that share a Store; at least 1

	Retry *RetryPolicy // for this partner; nil means Config.Retry

	Limits *Limits // for this partner, on each node; nil means none

	CustomHeaders bool // it takes StartFileTransferInput.CustomHTTPHeaders
}

// Remote is a Storage reached through a live session. One Remote serves one file at a time and is closed after it.
type Remote interface {
	Storage
	Directories

	// Features says what this server can do, as found when the session was made.
	Features() Features

	// Close ends the session or gives it back to the connector's pool.
	Close() error
}

// Features is what a server can do, known once the session is up.
type Features struct {
	Server        string // how the server names itself, such as "SSH-2.0-OpenSSH_9.2p1"; hostile input
	AtomicReplace bool   // a delivered file takes the place of an old one in one step, never leaving none
	Resume        bool   // a delivery goes on from a Checkpoint
	ReadOnce      bool   // a file that was read is gone: nothing is read to make sure

	Session SessionInfo // for the audit trail
}

// SessionInfo is how a session with a partner's server is secured, as far as the connector knows. Texts are short and of one line;
// they MUST NOT hold a secret. Empty fields are not known, or not of this protocol.
type SessionInfo struct {
	Protocol    string `json:"protocol,omitempty"` // such as "sftp"
	Server      string `json:"server,omitempty"`   // how the server names itself; hostile input
	User        string `json:"user,omitempty"`     // that we have logged in as
	HostKey     string `json:"hostKey,omitempty"`  // fingerprint of the server's key, "SHA256:…" as OpenSSH prints it
	HostKeyType string `json:"hostKeyType,omitempty"`
	KeyExchange string `json:"keyExchange,omitempty"`
	Cipher      string `json:"cipher,omitempty"` // of what we send
	MAC         string `json:"mac,omitempty"`    // likewise; empty where the cipher is one
}
