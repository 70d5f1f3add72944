package s3x

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/seed62b9dc43/transfer"
)

const (
	maxCopy  = 5 << 30 // of CopyObject (Amazon S3 API Reference)
	copyPart = 1 << 30 // of UploadPartCopy, if that is enough for all of the object

	abortPatience = time.Minute // for the upload of a copy that failed
)

// MovePath copies one object on the server and removes it then: S3 cannot rename. The copy keeps content headers, metadata
// and storage class, and up to 5 GiB tags; above that it is a multipart upload of UploadPartCopy requests,
// Options.PartConcurrency at once. Only the version that was there at first is copied and removed: if another one takes its
// place meanwhile, that is SourceChanged, and stays. If the object cannot be removed at last, both are there, and the error
// says so. A directory cannot be moved (FileNotFound). What is at the new path is refused by HeadObject at first, and by
// If-None-Match where the server knows that (see Options.NoConditionalWrites).
func (s *Storage) MovePath(ctx context.Context, from, to string) error {
	source, err := s.locate("move", from)
	if err != nil {
		return err
	}
	target, err := s.locate("move", to)
	if err == nil {
		err = s.refuseExisting(ctx, "move", target)
	}
	if err != nil {
		return err
	}
	head, err := s.head(ctx, "move", source)
	if err != nil {
		return err
	}
	if err := s.copy(ctx, source, target, head); err != nil {
		return err
	}
	if err := s.removeCopied(ctx, source, head); err != nil {
		return fmt.Errorf("%s was copied to %s, and is still there: %w", from, to, err)
	}
	return nil
}

// removeCopied removes the object unless it is another one by now. The server cannot be asked to look: only some know
// If-Match for DeleteObject.
func (s *Storage) removeCopied(ctx context.Context, at object, copied *s3.HeadObjectOutput) error {
	now, err := s.head(ctx, "move", at)
	if err != nil {
		return err
	}
	if aws.ToString(now.ETag) != aws.ToString(copied.ETag) || aws.ToString(now.VersionId) != aws.ToString(copied.VersionId) {
		return because("move", at.path, transfer.SourceChanged, "another object has taken its place while it was copied", nil)
	}
	return s.remove(ctx, "move", at)
}

// copy publishes a copy at target.
func (s *Storage) copy(ctx context.Context, source, target object, head *s3.HeadObjectOutput) error {
	publish := s.copyWhole
	if aws.ToInt64(head.ContentLength) > s.maxCopy {
		publish = s.copyParts
	}
	err := publish(ctx, source, target, head)
	if err == nil {
		return nil
	}
	return s.settleCopy(ctx, source, target, head, err)
}

// settleCopy decides what it means that the server refused to publish a copy, or did not say whether it did: where a
// request was repeated because its answer was lost, the first one may have done it.
func (s *Storage) settleCopy(ctx context.Context, source, target object, head *s3.HeadObjectOutput, err error) error {
	status := httpStatus(err)
	refused := status == http.StatusPreconditionFailed
	if !refused && status >= http.StatusMultipleChoices && status < http.StatusInternalServerError || ctx.Err() != nil {
		return s.copyFailed(source, status, err)
	}
	now, headErr := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &target.bucket, Key: &target.key}, s.call...)
	switch {
	case headErr == nil && aws.ToString(now.ETag) == aws.ToString(head.ETag) && aws.ToInt64(now.ContentLength) == aws.ToInt64(head.ContentLength):
		return nil
	case headErr == nil && refused:
		return because("move", target.path, transfer.FileExists, "an object has appeared meanwhile", err)
	case refused:
		return because("move", source.path, transfer.SourceChanged, "another object has taken its place", err)
	}
	return s.copyFailed(source, status, err)
}

func (s *Storage) copyFailed(source object, status int, err error) error {
	if status == http.StatusNotImplemented && !s.o.NoConditionalWrites {
		return because("move", source.path, transfer.UnsupportedOperationError, "the server may not know If-None-Match for copies (set s3x.Options.NoConditionalWrites)", err)
	}
	return fail("move", source.path, err)
}

// noOther is the condition under which a copy is published.
func (s *Storage) noOther() *string {
	return s.ifNoneMatch(transfer.CreateOptions{Overwrite: transfer.OverwriteFail})
}

// copyWhole copies with one request.
func (s *Storage) copyWhole(ctx context.Context, source, target object, head *s3.HeadObjectOutput) error {
	_, err := s.client.CopyObject(ctx, &s3.CopyObjectInput{
		Bucket: &target.bucket, Key: &target.key, CopySource: source.copySource(), CopySourceIfMatch: head.ETag,
		IfNoneMatch: s.noOther(), StorageClass: types.StorageClass(head.StorageClass),
	}, s.complete...)
	return err
}

// copySource names an object as the header x-amz-copy-source wants it.
func (o object) copySource() *string {
	bucket := o.bucket
	if strings.HasPrefix(bucket, "arn:") {
		bucket += "/object"
	}
	text := strings.ReplaceAll(url.QueryEscape(bucket+"/"+o.key), "+", "%20")
	return aws.String(strings.ReplaceAll(text, "%2F", "/"))
}

// copyParts copies with many requests.
func (s *Storage) copyParts(ctx context.Context, source, target object, head *s3.HeadObjectOutput) (err error) {
	in := &s3.CreateMultipartUploadInput{
		Bucket: &target.bucket, Key: &target.key, StorageClass: types.StorageClass(head.StorageClass), Metadata: head.Metadata,
		ContentType: head.ContentType, ContentEncoding: head.ContentEncoding, ContentLanguage: head.ContentLanguage,
		ContentDisposition: head.ContentDisposition, CacheControl: head.CacheControl,
	}
	if s.checksum.sums() {
		in.ChecksumAlgorithm, in.ChecksumType = s.checksum.algorithm(), types.ChecksumTypeFullObject
	}
	begun, err := s.client.CreateMultipartUpload(ctx, in, s.call...)
	if err != nil {
		return err
	}
	id := aws.ToString(begun.UploadId)
	defer func() {
		if err != nil {
			cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortPatience)
			defer cancel()
			err = errors.Join(err, s.abort(cleanup, target, id))
		}
	}()
	parts, err := s.uploadCopies(ctx, source, target, head, id)
	if err != nil {
		return err
	}
	done := &s3.CompleteMultipartUploadInput{
		Bucket: &target.bucket, Key: &target.key, UploadId: &id, IfNoneMatch: s.noOther(),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}
	if s.checksum.sums() {
		done.ChecksumType = types.ChecksumTypeFullObject
	}
	_, err = s.client.CompleteMultipartUpload(ctx, done, s.complete...)
	return err
}

// uploadCopies makes the parts of an upload out of an object.
func (s *Storage) uploadCopies(ctx context.Context, source, target object, head *s3.HeadObjectOutput, id string) ([]types.CompletedPart, error) {
	size, most := aws.ToInt64(head.ContentLength), int64(s.o.MaxParts)
	length := max(s.copyPart, (size+most-1)/most)
	parts := make([]types.CompletedPart, (size+length-1)/length)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.o.PartConcurrency)
	for i := range parts {
		off := int64(i) * length
		in := &s3.UploadPartCopyInput{
			Bucket: &target.bucket, Key: &target.key, UploadId: &id, PartNumber: aws.Int32(int32(i + 1)),
			CopySource: source.copySource(), CopySourceIfMatch: head.ETag, CopySourceRange: rangeOf(off, min(length, size-off)),
		}
		group.Go(func() (err error) {
			parts[i], err = s.uploadCopy(ctx, in)
			return err
		})
	}
	return parts, group.Wait()
}

func (s *Storage) uploadCopy(ctx context.Context, in *s3.UploadPartCopyInput) (types.CompletedPart, error) {
	out, err := s.client.UploadPartCopy(ctx, in, s.complete...)
	if err != nil {
		return types.CompletedPart{}, err
	}
	if out.CopyPartResult == nil || out.CopyPartResult.ETag == nil {
		return types.CompletedPart{}, errors.New("the server gives no ETag for a part")
	}
	r := out.CopyPartResult
	return types.CompletedPart{
		PartNumber: in.PartNumber, ETag: r.ETag, ChecksumCRC64NVME: r.ChecksumCRC64NVME, ChecksumCRC32: r.ChecksumCRC32,
	}, nil
}
