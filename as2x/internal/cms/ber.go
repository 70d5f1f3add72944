package cms

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
)

// readBuffer is how much is read at once.
const readBuffer = 32 << 10

// header is what stands before an element's content. The zero header stands for the end of the element around it.
type header struct {
	tag    byte
	length int64 // −1: indefinite
}

// span is where an open element ends.
type span struct {
	end   int64 // −1: at its end-of-contents
	bound int64 // where it ends at the latest, because something around it does
}

// ber walks over a stream of BER (X.690, section 8).
type ber struct {
	in      *bufio.Reader
	off     int64
	open    []span
	depth   int
	memory  int64   // how much may still be kept
	pending *header // read by peek
}

func newBER(r io.Reader, l Limits) *ber {
	return &ber{in: bufio.NewReaderSize(r, readBuffer), depth: l.Depth, memory: l.Header}
}

// next reads the header of the next element in the innermost open one.
func (b *ber) next() (header, error) {
	if b.pending != nil {
		h := *b.pending
		b.pending = nil
		return h, nil
	}
	around := span{end: -1, bound: math.MaxInt64}
	if len(b.open) > 0 {
		around = b.open[len(b.open)-1]
	}
	if around.end == b.off {
		return header{}, nil
	}
	h, err := b.header()
	if err != nil {
		return header{}, err
	}
	if h.tag == 0 && (h.length != 0 || around.end >= 0 || len(b.open) == 0) {
		return header{}, malformed("an end of contents where none can be")
	}
	if b.off > around.bound || h.length > around.bound-b.off {
		return header{}, malformed("an element is longer than the one around it")
	}
	return h, nil
}

// peek returns the tag of the next element without taking it off; 0 at the end of the innermost open one.
func (b *ber) peek() (byte, error) {
	h, err := b.next()
	if err != nil {
		return 0, err
	}
	b.pending = &h
	return h.tag, nil
}

func (b *ber) header() (header, error) {
	tag, err := b.byte()
	if err != nil {
		return header{}, err
	}
	if tag&0x1f == 0x1f {
		return header{}, malformed("a tag above 30")
	}
	first, err := b.byte()
	if err != nil {
		return header{}, err
	}
	switch {
	case first < 0x80:
		return header{tag, int64(first)}, nil
	case first == 0x80 && tag&constructed != 0:
		return header{tag, -1}, nil
	case first == 0x80 || first == 0xff:
		return header{}, malformed("a length of a form that does not exist")
	}
	length, err := b.length(int(first & 0x7f))
	return header{tag, length}, err
}

// length reads a length of n bytes.
func (b *ber) length(n int) (int64, error) {
	var length int64
	for range n {
		next, err := b.byte()
		if err != nil {
			return 0, err
		}
		if length > math.MaxInt64>>8 {
			return 0, malformed("a length beyond 64 bits")
		}
		length = length<<8 | int64(next)
	}
	return length, nil
}

func (b *ber) byte() (byte, error) {
	c, err := b.in.ReadByte()
	if err != nil {
		return 0, cutShort(err)
	}
	b.off++
	return c, nil
}

// enter opens a constructed element whose header was read.
func (b *ber) enter(h header) error {
	if h.tag&constructed == 0 {
		return malformed("tag %#02x is primitive", h.tag)
	}
	if len(b.open) >= b.depth {
		return fmt.Errorf("%w: more than %d elements in one another", ErrLimit, b.depth)
	}
	s := span{end: -1, bound: math.MaxInt64}
	if len(b.open) > 0 {
		s.bound = b.open[len(b.open)-1].bound
	}
	if h.length >= 0 {
		s.end = b.off + h.length
		s.bound = s.end
	}
	b.open = append(b.open, s)
	return nil
}

// leave closes the innermost open element, which must be at its end.
func (b *ber) leave() error {
	h, err := b.next()
	if err != nil {
		return err
	}
	if h.tag != 0 {
		return malformed("an element with tag %#02x too many", h.tag)
	}
	b.open = b.open[:len(b.open)-1]
	return nil
}

// want opens the next element, which must be constructed and have the tag.
func (b *ber) want(tag byte, what string) error {
	h, err := b.next()
	if err != nil {
		return err
	}
	if h.tag != tag {
		return malformed("%s has tag %#02x, not %#02x", what, h.tag, tag)
	}
	return b.enter(h)
}

// element takes the next element off, in DER.
func (b *ber) element(what string) (element, error) {
	h, err := b.next()
	if err != nil {
		return element{}, err
	}
	if h.tag == 0 {
		return element{}, malformed("%s is missing", what)
	}
	raw, err := b.appendDER(nil, h)
	if err != nil {
		return element{}, err
	}
	c := cursor(raw)
	return c.next(what)
}

// body takes the next element off, which must have the tag, and returns its content.
func (b *ber) body(tag byte, what string) ([]byte, error) {
	e, err := b.element(what)
	if err == nil && e.tag != tag {
		err = malformed("%s has tag %#02x, not %#02x", what, e.tag, tag)
	}
	return e.body, err
}

// appendDER appends the element whose header was read.
func (b *ber) appendDER(dst []byte, h header) ([]byte, error) {
	if b.memory -= max(h.length, 0) + 8; b.memory < 0 {
		return nil, fmt.Errorf("%w: too much around the content", ErrLimit)
	}
	if h.tag&constructed == 0 {
		return b.appendPrimitive(dst, h)
	}
	if err := b.enter(h); err != nil {
		return nil, err
	}
	if h.length > 0 { // counted once, with what lies in it
		b.memory += h.length
	}
	var body []byte
	for {
		inner, err := b.next()
		if err != nil {
			return nil, err
		}
		if inner.tag == 0 {
			break
		}
		if body, err = b.appendDER(body, inner); err != nil {
			return nil, err
		}
	}
	b.open = b.open[:len(b.open)-1]
	if h.tag == tagOctetString|constructed {
		return appendJoined(dst, body)
	}
	return append(appendHeader(dst, h.tag, int64(len(body))), body...), nil
}

func (b *ber) appendPrimitive(dst []byte, h header) ([]byte, error) {
	dst = appendHeader(dst, h.tag, h.length)
	at := len(dst)
	dst = append(dst, make([]byte, h.length)...)
	n, err := io.ReadFull(b.in, dst[at:])
	b.off += int64(n)
	if err != nil {
		return nil, cutShort(err)
	}
	return dst, nil
}

// appendJoined appends the octet string whose pieces are given.
func appendJoined(dst, pieces []byte) ([]byte, error) {
	var joined []byte
	for c := cursor(pieces); len(c) > 0; {
		piece, err := c.want(tagOctetString, "piece of an octet string")
		if err != nil {
			return nil, err
		}
		joined = append(joined, piece...)
	}
	return append(appendHeader(dst, tagOctetString, int64(len(joined))), joined...), nil
}

// lineEnds is how many bytes of them may follow the end, because some servers end a body so.
const lineEnds = 16

// finish checks that nothing follows but line ends.
func (b *ber) finish() error {
	for range lineEnds + 1 {
		c, err := b.in.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if c != '\r' && c != '\n' {
			break
		}
	}
	return malformed("more bytes follow")
}
