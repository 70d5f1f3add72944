package as2x

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"strings"

	"github.com/seed62b9dc43/transfer"
)

// Agreement says how one partner may send to us (AWS: CreateAgreement). Without further fields, messages must be signed and
// encrypted.
type Agreement struct {
	// ID names the agreement in rows, as their ConnectorID, and in result files: 1 to 255 characters. It must not be the
	// id of a connector.
	ID string
	// Local is our side, Partner the other one: messages from Partner.AS2ID to Local.AS2ID are of this agreement. Without
	// a current key in Local.Signing, MDNs are not signed, even if the partner asks for that.
	Local   Local
	Partner Partner

	// Directory is where files go, in the Receiver's Storage. Its folders processed and failed get the result files.
	Directory string
	// Directories takes files apart that Directory keeps together (AWS: CustomDirectories). Its empty fields stand for
	// Directory's.
	Directories Directories
	// PreserveFilename stores a file under the name that the partner gives it, made harmless. By default the message's id
	// is put before the extension, so that no two messages have the same (AWS: PreserveFilename).
	PreserveFilename bool
	// Overwrite says, with PreserveFilename, whether a file of that name is replaced: OverwriteReplace, the default, or
	// OverwriteFail, which answers "duplicate-filename".
	Overwrite transfer.Overwrite

	// AllowUnsigned and AllowUnencrypted accept messages that lack the one or the other (AWS: EnforceMessageSigning).
	AllowUnsigned    bool
	AllowUnencrypted bool
	// MaxSize bounds a file, in bytes, decompressed. Default 1 GiB; -1 for no limit.
	MaxSize int64
	// AsyncMDNHosts are the hosts, with or without a port, to which the partner may have MDNs sent. None refuses
	// messages that ask for an asynchronous MDN: the address is the sender's choice, and could be one behind our firewall.
	AsyncMDNHosts []string
	// RuleName labels the rows.
	RuleName string
}

// Directories says where the files of an Agreement go. There is none for temporary files: those are in
// ReceiverConfig.SpoolDir.
type Directories struct {
	Payload string // what was received
	MDN     string // the MDNs of accepted messages
	Status  string // the JSON files of accepted messages
	Failed  string // MDNs and JSON files of messages that were refused
}

const defaultMaxSize = 1 << 30

// withDefaults fills in what is empty.
func (a Agreement) withDefaults() Agreement {
	setDefault(&a.MaxSize, defaultMaxSize)
	setDefault(&a.Directories.Payload, a.Directory)
	setDefault(&a.Directories.MDN, path.Join(a.Directory, processedFolder))
	setDefault(&a.Directories.Status, path.Join(a.Directory, processedFolder))
	setDefault(&a.Directories.Failed, path.Join(a.Directory, failedFolder))
	return a
}

func (a Agreement) check(wrong wrongFunc, field string) {
	if a.ID == "" || len(a.ID) > 255 || !quotable(a.ID) {
		wrong(field+".ID", "is %q (use 1 to 255 printable ASCII characters)", shorten(a.ID, 80))
	}
	a.Local.check(wrong, field+".Local")
	a.Partner.check(wrong, field+".Partner")
	if !a.AllowUnsigned && len(a.Partner.Signing) == 0 {
		wrong(field+".Partner.Signing", "is empty (give the certificate that messages are signed with, or set AllowUnsigned)")
	}
	if !a.AllowUnencrypted && len(a.Local.Decryption) == 0 {
		wrong(field+".Local.Decryption", "is empty (give the key that messages are encrypted for, or set AllowUnencrypted)")
	}
	if a.Overwrite != "" && a.Overwrite != transfer.OverwriteReplace && a.Overwrite != transfer.OverwriteFail {
		wrong(field+".Overwrite", "is %q (use REPLACE or FAIL)", a.Overwrite)
	}
	if a.MaxSize < -1 {
		wrong(field+".MaxSize", "is %d (use more than 0, 0 for %d, or -1 for no limit)", a.MaxSize, defaultMaxSize)
	}
	for i, host := range a.AsyncMDNHosts {
		if host == "" || strings.ContainsAny(host, "/@ ") {
			wrong(fmt.Sprintf("%s.AsyncMDNHosts[%d]", field, i), "is %q (use a host such as as2.example.com or as2.example.com:8443)", host)
		}
	}
}

// mayAnswerTo reports whether an MDN may be sent to this URL.
func (a Agreement) mayAnswerTo(text string) bool {
	if urlProblem(text) != "" {
		return false
	}
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	for _, host := range a.AsyncMDNHosts {
		name, port, err := net.SplitHostPort(host)
		if err != nil {
			name, port = strings.Trim(host, "[]"), ""
		}
		if strings.EqualFold(name, u.Hostname()) && (port == "" || port == u.Port()) {
			return true
		}
	}
	return false
}
