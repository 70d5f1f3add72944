package transfer

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed62b9dc43/transfer/store"
)

// spec is the part of a request that only the engine reads; the store keeps it as opaque bytes.
type spec struct {
	Overwrite     Overwrite `json:"overwrite,omitempty"`
	Verify        Verify    `json:"verify,omitempty"`
	FailIfChanged bool      `json:"failIfChanged,omitempty"`

	Trace string `json:"trace,omitempty"` // Observer.Carry

	Headers  []CustomHTTPHeader `json:"headers,omitempty"`
	Received *received          `json:"received,omitempty"` // the file came by itself, and this became of it

	Ruled  bool         `json:"ruled,omitempty"` // it is moved by the rule that it names, and never without
	Ledger LedgerPolicy `json:"ledger,omitempty"`

	Bundle []string `json:"bundle,omitempty"` // sources of a ZIP file that is made on the way
}

// newTransfer makes a transfer of a request and of what it is under its rule. Its hash is of the request alone, so that a
// call can be repeated although the rule was changed meanwhile.
func newTransfer(in *StartFileTransferInput, under *ruled, trace string) (store.Transfer, error) {
	s := under.spec()
	s.Trace = trace
	request, err := json.Marshal(s)
	if err != nil {
		return store.Transfer{}, fmt.Errorf("encode request: %w", err)
	}
	hash, err := requestHash(in)
	if err != nil {
		return store.Transfer{}, err
	}
	t := store.Transfer{
		ID:          newUUID(time.Now()),
		ConnectorID: in.ConnectorID,
		ClientToken: in.ClientToken,
		RequestHash: hash,
		FollowID:    in.FollowID,
		RuleName:    in.RuleName,
		Metadata:    in.Metadata,
		Spec:        request,
	}
	fill(&t.FollowID, t.ID)
	return t, nil
}

func newFiles(in *ruled, partner ConnectorInfo) []store.NewFile {
	direction, paths, dir := store.Send, in.SendFilePaths, in.RemoteDirectoryPath
	if len(paths) == 0 {
		direction, paths, dir = store.Retrieve, in.RetrieveFilePaths, in.LocalDirectoryPath
	}
	fill(&partner.Partner, in.ConnectorID)
	if in.BundleName != "" {
		return []store.NewFile{{
			Direction: direction, Partner: partner.Partner, SourcePath: in.BundleName, TargetPath: in.targetName(dir, in.BundleName),
			StartAt: in.StartAt, Priority: in.priority(),
		}}
	}
	files := make([]store.NewFile, len(paths))
	for i, p := range paths {
		files[i] = store.NewFile{
			Direction:  direction,
			Partner:    partner.Partner,
			SourcePath: in.sourcePath(p),
			TargetPath: in.targetPath(dir, p),
			StartAt:    in.StartAt,
			Priority:   in.priority(),
		}
	}
	return files
}

// requestHash is equal for two requests that ask for the same, whatever their ClientToken.
func requestHash(in *StartFileTransferInput) ([]byte, error) {
	same := *in
	same.ClientToken = ""
	same.StartAt = same.StartAt.UTC().Round(0)
	fill(&same.Overwrite, OverwriteReplace)
	if same.Verify == VerifySize {
		same.Verify = ""
	}
	if len(same.Metadata) == 0 {
		same.Metadata = nil
	}
	if len(same.SendFilePaths) == 0 {
		same.SendFilePaths = nil
	}
	if len(same.RetrieveFilePaths) == 0 {
		same.RetrieveFilePaths = nil
	}
	text, err := json.Marshal(same)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	sum := sha256.Sum256(text)
	return sum[:], nil
}

// newUUID returns a version 7 UUID (RFC 9562, section 5.7): 48 bits of milliseconds, 12 bits of their fraction (section 6.2,
// method 3), so that ids grow with time, then random bits.
func newUUID(now time.Time) string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // never fails since Go 1.24
	ms := uint64(now.UnixMilli())
	fraction := uint16(now.Nanosecond() % 1e6 * 4096 / 1e6)
	binary.BigEndian.PutUint32(u[0:], uint32(ms>>16))
	binary.BigEndian.PutUint16(u[4:], uint16(ms))
	binary.BigEndian.PutUint16(u[6:], 0x7000|fraction)
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// Limits of a request.
const (
	maxPathLength    = 1024 // AWS: FilePath
	maxTokenLength   = 128
	maxNameLength    = 255 // Waarp: rule names
	maxMetadata      = 50
	maxMetadataKey   = 128
	maxMetadataValue = 1024
	maxShownValue    = 80
)

// problems collects what is wrong with a request.
type problems []InvalidField

func (p *problems) add(name, value, problem string, args ...any) {
	*p = append(*p, InvalidField{Name: name, Value: shorten(value, maxShownValue), Problem: fmt.Sprintf(problem, args...)})
}

// err returns nil if nothing is wrong.
func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return invalid(p...)
}

func invalid(fields ...InvalidField) error {
	var b strings.Builder
	for i, f := range fields {
		if i > 0 {
			b.WriteString("; ")
		}
		if i == maxShownProblems {
			fmt.Fprintf(&b, "and %d more", len(fields)-i)
			break
		}
		b.WriteString(f.Name)
		if f.Value != "" {
			fmt.Fprintf(&b, " %q", f.Value)
		}
		b.WriteString(" " + f.Problem)
	}
	return &InvalidRequestException{Message: b.String(), Fields: fields}
}

// maxShownProblems bounds the message; the exception's Fields hold them all.
const maxShownProblems = 20

// validateStart returns the request as it is under its rule, or all that is wrong with it.
func (c *Client) validateStart(asked *StartFileTransferInput) (*ruled, error) {
	var p problems
	in := c.underRule(asked, &p)
	p.text("ConnectorID", in.ConnectorID, 1, maxNameLength)
	p.text("ClientToken", in.ClientToken, 0, maxTokenLength)
	p.text("FollowID", in.FollowID, 0, maxNameLength)
	p.text("RuleName", in.RuleName, 0, maxNameLength)
	p.text("LocalDirectoryPath", in.LocalDirectoryPath, 0, maxPathLength)
	p.text("RemoteDirectoryPath", in.RemoteDirectoryPath, 0, maxPathLength)
	p.metadata(in.Metadata)
	p.headers(in.CustomHTTPHeaders)
	if !in.Verify.valid() {
		p.add("Verify", string(in.Verify), "is not a level (use SIZE or READ_BACK)")
	}
	if !in.Ledger.valid() {
		p.add("Ledger", string(in.Ledger), "is not a policy (use SKIP, SKIP_CONTENT, RESEND or FAIL)")
	}
	if !in.Overwrite.valid() {
		p.add("Overwrite", string(in.Overwrite), "is not a policy (use REPLACE, FAIL or SKIP)")
	}
	if !validPriority(in.Priority) {
		p.add("Priority", fmt.Sprint(in.Priority), "is not a priority (use store.Low, store.Normal or store.High)")
	}
	if y := in.StartAt.UTC().Year(); y < 0 || y > 9999 {
		p.add("StartAt", "", "is in the year %d (use 0 to 9999)", y)
	}
	send, retrieve := len(in.SendFilePaths), len(in.RetrieveFilePaths)
	switch {
	case send == 0 && retrieve == 0:
		p.add("SendFilePaths", "", "and RetrieveFilePaths are both empty (give one of them)")
	case send > 0 && retrieve > 0:
		p.add("SendFilePaths", "", "and RetrieveFilePaths are both given (start one transfer for each direction)")
	case retrieve > 0 && in.LocalDirectoryPath == "":
		p.add("LocalDirectoryPath", "", "is required with RetrieveFilePaths (say where the files go)")
	}
	if send > 0 && in.LocalDirectoryPath != "" {
		p.add("LocalDirectoryPath", in.LocalDirectoryPath, "belongs to RetrieveFilePaths (use RemoteDirectoryPath to send)")
	}
	if retrieve > 0 && in.RemoteDirectoryPath != "" {
		p.add("RemoteDirectoryPath", in.RemoteDirectoryPath, "belongs to SendFilePaths (use LocalDirectoryPath to retrieve)")
	}
	p.bundle(in)
	p.paths("SendFilePaths", in.SendFilePaths, in.RemoteDirectoryPath, in, c.cfg.MaxPaths)
	p.paths("RetrieveFilePaths", in.RetrieveFilePaths, in.LocalDirectoryPath, in, c.cfg.MaxPaths)
	return in, p.err()
}

// paths checks each path and that no two of them have the same target.
func (p *problems) paths(name string, paths []string, dir string, in *ruled, limit int) {
	if limit > 0 && len(paths) > limit {
		p.add(name, "", "has %d paths, more than Config.MaxPaths, %d (split the request)", len(paths), limit)
		return
	}
	first := make(map[string]int, len(paths))
	for i, file := range paths {
		field := fmt.Sprintf("%s[%d]", name, i)
		if !p.text(field, file, 1, maxPathLength) {
			continue
		}
		base := path.Base(file)
		if strings.HasSuffix(file, "/") || base == "." || base == ".." {
			p.add(field, file, "names a directory (name a file)")
			continue
		}
		target := in.targetPath(dir, file)
		if utf8.RuneCountInString(target) > maxPathLength {
			p.add(field, file, "has a target of more than %d characters", maxPathLength)
		}
		if earlier, ok := first[target]; ok {
			p.add(field, file, "has the same target as %s[%d], %q (start two transfers)", name, earlier, shorten(target, maxShownValue))
			continue
		}
		first[target] = i
	}
}

func (p *problems) metadata(m map[string]string) {
	if len(m) > maxMetadata {
		p.add("Metadata", "", "has %d entries, more than %d", len(m), maxMetadata)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if !validText(key, 1, maxMetadataKey) {
			p.add(fmt.Sprintf("Metadata[%q]", shorten(key, maxShownValue)), "", "has a wrong key (use 1 to %d characters of one line)", maxMetadataKey)
		}
		value := m[key]
		if !utf8.ValidString(value) || strings.ContainsRune(value, 0) || utf8.RuneCountInString(value) > maxMetadataValue {
			p.add(fmt.Sprintf("Metadata[%q]", shorten(key, maxShownValue)), value, "is not a value (use up to %d characters of UTF-8 without NUL)", maxMetadataValue)
		}
	}
}

// text checks a text of one line and reports whether it is right.
func (p *problems) text(name, value string, shortest, longest int) bool {
	switch {
	case utf8.RuneCountInString(value) < shortest:
		p.add(name, value, "is empty (it is required)")
	case utf8.RuneCountInString(value) > longest:
		p.add(name, value, "has %d characters, more than %d", utf8.RuneCountInString(value), longest)
	case !utf8.ValidString(value):
		p.add(name, strings.ToValidUTF8(value, "\uFFFD"), "is not valid UTF-8")
	case strings.ContainsFunc(value, breaksLine):
		p.add(name, value, "contains a line break or a NUL")
	default:
		return true
	}
	return false
}

func validText(s string, shortest, longest int) bool {
	var p problems
	return p.text("", s, shortest, longest)
}

// breaksLine reports whether r is excluded by AWS's pattern for paths, (.)+, or a NUL.
func breaksLine(r rune) bool {
	switch r {
	case 0, '\n', '\v', '\f', '\r', '\u0085', '\u2028', '\u2029':
		return true
	}
	return false
}

// shorten cuts s to n characters for a message.
func shorten(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n]) + "…"
}
