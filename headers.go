package transfer

import (
	"fmt"
	"regexp"
)

// CustomHTTPHeader is a header that goes with the HTTP request of an AS2 message.
type CustomHTTPHeader struct {
	Key   string // 1 to 64 of a-z, A-Z, 0-9 and "-"
	Value string // up to 256 of a-z, A-Z, 0-9 and " +-./:=@_"
}

const maxCustomHeaders = 50

// AWS's patterns (API reference, CustomHttpHeader).
var (
	headerKey   = regexp.MustCompile(`^[a-zA-Z0-9-]{1,64}$`)
	headerValue = regexp.MustCompile(`^[a-zA-Z0-9 +\-./:=@_]{0,256}$`)
)

func (p *problems) headers(hs []CustomHTTPHeader) {
	if len(hs) > maxCustomHeaders {
		p.add("CustomHTTPHeaders", "", "has %d headers, more than %d", len(hs), maxCustomHeaders)
		return
	}
	for i, h := range hs {
		field := fmt.Sprintf("CustomHTTPHeaders[%d]", i)
		if !headerKey.MatchString(h.Key) {
			p.add(field+".Key", h.Key, "is no header's name (use 1 to 64 letters, digits and -)")
		}
		if !headerValue.MatchString(h.Value) { // values may be secret, and are not shown
			p.add(field+".Value", "", "is no header's value (use up to 256 letters, digits and \" +-./:=@_\")")
		}
	}
}
