package s3x

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/crc64nvme"
)

// Checksum is the algorithm of the checksums that go with each part of an upload, and with the whole object at Commit.
// The server compares them with what it has got and keeps that of the object (Amazon S3 User Guide, "Checking object
// integrity"). A difference that sending the bytes again does not cure is IntegrityError. A file of one window goes
// with its SHA-256, which is known anyway, whatever the algorithm.
type Checksum string

// Checksums of what is delivered.
const (
	ChecksumAuto      Checksum = "AUTO"      // CRC64NVME on AWS, none on other servers (see Compat)
	ChecksumCRC64NVME Checksum = "CRC64NVME" // what AWS recommends
	ChecksumCRC32     Checksum = "CRC32"     // known to more servers; both cost next to nothing where the processor helps
	ChecksumNone      Checksum = "NONE"
)

func (c Checksum) valid() bool {
	return c == ChecksumAuto || c == ChecksumNone || c.sums()
}

// sums reports whether c is an algorithm.
func (c Checksum) sums() bool { return c == ChecksumCRC64NVME || c == ChecksumCRC32 }

// on returns what c means on a server that is Amazon's or not.
func (c Checksum) on(amazon bool) Checksum {
	switch {
	case c != ChecksumAuto:
		return c
	case amazon:
		return ChecksumCRC64NVME
	}
	return ChecksumNone
}

const nvmePolynomial = 0x9a6c_9329_ac4b_c9b5 // lowest power in the highest bit

// sum returns the checksum of p as S3 writes it, or nil without an algorithm.
func (c Checksum) sum(p []byte) *string {
	switch c {
	case ChecksumCRC64NVME:
		return c.encode(crc64nvme.Checksum(p))
	case ChecksumCRC32:
		return c.encode(uint64(crc32.ChecksumIEEE(p)) << 32)
	}
	return nil
}

func (c Checksum) encode(sum uint64) *string {
	b := binary.BigEndian.AppendUint64(nil, sum)
	if c == ChecksumCRC32 {
		b = b[:crc32.Size]
	}
	return aws.String(base64.StdEncoding.EncodeToString(b))
}

func (c Checksum) decode(s *string) (uint64, error) {
	b, err := base64.StdEncoding.DecodeString(aws.ToString(s))
	switch {
	case err != nil:
	case c == ChecksumCRC64NVME && len(b) == crc64nvme.Size:
		return binary.BigEndian.Uint64(b), nil
	case c == ChecksumCRC32 && len(b) == crc32.Size:
		return uint64(binary.BigEndian.Uint32(b)) << 32, nil
	}
	return 0, fmt.Errorf("%q is no %s", aws.ToString(s), c)
}

// combine returns the checksum of two pieces, one after the other, from those of each and the length of the second.
func (c Checksum) combine(first, second uint64, length int64) uint64 {
	f := field{modulo: crc32.IEEE << 32, last: 1 << 32}
	if c == ChecksumCRC64NVME {
		f = field{modulo: nvmePolynomial, last: 1}
	}
	// The first one is moved up by the bits of the second: times x to the power of 8·length.
	for factor := uint64(1) << (63 - 8); length > 0; length >>= 1 {
		if length&1 != 0 {
			first = f.times(first, factor)
		}
		factor = f.times(factor, factor)
	}
	return first ^ second
}

// field is that of the polynomials over bits below modulo. The lowest power is the highest bit, last the highest power.
type field struct{ modulo, last uint64 }

func (f field) times(a, b uint64) (product uint64) {
	for ; a != 0; a <<= 1 {
		if a>>63 != 0 {
			product ^= b
		}
		over := b&f.last != 0
		b >>= 1
		if over {
			b = b&^(f.last>>1) ^ f.modulo
		}
	}
	return product
}

func (c Checksum) algorithm() types.ChecksumAlgorithm { return types.ChecksumAlgorithm(c) }

// ofPart takes the checksum from the server's list of parts.
func (c Checksum) ofPart(p types.Part) *string {
	switch c {
	case ChecksumCRC64NVME:
		return p.ChecksumCRC64NVME
	case ChecksumCRC32:
		return p.ChecksumCRC32
	}
	return nil
}

// ofObject takes the checksum from the server's answer.
func (c Checksum) ofObject(out *s3.CompleteMultipartUploadOutput) *string {
	switch c {
	case ChecksumCRC64NVME:
		return out.ChecksumCRC64NVME
	case ChecksumCRC32:
		return out.ChecksumCRC32
	}
	return nil
}

// split puts a checksum where it belongs: all of S3's requests have a field for each algorithm.
func (c Checksum) split(sum *string) (crc64NVME, crc32 *string) {
	switch c {
	case ChecksumCRC64NVME:
		return sum, nil
	case ChecksumCRC32:
		return nil, sum
	}
	return nil, nil
}
