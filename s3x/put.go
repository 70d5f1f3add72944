package s3x

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed62b9dc43/transfer"
)

// putSink receives a file of at most one window, which it holds until Commit sends it whole.
type putSink struct {
	storage  *Storage
	at       object
	o        transfer.CreateOptions
	delivery string

	mu   sync.Mutex // guards the fields below
	held []byte
	have bool // the window has come
}

func (k *putSink) WriteWindow(ctx context.Context, p []byte, off int64) error {
	if err := ctx.Err(); err != nil {
		return fail("write", k.at.path, err)
	}
	if off != 0 || int64(len(p)) != k.o.Size {
		return because("write", k.at.path, transfer.SizeMismatch, fmt.Sprintf("a window of %d bytes at %d, but the file has %d", len(p), off, k.o.Size), nil)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held, k.have = p, true
	return nil
}

func (k *putSink) Concurrency() int   { return 1 }
func (k *putSink) Checkpoint() []byte { return nil }

func (k *putSink) Commit(ctx context.Context, sum [sha256.Size]byte) error {
	k.mu.Lock()
	body, have := k.held, k.have || k.o.Size == 0
	k.mu.Unlock()
	if !have {
		return because("commit", k.at.path, transfer.SizeMismatch, fmt.Sprintf("none of %d bytes have come", k.o.Size), nil)
	}
	s := k.storage
	if err := s.beforeCommit(ctx, k.at, k.o); err != nil {
		return err
	}
	hexSum := hex.EncodeToString(sum[:])
	in := &s3.PutObjectInput{
		Bucket:        &k.at.bucket,
		Key:           &k.at.key,
		ContentLength: aws.Int64(k.o.Size),
		IfNoneMatch:   s.ifNoneMatch(k.o),
		Metadata:      map[string]string{metaSHA256: hexSum, metaDelivery: k.delivery},
	}
	if s.checksum.sums() {
		in.ChecksumSHA256 = aws.String(base64.StdEncoding.EncodeToString(sum[:]))
	}
	call := s.part
	if s.o.Payload != PayloadUnsigned {
		call = append(call[:len(call):len(call)], withPayloadHash(hexSum))
	}
	err := resent(func() error {
		in.Body = bytes.NewReader(body)
		_, err := s.client.PutObject(ctx, in, call...)
		return err
	})
	if err != nil {
		return s.settle(ctx, k.at, in.IfNoneMatch != nil, k.delivery, err)
	}
	return nil
}

func (k *putSink) Abort(context.Context) error { return k.Close() }

func (k *putSink) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held, k.have = nil, false
	return nil
}
