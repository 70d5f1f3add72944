package as2x

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

// errChanged says that the second pass over a content met other bytes than the first.
var errChanged = errors.New("as2x: the content is not what was signed")

// entity is a MIME entity on its way out: a header and pieces that make up the body.
type entity struct {
	header header
	pieces []piece
}

// piece is bytes, or the content of a spool, which is checked while it is read.
type piece struct {
	data  []byte
	spool *spool
	sum   []byte // of what is before and in the spool, begun anew for each reader by begun
	begun func() hash.Hash
}

func (p piece) size() int64 {
	if p.spool != nil {
		return p.spool.size
	}
	return int64(len(p.data))
}

func (p piece) reader() io.Reader {
	if p.spool == nil {
		return bytes.NewReader(p.data)
	}
	return &checkedReader{r: p.spool.reader(0), left: p.spool.size, hash: p.begun(), sum: p.sum}
}

// checkedReader keeps back the end of a content that is not what it was.
type checkedReader struct {
	r    io.Reader
	left int64
	hash hash.Hash
	sum  []byte
}

func (c *checkedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.hash.Write(p[:n])
	c.left -= int64(n)
	ended := errors.Is(err, io.EOF)
	if c.left == 0 && !bytes.Equal(c.hash.Sum(nil), c.sum) || ended && c.left > 0 {
		return 0, errChanged
	}
	return n, err
}

func size(pieces []piece) (n int64) {
	for _, p := range pieces {
		n += p.size()
	}
	return n
}

func reader(pieces []piece) io.Reader {
	readers := make([]io.Reader, len(pieces))
	for i, p := range pieces {
		readers[i] = p.reader()
	}
	return io.MultiReader(readers...)
}

// whole is the entity with its header, as it lies in another one.
func (e entity) whole() []piece { return append([]piece{{data: e.header.bytes()}}, e.pieces...) }

// signed puts a multipart/signed around the entity (RFC 1847). digest is the one of the whole entity.
func (e entity) signed(h crypto.Hash, digest []byte, boundary string, o cms.SignOptions) (entity, error) {
	o.Hash = h
	signature, err := cms.Sign(digest, o)
	if err != nil {
		return entity{}, err
	}
	part := header{
		{"Content-Type", `application/pkcs7-signature; name="smime.p7s"`},
		{"Content-Transfer-Encoding", "base64"},
		{"Content-Disposition", `attachment; filename="smime.p7s"`},
	}
	tail := bytes.Join([][]byte{
		[]byte("\r\n--" + boundary + "\r\n"), part.bytes(), base64Lines(signature), []byte("\r\n--" + boundary + "--\r\n"),
	}, nil)
	pieces := append([]piece{{data: []byte("--" + boundary + "\r\n")}}, e.whole()...)
	kind := fmt.Sprintf(`multipart/signed; protocol="application/pkcs7-signature"; micalg=%s; boundary=%s`, micNames[h], quote(boundary))
	return entity{header{{"Content-Type", kind}}, append(pieces, piece{data: tail})}, nil
}

// compressedHeader is the header of an entity that holds CompressedData (RFC 5402).
var compressedHeader = header{
	{"Content-Type", `application/pkcs7-mime; smime-type=compressed-data; name="smime.p7z"`},
	{"Content-Transfer-Encoding", "binary"},
	{"Content-Disposition", `attachment; filename="smime.p7z"`},
}

// encryptedHeader is the header of an entity that holds EnvelopedData (RFC 8551, section 3.3).
var encryptedHeader = header{
	{"Content-Type", `application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"`},
	{"Content-Transfer-Encoding", "binary"},
	{"Content-Disposition", `attachment; filename="smime.p7m"`},
}

// envelope is an entity that is encrypted as it is read.
type envelope struct {
	content []piece
	options cms.EncryptOptions
}

// encrypted puts an EnvelopedData around the whole entity.
func (e entity) encrypted(o cms.EncryptOptions) envelope {
	content := e.whole()
	o.Size = size(content)
	return envelope{content, o}
}

func (e envelope) size() (int64, error) { return cms.EncryptedSize(e.options) }

// open encrypts into a pipe. Closing the reader ends the goroutine that does it; whoever opens closes.
func (e envelope) open() io.ReadCloser {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.CloseWithError(e.write(w)) // never fails
	}()
	return &pipeReader{r, done}
}

func (e envelope) write(w io.Writer) error {
	buffered := newBuffered(w)
	c, err := cms.Encrypt(buffered, e.options)
	if err != nil {
		return err
	}
	if _, err := io.CopyBuffer(onlyWriter{c}, reader(e.content), make([]byte, 64<<10)); err != nil {
		return err
	}
	if err := c.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}

// pipeReader waits for the writer when it is closed.
type pipeReader struct {
	*io.PipeReader
	done chan struct{}
}

func (p *pipeReader) Close() error {
	err := p.PipeReader.Close()
	<-p.done
	return err
}
