package as2x

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"
)

// Limits of what is read of the other side's MIME.
const (
	maxHeaderBytes = 64 << 10 // of one entity
	maxHeaderLines = 200
	readBuffer     = 64 << 10 // longer than any line that has to be read whole
)

var (
	errHeader   = errors.New("malformed MIME header")
	errBoundary = errors.New("malformed multipart")
)

// header is the fields of a MIME entity, in their order.
type header []field

type field struct{ name, value string }

// get returns the first value of a field, or "".
func (h header) get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
}

// bytes is the header as it goes on the wire: one line each, never folded (some receivers rebuild the lines before they
// hash them), and the empty line.
func (h header) bytes() []byte {
	var b bytes.Buffer
	for _, f := range h {
		b.WriteString(f.name + ": " + f.value + "\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// readHeader reads up to the empty line and returns the fields, and all that was read as it was. Lines may end with LF
// alone.
func readHeader(r *bufio.Reader) (h header, raw []byte, err error) {
	for lines := 0; ; lines++ {
		line, err := r.ReadSlice('\n')
		if err != nil && !(errors.Is(err, io.EOF) && len(line) > 0) {
			return nil, nil, headerError("it does not end", err)
		}
		if raw = append(raw, line...); len(raw) > maxHeaderBytes || lines > maxHeaderLines {
			return nil, nil, headerError("it is too long", nil)
		}
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			return h, raw, nil
		}
		if h, err = h.add(text); err != nil {
			return nil, nil, err
		}
	}
}

// headerError keeps an error of the reader below, which says more than that the header is cut.
func headerError(what string, err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) {
		return fmt.Errorf("%w: %s", errHeader, what)
	}
	return fmt.Errorf("read MIME header: %w", err)
}

// add adds a line: a field, or more of the last one.
func (h header) add(line string) (header, error) {
	if line[0] == ' ' || line[0] == '\t' {
		if len(h) == 0 {
			return nil, fmt.Errorf("%w: it begins with a folded line", errHeader)
		}
		h[len(h)-1].value = strings.TrimSpace(h[len(h)-1].value + " " + strings.TrimSpace(line))
		return h, nil
	}
	name, value, ok := strings.Cut(line, ":")
	name = strings.TrimRight(name, " \t")
	if !ok || name == "" || strings.ContainsFunc(name, notInName) {
		return nil, fmt.Errorf("%w: a line is no field", errHeader)
	}
	return append(h, field{name, strings.TrimSpace(value)}), nil
}

// notInName reports whether r cannot be in a field's name (RFC 5322, section 2.2).
func notInName(r rune) bool { return r <= ' ' || r > '~' }

// mediaType is a parsed Content-Type.
type mediaType struct {
	name   string // in lower case
	params map[string]string
}

// parseMediaType reads a Content-Type as partners write it. What cannot be read is no type at all.
func parseMediaType(text string) mediaType {
	name, params, err := mime.ParseMediaType(text)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return mediaType{}
	}
	return mediaType{name, params}
}

// isCMS reports whether the type is CMS of a kind. Without smime-type it is taken for encrypted, as older senders mean it.
func (m mediaType) isCMS(kind string) bool {
	if m.name != "application/pkcs7-mime" && m.name != "application/x-pkcs7-mime" {
		return false
	}
	given := strings.ToLower(m.params["smime-type"])
	if given == "" && strings.HasSuffix(strings.ToLower(m.params["name"]), ".p7z") {
		given = kindCompressed
	}
	if given == "" || given == "authenveloped-data" {
		given = kindEnveloped
	}
	return given == kind
}

// Kinds of CMS (RFC 8551, section 3.2.2; RFC 5402).
const (
	kindEnveloped  = "enveloped-data"
	kindCompressed = "compressed-data"
	kindSigned     = "signed-data"
)

func (m mediaType) isSigned() bool { return m.name == "multipart/signed" }

// isReport reports whether it is an MDN (RFC 3798, section 3). Some partners leave report-type out.
func (m mediaType) isReport() bool {
	kind := strings.ToLower(m.params["report-type"])
	return m.name == "multipart/report" && (kind == "" || kind == "disposition-notification")
}

// boundary returns the type's boundary, if it can be one.
func (m mediaType) boundary() (string, error) {
	b := m.params["boundary"]
	if b == "" || len(b) > 70 || strings.ContainsFunc(b, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", fmt.Errorf("%w: no boundary of 1 to 70 characters", errBoundary)
	}
	return b, nil
}

// quotable reports whether s can stand in a header line without breaking it.
func quotable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// quote is s as a quoted string.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// disposition is the Content-Disposition of a file (RFC 2183). A name that is not ASCII is given twice, the second time as
// RFC 2231 has it.
func disposition(name string) string {
	if quotable(name) {
		return "attachment; filename=" + quote(name)
	}
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '_'
		}
		return r
	}, name)
	var b strings.Builder
	for _, c := range []byte(name) {
		if slices.Contains([]byte("!#$&+-.^_`|~"), c) || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return "attachment; filename=" + quote(plain) + "; filename*=UTF-8''" + b.String()
}

// fileName is the name that a Content-Disposition, or else a Content-Type, gives the file; hostile input.
func fileName(h header) string {
	for _, text := range []string{h.get("Content-Disposition"), h.get("Content-Type")} {
		_, params, err := mime.ParseMediaType(text)
		if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
			continue
		}
		if name := params["filename"]; name != "" {
			return name
		}
		if name := params["name"]; name != "" {
			return name
		}
	}
	return ""
}

// splitFields reads a block of fields that is in memory.
func splitFields(text []byte) (header, []byte, error) {
	return readHeader(bufio.NewReaderSize(bytes.NewReader(text), readBuffer))
}
