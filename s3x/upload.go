package s3x

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/http"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/seed62b9dc43/transfer"
)

// abortAttempts is how often Abort makes sure that parts which were on their way have not survived it (Amazon S3 API
// Reference, AbortMultipartUpload).
const abortAttempts = 3

// uploadSink receives a file as the parts of a multipart upload. Window i is part i+1.
type uploadSink struct {
	storage *Storage
	at      object
	o       transfer.CreateOptions
	upload  upload

	mu    sync.Mutex // guards the fields below
	parts []part     // by window
	whole int        // parts acknowledged below the first gap
	ended bool       // by Commit or Abort
}

// upload names a multipart upload.
type upload struct {
	ID        string `json:"id"`
	Delivery  string `json:"delivery"`
	Checksums bool   `json:"checksums,omitempty"` // it was begun with CRC32
}

// part is what the server has acknowledged of a window.
type part struct {
	etag *string // nil if it has not come yet
	crc  *string
}

// begin starts a new multipart upload.
func (s *Storage) begin(ctx context.Context, at object, o transfer.CreateOptions) (transfer.Sink, error) {
	u := upload{Delivery: newDelivery(), Checksums: s.checksums}
	in := &s3.CreateMultipartUploadInput{
		Bucket:   &at.bucket,
		Key:      &at.key,
		Metadata: map[string]string{metaDelivery: u.Delivery},
	}
	if u.Checksums {
		in.ChecksumAlgorithm, in.ChecksumType = types.ChecksumAlgorithmCrc32, types.ChecksumTypeFullObject
	}
	out, err := s.client.CreateMultipartUpload(ctx, in, s.call...)
	if err != nil {
		return nil, fail("create", at.path, err)
	}
	u.ID = aws.ToString(out.UploadId)
	return s.sink(at, o, u), nil
}

func (s *Storage) sink(at object, o transfer.CreateOptions, u upload) *uploadSink {
	return &uploadSink{storage: s, at: at, o: o, upload: u, parts: make([]part, windows(o))}
}

func (k *uploadSink) Concurrency() int { return k.storage.o.PartConcurrency }

// length is the number of bytes of window i.
func (k *uploadSink) length(i int) int64 {
	return min(k.o.WindowSize, k.o.Size-int64(i)*k.o.WindowSize)
}

func (k *uploadSink) WriteWindow(ctx context.Context, p []byte, off int64) error {
	i := int(off / k.o.WindowSize)
	if off < 0 || off >= k.o.Size || off%k.o.WindowSize != 0 || int64(len(p)) != k.length(i) {
		return because("write", k.at.path, transfer.SizeMismatch, fmt.Sprintf("a window of %d bytes at %d, but the file has %d in windows of %d", len(p), off, k.o.Size, k.o.WindowSize), nil)
	}
	in := &s3.UploadPartInput{
		Bucket:        &k.at.bucket,
		Key:           &k.at.key,
		UploadId:      &k.upload.ID,
		PartNumber:    aws.Int32(int32(i + 1)),
		Body:          bytes.NewReader(p),
		ContentLength: aws.Int64(int64(len(p))),
	}
	if k.upload.Checksums {
		in.ChecksumCRC32 = aws.String(crcOf(p))
	}
	out, err := k.storage.client.UploadPart(ctx, in, k.storage.part...)
	if err != nil {
		return fail("write", k.at.path, err)
	}
	if out.ETag == nil {
		return because("write", k.at.path, transfer.WriteFileError, "the server gives no ETag for a part (a proxy may drop it)", nil)
	}
	k.acknowledge(i, part{etag: out.ETag, crc: in.ChecksumCRC32})
	return nil
}

func (k *uploadSink) acknowledge(i int, p part) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.parts[i] = p
	for k.whole < len(k.parts) && k.parts[k.whole].etag != nil {
		k.whole++
	}
}

// Commit completes the upload. The server makes the sum of the parts' CRC32 on AWS; sum is not sent.
func (k *uploadSink) Commit(ctx context.Context, _ [sha256.Size]byte) error {
	parts, err := k.completed()
	if err != nil {
		return err
	}
	s := k.storage
	if err := s.beforeCommit(ctx, k.at, k.o); err != nil {
		return err
	}
	in := &s3.CompleteMultipartUploadInput{
		Bucket:          &k.at.bucket,
		Key:             &k.at.key,
		UploadId:        &k.upload.ID,
		IfNoneMatch:     s.ifNoneMatch(k.o),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}
	if k.upload.Checksums {
		in.ChecksumType, in.MpuObjectSize = types.ChecksumTypeFullObject, aws.Int64(k.o.Size)
	}
	if _, err := s.client.CompleteMultipartUpload(ctx, in, s.call...); err != nil {
		if err := s.settle(ctx, k.at, in.IfNoneMatch != nil, k.upload.Delivery, err); err != nil {
			return err
		}
	}
	k.end()
	return nil
}

// completed lists all parts, or says how many bytes are missing.
func (k *uploadSink) completed() ([]types.CompletedPart, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return nil, because("commit", k.at.path, transfer.InternalError, "the upload was committed or aborted", nil)
	}
	parts := make([]types.CompletedPart, len(k.parts))
	missing := int64(0)
	for i, p := range k.parts {
		if p.etag == nil {
			missing += k.length(i)
		}
		parts[i] = types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: p.etag, ChecksumCRC32: p.crc}
	}
	if missing > 0 {
		return nil, because("commit", k.at.path, transfer.SizeMismatch, fmt.Sprintf("%d of %d bytes have not come", missing, k.o.Size), nil)
	}
	return parts, nil
}

func (k *uploadSink) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
}

func (k *uploadSink) Abort(ctx context.Context) error {
	k.mu.Lock()
	ended := k.ended
	k.mu.Unlock()
	if ended {
		return nil
	}
	if err := k.storage.abort(ctx, k.at, k.upload.ID); err != nil {
		return fail("abort", k.at.path, err)
	}
	k.end()
	return nil
}

func (k *uploadSink) Close() error { return nil }

// abort ends an upload and frees its parts, those too that reached the server while it was aborted.
func (s *Storage) abort(ctx context.Context, at object, id string) error {
	for range abortAttempts {
		_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &at.bucket, Key: &at.key, UploadId: &id}, s.call...)
		if httpStatus(err) == http.StatusNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = s.client.ListParts(ctx, &s3.ListPartsInput{Bucket: &at.bucket, Key: &at.key, UploadId: &id, MaxParts: aws.Int32(1)}, s.call...)
		if err != nil {
			return nil // NoSuchUpload; or who may not ask must trust the server
		}
	}
	return because("abort", at.path, transfer.DeleteError, "parts of the upload are still there", nil)
}

// crcOf is the CRC32 of p as S3 writes it.
func crcOf(p []byte) string {
	var sum [crc32.Size]byte
	binary.BigEndian.PutUint32(sum[:], crc32.ChecksumIEEE(p))
	return base64.StdEncoding.EncodeToString(sum[:])
}
