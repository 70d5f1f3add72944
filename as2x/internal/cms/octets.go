package cms

import (
	"fmt"
	"io"
)

// octets reads the content of an octet string, in one piece or in many.
type octets struct {
	b    *ber
	base int   // how many elements are open around it
	left int64 // of this piece
	room int64 // how much more is accepted; negative: anything
	err  error // what the reader failed with, io.EOF at the end
}

// octets takes the next element off, which must be an octet string with this tag of its primitive form. It must be read
// to its end before anything else is read. Beyond limit bytes it fails, if limit is not negative.
func (b *ber) octets(tag byte, what string, limit int64) (*octets, error) {
	h, err := b.next()
	if err != nil {
		return nil, err
	}
	o := &octets{b: b, base: len(b.open), room: limit}
	switch h.tag {
	case tag:
		return o, o.begin(h)
	case tag | constructed:
		return o, b.enter(h)
	}
	return nil, malformed("%s has tag %#02x, not %#02x", what, h.tag, tag)
}

// begin goes on with a piece.
func (o *octets) begin(h header) error {
	if o.room >= 0 && h.length > o.room {
		return fmt.Errorf("%w: the content is too long", ErrLimit)
	}
	o.left = h.length
	if o.room >= 0 {
		o.room -= h.length
	}
	return nil
}

func (o *octets) Read(p []byte) (int, error) {
	for o.err == nil && o.left == 0 {
		o.err = o.advance()
	}
	if o.err != nil || len(p) == 0 {
		return 0, o.err
	}
	n, err := o.b.in.Read(p[:min(int64(len(p)), o.left)])
	o.left -= int64(n)
	o.b.off += int64(n)
	if err != nil {
		o.err = cutShort(err)
	}
	return n, o.err
}

// advance goes to the next piece, or fails with io.EOF behind the last.
func (o *octets) advance() error {
	if len(o.b.open) == o.base {
		return io.EOF
	}
	h, err := o.b.next()
	if err != nil {
		return err
	}
	switch h.tag {
	case 0:
		o.b.open = o.b.open[:len(o.b.open)-1]
		return nil
	case tagOctetString:
		return o.begin(h)
	case tagOctetString | constructed:
		return o.b.enter(h)
	}
	return malformed("a piece of the content has tag %#02x", h.tag)
}

// chunkSize is the size of the pieces of contents that are written with an indefinite length.
const chunkSize = 32 << 10

// chunked returns how long size bytes become in such pieces.
func chunked(size int64) int64 {
	whole, rest := size/chunkSize, size%chunkSize
	total := whole * int64(len(appendHeader(nil, tagOctetString, chunkSize))+chunkSize)
	if rest > 0 {
		total += int64(len(appendHeader(nil, tagOctetString, rest))) + rest
	}
	return total
}

// chunkWriter writes octet strings of chunkSize bytes, the last of what is left.
type chunkWriter struct {
	w   io.Writer
	buf []byte
	hdr []byte
}

func newChunkWriter(w io.Writer) *chunkWriter {
	return &chunkWriter{w: w, buf: make([]byte, 0, chunkSize)}
}

func (c *chunkWriter) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		n := min(len(p)-done, chunkSize-len(c.buf))
		c.buf = append(c.buf, p[done:done+n]...)
		done += n
		if len(c.buf) == chunkSize {
			if err := c.Close(); err != nil {
				return done, err
			}
		}
	}
	return len(p), nil
}

// Close writes what is left.
func (c *chunkWriter) Close() error {
	if len(c.buf) == 0 {
		return nil
	}
	c.hdr = appendHeader(c.hdr[:0], tagOctetString, int64(len(c.buf)))
	if _, err := c.w.Write(c.hdr); err != nil {
		return err
	}
	_, err := c.w.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}
