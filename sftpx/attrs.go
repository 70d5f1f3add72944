package sftpx

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
	var n name
	if _, ok = n.cutAttrs(b); !ok {
		return -1, 0, false
	}
	return n.size, n.modified.Unix(), n.size >= 0 && !n.modified.IsZero()
}
