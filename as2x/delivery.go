package as2x

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/seed62b9dc43/transfer"
)

const (
	deliveryWindow = 8 << 20 // above S3's least part
	cleanupTimeout = 15 * time.Second
)

// delivery brings a content to a storage, whole or not at all.
type delivery struct {
	storage   transfer.Storage
	path      string
	key       string // see transfer.CreateOptions
	overwrite transfer.Overwrite
}

// run delivers what s holds from off on.
func (d delivery) run(ctx context.Context, s *spool, off int64) (err error) {
	size := s.size - off
	window := int64(deliveryWindow)
	for size/window >= 9000 { // an upload to S3 has 10,000 parts at most
		window *= 2
	}
	dst, err := d.storage.Create(ctx, d.path, transfer.CreateOptions{Size: size, WindowSize: window, Overwrite: d.overwrite, Key: d.key})
	if err != nil {
		return fmt.Errorf("create %s: %w", d.path, err)
	}
	defer func() {
		if err != nil {
			cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
			defer cancel()
			err = errors.Join(err, dst.Abort(cleanup))
		}
		_ = dst.Close()
	}()
	h := sha256.New()
	buf := make([]byte, min(window, size))
	for at := int64(0); at < size; at += window {
		p := buf[:min(window, size-at)]
		if _, err := io.ReadFull(io.NewSectionReader(s, off+at, int64(len(p))), p); err != nil {
			return fmt.Errorf("read what is to go to %s: %w", d.path, err)
		}
		h.Write(p)
		if err := dst.WriteWindow(ctx, p, at); err != nil {
			return fmt.Errorf("write %s: %w", d.path, err)
		}
	}
	if err := dst.Commit(ctx, [sha256.Size]byte(h.Sum(nil))); err != nil {
		return fmt.Errorf("publish %s: %w", d.path, err)
	}
	return nil
}
