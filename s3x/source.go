package s3x

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed62b9dc43/transfer"
)

const (
	bodyRetries = 3                      // how often a window is asked for again after its body broke off
	bodyPause   = 100 * time.Millisecond // before the first of them; it doubles
)

// source is one pinned version of an object.
type source struct {
	storage *Storage
	at      object
	info    transfer.FileInfo
	etag    *string // as the server wrote it, with quotes
	version *string
	// versionDenied is set once the server has refused to read by version id: that needs a permission of its own, and
	// some servers give ids but cannot read by them.
	versionDenied atomic.Bool
}

// Open pins the object at path as it is now. A missing bucket is PathNotFound; a path without a key, or whose key ends
// in a slash, IsDirectory.
func (s *Storage) Open(ctx context.Context, path string) (transfer.Source, error) {
	at, err := s.locate("open", path)
	if err != nil {
		return nil, err
	}
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &at.bucket, Key: &at.key}, s.call...)
	if err != nil {
		return nil, fail("open", path, s.explain(ctx, at, err))
	}
	if head.ContentLength == nil {
		return nil, because("open", path, transfer.ReadFileError, "the server does not say the size", nil)
	}
	f := &source{storage: s, at: at, etag: head.ETag, info: transfer.FileInfo{
		Size:    *head.ContentLength,
		ModTime: aws.ToTime(head.LastModified),
		ETag:    strings.Trim(aws.ToString(head.ETag), `"`),

		ContentType: aws.ToString(head.ContentType),
	}}
	if v := aws.ToString(head.VersionId); v != "" && v != "null" {
		f.version = head.VersionId
	}
	return f, nil
}

// explain returns why a HEAD request failed. Its answer has no body that would say so, that of GetObject has.
func (s *Storage) explain(ctx context.Context, at object, err error) error {
	if status := httpStatus(err); status < http.StatusBadRequest || status >= http.StatusInternalServerError {
		return err
	}
	out, reason := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &at.bucket, Key: &at.key, Range: aws.String("bytes=0-0")}, s.call...)
	if reason == nil {
		_ = out.Body.Close()
		return err
	}
	if httpStatus(reason) == 0 || apiCode(reason) == "InvalidRange" {
		return err
	}
	return reason
}

func (f *source) Info() transfer.FileInfo { return f.info }
func (f *source) Concurrency() int        { return f.storage.o.PartConcurrency }
func (f *source) Close() error            { return nil }

func (f *source) ReadWindow(ctx context.Context, p []byte, off int64) error {
	if off < 0 || off+int64(len(p)) > f.info.Size {
		return because("read", f.at.path, transfer.SizeMismatch, fmt.Sprintf("%d bytes at %d are beyond the end, %d", len(p), off, f.info.Size), nil)
	}
	if len(p) == 0 {
		return nil
	}
	done := 0
	for try := 0; ; try++ {
		body, err := f.get(ctx, off+int64(done), len(p)-done)
		if err != nil {
			return fail("read", f.at.path, err)
		}
		n, err := fill(body, p[done:])
		if err == nil {
			return nil
		}
		if done += n; done == len(p) {
			done = 0 // all bytes came, but not what they should be
		}
		if try == bodyRetries || !pause(ctx, bodyPause<<try) {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return fail("read", f.at.path, fmt.Errorf("body of %d bytes at %d: %w", len(p), off, err))
		}
	}
}

// get asks for n bytes at off of the pinned version.
func (f *source) get(ctx context.Context, off int64, n int) (io.ReadCloser, error) {
	in := &s3.GetObjectInput{
		Bucket:  &f.at.bucket,
		Key:     &f.at.key,
		Range:   aws.String(fmt.Sprintf("bytes=%d-%d", off, off+int64(n)-1)),
		IfMatch: f.etag,
	}
	if !f.versionDenied.Load() {
		in.VersionId = f.version
	}
	out, err := f.storage.client.GetObject(ctx, in, f.storage.call...)
	if code := classify(err); in.VersionId != nil && (code == transfer.PermissionDenied || code == transfer.UnsupportedOperationError) {
		f.versionDenied.Store(true)
		in.VersionId = nil
		out, err = f.storage.client.GetObject(ctx, in, f.storage.call...)
	}
	if err != nil {
		return nil, f.changed(err)
	}
	if err := f.check(out, off, n); err != nil {
		_ = out.Body.Close()
		return nil, err
	}
	return out.Body, nil
}

// changed turns the answers that mean that the pinned version is no longer there into SourceChanged.
func (f *source) changed(err error) error {
	code, status := apiCode(err), httpStatus(err)
	gone := code == "NoSuchKey" || code == "NoSuchVersion"
	if gone || status == http.StatusPreconditionFailed || status == http.StatusRequestedRangeNotSatisfiable {
		return because("read", f.at.path, transfer.SourceChanged, "the object was replaced or deleted", err)
	}
	return err
}

// check fails unless the answer is n bytes at off of the pinned version: servers exist that ignore If-Match or Range.
func (f *source) check(out *s3.GetObjectOutput, off int64, n int) error {
	if out.ETag != nil && f.etag != nil && *out.ETag != *f.etag {
		return because("read", f.at.path, transfer.SourceChanged, fmt.Sprintf("the object was replaced: its ETag is %s, was %s", *out.ETag, *f.etag), nil)
	}
	first, total := int64(0), int64(-1)
	switch {
	case out.ContentRange != nil:
		var ok bool
		if first, total, ok = parseContentRange(*out.ContentRange); !ok {
			return because("read", f.at.path, transfer.ReadFileError, fmt.Sprintf("the server answers with Content-Range %q", *out.ContentRange), nil)
		}
	case out.ContentLength != nil:
		total = *out.ContentLength // the server ignores Range
	}
	if total >= 0 && total != f.info.Size {
		return because("read", f.at.path, transfer.SourceChanged, fmt.Sprintf("the object was replaced: its size is %d, was %d", total, f.info.Size), nil)
	}
	if first != off || out.ContentRange == nil && int64(n) != f.info.Size {
		return because("read", f.at.path, transfer.UnsupportedOperationError, "the server answers with another range than was asked for", nil)
	}
	if out.ContentLength != nil && *out.ContentLength != int64(n) {
		return because("read", f.at.path, transfer.SizeMismatch, fmt.Sprintf("the server answers with %d of %d bytes at %d", *out.ContentLength, n, off), nil)
	}
	return nil
}

// parseContentRange reads "bytes 0-9/100" (RFC 9110, section 14.4). total is -1 where the server says "*".
func parseContentRange(s string) (first, total int64, ok bool) {
	s, ok = strings.CutPrefix(s, "bytes ")
	span, size, cut := strings.Cut(s, "/")
	from, _, dash := strings.Cut(span, "-")
	if !ok || !cut || !dash {
		return 0, 0, false
	}
	first, err := strconv.ParseInt(from, 10, 64)
	if size == "*" {
		return first, -1, err == nil && first >= 0
	}
	total, sizeErr := strconv.ParseInt(size, 10, 64)
	return first, total, err == nil && sizeErr == nil && first >= 0 && total >= 0
}

// fill reads p from body, which must then be at its end, and closes it. At the end the SDK compares a checksum, if the
// server sent one, and the connection is ready for the next request.
func fill(body io.ReadCloser, p []byte) (n int, err error) {
	defer body.Close()
	if n, err = io.ReadFull(body, p); err != nil {
		return n, err
	}
	var more [1]byte
	switch _, err = io.ReadFull(body, more[:]); {
	case err == nil:
		return n, errors.New("the server sends more bytes than it was asked for")
	case errors.Is(err, io.EOF):
		return n, nil
	}
	return n, err
}

// pause waits for d, more or less, and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
