package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
)

// Recipient is whom a content is encrypted for.
type Recipient struct {
	// Certificate holds the recipient's key, which must be RSA.
	Certificate *x509.Certificate
	// OAEP is the hash of RSAES-OAEP (RFC 4055), for the label and the mask. 0 stands for RSAES-PKCS1-v1_5, which is
	// what AS2 servers expect.
	OAEP crypto.Hash
	// ByKeyID names the certificate by its subject key identifier in place of issuer and serial number.
	ByKeyID bool
}

// info encodes the KeyTransRecipientInfo (RFC 5652, section 6.2.1) around an encrypted key.
func (r Recipient) info(encrypted []byte) ([]byte, error) {
	id, version := issuerAndSerial(r.Certificate), byte(0)
	if r.ByKeyID {
		if len(r.Certificate.SubjectKeyId) == 0 {
			return nil, fmt.Errorf("cms: certificate of %s has no subject key identifier: name it by issuer and serial number",
				r.Certificate.Subject)
		}
		id, version = der(tagContext0, r.Certificate.SubjectKeyId), 2
	}
	transport := der(tagSequence, derOID(oidRSA), derNull())
	if r.OAEP != 0 {
		digest, err := digestAlgorithm(r.OAEP)
		if err != nil {
			return nil, err
		}
		transport = der(tagSequence, derOID(oidOAEP), oaepParameters(digest))
	}
	return der(tagSequence, derVersion(version), id, transport, derOctets(encrypted)), nil
}

// encrypt encrypts a content's key for the recipient.
func (r Recipient) encrypt(key []byte) ([]byte, error) {
	public, err := r.public()
	if err != nil {
		return nil, err
	}
	if r.OAEP != 0 {
		return rsa.EncryptOAEP(r.OAEP.New(), rand.Reader, public, key, nil)
	}
	//lint:ignore SA1019 AS2 servers expect this padding (RFC 8551, section 2.3)
	return rsa.EncryptPKCS1v15(rand.Reader, public, key)
}

func (r Recipient) public() (*rsa.PublicKey, error) {
	if r.Certificate == nil {
		return nil, errors.New("cms: Recipient.Certificate is nil: give the partner's certificate")
	}
	public, ok := r.Certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("cms: certificate of %s has a key of type %T: encryption needs one with an RSA key",
			r.Certificate.Subject, r.Certificate.PublicKey)
	}
	if r.OAEP != 0 && !r.OAEP.Available() {
		return nil, fmt.Errorf("cms: Recipient.OAEP is %v: give a SHA-1 or SHA-2 hash", r.OAEP)
	}
	return public, nil
}

// KeyPair is what a content is decrypted with.
type KeyPair struct {
	Certificate *x509.Certificate
	// Key is the certificate's RSA key. An implementation of its own must honour rsa.PKCS1v15DecryptOptions.SessionKeyLen
	// as rsa.PrivateKey does: a wrong padding gives a random key, and no error.
	Key crypto.Decrypter
}

// recipientInfo is a KeyTransRecipientInfo that was read.
type recipientInfo struct {
	transport algorithm
	encrypted []byte
}

// parseRecipient reads one and finds whose it is; nil if it is nobody's.
func parseRecipient(raw []byte, pairs []KeyPair) (*KeyPair, recipientInfo, error) {
	var info recipientInfo
	c := cursor(raw)
	body, err := c.want(tagSequence, "recipient")
	if err != nil {
		return nil, info, err
	}
	if _, err = body.want(tagInteger, "recipient's version"); err != nil {
		return nil, info, err
	}
	id, err := body.next("recipient's name")
	if err != nil {
		return nil, info, err
	}
	if info.transport, err = body.algorithm("key encryption"); err != nil {
		return nil, info, err
	}
	if info.encrypted, err = body.want(tagOctetString, "encrypted key"); err != nil {
		return nil, info, err
	}
	for i := range pairs {
		if names(id, pairs[i].Certificate) {
			return &pairs[i], info, body.end("recipient")
		}
	}
	return nil, info, nil
}

// key decrypts the content's key, of the given size. What depends on the private key's outcome is never an error: a wrong
// key is a random one (RFC 3218), so that decryption goes on and fails, or not, at the end.
func (i recipientInfo) key(pair *KeyPair, size int) ([]byte, error) {
	random := make([]byte, size)
	_, _ = rand.Read(random) // never fails
	var options crypto.DecrypterOpts
	switch i.transport.id {
	case oidRSA:
		//lint:ignore SA1019 AS2 servers use this padding; with a session key's length it tells nothing
		options = &rsa.PKCS1v15DecryptOptions{SessionKeyLen: size}
	case oidOAEP:
		oaep, err := parseOAEP(i.transport.params)
		if err != nil {
			return nil, err
		}
		options = oaep
	default:
		return nil, fmt.Errorf("%w: key encryption %.32x", ErrUnsupported, string(i.transport.id))
	}
	if key, err := pair.Key.Decrypt(rand.Reader, i.encrypted, options); err == nil && len(key) == size {
		return key, nil
	}
	return random, nil
}

// issuerAndSerial encodes an IssuerAndSerialNumber.
func issuerAndSerial(c *x509.Certificate) []byte {
	serial, _ := asn1.Marshal(c.SerialNumber) // an integer always encodes
	return der(tagSequence, c.RawIssuer, serial)
}

// names reports whether an identifier, IssuerAndSerialNumber or [0] SubjectKeyIdentifier, is the certificate's.
func names(id element, c *x509.Certificate) bool {
	switch id.tag {
	case tagContext0:
		return bytes.Equal(id.body, keyID(c))
	case contextTag(0):
		joined, err := appendJoined(nil, id.body)
		return err == nil && bytes.Equal(joined[2:], keyID(c))
	case tagSequence:
		return bytes.Equal(id.raw, issuerAndSerial(c)) || sameIssuer(id.body, c)
	}
	return false
}

// keyID is the subject key identifier, the usual one (RFC 5280, section 4.2.1.2) if the certificate names none.
func keyID(c *x509.Certificate) []byte {
	if len(c.SubjectKeyId) > 0 {
		return c.SubjectKeyId
	}
	info := cursor(c.RawSubjectPublicKeyInfo)
	body, err := info.want(tagSequence, "key")
	if err != nil {
		return nil
	}
	if _, err := body.algorithm("key"); err != nil {
		return nil
	}
	bits, err := body.want(0x03, "key")
	if err != nil || len(bits) == 0 {
		return nil
	}
	sum := sha1.Sum(bits[1:])
	return sum[:]
}

// sameIssuer compares serial numbers as bytes but names as text, because some servers encode a name anew with other
// string types.
func sameIssuer(body cursor, c *x509.Certificate) bool {
	issuer, err := body.next("issuer")
	if err != nil {
		return false
	}
	serial, err := asn1.Marshal(c.SerialNumber)
	if err != nil || !bytes.Equal(body, serial) {
		return false
	}
	var theirs, ours pkix.RDNSequence
	if _, err := asn1.Unmarshal(issuer.raw, &theirs); err != nil {
		return false
	}
	if _, err := asn1.Unmarshal(c.RawIssuer, &ours); err != nil {
		return false
	}
	return theirs.String() == ours.String()
}
