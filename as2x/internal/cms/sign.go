package cms

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Signer is who signs.
type Signer struct {
	Certificate *x509.Certificate
	Key         crypto.Signer // of the certificate: RSA or ECDSA
	PSS         bool          // RSASSA-PSS (RFC 4056) in place of RSASSA-PKCS1-v1_5, for an RSA key
}

// SignOptions says how a content is signed. Hash and Signers are required.
type SignOptions struct {
	// Hash is SHA-1 or one of SHA-2. SHA-1 is for partners that have nothing better.
	Hash    crypto.Hash
	Signers []Signer
	// Certificates are sent beside the signers' own, such as those between them and their root.
	Certificates []*x509.Certificate
	// OmitCertificates leaves all certificates out, the signers' too.
	OmitCertificates bool
	// Time is when the content was signed, to the second. The zero Time leaves that out.
	Time time.Time
	// AlgorithmProtection adds the attribute of RFC 6211, which some AS2 servers refuse.
	AlgorithmProtection bool
}

func (o SignOptions) validate(digest []byte) error {
	if digestOID(o.Hash) == "" {
		return fmt.Errorf("cms: SignOptions.Hash is %v: use SHA-1 or SHA-2", o.Hash)
	}
	if len(digest) != o.Hash.Size() {
		return fmt.Errorf("cms: digest of %d bytes: one of %v has %d", len(digest), o.Hash, o.Hash.Size())
	}
	if len(o.Signers) == 0 {
		return errors.New("cms: SignOptions.Signers is empty: name at least one")
	}
	for _, s := range o.Signers {
		if s.Certificate == nil || s.Key == nil {
			return errors.New("cms: a Signer lacks its certificate or its key: give both")
		}
		public, ok := s.Certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		if !ok || !public.Equal(s.Key.Public()) {
			return fmt.Errorf("cms: Signer.Key is not the key of the certificate of %s: give those that belong together",
				s.Certificate.Subject)
		}
	}
	return nil
}

// Sign returns a detached SignedData in DER over the content with this digest, which is the digest of exactly the bytes
// that the reader will hash. Signed attributes are the content type, the digest and the time (RFC 5652, section 11).
func Sign(digest []byte, o SignOptions) ([]byte, error) {
	if err := o.validate(digest); err != nil {
		return nil, err
	}
	algorithm, err := digestAlgorithm(o.Hash)
	if err != nil {
		return nil, err
	}
	var infos [][]byte
	for _, s := range o.Signers {
		info, err := s.info(digest, algorithm, o)
		if err != nil {
			return nil, fmt.Errorf("sign as %s: %w", s.Certificate.Subject, err)
		}
		infos = append(infos, info)
	}
	return der(tagSequence, derOID(oidSignedData), der(contextTag(0), der(tagSequence,
		derVersion(1),
		der(tagSet, algorithm),
		der(tagSequence, derOID(oidData)),
		o.certificates(),
		derSet(tagSet, infos...),
	))), nil
}

// certificates encodes them as [0] SET, each once; nothing if there are none.
func (o SignOptions) certificates() []byte {
	if o.OmitCertificates {
		return nil
	}
	var raw [][]byte
	seen := map[string]bool{}
	add := func(c *x509.Certificate) {
		if !seen[string(c.Raw)] {
			seen[string(c.Raw)] = true
			raw = append(raw, c.Raw)
		}
	}
	for _, s := range o.Signers {
		add(s.Certificate)
	}
	for _, c := range o.Certificates {
		add(c)
	}
	return derSet(contextTag(0), raw...)
}

// info encodes the SignerInfo (RFC 5652, section 5.3).
func (s Signer) info(digest, digestAlgorithm []byte, o SignOptions) ([]byte, error) {
	signatureAlgorithm, err := s.algorithm(o.Hash, digestAlgorithm)
	if err != nil {
		return nil, err
	}
	attributes := o.attributes(digest, digestAlgorithm, signatureAlgorithm)
	h := o.Hash.New()
	h.Write(derSet(tagSet, attributes...)) // signed as a SET, sent as [0]
	var options crypto.SignerOpts = o.Hash
	if s.PSS {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: o.Hash}
	}
	signature, err := s.Key.Sign(rand.Reader, h.Sum(nil), options)
	if err != nil {
		return nil, err
	}
	return der(tagSequence, derVersion(1), issuerAndSerial(s.Certificate), digestAlgorithm,
		derSet(contextTag(0), attributes...), signatureAlgorithm, derOctets(signature)), nil
}

// algorithm encodes the signature's AlgorithmIdentifier. For RSA with PKCS #1 it is the key's (RFC 3370, section 3.2),
// which old servers know.
func (s Signer) algorithm(hash crypto.Hash, digestAlgorithm []byte) ([]byte, error) {
	switch key := s.Certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		if s.PSS {
			return der(tagSequence, derOID(oidPSS), pssParameters(hash, digestAlgorithm)), nil
		}
		return der(tagSequence, derOID(oidRSA), derNull()), nil
	case *ecdsa.PublicKey:
		return der(tagSequence, derOID(ecdsaOID(hash))), nil
	default:
		return nil, fmt.Errorf("cms: key of type %T: use an RSA or ECDSA key", key)
	}
}

func (o SignOptions) attributes(digest, digestAlgorithm, signatureAlgorithm []byte) [][]byte {
	attributes := [][]byte{
		attribute(oidContentType, derOID(oidData)),
		attribute(oidMessageDigest, derOctets(digest)),
	}
	if !o.Time.IsZero() {
		attributes = append(attributes, attribute(oidSigningTime, derTime(o.Time)))
	}
	if o.AlgorithmProtection {
		signature := cursor(signatureAlgorithm)
		e, err := signature.next("signature algorithm")
		if err == nil {
			attributes = append(attributes,
				attribute(oidAlgorithmProtection, der(tagSequence, digestAlgorithm, der(contextTag(1), e.body))))
		}
	}
	return attributes
}

func attribute(id oid, value []byte) []byte {
	return der(tagSequence, derOID(id), der(tagSet, value))
}

// derTime encodes a Time, as UTCTime where its two digits of the year are enough (RFC 5652, section 11.3).
func derTime(t time.Time) []byte {
	t = t.UTC()
	if year := t.Year(); year >= 1950 && year < 2050 {
		return der(tagUTCTime, []byte(t.Format("060102150405Z")))
	}
	return der(tagTime, []byte(t.Format("20060102150405Z")))
}

func ecdsaOID(h crypto.Hash) oid {
	switch h {
	case crypto.SHA1:
		return oidECDSASHA1
	case crypto.SHA224:
		return oidECDSASHA224
	case crypto.SHA256:
		return oidECDSASHA256
	case crypto.SHA384:
		return oidECDSASHA384
	default:
		return oidECDSASHA512
	}
}

func rsaOID(h crypto.Hash) oid {
	switch h {
	case crypto.SHA1:
		return oidRSASHA1
	case crypto.SHA224:
		return oidRSASHA224
	case crypto.SHA256:
		return oidRSASHA256
	case crypto.SHA384:
		return oidRSASHA384
	default:
		return oidRSASHA512
	}
}
