package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"fmt"
)

// Cipher is a content-encryption algorithm. The CBC ones are called as in AWS's EncryptionAlgorithm.
type Cipher string

// The ciphers. DESEDE3CBC (triple DES) is for partners that have nothing better. The GCM ones make an
// AuthEnvelopedData, which few AS2 servers read.
const (
	AES128CBC  Cipher = "AES128_CBC"
	AES192CBC  Cipher = "AES192_CBC"
	AES256CBC  Cipher = "AES256_CBC"
	DESEDE3CBC Cipher = "DES_EDE3_CBC"
	AES128GCM  Cipher = "AES128_GCM"
	AES192GCM  Cipher = "AES192_GCM"
	AES256GCM  Cipher = "AES256_GCM"
)

// cipherSpec is what a Cipher stands for.
type cipherSpec struct {
	id   oid
	key  int // bytes
	iv   int // bytes
	gcm  bool
	open func(key []byte) (cipher.Block, error)
}

// spec returns the zero cipherSpec for an unknown cipher.
func (c Cipher) spec() cipherSpec {
	switch c {
	case AES128CBC:
		return cipherSpec{oidAES128CBC, 16, aes.BlockSize, false, aes.NewCipher}
	case AES192CBC:
		return cipherSpec{oidAES192CBC, 24, aes.BlockSize, false, aes.NewCipher}
	case AES256CBC:
		return cipherSpec{oidAES256CBC, 32, aes.BlockSize, false, aes.NewCipher}
	case DESEDE3CBC:
		return cipherSpec{oidDESEDE3CBC, 24, des.BlockSize, false, des.NewTripleDESCipher}
	case AES128GCM:
		return cipherSpec{oidAES128GCM, 16, gcmNonce, true, aes.NewCipher}
	case AES192GCM:
		return cipherSpec{oidAES192GCM, 24, gcmNonce, true, aes.NewCipher}
	case AES256GCM:
		return cipherSpec{oidAES256GCM, 32, gcmNonce, true, aes.NewCipher}
	}
	return cipherSpec{}
}

// cipherOf finds the cipher that an encrypted content names.
func cipherOf(id oid) (cipherSpec, error) {
	for _, c := range []Cipher{AES128CBC, AES192CBC, AES256CBC, DESEDE3CBC, AES128GCM, AES192GCM, AES256GCM} {
		if spec := c.spec(); spec.id == id {
			return spec, nil
		}
	}
	return cipherSpec{}, fmt.Errorf("%w: content encryption %.32x", ErrUnsupported, string(id))
}

// sealed is how long size bytes become.
func (s cipherSpec) sealed(size int64) int64 {
	if s.gcm {
		return size
	}
	block := int64(s.iv)
	return size + block - size%block
}

// algorithm encodes the AlgorithmIdentifier (RFC 3565, RFC 3370, RFC 5084).
func (s cipherSpec) algorithm(iv []byte) []byte {
	if s.gcm {
		return der(tagSequence, derOID(s.id), der(tagSequence, derOctets(iv), der(tagInteger, []byte{gcmTag})))
	}
	return der(tagSequence, derOID(s.id), derOctets(iv))
}

// parameters returns the initialization vector, and for GCM the length of the tag.
func (s cipherSpec) parameters(params cursor) (iv []byte, tag int, err error) {
	if s.gcm {
		return gcmParameters(params)
	}
	body, err := params.want(tagOctetString, "initialization vector")
	if err == nil && (len(body) != s.iv || len(params) != 0) {
		err = malformed("initialization vector of %d bytes", len(body))
	}
	return body, 0, err
}
