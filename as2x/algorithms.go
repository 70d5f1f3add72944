package as2x

import (
	"crypto"
	"strings"

	"github.com/seed62b9dc43/transfer/as2x/internal/cms"
)

// Compression says whether files are compressed before they are signed.
type Compression string

// Values of Compression (AWS: Compression). The empty one is CompressionDisabled.
const (
	CompressionZLIB     Compression = "ZLIB"
	CompressionDisabled Compression = "DISABLED"
)

// EncryptionAlgorithm says how messages are encrypted.
type EncryptionAlgorithm string

// Values of EncryptionAlgorithm (AWS: EncryptionAlgorithm). The empty one is AES256CBC. DESEDE3CBC is for partners that
// have nothing better; EncryptionNone needs an https URL.
const (
	AES128CBC      EncryptionAlgorithm = "AES128_CBC"
	AES192CBC      EncryptionAlgorithm = "AES192_CBC"
	AES256CBC      EncryptionAlgorithm = "AES256_CBC"
	DESEDE3CBC     EncryptionAlgorithm = "DES_EDE3_CBC"
	EncryptionNone EncryptionAlgorithm = "NONE"
)

func (e EncryptionAlgorithm) valid() bool {
	switch e {
	case AES128CBC, AES192CBC, AES256CBC, DESEDE3CBC, EncryptionNone:
		return true
	}
	return false
}

func (e EncryptionAlgorithm) cipher() cms.Cipher { return cms.Cipher(e) } // the names are the same

// SigningAlgorithm is the hash of a signature.
type SigningAlgorithm string

// Values of SigningAlgorithm and of MDNSigningAlgorithm (AWS: SigningAlgorithm, MdnSigningAlgorithm). The empty
// SigningAlgorithm is SHA256. SHA1 is for partners that have nothing better.
const (
	SHA256      SigningAlgorithm = "SHA256"
	SHA384      SigningAlgorithm = "SHA384"
	SHA512      SigningAlgorithm = "SHA512"
	SHA1        SigningAlgorithm = "SHA1"
	SigningNone SigningAlgorithm = "NONE"
	// SigningDefault is for MDNSigningAlgorithm only, as is the empty value: as the message is signed.
	SigningDefault SigningAlgorithm = "DEFAULT"
)

func (s SigningAlgorithm) valid() bool { return s == SigningNone || s.hash() != 0 }

// hash returns 0 for what is none.
func (s SigningAlgorithm) hash() crypto.Hash {
	switch s {
	case SHA1:
		return crypto.SHA1
	case SHA256:
		return crypto.SHA256
	case SHA384:
		return crypto.SHA384
	case SHA512:
		return crypto.SHA512
	}
	return 0
}

// MDNResponse says how the partner confirms.
type MDNResponse string

// Values of MDNResponse (AWS: MdnResponse). The empty one is MDNSync. With MDNNone a file is COMPLETED as soon as the
// partner's server has taken it.
const (
	MDNSync  MDNResponse = "SYNC"
	MDNAsync MDNResponse = "ASYNC"
	MDNNone  MDNResponse = "NONE"
)

// micNames are the names of digests in micalg, signed-receipt-micalg and Received-content-MIC. SHA-1 has its old name,
// which old servers want; the others are as in RFC 5751.
var micNames = map[crypto.Hash]string{
	crypto.SHA1: "sha1", crypto.SHA256: "sha-256", crypto.SHA384: "sha-384", crypto.SHA512: "sha-512",
}

// micHash finds a digest by any of its spellings: "sha-256", "sha256", "SHA256"; 0 if it is none of ours.
func micHash(name string) crypto.Hash {
	switch strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), "-", "") {
	case "sha1":
		return crypto.SHA1
	case "sha256":
		return crypto.SHA256
	case "sha384":
		return crypto.SHA384
	case "sha512":
		return crypto.SHA512
	}
	return 0
}
