package awsapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Words of Signature Version 4 (AWS IAM User Guide, "AWS Signature Version 4 for API requests").
const (
	algorithm    = "AWS4-HMAC-SHA256"
	terminator   = "aws4_request"
	service      = "transfer"
	signingTime  = "20060102T150405Z"
	signingDate  = "20060102"
	dateHeader   = "X-Amz-Date"
	tokenHeader  = "X-Amz-Security-Token"
	hashHeader   = "X-Amz-Content-Sha256"
	maxSigned    = 64 // signed headers of a request
	maxAuthBytes = 8 << 10
)

// signature is what a request's Authorization header says. None of it is trusted before verify.
type signature struct {
	keyID  string
	date   string // of the credential scope, such as "20261121"
	region string
	signed []string // header names in lower case, in order
	sum    []byte
}

// scope is the credential scope without the key's id.
func (s *signature) scope() string {
	return s.date + "/" + s.region + "/" + service + "/" + terminator
}

// parseAuthorization reads an Authorization header of Signature Version 4.
func parseAuthorization(header string) (*signature, error) {
	name, rest, _ := strings.Cut(header, " ")
	if name != algorithm || len(header) > maxAuthBytes {
		return nil, incomplete("Authorization header requires the algorithm " + algorithm + ".")
	}
	parts, err := authorizationParts(rest)
	if err != nil {
		return nil, err
	}
	s := &signature{signed: strings.Split(parts["SignedHeaders"], ";")}
	credential := strings.Split(parts["Credential"], "/")
	if len(credential) != 5 || credential[0] == "" || credential[2] == "" {
		return nil, incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.")
	}
	s.keyID, s.date, s.region = credential[0], credential[1], credential[2]
	if credential[3] != service {
		return nil, badSignature("Credential should be scoped to correct service: '" + service + "'.")
	}
	if credential[4] != terminator {
		return nil, badSignature("Credential should be scoped with a valid terminator: '" + terminator + "'.")
	}
	if s.sum, err = hex.DecodeString(parts["Signature"]); err != nil || len(s.sum) != sha256.Size {
		return nil, incomplete("Signature must be 64 hexadecimal digits.")
	}
	if len(s.signed) > maxSigned || !slices.IsSorted(s.signed) || slices.Contains(s.signed, "") {
		return nil, incomplete(fmt.Sprintf("SignedHeaders must be at most %d names in order.", maxSigned))
	}
	return s, nil
}

// authorizationParts splits "Credential=…, SignedHeaders=…, Signature=…".
func authorizationParts(text string) (map[string]string, error) {
	parts := make(map[string]string, 3)
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := parts[name]; twice {
			return nil, incomplete("Authorization header has the same parameter twice.")
		}
		parts[name] = value
	}
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if parts[name] == "" {
			return nil, incomplete("Authorization header requires '" + name + "' parameter.")
		}
	}
	return parts, nil
}

// verify compares the signature with the one that the key makes for this request, in constant time.
func (c *claim) verify(r *http.Request, body []byte) error {
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if given := r.Header.Get(hashHeader); given != "" && given != hash {
		return badSignature("The value of X-Amz-Content-Sha256 is not the SHA-256 of the body.")
	}
	text := algorithm + "\n" + c.time + "\n" + c.scope() + "\n" + hexSum(canonicalRequest(r, c.signed, hash))
	if !hmac.Equal(c.sum, hmacSum(signingKey(c.key.SecretKey, c.date, c.region, service), text)) {
		return badSignature("The request signature we calculated does not match the signature you provided. " +
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	return nil
}

// canonicalRequest is the text that a signature covers. Requests with a query were refused before.
func canonicalRequest(r *http.Request, signed []string, bodyHash string) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n" + canonicalPath(r) + "\n\n")
	for _, name := range signed {
		b.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(signed, ";") + "\n" + bodyHash)
	return b.String()
}

// canonicalPath is the path as it was sent, whatever prefix was cut off since, escaped once more.
func canonicalPath(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(path, "/") { // absolute form, or a request that no server has read
		path = r.URL.EscapedPath()
	}
	if path == "" {
		return "/"
	}
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		if c == '/' || c == '-' || c == '_' || c == '.' || c == '~' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// headerValue is a header as a signature covers it: all of its values, with runs of spaces made one.
func headerValue(r *http.Request, name string) string {
	values := r.Header.Values(name)
	switch {
	case name == "host":
		values = []string{r.Host}
	case name == "content-length" && len(values) == 0 && r.ContentLength >= 0:
		values = []string{fmt.Sprint(r.ContentLength)}
	}
	folded := make([]string, len(values))
	for i, v := range values {
		folded[i] = strings.Join(strings.FieldsFunc(v, func(c rune) bool { return c == ' ' }), " ")
	}
	return strings.Join(folded, ",")
}

func signingKey(secret, date, region, service string) []byte {
	key := []byte("AWS4" + secret)
	for _, part := range []string{date, region, service, terminator} {
		key = hmacSum(key, part)
	}
	return key
}

func hmacSum(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text)) // never fails
	return mac.Sum(nil)
}

func hexSum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
