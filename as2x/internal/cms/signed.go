package cms

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"hash"
	"io"
	"slices"
)

// Signed is a signature that was read. Nothing in it is true before Verify says so.
type Signed struct {
	// Certificates are those that were sent along, as far as crypto/x509 reads them. Anybody can send any certificate.
	Certificates []*x509.Certificate
	// Detached says that the content was not in the input.
	Detached bool

	kind    oid // of the content
	signers []signerInfo
	digests map[crypto.Hash][]byte // of the content that was in the input
}

// ReadSigned reads a SignedData to the end of r. The content that it may carry goes to content, unverified; if content
// is nil, the signature must be detached. It fails with ErrMalformed, ErrLimit, ErrUnsupported, or errors of r or content.
func ReadSigned(r io.Reader, content io.Writer, l Limits) (*Signed, error) {
	l = l.withDefaults()
	b := newBER(r, l)
	if _, err := b.begin(oidSignedData); err != nil {
		return nil, err
	}
	algorithms, err := b.body(tagSet, "digest algorithms")
	if err != nil {
		return nil, err
	}
	s := &Signed{}
	if err := s.readContent(b, algorithms, content, l.Content); err != nil {
		return nil, err
	}
	if err := s.readCertificates(b); err != nil {
		return nil, err
	}
	if err := b.skip(contextTag(1)); err != nil { // revocation lists
		return nil, err
	}
	infos, err := b.body(tagSet, "signers")
	if err != nil {
		return nil, err
	}
	if err := s.readSigners(infos, l.Signers); err != nil {
		return nil, err
	}
	return s, b.end()
}

// readContent reads an EncapsulatedContentInfo.
func (s *Signed) readContent(b *ber, algorithms cursor, content io.Writer, limit int64) error {
	if err := b.want(tagSequence, "signed content"); err != nil {
		return err
	}
	kind, err := b.body(tagOID, "type of the signed content")
	if err != nil {
		return err
	}
	s.kind = oid(kind)
	next, err := b.peek()
	if err != nil {
		return err
	}
	if next == 0 {
		s.Detached = true
		return b.leave()
	}
	if content == nil {
		return malformed("a signature with its content where a detached one is expected")
	}
	if err := b.want(contextTag(0), "signed content"); err != nil {
		return err
	}
	in, err := b.octets(tagOctetString, "signed content", limit)
	if err != nil {
		return err
	}
	if err := s.hash(in, algorithms, content); err != nil {
		return err
	}
	if err := b.leave(); err != nil {
		return err
	}
	return b.leave()
}

// hash copies the content and computes its digests.
func (s *Signed) hash(in io.Reader, algorithms cursor, content io.Writer) error {
	hashes := map[crypto.Hash]hash.Hash{}
	to := []io.Writer{content}
	for len(algorithms) > 0 {
		a, err := algorithms.algorithm("digest algorithm")
		if err != nil {
			return err
		}
		h, err := hashOf(a.id)
		if err != nil || hashes[h] != nil { // another signer's may do
			continue
		}
		hashes[h] = h.New()
		to = append(to, hashes[h])
	}
	if _, err := io.CopyBuffer(io.MultiWriter(to...), onlyReader{in}, make([]byte, readBuffer)); err != nil {
		return err
	}
	s.digests = map[crypto.Hash][]byte{}
	for h, sum := range hashes {
		s.digests[h] = sum.Sum(nil)
	}
	return nil
}

// onlyReader hides other methods, so that io.CopyBuffer uses its buffer.
type onlyReader struct{ io.Reader }

// readCertificates reads the CertificateSet, if there is one.
func (s *Signed) readCertificates(b *ber) error {
	next, err := b.peek()
	if err != nil || next != contextTag(0) {
		return err
	}
	set, err := b.element("certificates")
	if err != nil {
		return err
	}
	for c := cursor(set.body); len(c) > 0; {
		e, err := c.next("certificate")
		if err != nil {
			return err
		}
		if e.tag != tagSequence { // attribute certificates and the like
			continue
		}
		// one that crypto/x509 refuses is no use, but says nothing about the signature
		if certificate, err := x509.ParseCertificate(e.raw); err == nil {
			s.Certificates = append(s.Certificates, certificate)
		}
	}
	return nil
}

func (s *Signed) readSigners(infos cursor, limit int) error {
	for len(infos) > 0 {
		if len(s.signers) == limit {
			return fmt.Errorf("%w: more than %d signers", ErrLimit, limit)
		}
		e, err := infos.next("signer")
		if err != nil {
			return err
		}
		info, err := parseSigner(e.raw)
		if err != nil {
			return err
		}
		s.signers = append(s.signers, info)
	}
	return nil
}

// Hashes returns the digests that Verify may ask for, each once.
func (s *Signed) Hashes() []crypto.Hash {
	var hashes []crypto.Hash
	for _, info := range s.signers {
		if h, err := hashOf(info.digest.id); err == nil && !slices.Contains(hashes, h) {
			hashes = append(hashes, h)
		}
	}
	return hashes
}

// digestOf returns the content's digest: that of the caller, or of the content that was in the input.
func (s *Signed) digestOf(h crypto.Hash, digest func(crypto.Hash) ([]byte, error)) ([]byte, error) {
	if !s.Detached {
		if sum := s.digests[h]; sum != nil {
			return sum, nil
		}
		return nil, malformed("a signer's digest %v is not among those at the start", h)
	}
	sum, err := digest(h)
	if err == nil && len(sum) != h.Size() {
		err = fmt.Errorf("cms: digest of %d bytes: one of %v has %d", len(sum), h, h.Size())
	}
	return sum, err
}
