package as2x

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"
)

// multipart reads the parts of a multipart entity exactly as they are on the wire, because signatures are over just those
// bytes. Package mime/multipart gives parsed headers instead.
type multipart struct {
	r         *bufio.Reader
	delimiter []byte // "--" and the boundary
	begun     bool
	ended     bool // the last delimiter was read
}

func newMultipart(r io.Reader, m mediaType) (*multipart, error) {
	b, err := m.boundary()
	if err != nil {
		return nil, err
	}
	return &multipart{r: bufio.NewReaderSize(r, readBuffer), delimiter: []byte("--" + b)}, nil
}

// next copies the next part, header and body, to w. It returns io.EOF if there is none. The line end before a delimiter
// belongs to that (RFC 2046, section 5.1.1).
func (m *multipart) next(w io.Writer) error {
	if !m.begun { // what is before the first delimiter, such as OpenAS2's repeated Content-Type, is nothing
		if err := m.copy(io.Discard); err != nil {
			return err
		}
		m.begun = true
	}
	if m.ended {
		return io.EOF
	}
	return m.copy(w)
}

// copy copies what is before the next delimiter line.
func (m *multipart) copy(w io.Writer) error {
	var held []byte // a line end, or the beginning of one, that may belong to the delimiter
	atStart := true // of a line
	for {
		chunk, err := m.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) && !errors.Is(err, io.EOF) {
			return err
		}
		if atStart && m.isDelimiter(chunk) {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: the last delimiter is missing", errBoundary)
		}
		if len(held) == 1 && held[0] == '\r' && chunk[0] == '\n' {
			held, atStart = []byte("\r\n"), true
			continue
		}
		if _, err := w.Write(held); err != nil {
			return err
		}
		rest := len(bytes.TrimSuffix(bytes.TrimSuffix(chunk, []byte("\n")), []byte("\r")))
		if _, err := w.Write(chunk[:rest]); err != nil {
			return err
		}
		held, atStart = append(held[:0], chunk[rest:]...), chunk[len(chunk)-1] == '\n'
	}
}

// isDelimiter reports whether line is the delimiter, and notes if it is the last one.
func (m *multipart) isDelimiter(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, m.delimiter)
	if !ok {
		return false
	}
	rest, last := bytes.CutPrefix(rest, []byte("--"))
	if len(bytes.Trim(rest, " \t\r\n")) > 0 {
		return false
	}
	m.ended = last
	return true
}

// nextSmall returns the next part, which must not have more than limit bytes.
func (m *multipart) nextSmall(limit int) ([]byte, error) {
	var b bytes.Buffer
	err := m.next(&limitedWriter{&b, int64(limit), errTooLong})
	return b.Bytes(), err
}

var errTooLong = fmt.Errorf("%w: a part is too long", errBoundary)

// limitedWriter fails with err when more than left bytes are written.
type limitedWriter struct {
	w    io.Writer
	left int64
	err  error
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if l.left -= int64(len(p)); l.left < 0 {
		return 0, l.err
	}
	return l.w.Write(p)
}

// splitPart returns header and decoded body of a part that is in memory.
func splitPart(part []byte) (header, []byte, error) {
	r := bufio.NewReaderSize(bytes.NewReader(part), readBuffer)
	h, raw, err := readHeader(r)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(decoded(h, bytes.NewReader(part[len(raw):])))
	if err != nil {
		return nil, nil, fmt.Errorf("decode a part: %w", err)
	}
	return h, body, nil
}

// decoded undoes the Content-Transfer-Encoding of a body. One that is said to be 7bit, 8bit or binary is what it is.
func decoded(h header, body io.Reader) io.Reader {
	switch transferEncoding(h) {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, &lineTrimmer{body})
	case "quoted-printable":
		return quotedprintable.NewReader(body)
	}
	return body
}

func transferEncoding(h header) string {
	return strings.ToLower(strings.TrimSpace(h.get("Content-Transfer-Encoding")))
}

// isEncoded reports whether decoded changes a body.
func isEncoded(h header) bool {
	e := transferEncoding(h)
	return e == "base64" || e == "quoted-printable"
}

// lineTrimmer leaves spaces out, which base64.NewDecoder does for line ends only.
type lineTrimmer struct{ r io.Reader }

func (l *lineTrimmer) Read(p []byte) (int, error) {
	for {
		n, err := l.r.Read(p)
		kept := 0
		for _, c := range p[:n] {
			if c != ' ' && c != '\t' {
				p[kept] = c
				kept++
			}
		}
		if kept > 0 || err != nil || n == 0 {
			return kept, err
		}
	}
}

// base64Lines is data in base64, in lines of 76 characters.
func base64Lines(data []byte) []byte {
	text := base64.StdEncoding.EncodeToString(data)
	var b bytes.Buffer
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	b.WriteString(text)
	return b.Bytes()
}
