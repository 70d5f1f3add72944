package transfer

import (
	"context"
	"io"
)

// feed is a pinned Source as a Reader. While one piece is consumed, the next is read, if there is memory for it.
type feed struct {
	ctx    context.Context // of the file; Read has none of its own
	src    Source
	size   int64
	asked  int64  // where the next piece begins
	piece  []byte // memory for one piece
	spare  []byte // for another; nil if there is none
	rest   []byte // of the piece that is being consumed
	coming chan error
	next   []byte // is being filled, until coming says how that ended
	failed error
}

// newFeed returns a feed that reads into piece and, if it is not nil, in turn into spare.
func newFeed(ctx context.Context, src Source, piece, spare []byte) *feed {
	return &feed{ctx: ctx, src: src, size: src.Info().Size, piece: piece, spare: spare}
}

func (f *feed) Read(p []byte) (int, error) {
	if len(f.rest) == 0 && len(p) > 0 {
		if err := f.advance(); err != nil {
			return 0, err
		}
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// advance makes the next piece the one that is consumed.
func (f *feed) advance() error {
	switch {
	case f.failed != nil:
		return f.failed
	case f.ctx.Err() != nil:
		f.failed = stepError{stepRead, f.ctx.Err()}
	case f.coming != nil:
		f.failed = <-f.coming
		f.coming = nil
	case f.asked == f.size:
		return io.EOF
	default:
		f.next = f.cut(f.piece)
		f.failed = f.fill(f.next, f.asked)
		f.asked += int64(len(f.next))
	}
	if f.failed != nil {
		return f.failed
	}
	f.rest = f.next
	f.readAhead()
	return nil
}

// cut returns as much of buf as the next piece needs.
func (f *feed) cut(buf []byte) []byte { return buf[:min(int64(len(buf)), f.size-f.asked)] }

func (f *feed) fill(p []byte, off int64) error {
	return guarded(func() error {
		if err := f.src.ReadWindow(f.ctx, p, off); err != nil {
			return stepError{stepRead, err}
		}
		return nil
	})
}

// readAhead begins to read the piece behind the one that is consumed.
func (f *feed) readAhead() {
	if f.spare == nil || f.asked == f.size {
		return
	}
	f.piece, f.spare = f.spare, f.piece
	f.next, f.coming = f.cut(f.piece), make(chan error, 1)
	p, off, coming := f.next, f.asked, f.coming
	f.asked += int64(len(p))
	go func() { coming <- f.fill(p, off) }()
}

// sourceOrigin is the content of one pinned Source.
type sourceOrigin struct {
	src  Source
	name string // its base name
	feed *feed
}

func (o *sourceOrigin) open(ctx context.Context, piece, spare []byte) Content {
	o.feed = newFeed(ctx, o.src, piece, spare)
	info := o.src.Info()
	return Content{Reader: o.feed, Name: o.name, Size: info.Size, ModTime: info.ModTime}
}

func (o *sourceOrigin) failed() error { return o.feed.failed }
func (o *sourceOrigin) end() error    { return requireEnd(o.feed, "read") }
func (o *sourceOrigin) close()        { o.feed.wait() }

// wait returns once nothing is read any more.
func (f *feed) wait() {
	if f.coming != nil {
		<-f.coming
		f.coming = nil
	}
}
