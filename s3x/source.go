package s3x

import (
	"context"
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
	firstLength = 8 << 20                // bytes that Open asks for
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
	streams       streams
}

// Open pins the object at path as it is now. A missing bucket is PathNotFound; a path without a key, or whose key ends
// in a slash, IsDirectory. The answer brings the first 8 MiB along, so that a small object takes one request.
func (s *Storage) Open(ctx context.Context, path string) (transfer.Source, error) {
	at, err := s.locate("open", path)
	if err != nil {
		return nil, err
	}
	var out *s3.GetObjectOutput
	first := &stream{}
	err = first.begin(ctx, func(ctx context.Context) (_ io.ReadCloser, err error) {
		in := &s3.GetObjectInput{Bucket: &at.bucket, Key: &at.key, Range: rangeOf(0, firstLength)}
		if out, err = s.client.GetObject(ctx, in, s.call...); err != nil {
			return nil, err
		}
		return out.Body, nil
	})
	if httpStatus(err) == http.StatusRequestedRangeNotSatisfiable {
		return s.openByHead(ctx, at) // it is empty
	}
	if err != nil {
		return nil, fail("open", path, err)
	}
	size, ok := wholeSize(out)
	if !ok {
		first.close()
		return s.openByHead(ctx, at)
	}
	first.end = min(size, aws.ToInt64(out.ContentLength))
	f := s.source(at, size, out.LastModified, out.ETag, out.VersionId, out.ContentType)
	f.streams.add(first)
	return f, nil
}

// openByHead asks for size and ETag only.
func (s *Storage) openByHead(ctx context.Context, at object) (transfer.Source, error) {
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &at.bucket, Key: &at.key}, s.call...)
	if err != nil {
		return nil, fail("open", at.path, s.explain(ctx, at, err))
	}
	if head.ContentLength == nil {
		return nil, because("open", at.path, transfer.ReadFileError, "the server does not say the size", nil)
	}
	return s.source(at, *head.ContentLength, head.LastModified, head.ETag, head.VersionId, head.ContentType), nil
}

func (s *Storage) source(at object, size int64, modified *time.Time, etag, version, contentType *string) *source {
	f := &source{storage: s, at: at, etag: etag, info: transfer.FileInfo{
		Size:    size,
		ModTime: aws.ToTime(modified),
		ETag:    strings.Trim(aws.ToString(etag), `"`),

		ContentType: aws.ToString(contentType),
	}}
	if v := aws.ToString(version); v != "" && v != "null" {
		f.version = version
	}
	return f
}

// wholeSize returns the size of the object of which out is the beginning. ok is false where out does not say it, or is
// something else.
func wholeSize(out *s3.GetObjectOutput) (size int64, ok bool) {
	switch {
	case out.ContentLength == nil:
		return 0, false
	case out.ContentRange == nil: // the server ignores Range
		return *out.ContentLength, true
	}
	first, total, ok := parseContentRange(*out.ContentRange)
	return total, ok && first == 0 && *out.ContentLength == min(total, firstLength)
}

// explain returns why a HEAD request failed. Its answer has no body that would say so, that of GetObject has.
func (s *Storage) explain(ctx context.Context, at object, err error) error {
	if status := httpStatus(err); status < http.StatusBadRequest || status >= http.StatusInternalServerError {
		return err
	}
	out, reason := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &at.bucket, Key: &at.key, Range: rangeOf(0, 1)}, s.call...)
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

func (f *source) Close() error {
	f.streams.close()
	return nil
}

func (f *source) ReadWindow(ctx context.Context, p []byte, off int64) error {
	if off < 0 || off+int64(len(p)) > f.info.Size {
		return because("read", f.at.path, transfer.SizeMismatch, fmt.Sprintf("%d bytes at %d are beyond the end, %d", len(p), off, f.info.Size), nil)
	}
	if err := ctx.Err(); err != nil || len(p) == 0 {
		return fail("read", f.at.path, err)
	}
	done, err := f.readOn(ctx, p, off)
	if err != nil {
		return fail("read", f.at.path, err)
	}
	return f.readRest(ctx, p, off, done)
}

// readOn reads the beginning of p from a stream that is there for it, or that it begins. What a stream does not give, since
// it ended or broke off, is asked for by readRest: a server may cut a connection that was not read for long.
func (f *source) readOn(ctx context.Context, p []byte, off int64) (n int, err error) {
	s := f.streams.join(ctx, off)
	if s == nil {
		if s, err = f.begin(ctx, off, int64(len(p))); s == nil {
			return 0, err
		}
	}
	start, left := time.Now(), s.end-s.next
	n, err = s.read(ctx, p)
	f.storage.noteSpeed(n, time.Since(start), err)
	f.streams.leave(s, n, err == nil)
	switch {
	case err == nil:
		return n, nil
	case ctx.Err() != nil:
		return 0, bodyError(len(p), off, ctx.Err())
	case int64(n) < left:
		return n, nil
	case s.from == off:
		return 0, nil // all bytes came, but not what they should be
	}
	return 0, bodyError(len(p), off, err) // and some of them are in earlier windows
}

// begin asks for a stream from off on if the server is so fast that one connection is enough, or returns nil.
func (f *source) begin(ctx context.Context, off, window int64) (*stream, error) {
	length := min(streamLength/window*window, f.info.Size-off)
	if length <= window || !f.storage.fast.Load() {
		return nil, nil
	}
	s := f.streams.reserve(off, off+length)
	if s == nil {
		return nil, nil
	}
	err := s.begin(ctx, func(ctx context.Context) (io.ReadCloser, error) { return f.get(ctx, off, length) })
	if err != nil {
		f.streams.leave(s, 0, false)
		return nil, err
	}
	return s, nil
}

// readRest fills p from done on with requests of its own.
func (f *source) readRest(ctx context.Context, p []byte, off int64, done int) error {
	for try := 0; done < len(p); try++ {
		body, err := f.get(ctx, off+int64(done), int64(len(p)-done))
		if err != nil {
			return fail("read", f.at.path, err)
		}
		n, err := f.storage.fill(body, p[done:])
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
			return fail("read", f.at.path, bodyError(len(p), off, err))
		}
	}
	return nil
}

func bodyError(n int, off int64, err error) error {
	return fmt.Errorf("body of %d bytes at %d: %w", n, off, err)
}

// rangeOf is the header that asks for n bytes at off (RFC 9110, section 14.2).
func rangeOf(off, n int64) *string {
	b := append(make([]byte, 0, 48), "bytes="...)
	b = append(strconv.AppendInt(b, off, 10), '-')
	return aws.String(string(strconv.AppendInt(b, off+n-1, 10)))
}

// get asks for n bytes at off of the pinned version.
func (f *source) get(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	in := &s3.GetObjectInput{
		Bucket:  &f.at.bucket,
		Key:     &f.at.key,
		Range:   rangeOf(off, n),
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
func (f *source) check(out *s3.GetObjectOutput, off, n int64) error {
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
	if first != off || out.ContentRange == nil && n != f.info.Size {
		return because("read", f.at.path, transfer.UnsupportedOperationError, "the server answers with another range than was asked for", nil)
	}
	if out.ContentLength != nil && *out.ContentLength != n {
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

// fill reads p from body, which must then be at its end, and closes it.
func (s *Storage) fill(body io.ReadCloser, p []byte) (n int, err error) {
	defer body.Close()
	start := time.Now()
	n, err = io.ReadFull(body, p)
	s.noteSpeed(n, time.Since(start), err)
	if err != nil {
		return n, err
	}
	return n, atEnd(body)
}

// noteSpeed keeps in mind whether one connection is enough to be fast.
func (s *Storage) noteSpeed(n int, took time.Duration, err error) {
	if err != nil || n >= tellingBytes {
		s.fast.Store(err == nil && float64(n) >= fastServer*took.Seconds())
	}
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
