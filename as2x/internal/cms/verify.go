package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Verified says who signed, as Verify found.
type Verified struct {
	Certificate *x509.Certificate // one of those that Verify was given
	Hash        crypto.Hash       // of the content: AS2's message integrity check uses the same
	Time        time.Time         // of signing, as the signer says; zero if that is silent
}

// Verify checks that one of these certificates signed the content, and returns the first signer that did. The digest of
// a detached signature's content comes from digest, asked for one of Hashes; of a content that was read with the
// signature it is known, and digest may be nil. Certificates that were sent along count only if the caller gives them,
// after having checked their chain; a certificate's validity in time is the caller's too.
//
// Signed attributes may be missing, as RFC 5652 permits. Then the DER of the attributes of another signature verifies as
// a content of its own. It begins with byte 0x31 and is no MIME entity: a caller that insists on one is not misled.
//
// It fails with ErrNoSigner if none of the certificates is a signer's, else with ErrDigest, ErrSignature, ErrUnsupported
// or ErrMalformed for the signer that came closest, or with digest's error.
func (s *Signed) Verify(certificates []*x509.Certificate, digest func(crypto.Hash) ([]byte, error)) (*Verified, error) {
	if s.Detached && digest == nil {
		return nil, errors.New("cms: the signature is detached: give the content's digest")
	}
	var failures []error
	for _, info := range s.signers {
		for _, c := range certificates {
			if c == nil || !names(info.id, c) {
				continue
			}
			verified, err := s.verify(info, c, digest)
			if err == nil {
				return verified, nil
			}
			failures = append(failures, err)
		}
	}
	for _, kind := range []error{ErrDigest, ErrSignature} {
		for _, err := range failures {
			if errors.Is(err, kind) {
				return nil, err
			}
		}
	}
	if len(failures) > 0 {
		return nil, failures[0]
	}
	return nil, ErrNoSigner
}

// verify checks one signer's signature (RFC 5652, section 5.6).
func (s *Signed) verify(info signerInfo, c *x509.Certificate, digest func(crypto.Hash) ([]byte, error)) (*Verified, error) {
	h, err := hashOf(info.digest.id)
	if err != nil {
		return nil, err
	}
	sum, err := s.digestOf(h, digest)
	if err != nil {
		return nil, err
	}
	v := &Verified{Certificate: c, Hash: h}
	if !info.attributed {
		if s.kind != oidData {
			return nil, malformed("signed attributes are missing")
		}
		return v, info.check(c, h, sum)
	}
	if v.Time, err = info.checkAttributes(s.kind, sum); err != nil {
		return nil, err
	}
	return v, info.checkSigned(c, h)
}

// checkSigned checks the signature over the signed attributes: in DER, as it must be, and else in the order in which
// they were sent, as some sign them.
func (i signerInfo) checkSigned(c *x509.Certificate, h crypto.Hash) error {
	var elements [][]byte
	for attributes := i.attributes; len(attributes) > 0; {
		e, err := attributes.next("signed attribute")
		if err != nil {
			return err
		}
		elements = append(elements, e.raw)
	}
	sorted, sent := derSet(tagSet, elements...), der(tagSet, elements...)
	err := i.check(c, h, hashed(h, sorted))
	if err != nil && !bytes.Equal(sorted, sent) {
		err = i.check(c, h, hashed(h, sent))
	}
	return err
}

func hashed(h crypto.Hash, b []byte) []byte {
	sum := h.New()
	sum.Write(b)
	return sum.Sum(nil)
}

// check checks the signature over a digest.
func (i signerInfo) check(c *x509.Certificate, h crypto.Hash, sum []byte) error {
	switch public := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return i.checkRSA(public, h, sum)
	case *ecdsa.PublicKey:
		if i.signature.id != ecdsaOID(h) {
			return i.unsupported()
		}
		if !ecdsa.VerifyASN1(public, sum, i.value) {
			return ErrSignature
		}
		return nil
	default:
		return fmt.Errorf("%w: key of type %T", ErrUnsupported, public)
	}
}

func (i signerInfo) checkRSA(public *rsa.PublicKey, h crypto.Hash, sum []byte) error {
	switch i.signature.id {
	case oidRSA, rsaOID(h):
		if rsa.VerifyPKCS1v15(public, h, sum, i.value) != nil {
			return ErrSignature
		}
		return nil
	case oidPSS:
		hash, salt, err := parsePSS(i.signature.params)
		if err != nil {
			return err
		}
		if hash != h {
			return i.unsupported()
		}
		if rsa.VerifyPSS(public, h, sum, i.value, &rsa.PSSOptions{SaltLength: salt}) != nil {
			return ErrSignature
		}
		return nil
	}
	return i.unsupported()
}

func (i signerInfo) unsupported() error {
	return fmt.Errorf("%w: signature %.32x with digest %.32x", ErrUnsupported, string(i.signature.id), string(i.digest.id))
}

// signerInfo is a SignerInfo that was read.
type signerInfo struct {
	id         element // IssuerAndSerialNumber or [0] SubjectKeyIdentifier
	digest     algorithm
	attributed bool // has signed attributes
	attributes cursor
	signature  algorithm
	value      []byte
}

func parseSigner(raw []byte) (info signerInfo, err error) {
	c := cursor(raw)
	body, err := c.want(tagSequence, "signer")
	if err != nil {
		return info, err
	}
	if _, err = body.want(tagInteger, "signer's version"); err != nil {
		return info, err
	}
	if info.id, err = body.next("signer's name"); err != nil {
		return info, err
	}
	if info.digest, err = body.algorithm("signer's digest"); err != nil {
		return info, err
	}
	if info.attributes, info.attributed, err = body.maybe(contextTag(0), "signed attributes"); err != nil {
		return info, err
	}
	if info.signature, err = body.algorithm("signature's algorithm"); err != nil {
		return info, err
	}
	if info.value, err = body.want(tagOctetString, "signature"); err != nil {
		return info, err
	}
	if _, _, err = body.maybe(contextTag(1), "unsigned attributes"); err != nil {
		return info, err
	}
	return info, body.end("signer")
}
