package s3x

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/seed62b9dc43/transfer"
)

// AbortUploads aborts the multipart uploads that were begun at least olderThan ago under paths that begin with prefix,
// and returns how many. They are those of processes that died before anybody knew of them; they are invisible, but what
// has arrived of them is stored and paid for.
//
// prefix is a path as Open and Create take it, or the beginning of one: "/bucket/in/", or below Options.Bucket and
// Options.Prefix "in/" or "". Nothing tells whose an upload is: any program's go, so prefix must be one that only this
// kind of delivery uses, and olderThan, which must be positive, longer than the longest pause of a transfer. An upload
// that was aborted too early costs its file a fresh start, no more. Ages are by the clocks of the server and of this
// machine; a server that does not say when an upload began keeps it. (versitygw says when its last part came.)
//
// An upload that cannot be aborted does not keep the others from it; the errors are joined. It needs
// s3:ListBucketMultipartUploads beside the permissions to deliver. Where the server has lifecycle rules,
// AbortIncompleteMultipartUpload does the same by whole days, without anybody having to call.
func (s *Storage) AbortUploads(ctx context.Context, prefix string, olderThan time.Duration) (int, error) {
	if olderThan <= 0 {
		return 0, fmt.Errorf("s3x: olderThan is %s (use more than the longest pause of a transfer, such as 72h)", olderThan)
	}
	at, err := s.locatePrefix(prefix)
	if err != nil {
		return 0, err
	}
	j := &janitor{storage: s, at: at, before: time.Now().Add(-olderThan), seen: make(map[string]bool)}
	err = j.run(ctx)
	return j.aborted, errors.Join(append(j.failed, err)...)
}

// locatePrefix finds the bucket and the beginning of the keys that prefix stands for.
func (s *Storage) locatePrefix(prefix string) (object, error) {
	at := object{path: prefix, bucket: s.o.Bucket, key: strings.TrimPrefix(prefix, "/")}
	if escapes(at.key) {
		return object{}, because("abort uploads under", prefix, transfer.PathEscapes, `a path must not have a segment ".."`, nil)
	}
	if at.bucket == "" {
		at.bucket, at.key, _ = strings.Cut(at.key, "/")
	}
	if at.bucket == "" {
		return object{}, because("abort uploads under", prefix, transfer.PathNotFound, "the path names no bucket (write /bucket/prefix, or set s3x.Options.Bucket)", nil)
	}
	at.key = s.o.Prefix + at.key
	return at, nil
}

// janitor is one call of AbortUploads.
type janitor struct {
	storage *Storage
	at      object
	before  time.Time
	seen    map[string]bool // uploads that it has tried to abort
	aborted int
	failed  []error
}

// run goes through the server's list. A page is asked for again after something of it has gone, since a page that
// begins behind an upload which is no longer there is an error on some servers.
func (j *janitor) run(ctx context.Context) error {
	in := &s3.ListMultipartUploadsInput{Bucket: &j.at.bucket, Prefix: &j.at.key}
	for {
		page, err := j.storage.client.ListMultipartUploads(ctx, in, j.storage.call...)
		if apiCode(err) == "InvalidArgument" && in.UploadIdMarker != nil {
			in.UploadIdMarker = nil // versitygw knows no page that begins within a key: on with the next key
			continue
		}
		if apiCode(err) == "NoSuchUpload" {
			return nil // gofakes3, of a bucket that never had one
		}
		if err != nil {
			return fail("abort uploads under", j.at.path, err)
		}
		before := j.aborted
		if err := j.sweep(ctx, page.Uploads); err != nil {
			return err
		}
		if !aws.ToBool(page.IsTruncated) {
			return nil
		}
		if j.aborted > before {
			continue
		}
		if same(in.KeyMarker, page.NextKeyMarker) && same(in.UploadIdMarker, page.NextUploadIdMarker) {
			return because("abort uploads under", j.at.path, transfer.ListDirectoryError, "the server repeats a page of its list", nil)
		}
		in.KeyMarker, in.UploadIdMarker = page.NextKeyMarker, page.NextUploadIdMarker
	}
}

// sweep aborts the old ones of a page, each once.
func (j *janitor) sweep(ctx context.Context, uploads []types.MultipartUpload) error {
	for _, u := range uploads {
		at := object{bucket: j.at.bucket, key: aws.ToString(u.Key)}
		id := aws.ToString(u.UploadId)
		young := u.Initiated == nil || u.Initiated.After(j.before)
		if young || id == "" || j.seen[id] || !strings.HasPrefix(at.key, j.at.key) {
			continue
		}
		at.path = at.bucket + "/" + at.key
		j.seen[id] = true
		switch err := j.storage.abort(ctx, at, id); {
		case err == nil:
			j.aborted++
		case ctx.Err() != nil:
			return fail("abort upload of", at.path, ctx.Err())
		default:
			j.failed = append(j.failed, fail("abort upload of", at.path, err))
		}
	}
	return nil
}

func same(a, b *string) bool { return aws.ToString(a) == aws.ToString(b) }
