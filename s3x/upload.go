package s3x

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
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

// integrityRetries is how often bytes are sent again that were damaged on their way.
const integrityRetries = 2

// uploadSink receives a file as the parts of a multipart upload. Window i is part i+1.
type uploadSink struct {
	storage *Storage
	at      object
	o       transfer.CreateOptions
	upload  upload

	mu    sync.Mutex // guards the fields below
	parts []part     // by window; with UnknownSize those that have come, or are about to
	top   int64      // with UnknownSize: where the last window ends of those
	short bool       // that one is shorter than the others, and so the last
	whole int        // parts acknowledged below the first gap
	ended bool       // by Commit or Abort
}

// upload names a multipart upload.
type upload struct {
	ID       string   `json:"id"`
	Delivery string   `json:"delivery"`
	Checksum Checksum `json:"checksum"` // that it was begun with
}

// part is what the server has acknowledged of a window.
type part struct {
	etag *string // nil if it has not come yet
	sum  *string
}

// begin starts a new multipart upload.
func (s *Storage) begin(ctx context.Context, at object, o transfer.CreateOptions) (transfer.Sink, error) {
	u := upload{Delivery: newDelivery(), Checksum: s.checksum}
	in := &s3.CreateMultipartUploadInput{
		Bucket:   &at.bucket,
		Key:      &at.key,
		Metadata: map[string]string{metaDelivery: u.Delivery},
	}
	if u.Checksum.sums() {
		in.ChecksumAlgorithm, in.ChecksumType = u.Checksum.algorithm(), types.ChecksumTypeFullObject
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

// length is the number of bytes of window i. With UnknownSize it is called with mu locked.
func (k *uploadSink) length(i int) int64 {
	return min(k.o.WindowSize, k.size()-int64(i)*k.o.WindowSize)
}

// size is that of the file. With UnknownSize it is called with mu locked, once all windows have come.
func (k *uploadSink) size() int64 {
	if k.o.Size == transfer.UnknownSize {
		return k.top
	}
	return k.o.Size
}

// check fails unless p at off is a window.
func (k *uploadSink) check(p []byte, off int64) error {
	if k.o.Size == transfer.UnknownSize {
		return k.openPart(p, off)
	}
	if off < 0 || off >= k.o.Size || off%k.o.WindowSize != 0 || int64(len(p)) != k.length(int(off/k.o.WindowSize)) {
		return because("write", k.at.path, transfer.SizeMismatch, fmt.Sprintf("a window of %d bytes at %d, but the file has %d in windows of %d", len(p), off, k.o.Size, k.o.WindowSize), nil)
	}
	return nil
}

func (k *uploadSink) WriteWindow(ctx context.Context, p []byte, off int64) error {
	if err := k.check(p, off); err != nil {
		return err
	}
	i := int(off / k.o.WindowSize)
	in := &s3.UploadPartInput{
		Bucket:        &k.at.bucket,
		Key:           &k.at.key,
		UploadId:      &k.upload.ID,
		PartNumber:    aws.Int32(int32(i + 1)),
		ContentLength: aws.Int64(int64(len(p))),
	}
	sum := k.upload.Checksum.sum(p)
	in.ChecksumCRC64NVME, in.ChecksumCRC32 = k.upload.Checksum.split(sum)
	var out *s3.UploadPartOutput
	err := resent(func() (err error) {
		in.Body = bytes.NewReader(p)
		out, err = k.storage.client.UploadPart(ctx, in, k.storage.part...)
		return err
	})
	if err != nil {
		return fail("write", k.at.path, err)
	}
	if out.ETag == nil {
		return because("write", k.at.path, transfer.WriteFileError, "the server gives no ETag for a part (a proxy may drop it)", nil)
	}
	k.acknowledge(i, part{etag: out.ETag, sum: sum})
	return nil
}

// resent calls send again while the server says that what it got is not what was sent: the SDK does not.
func resent(send func() error) error {
	err := send()
	for range integrityRetries {
		if classify(err) != transfer.IntegrityError {
			break
		}
		err = send()
	}
	return err
}

func (k *uploadSink) acknowledge(i int, p part) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.parts[i] = p
	for k.whole < len(k.parts) && k.parts[k.whole].etag != nil {
		k.whole++
	}
}

// Commit completes the upload. S3 knows no SHA-256 of an object that was sent in parts, so sum is not sent.
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
	whole, size := k.objectSum()
	if k.upload.Checksum.sums() {
		in.ChecksumType, in.MpuObjectSize = types.ChecksumTypeFullObject, aws.Int64(size)
		in.ChecksumCRC64NVME, in.ChecksumCRC32 = k.upload.Checksum.split(whole)
	}
	out, err := s.client.CompleteMultipartUpload(ctx, in, s.complete...)
	if err != nil {
		if err := s.settle(ctx, k.at, in.IfNoneMatch != nil, k.upload.Delivery, err); err != nil {
			return err
		}
	} else if got := k.upload.Checksum.ofObject(out); got != nil && whole != nil && *got != *whole {
		return because("commit", k.at.path, transfer.IntegrityError, fmt.Sprintf("the object's %s is %s, not %s", k.upload.Checksum, *got, *whole), nil)
	}
	k.end()
	return nil
}

// objectSum is the checksum of the whole object, from those of its parts, or nil if one of them is not known, and its
// size.
func (k *uploadSink) objectSum() (sum *string, size int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, whole := k.upload.Checksum, uint64(0)
	for i, p := range k.parts {
		sum, err := c.decode(p.sum)
		if err != nil {
			return nil, k.size()
		}
		whole = c.combine(whole, sum, k.length(i))
	}
	return c.encode(whole), k.size()
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
		parts[i] = types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: p.etag}
		parts[i].ChecksumCRC64NVME, parts[i].ChecksumCRC32 = k.upload.Checksum.split(p.sum)
	}
	if missing > 0 {
		return nil, because("commit", k.at.path, transfer.SizeMismatch, fmt.Sprintf("%d of %d bytes have not come", missing, k.size()), nil)
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
