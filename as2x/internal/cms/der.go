package cms

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// The tags of this package's structures, as the byte that stands first.
const (
	tagInteger     = 0x02
	tagOctetString = 0x04
	tagNull        = 0x05
	tagOID         = 0x06
	tagUTCTime     = 0x17
	tagTime        = 0x18
	tagSequence    = 0x30
	tagSet         = 0x31
	tagContext0    = 0x80 // primitive
	constructed    = 0x20
)

// contextTag is the tag [n] of a constructed element.
func contextTag(n byte) byte { return tagContext0 | constructed | n }

// der encodes one element in DER.
func der(tag byte, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	return append(appendHeader(make([]byte, 0, len(body)+10), tag, int64(len(body))), body...)
}

// appendHeader appends tag and length.
func appendHeader(dst []byte, tag byte, length int64) []byte {
	dst = append(dst, tag)
	if length < 0x80 {
		return append(dst, byte(length))
	}
	n := (bits.Len64(uint64(length)) + 7) / 8
	dst = append(dst, 0x80|byte(n))
	return append(dst, binary.BigEndian.AppendUint64(nil, uint64(length))[8-n:]...)
}

func derOID(o oid) []byte       { return der(tagOID, []byte(o)) }
func derVersion(n byte) []byte  { return der(tagInteger, []byte{n}) }
func derOctets(b []byte) []byte { return der(tagOctetString, b) }
func derNull() []byte           { return []byte{tagNull, 0} }

// derSet encodes a SET OF, whose elements DER orders.
func derSet(tag byte, elements ...[]byte) []byte {
	sorted := slices.Clone(elements)
	slices.SortFunc(sorted, slices.Compare)
	return der(tag, sorted...)
}

// frame is an encoding around a content that is not in memory.
type frame struct {
	head, tail []byte
	size       int64 // of the content as it will be written; −1 if it is unknown before
}

// wrap puts an element around the frame, with other elements before and behind the old one. It has an indefinite length
// if the content's is unknown, or if indefinite says so.
func (f *frame) wrap(tag byte, indefinite bool, before, after []byte) {
	inner := int64(len(before) + len(f.head) + len(f.tail) + len(after))
	var head []byte
	if indefinite || f.size < 0 {
		head = []byte{tag, 0x80}
		after = append(slices.Clone(after), 0, 0)
	} else {
		head = appendHeader(nil, tag, inner+f.size)
	}
	f.head = slices.Concat(head, before, f.head)
	f.tail = slices.Concat(f.tail, after)
}

// total is the size of frame and content.
func (f *frame) total() int64 { return int64(len(f.head)) + f.size + int64(len(f.tail)) }
