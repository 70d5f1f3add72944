package as2x

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

// maxMDN is the longest MDN that is read, in bytes.
const maxMDN = 1 << 20

// mdn is a message disposition notification as it was read (RFC 3798 as RFC 4130, section 7, has it). Nothing in it is true
// before its signature was verified.
type mdn struct {
	signature *cms.Signed // nil if it is not signed
	signed    []byte      // what the signature is over
	fields    header      // of the part message/disposition-notification
}

var errNoMDN = errors.New("as2x: not an MDN")

// parseMDN reads an MDN, signed or not, with the header of its message. errNoMDN says that it is something else.
func parseMDN(h header, body []byte) (*mdn, error) {
	kind := parseMediaType(h.get("Content-Type"))
	if !kind.isSigned() && !kind.isReport() {
		return nil, fmt.Errorf("%w but %q", errNoMDN, shorten(clean(h.get("Content-Type")), 100))
	}
	body, err := io.ReadAll(decoded(h, bytes.NewReader(body)))
	if err != nil {
		return nil, fmt.Errorf("decode MDN: %w", err)
	}
	m := &mdn{}
	if kind.isSigned() {
		if err := m.readSigned(kind, body); err != nil {
			return nil, err
		}
		inner, content, err := splitPart(m.signed)
		if err != nil {
			return nil, err
		}
		if kind, body = parseMediaType(inner.get("Content-Type")), content; !kind.isReport() {
			return nil, errNoMDN
		}
	}
	return m, m.readReport(kind, body)
}

func (m *mdn) readSigned(kind mediaType, body []byte) error {
	parts, err := newMultipart(bytes.NewReader(body), kind)
	if err != nil {
		return err
	}
	if m.signed, err = parts.nextSmall(maxMDN); err != nil {
		return fmt.Errorf("read signed part: %w", err)
	}
	m.signature, err = readSignature(parts)
	return err
}

// maxSignature is the longest signature part that is read, in bytes.
const maxSignature = 1 << 20

// readSignature reads the second part of a multipart/signed.
func readSignature(parts *multipart) (*cms.Signed, error) {
	part, err := parts.nextSmall(maxSignature)
	if err != nil {
		return nil, fmt.Errorf("read signature part: %w", err)
	}
	_, signature, err := splitPart(part)
	if err != nil {
		return nil, err
	}
	return cms.ReadSigned(bytes.NewReader(signature), nil, cms.Limits{})
}

// maxReportParts is how many parts of a report are looked at.
const maxReportParts = 10

// readReport finds the part that says what became of the message.
func (m *mdn) readReport(kind mediaType, body []byte) error {
	parts, err := newMultipart(bytes.NewReader(body), kind)
	if err != nil {
		return err
	}
	for range maxReportParts {
		part, err := parts.nextSmall(maxMDN)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		h, content, err := splitPart(part)
		if err != nil {
			return err
		}
		if parseMediaType(h.get("Content-Type")).name == "message/disposition-notification" {
			return m.readFields(content)
		}
	}
	return fmt.Errorf("%w: it has no part message/disposition-notification", errHeader)
}

func (m *mdn) readFields(content []byte) error {
	text := append(bytes.Trim(content, "\r\n"), "\r\n\r\n"...)
	fields, _, err := splitFields(text)
	m.fields = fields
	return err
}

// originalID is the Message-ID that is answered, without its brackets.
func (m *mdn) originalID() string { return bareID(m.fields.get("Original-Message-ID")) }

// bareID is a Message-ID without its brackets, which some partners add or leave out.
func bareID(id string) string {
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(id), "<"), ">")
}

// mic is a digest of what arrived.
type mic struct {
	hash crypto.Hash
	sum  []byte
}

func (m mic) String() string {
	return base64.StdEncoding.EncodeToString(m.sum) + ", " + micNames[m.hash]
}

func (m mic) equal(o mic) bool { return m.hash == o.hash && bytes.Equal(m.sum, o.sum) }

// receivedMIC is what the partner's digest is, if it says.
func (m *mdn) receivedMIC() (mic, bool) {
	text := m.fields.get("Received-content-MIC")
	if text == "" {
		return mic{}, false
	}
	sum, name, _ := strings.Cut(text, ",")
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(sum))
	if err != nil {
		return mic{}, true // wrong, and not missing
	}
	return mic{micHash(name), raw}, true
}

// Dispositions of a message.
const (
	dispositionProcessed = "processed"
	dispositionWarning   = "warning"
	dispositionError     = "error"
	dispositionFailure   = "failure"
)

// disposition says what became of the message, and in which words. Partners write "processed/error: x", "processed/Error:x",
// "failed/failure: x", or "processed/error" and a field "Error: x".
func (m *mdn) disposition() (kind, detail string) {
	_, text, ok := strings.Cut(m.fields.get("Disposition"), ";")
	if !ok {
		return "", ""
	}
	action, modifier, _ := strings.Cut(text, "/")
	action = strings.ToLower(strings.TrimSpace(action))
	modifier, detail, _ = strings.Cut(modifier, ":")
	modifier, detail = strings.ToLower(strings.TrimSpace(modifier)), strings.ToLower(strings.TrimSpace(detail))
	switch {
	case action == "processed" && modifier == "":
		return dispositionProcessed, ""
	case action == "failed":
		modifier = dispositionFailure
	case action != "processed":
		return "", ""
	}
	if detail == "" {
		detail = strings.ToLower(m.fields.get(modifier))
	}
	switch modifier {
	case dispositionWarning, dispositionError, dispositionFailure:
		return modifier, detail
	}
	return "", ""
}
