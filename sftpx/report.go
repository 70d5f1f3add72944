package sftpx

import "time"

// TestConnectionInput says how far a test of a connection goes. The zero value writes nothing.
type TestConnectionInput struct {
	// ProbeDirectory is a directory of the partner where a file of about 100 KB may be written, renamed, read and
	// removed, to find out what the server can do. Its names begin with ".transfer-probe-"; choose a directory whose
	// files nobody acts on. Empty means that nothing is written.
	ProbeDirectory string
}

// ConnectionReport is what a test of a connection has found. All texts that come from the server are hostile input; they
// are freed of control characters, and shortened.
type ConnectionReport struct {
	Server             string // how the server names itself, such as "SSH-2.0-OpenSSH_9.2p1"
	HostKey            string // the key that it proved, as a line of Config.HostKeys: "ssh-ed25519 AAAA…"
	HostKeyFingerprint string // of that key: "SHA256:…"

	KeyExchange      string // the algorithms agreed on
	HostKeyAlgorithm string
	Cipher           string   // from here to the server
	MAC              string   // the same; empty if the cipher needs none
	AuthMethods      []string // what the server accepted, in order, such as "publickey", "password"

	SFTPVersion int               // 3, or there would be no session
	Extensions  map[string]string // what SFTP is extended by, with the version or value that the server says
	Home        string            // where relative paths begin
	RoundTrip   time.Duration     // the quickest answer to one of three requests

	// Profile is what suits this server, as far as it was tested; what was not is as in Config. It is ready to be put
	// into a Config.
	Profile Profile
	// Findings has a reason for each field of Profile.
	Findings []Finding
	// Leftovers are files of the probe that could not be removed.
	Leftovers []string
}

// Finding is what a test has found out about one field of a Profile.
type Finding struct {
	Field  string // such as "RenameMode"
	Value  string // what Profile has there
	Reason string
}
