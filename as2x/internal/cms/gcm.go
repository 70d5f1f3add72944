package cms

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

const (
	gcmNonce = 12         // bytes, as RFC 5084 recommends
	gcmTag   = 16         // bytes, as we write
	gcmLimit = 1<<36 - 32 // bytes under one nonce (NIST SP 800-38D, section 5.2.1.1)
)

// gcmParameters reads GCMParameters (RFC 5084, section 3.2).
func gcmParameters(params cursor) (nonce []byte, tag int, err error) {
	body, err := params.want(tagSequence, "GCM parameters")
	if err != nil {
		return nil, 0, err
	}
	if nonce, err = body.want(tagOctetString, "GCM nonce"); err != nil {
		return nil, 0, err
	}
	if len(nonce) != gcmNonce {
		return nil, 0, fmt.Errorf("%w: GCM with a nonce of %d bytes", ErrUnsupported, len(nonce))
	}
	length, found, err := body.maybe(tagInteger, "length of GCM's tag")
	if err != nil {
		return nil, 0, err
	}
	if !found {
		return nonce, 12, body.end("GCM parameters")
	}
	if len(length) != 1 || length[0] < 12 || length[0] > gcmTag {
		return nil, 0, malformed("length of GCM's tag")
	}
	return nonce, int(length[0]), body.end("GCM parameters")
}

// authentication reads what follows the content of an AuthEnvelopedData (RFC 5083): authenticated attributes, as they
// are authenticated, and a tag of the size that was announced.
func (b *ber) authentication(size int) (auth, tag []byte, err error) {
	next, err := b.peek()
	if err != nil {
		return nil, nil, err
	}
	if next == contextTag(1) {
		attributes, err := b.element("authenticated attributes")
		if err != nil {
			return nil, nil, err
		}
		auth = der(tagSet, attributes.body)
	}
	if tag, err = b.body(tagOctetString, "GCM's tag"); err != nil {
		return nil, nil, err
	}
	if len(tag) != size {
		return nil, nil, malformed("GCM's tag has %d bytes, not %d", len(tag), size)
	}
	return auth, tag, b.skip(contextTag(2)) // unauthenticated attributes
}

// gcm is AES-GCM over a stream, which crypto/cipher has for whole messages only. Its counter mode and its hash are those
// of the standard library: the hash of a piece is taken out of the tag of a message of that piece alone, and the hashes
// are put together, since hashing is evaluating a polynomial at the key's point h.
type gcm struct {
	stream cipher.Stream
	aead   cipher.AEAD
	nonce  []byte
	mask   element128 // what hides the hash in a tag
	h      element128
	whole  element128 // h to the number of blocks in a full piece
	hash   element128 // of the ciphertext so far, times h
	size   uint64     // of the ciphertext so far
	tags   []byte
}

func newGCM(block cipher.Block, nonce []byte) (*gcm, error) {
	var zero, first, mask, h [16]byte
	copy(first[:], nonce)
	first[15] = 1
	block.Encrypt(mask[:], first[:])
	block.Encrypt(h[:], zero[:])
	first[15] = 2
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	g := &gcm{stream: cipher.NewCTR(block, first[:]), aead: aead, nonce: nonce}
	g.mask, g.h = load128(mask[:]), load128(h[:])
	g.whole = g.h.power(chunkSize / 16)
	return g, nil
}

// add hashes a piece of the ciphertext, which must be whole blocks unless it is the last.
func (g *gcm) add(p []byte) {
	if len(p) == 0 {
		return
	}
	step := g.whole
	if len(p) != chunkSize {
		step = g.h.power(blocks128(len(p)))
	}
	g.hash = g.hash.times(step).plus(g.piece(p))
	g.size += uint64(len(p))
}

// piece is the hash of p alone, times h.
func (g *gcm) piece(p []byte) element128 {
	g.tags = g.aead.Seal(g.tags[:0], g.nonce, nil, p)
	lengths := element128{uint64(len(p)) * 8, 0}
	return load128(g.tags).plus(g.mask).plus(lengths.times(g.h))
}

// sum is the tag, over authenticated data that comes before the ciphertext.
func (g *gcm) sum(auth []byte) []byte {
	total := g.hash
	if len(auth) > 0 {
		total = g.piece(auth).times(g.h.power((g.size + 15) / 16)).plus(total)
	}
	lengths := element128{uint64(len(auth)) * 8, g.size * 8}
	total = total.plus(lengths.times(g.h)).plus(g.mask)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, total.high), total.low)
}

func blocks128(n int) uint64 { return uint64(n+15) / 16 }

type gcmSealer struct{ *gcm }

func (s gcmSealer) seal(p []byte) {
	s.stream.XORKeyStream(p, p)
	s.add(p)
}

func (s gcmSealer) last(p []byte) []byte {
	s.seal(p)
	return p
}

func (s gcmSealer) tag() []byte { return s.sum(nil) }

type gcmOpener struct{ *gcm }

func (gcmOpener) block() int { return 16 }

func (o gcmOpener) open(p []byte) {
	o.add(p)
	o.stream.XORKeyStream(p, p)
}

func (o gcmOpener) last(p []byte) []byte {
	o.open(p)
	return p
}

func (o gcmOpener) verify(auth, tag []byte) bool {
	return subtle.ConstantTimeCompare(o.sum(auth)[:len(tag)], tag) == 1
}

// element128 is an element of GCM's field (NIST SP 800-38D, section 6.3): the highest bit is the lowest coefficient.
type element128 struct{ high, low uint64 }

func load128(b []byte) element128 {
	return element128{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (x element128) plus(y element128) element128 { return element128{x.high ^ y.high, x.low ^ y.low} }

// times multiplies in a time that does not depend on the values.
func (x element128) times(y element128) element128 {
	var z element128
	for i := range 128 {
		word := x.high
		if i >= 64 {
			word = x.low
		}
		take := -(word >> (63 - i%64) & 1)
		z.high ^= y.high & take
		z.low ^= y.low & take
		carry := -(y.low & 1)
		y = element128{y.high>>1 ^ carry&(0xe1<<56), y.low>>1 | y.high<<63}
	}
	return z
}

// power multiplies x n times with itself; n is no secret.
func (x element128) power(n uint64) element128 {
	result := element128{high: 1 << 63}
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			result = result.times(x)
		}
		x = x.times(x)
	}
	return result
}
