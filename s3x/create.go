package s3x

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed62b9dc43/transfer"
)

const (
	metaSHA256   = "sha256"            // of the content, in hex
	metaDelivery = "transfer-delivery" // whose object it is; see settle
)

// Create begins a delivery: of a file of one window, or of unknown size, by sending nothing, of a larger one with a
// multipart upload, or by going on with that of o.Checkpoint. More than one window below 5 MiB, or more than Options.MaxParts of them, are
// UnsupportedOperationError. An upload that o.Checkpoint names but that cannot go on is aborted.
func (s *Storage) Create(ctx context.Context, path string, o transfer.CreateOptions) (_ transfer.Sink, err error) {
	at, err := s.locate("create", path)
	if err == nil {
		err = fail("create", path, ctx.Err())
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		lost := transfer.CodeOf(err) == transfer.CheckpointLost || transfer.CodeOf(err) == transfer.FileExists
		if lost && o.Checkpoint != nil {
			s.abandon(ctx, at, o.Checkpoint)
		}
	}()
	if !o.Overwrite.Replaces() {
		if err := s.refuseExisting(ctx, "create", at); err != nil {
			return nil, err
		}
	}
	switch {
	case o.Size < transfer.UnknownSize || o.WindowSize < 1:
		return nil, because("create", path, transfer.InternalError, fmt.Sprintf("%d bytes in windows of %d", o.Size, o.WindowSize), nil)
	case o.Size == transfer.UnknownSize && o.Checkpoint != nil:
		return nil, because("create", path, transfer.CheckpointLost, "a file of unknown size does not go on", nil)
	case o.Size == transfer.UnknownSize:
		return &openSink{storage: s, at: at, o: o}, nil
	case o.Size <= o.WindowSize && o.Checkpoint != nil:
		return nil, because("create", path, transfer.CheckpointLost, "a file of one window has no checkpoint", nil)
	case o.Size <= o.WindowSize:
		return &putSink{storage: s, at: at, o: o, delivery: newDelivery()}, nil
	}
	if err := s.checkParts(path, o); err != nil {
		return nil, err
	}
	if o.Checkpoint != nil {
		return s.resume(ctx, at, o)
	}
	return s.begin(ctx, at, o)
}

// Discard aborts the multipart upload that o.Checkpoint names. What a file of one window would leave is nothing.
func (s *Storage) Discard(ctx context.Context, path string, o transfer.CreateOptions) error {
	at, err := s.locate("discard", path)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fail("discard", path, err)
	}
	c, err := parseCheckpoint(o.Checkpoint)
	if err != nil {
		return nil // it names no upload
	}
	if err := s.abort(ctx, at, c.ID); err != nil {
		return fail("discard", path, err)
	}
	return nil
}

// checkParts fails if S3 does not allow the parts that the windows of a file would make.
func (s *Storage) checkParts(path string, o transfer.CreateOptions) error {
	if err := s.checkWindow(path, o); err != nil {
		return err
	}
	if parts := windows(o); parts > int64(s.o.MaxParts) {
		fix := (o.Size + int64(s.o.MaxParts) - 1) / int64(s.o.MaxParts)
		return unsupported(path, "%d bytes make %d windows of %d bytes, more than the %d parts of an upload (set transfer.Config.WindowSize to %d or more, or s3x.Options.MaxParts to what the server allows)", o.Size, parts, o.WindowSize, s.o.MaxParts, fix)
	}
	return nil
}

// checkWindow fails if windows are too small for parts.
func (s *Storage) checkWindow(path string, o transfer.CreateOptions) error {
	if o.WindowSize < s.minPart {
		return unsupported(path, "S3 takes a file of several windows only in windows of at least 5 MiB, not %d bytes (set transfer.Config.WindowSize to %d or more)", o.WindowSize, minPartSize)
	}
	return nil
}

func unsupported(path, format string, args ...any) error {
	return &transfer.Error{Op: "create", Path: path, Code: transfer.UnsupportedOperationError, Err: fmt.Errorf(format, args...)}
}

// windows is how many windows a file has; none of one of unknown size, so far.
func windows(o transfer.CreateOptions) int64 {
	if o.Size == transfer.UnknownSize {
		return 0
	}
	return o.Size/o.WindowSize + min(o.Size%o.WindowSize, 1)
}

// refuseExisting fails with FileExists if there is an object at at.
func (s *Storage) refuseExisting(ctx context.Context, op string, at object) error {
	_, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &at.bucket, Key: &at.key}, s.call...)
	switch {
	case err == nil:
		return because(op, at.path, transfer.FileExists, "there is an object already", nil)
	case httpStatus(err) == http.StatusNotFound:
		return nil
	case httpStatus(err) == http.StatusForbidden && !s.o.NoConditionalWrites:
		return nil // who may write but not read learns it at Commit
	}
	return fail(op, at.path, s.explain(ctx, at, err))
}

// ifNoneMatch is the condition under which the server publishes the object.
func (s *Storage) ifNoneMatch(o transfer.CreateOptions) *string {
	if o.Overwrite.Replaces() || s.o.NoConditionalWrites {
		return nil
	}
	return aws.String("*")
}

// beforeCommit does what ifNoneMatch cannot.
func (s *Storage) beforeCommit(ctx context.Context, at object, o transfer.CreateOptions) error {
	if o.Overwrite.Replaces() || !s.o.NoConditionalWrites {
		return nil
	}
	return s.refuseExisting(ctx, "commit", at)
}

// settle decides what it means that the server refused to publish, or did not say whether it did. Where a request was
// repeated because its answer was lost, the first one may have done it: then the object bears our delivery token. And
// a server that refuses a body before it has read it may cut the connection before its refusal is read.
func (s *Storage) settle(ctx context.Context, at object, conditional bool, delivery string, err error) error {
	code, status := apiCode(err), httpStatus(err)
	exists := status == http.StatusPreconditionFailed
	conflict := code == "ConditionalRequestConflict"
	noAnswer := status < http.StatusMultipleChoices || status >= http.StatusInternalServerError
	unsure := exists || conflict || noAnswer || code == "NoSuchUpload"
	if unsure && ctx.Err() == nil {
		head, headErr := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &at.bucket, Key: &at.key}, s.call...)
		if headErr == nil && delivery != "" && head.Metadata[metaDelivery] == delivery {
			return nil
		}
		exists = exists || conditional && headErr == nil
	}
	switch {
	case exists:
		return because("commit", at.path, transfer.FileExists, "an object has appeared meanwhile", err)
	case status == http.StatusNotImplemented && conditional:
		return because("commit", at.path, transfer.UnsupportedOperationError, "the server does not know If-None-Match (set s3x.Options.NoConditionalWrites, or let the file be replaced)", err)
	}
	return fail("commit", at.path, err)
}

// newDelivery makes the token by which a delivery knows its own object.
func newDelivery() string {
	var token [16]byte
	_, _ = rand.Read(token[:])
	return hex.EncodeToString(token[:])
}
