package as2x

import (
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

// Local is our side of an exchange (AWS: a profile of type LOCAL).
type Local struct {
	// AS2ID is our AS2 name: 1 to 128 printable ASCII characters, in which case counts (RFC 4130, section 6.2).
	AS2ID string
	// Signing are the keys that sign messages and MDNs. Of those that are current, the one that became so last signs.
	Signing []KeyPair
	// Decryption are the keys that partners encrypt for, RSA only. All of them decrypt, also those that are no longer
	// current; remove a key to stop that.
	Decryption []KeyPair
	// TLS is what a connector shows to a server that asks for a client certificate (mutual TLS).
	TLS []tls.Certificate
}

// Partner is the other side of an exchange (AWS: a profile of type PARTNER).
type Partner struct {
	// AS2ID is the partner's AS2 name.
	AS2ID string
	// Signing are the certificates that messages and MDNs may be signed with: those that are current, also several.
	Signing []Certificate
	// Encryption are the certificates to encrypt for, RSA only. Of those that are current, the one that became so last
	// is taken.
	Encryption []Certificate
	// TLS pins the partner's server: its certificate must be one of these, or be issued by one of them. None means the
	// system's roots.
	TLS []*x509.Certificate
}

// Certificate is a certificate with the time in which it is current (AWS: ActiveDate, InactiveDate).
type Certificate struct {
	*x509.Certificate
	Active   time.Time // current from then on; zero means NotBefore
	Inactive time.Time // no longer current from then on; zero means NotAfter
}

// KeyPair is a certificate of ours with its key.
type KeyPair struct {
	Certificate
	// Key signs (RSA, ECDSA) or decrypts (RSA). To decrypt it must be a crypto.Decrypter too, as *rsa.PrivateKey is.
	Key crypto.Signer
	// Chain are certificates between this one and its root, sent with signatures. Most partners need none.
	Chain []*x509.Certificate
	// PSS makes RSASSA-PSS signatures with an RSA key, which old partners do not read.
	PSS bool
}

func (c Certificate) active() time.Time {
	if c.Active.IsZero() {
		return c.NotBefore
	}
	return c.Active
}

func (c Certificate) current(now time.Time) bool {
	until := c.Inactive
	if until.IsZero() {
		until = c.NotAfter
	}
	return !now.Before(c.active()) && now.Before(until)
}

// newest returns the index of the certificate that became current last, or -1.
func newest(certs []Certificate, now time.Time) int {
	best := -1
	for i, c := range certs {
		if c.current(now) && (best < 0 || c.active().After(certs[best].active())) {
			best = i
		}
	}
	return best
}

// signer returns the key that signs now.
func (l Local) signer(now time.Time) (k KeyPair, ok bool) {
	certs := make([]Certificate, len(l.Signing))
	for i, k := range l.Signing {
		certs[i] = k.Certificate
	}
	if i := newest(certs, now); i >= 0 {
		return l.Signing[i], true
	}
	return KeyPair{}, false
}

// keys are what decrypts.
func (l Local) keys() []cms.KeyPair {
	pairs := make([]cms.KeyPair, 0, len(l.Decryption))
	for _, k := range l.Decryption {
		if d, ok := k.Key.(crypto.Decrypter); ok {
			pairs = append(pairs, cms.KeyPair{Certificate: k.Certificate.Certificate, Key: d})
		}
	}
	return pairs
}

// encryption returns the certificate to encrypt for now.
func (p Partner) encryption(now time.Time) (c *x509.Certificate, ok bool) {
	if i := newest(p.Encryption, now); i >= 0 {
		return p.Encryption[i].Certificate, true
	}
	return nil, false
}

// signers are the certificates that sign now.
func (p Partner) signers(now time.Time) (certs []*x509.Certificate) {
	for _, c := range p.Signing {
		if c.current(now) {
			certs = append(certs, c.Certificate)
		}
	}
	return certs
}

// maxAS2ID is the longest AS2 name (RFC 4130, section 6.2).
const maxAS2ID = 128

// wrongFunc takes note of a wrong field.
type wrongFunc func(field, format string, args ...any)

func checkAS2ID(wrong wrongFunc, field, id string) {
	switch {
	case id == "":
		wrong(field, "is empty (it is required)")
	case len(id) > maxAS2ID:
		wrong(field, "has %d characters (use 1 to %d)", len(id), maxAS2ID)
	case !quotable(id):
		wrong(field, "%q has characters that are not printable ASCII (use others)", id)
	case strings.TrimSpace(id) != id:
		wrong(field, "%q begins or ends with a space (remove it)", id)
	}
}

func (l Local) check(wrong wrongFunc, field string) {
	checkAS2ID(wrong, field+".AS2ID", l.AS2ID)
	for i, k := range l.Signing {
		k.check(wrong, fmt.Sprintf("%s.Signing[%d]", field, i))
	}
	for i, k := range l.Decryption {
		name := fmt.Sprintf("%s.Decryption[%d]", field, i)
		k.check(wrong, name)
		if _, ok := k.Key.(crypto.Decrypter); !ok && k.Key != nil {
			wrong(name+".Key", "cannot decrypt (use an RSA key)")
		}
	}
}

func (k KeyPair) check(wrong wrongFunc, field string) {
	if !k.Certificate.check(wrong, field) {
		return
	}
	if k.Key == nil {
		wrong(field+".Key", "is nil (give the key of the certificate)")
		return
	}
	public, ok := k.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(k.PublicKey) {
		wrong(field+".Key", "is not the key of the certificate (give those that belong together)")
	}
}

func (c Certificate) check(wrong wrongFunc, field string) bool {
	if c.Certificate == nil {
		wrong(field+".Certificate", "is nil (try x509.ParseCertificate)")
		return false
	}
	if !c.Active.IsZero() && !c.Inactive.IsZero() && !c.Active.Before(c.Inactive) {
		wrong(field+".Inactive", "is not after Active (exchange them)")
	}
	return true
}

func (p Partner) check(wrong wrongFunc, field string) {
	checkAS2ID(wrong, field+".AS2ID", p.AS2ID)
	for i, c := range p.Signing {
		c.check(wrong, fmt.Sprintf("%s.Signing[%d]", field, i))
	}
	for i, c := range p.Encryption {
		name := fmt.Sprintf("%s.Encryption[%d]", field, i)
		if !c.check(wrong, name) {
			continue
		}
		if _, ok := c.PublicKey.(*rsa.PublicKey); !ok {
			wrong(name, "has a key of type %T (encryption needs RSA)", c.PublicKey)
		}
	}
	if slices.Contains(p.TLS, nil) {
		wrong(field+".TLS", "has a nil (try x509.ParseCertificate)")
	}
}

// as2Name is an AS2 name as it stands in a header: quoted only if it must be (RFC 4130, section 6.2).
func as2Name(id string) string {
	if strings.ContainsAny(id, ` "\`) {
		return quote(id)
	}
	return id
}

// parseAS2Name undoes as2Name.
func parseAS2Name(text string) string {
	text = strings.TrimSpace(text)
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return text
	}
	var b strings.Builder
	inner := text[1 : len(text)-1]
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' && i+1 < len(inner) {
			i++
		}
		b.WriteByte(inner[i])
	}
	return b.String()
}
