package sftpx

import "encoding/binary"

const (
	fxpFstat = 8
	fxpAttrs = 105

	attrSize  = 1
	attrOwner = 2
	attrMode  = 4
	attrTimes = 8
)

// parseAttrs returns the size and the time of change, in seconds since 1970, of an ATTRS without its id
// (draft-ietf-secsh-filexfer-02, section 5); ok is false where a server leaves one of them out.
func parseAttrs(b []byte) (size, modified int64, ok bool) {
	if len(b) < 4 {
		return -1, 0, false
	}
	flags := binary.BigEndian.Uint32(b)
	b = b[4:]
	if flags&attrSize == 0 || flags&attrTimes == 0 || len(b) < 8 {
		return -1, 0, false
	}
	size, b = int64(binary.BigEndian.Uint64(b)), b[8:]
	skip := 0
	if flags&attrOwner != 0 {
		skip += 8
	}
	if flags&attrMode != 0 {
		skip += 4
	}
	if len(b) < skip+8 {
		return -1, 0, false
	}
	return size, int64(binary.BigEndian.Uint32(b[skip+4:])), true
}
