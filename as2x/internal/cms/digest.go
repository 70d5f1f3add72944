package cms

import (
	"crypto"
	_ "crypto/sha1"   // the hashes that a signature may name
	_ "crypto/sha256" //
	_ "crypto/sha512" //
	"fmt"
)

// digestOID returns the empty oid for a hash that is none of CMS's.
func digestOID(h crypto.Hash) oid {
	switch h {
	case crypto.SHA1:
		return oidSHA1
	case crypto.SHA224:
		return oidSHA224
	case crypto.SHA256:
		return oidSHA256
	case crypto.SHA384:
		return oidSHA384
	case crypto.SHA512:
		return oidSHA512
	}
	return ""
}

// hashOf finds the hash of an identifier.
func hashOf(id oid) (crypto.Hash, error) {
	for _, h := range []crypto.Hash{crypto.SHA1, crypto.SHA224, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		if digestOID(h) == id {
			return h, nil
		}
	}
	return 0, fmt.Errorf("%w: digest %.32x", ErrUnsupported, string(id))
}

// digestAlgorithm encodes the AlgorithmIdentifier of a hash, with the NULL that most servers write too.
func digestAlgorithm(h crypto.Hash) ([]byte, error) {
	id := digestOID(h)
	if id == "" {
		return nil, fmt.Errorf("cms: hash %v: use SHA-1 or SHA-2", h)
	}
	return der(tagSequence, derOID(id), derNull()), nil
}

// hash takes an AlgorithmIdentifier of a hash off.
func (c *cursor) hash(what string) (crypto.Hash, error) {
	a, err := c.algorithm(what)
	if err != nil {
		return 0, err
	}
	if err := a.noParams(what); err != nil {
		return 0, err
	}
	return hashOf(a.id)
}
