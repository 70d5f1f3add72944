package cms

import (
	"bufio"
	"compress/flate"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
)

// CompressedHeader returns what stands before size bytes of zlib data (RFC 1950) in a CompressedData; nothing stands
// behind them. size must be known, and so not negative. From 2 GiB on use Compress, because Java refuses longer
// definite lengths.
func CompressedHeader(size int64) []byte {
	f := frame{size: size}
	f.compressed(false)
	return f.head
}

// compressed puts the frame of a CompressedData (RFC 3274) around zlib data.
func (f *frame) compressed(indefinite bool) {
	tag := byte(tagOctetString)
	if indefinite {
		tag |= constructed
	}
	f.wrap(tag, indefinite, nil, nil)
	f.wrap(contextTag(0), indefinite, nil, nil)
	f.wrap(tagSequence, indefinite, derOID(oidData), nil)
	f.wrap(tagSequence, indefinite, append(derVersion(0), der(tagSequence, derOID(oidZlib))...), nil)
	f.wrap(contextTag(0), indefinite, nil, nil)
	f.wrap(tagSequence, indefinite, derOID(oidCompressedData), nil)
}

// Compress writes the head of a CompressedData of indefinite length to w and returns a writer for the content, whose
// Close writes the rest; w is not closed.
func Compress(w io.Writer) (io.WriteCloser, error) {
	f := frame{size: -1}
	f.compressed(true)
	if _, err := w.Write(f.head); err != nil {
		return nil, err
	}
	pieces := newChunkWriter(w)
	return &compressor{w: w, pieces: pieces, zlib: zlib.NewWriter(pieces), tail: f.tail}, nil
}

type compressor struct {
	w      io.Writer
	pieces *chunkWriter
	zlib   *zlib.Writer
	tail   []byte
	err    error // of Close
	closed bool
}

func (c *compressor) Write(p []byte) (int, error) {
	if c.closed {
		return 0, errors.New("cms: write after Close")
	}
	return c.zlib.Write(p)
}

func (c *compressor) Close() error {
	if c.closed {
		return c.err
	}
	c.closed = true
	if c.err = c.zlib.Close(); c.err != nil {
		return c.err
	}
	if c.err = c.pieces.Close(); c.err != nil {
		return c.err
	}
	_, c.err = c.w.Write(c.tail)
	return c.err
}

// Decompress reads the head of a CompressedData and returns its content. The reader ends with io.EOF only after r was
// read to its end and the content's checksum was right, and fails beyond Limits.Content bytes of content.
func Decompress(r io.Reader, l Limits) (io.Reader, error) {
	l = l.withDefaults()
	b := newBER(r, l)
	if _, err := b.begin(oidCompressedData); err != nil {
		return nil, err
	}
	e, err := b.element("compression algorithm")
	if err != nil {
		return nil, err
	}
	c := cursor(e.raw)
	a, err := c.algorithm("compression algorithm")
	if err != nil {
		return nil, err
	}
	if a.id != oidZlib {
		return nil, fmt.Errorf("%w: compression %.32x", ErrUnsupported, string(a.id))
	}
	if err := b.want(tagSequence, "compressed content"); err != nil {
		return nil, err
	}
	if _, err := b.body(tagOID, "type of the compressed content"); err != nil {
		return nil, err
	}
	if err := b.want(contextTag(0), "compressed content"); err != nil {
		return nil, err
	}
	in, err := b.octets(tagOctetString, "compressed content", -1)
	if err != nil {
		return nil, err
	}
	return &decompressor{b: b, in: in, buffered: bufio.NewReader(in), left: l.Content}, nil
}

// decompressor is the content's reader.
type decompressor struct {
	b        *ber
	in       *octets
	buffered *bufio.Reader // so that zlib takes nothing behind its end
	zlib     io.ReadCloser // nil before the first Read
	left     int64         // how much more content is accepted; negative: anything
	err      error
}

func (d *decompressor) Read(p []byte) (int, error) {
	if d.err != nil || len(p) == 0 {
		return 0, d.err
	}
	if d.zlib == nil {
		if d.zlib, d.err = zlib.NewReader(d.buffered); d.err != nil {
			d.err = d.reason(d.err)
			return 0, d.err
		}
	}
	n, err := d.zlib.Read(p)
	if d.left >= 0 {
		if int64(n) > d.left {
			d.err = fmt.Errorf("%w: the content is too long", ErrLimit)
			return 0, d.err
		}
		d.left -= int64(n)
	}
	if err != nil {
		d.err = d.reason(err)
	}
	return n, d.err
}

// reason is what the zlib reader's error means.
func (d *decompressor) reason(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case d.in.err != nil && d.in.err != io.EOF: // the reason of zlib's error
		return d.in.err
	case errors.Is(err, io.EOF) && d.zlib != nil:
		return d.rest()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, zlib.ErrHeader),
		errors.Is(err, zlib.ErrChecksum), errors.Is(err, zlib.ErrDictionary), errors.As(err, &corrupt):
		return malformed("compressed content: %v", err)
	}
	return err
}

// rest reads what follows the zlib data, to the end of the input.
func (d *decompressor) rest() error {
	if _, err := d.buffered.ReadByte(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = malformed("more bytes behind the compressed content")
		}
		return err
	}
	for range 2 {
		if err := d.b.leave(); err != nil {
			return err
		}
	}
	if err := d.b.end(); err != nil {
		return err
	}
	return io.EOF
}
