package cms

import (
	"crypto"
	"crypto/rsa"
	"fmt"
)

// oaepParameters encodes RSAES-OAEP-params (RFC 4055, section 4.1) with one digest for label and mask.
func oaepParameters(digest []byte) []byte {
	return der(tagSequence, der(contextTag(0), digest), der(contextTag(1), der(tagSequence, derOID(oidMGF1), digest)))
}

// pssParameters encodes RSASSA-PSS-params (RFC 4055, section 3.1), with a salt as long as the digest.
func pssParameters(hash crypto.Hash, digest []byte) []byte {
	return der(tagSequence, der(contextTag(0), digest), der(contextTag(1), der(tagSequence, derOID(oidMGF1), digest)),
		der(contextTag(2), der(tagInteger, []byte{byte(hash.Size())})))
}

func parseOAEP(params cursor) (*rsa.OAEPOptions, error) {
	body, hash, mask, err := hashAndMask(params, "OAEP parameters")
	if err != nil {
		return nil, err
	}
	label, found, err := body.maybe(contextTag(2), "OAEP label")
	if err != nil {
		return nil, err
	}
	if found {
		source, err := label.algorithm("OAEP label")
		if err != nil {
			return nil, err
		}
		value, err := source.params.want(tagOctetString, "OAEP label")
		if err != nil {
			return nil, err
		}
		if source.id != oidPSpecified || len(value) > 0 {
			return nil, fmt.Errorf("%w: OAEP with a label", ErrUnsupported)
		}
	}
	return &rsa.OAEPOptions{Hash: hash, MGFHash: mask}, body.end("OAEP parameters")
}

// parsePSS returns the hash and the salt's length.
func parsePSS(params cursor) (crypto.Hash, int, error) {
	body, hash, mask, err := hashAndMask(params, "PSS parameters")
	if err != nil {
		return 0, 0, err
	}
	if hash != mask {
		return 0, 0, fmt.Errorf("%w: PSS with %v and a mask of %v", ErrUnsupported, hash, mask)
	}
	salt := 20
	field, found, err := body.maybe(contextTag(2), "PSS salt")
	if err != nil {
		return 0, 0, err
	}
	if found {
		length, err := field.want(tagInteger, "PSS salt")
		if err != nil {
			return 0, 0, err
		}
		if len(length) == 0 || len(length) > 2 || length[0] > 0x7f {
			return 0, 0, malformed("length of a PSS salt")
		}
		salt = 0
		for _, b := range length { // openssl's default is as long as the key permits
			salt = salt<<8 | int(b)
		}
	}
	if _, _, err := body.maybe(contextTag(3), "PSS trailer"); err != nil {
		return 0, 0, err
	}
	return hash, salt, body.end("PSS parameters")
}

// hashAndMask reads the fields that OAEP and PSS have in common: [0] the hash, [1] the mask's, each SHA-1 by default.
func hashAndMask(params cursor, what string) (rest cursor, hash, mask crypto.Hash, err error) {
	hash, mask = crypto.SHA1, crypto.SHA1
	if len(params) == 0 {
		return nil, hash, mask, nil
	}
	body, err := params.want(tagSequence, what)
	if err != nil {
		return nil, 0, 0, err
	}
	if field, found, err := body.maybe(contextTag(0), what); err != nil {
		return nil, 0, 0, err
	} else if found {
		if hash, err = field.hash(what); err != nil {
			return nil, 0, 0, err
		}
	}
	field, found, err := body.maybe(contextTag(1), what)
	if err != nil || !found {
		return body, hash, mask, err
	}
	generator, err := field.algorithm(what)
	if err != nil {
		return nil, 0, 0, err
	}
	if generator.id != oidMGF1 {
		return nil, 0, 0, fmt.Errorf("%w: mask generation %.32x", ErrUnsupported, string(generator.id))
	}
	mask, err = generator.params.hash(what)
	return body, hash, mask, err
}
