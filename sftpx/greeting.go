package sftpx

import (
	"encoding/binary"
	"math"
)

const (
	fxpVersion = 2
	// maxGreeting bounds what is kept of a server's first packet, and maxExtensions what is taken from it.
	maxGreeting   = 64 << 10
	maxExtensions = 256
)

// greeting keeps the first packet of SFTP that a server sends: pkg/sftp does not tell what was in it.
type greeting struct{ packet []byte }

// note takes what was read from the server. It changes nothing once the packet is whole.
func (g *greeting) note(p []byte) {
	want := 4
	if len(g.packet) >= 4 {
		want += int(min(binary.BigEndian.Uint32(g.packet), maxGreeting))
	}
	for len(p) > 0 && len(g.packet) < want {
		n := min(len(p), want-len(g.packet))
		g.packet, p = append(g.packet, p[:n]...), p[n:]
		if len(g.packet) == 4 {
			want += int(min(binary.BigEndian.Uint32(g.packet), maxGreeting))
		}
	}
}

// parse returns the version and the extensions (draft-ietf-secsh-filexfer-02, section 4): as many as are whole.
func (g *greeting) parse() (version int, extensions map[string]string) {
	extensions = map[string]string{}
	if len(g.packet) < 9 || g.packet[4] != fxpVersion {
		return 0, extensions
	}
	version = int(min(binary.BigEndian.Uint32(g.packet[5:]), math.MaxInt32))
	for rest := g.packet[9:]; len(extensions) < maxExtensions; {
		var name, value string
		var ok bool
		if name, rest, ok = cutString(rest); !ok {
			break
		}
		if value, rest, ok = cutString(rest); !ok {
			break
		}
		extensions[shorten(clean(name), maxText)] = shorten(clean(value), maxText)
	}
	return version, extensions
}

// cutString takes a string of SSH's form (RFC 4251, section 5) off the front of b.
func cutString(b []byte) (text string, rest []byte, ok bool) {
	if len(b) < 4 {
		return "", nil, false
	}
	n := uint64(binary.BigEndian.Uint32(b))
	if b = b[4:]; n > uint64(len(b)) {
		return "", nil, false
	}
	return string(b[:n]), b[n:], true
}
