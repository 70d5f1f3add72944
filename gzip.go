package transfer

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
)

// Gzip returns a Transform that compresses (RFC 1952), at a level of 1 (fastest) to 9 (smallest), or 0 for
// gzip.DefaultCompression. "a.csv" becomes "a.csv.gz". There is neither name nor time in it, so that one release of Go
// makes the same bytes of the same content each time.
func Gzip(level int) Transform {
	if level == 0 {
		level = gzip.DefaultCompression
	}
	return &gzipTransform{level: level}
}

type gzipTransform struct {
	level   int
	writers sync.Pool // of *gzip.Writer: each takes nearly a megabyte
}

func (*gzipTransform) Name() string { return "gzip" }

func (*gzipTransform) TargetName(source string) string { return source + ".gz" }

// MaxSize adds what deflate may add to content that does not become smaller.
func (*gzipTransform) MaxSize(size int64) int64 { return size + size>>10 + 1024 }

func (g *gzipTransform) problem() string {
	if g.level == gzip.DefaultCompression || g.level >= gzip.BestSpeed && g.level <= gzip.BestCompression {
		return ""
	}
	return fmt.Sprintf("has the level %d (use 1 to 9, or 0 for the default)", g.level)
}

func (g *gzipTransform) Reader(_ context.Context, c Content) (io.ReadCloser, error) {
	w, ok := g.writers.Get().(*gzip.Writer)
	if !ok {
		var err error
		if w, err = gzip.NewWriterLevel(io.Discard, g.level); err != nil {
			return nil, &Error{Code: UnsupportedOperationError, Err: err}
		}
	}
	r, err := ReadThrough(c, func(to io.Writer) (io.WriteCloser, error) { w.Reset(to); return w, nil })
	if err != nil {
		return nil, err
	}
	return &pooled{Reader: r, back: func() { g.writers.Put(w) }}, nil
}

// pooled is a Reader that is used again after Close.
type pooled struct {
	io.Reader
	back func() // nil after the first Close
}

func (p *pooled) Close() error {
	if p.back != nil {
		p.back()
		p.back = nil
		p.Reader = bytes.NewReader(nil)
	}
	return nil
}

// GunzipOptions bound what Gunzip makes of a file. Fields that are 0 stand for their defaults.
type GunzipOptions struct {
	// MaxSize is how many bytes a file may become. Default 64 GiB; -1 for no limit. A file that is larger fails with
	// READ_FILE_ERROR, and nothing of it is delivered.
	MaxSize int64

	// MaxRatio is how many times as large as what was read of it a file may become, from the first 16 MiB on. Default: no
	// limit, which with gzip is 1,032.
	MaxRatio int64
}

const (
	defaultMaxUnpacked = 64 << 30
	// deflateRatio is by how much deflate makes content smaller at most: 258 bytes need 2 bits at least.
	deflateRatio = 1032
	// ratioFrom is from how many bytes on a ratio counts.
	ratioFrom = 16 << 20
)

// Gunzip returns a Transform that decompresses gzip (RFC 1952), several members in a row included. "a.csv.gz" becomes
// "a.csv", "a.tgz" becomes "a.tar", another name stays. What is no gzip, ends too early, has another checksum, or
// something behind its end, fails with IntegrityError, and nothing of it is delivered.
func Gunzip(o GunzipOptions) Transform {
	fill(&o.MaxSize, defaultMaxUnpacked)
	return &gunzipTransform{o: o}
}

type gunzipTransform struct {
	o       GunzipOptions
	readers sync.Pool // of *gzip.Reader
}

func (*gunzipTransform) Name() string { return "gunzip" }

func (*gunzipTransform) TargetName(source string) string {
	switch ext := path.Ext(source); {
	case len(ext) == len(source): // nothing would be left
		return source
	case strings.EqualFold(ext, ".gz"):
		return strings.TrimSuffix(source, ext)
	case strings.EqualFold(ext, ".tgz"):
		return strings.TrimSuffix(source, ext) + ".tar"
	}
	return source
}

func (g *gunzipTransform) MaxSize(size int64) int64 {
	most := g.o.MaxSize
	if size <= unknownMost/deflateRatio && (most < 0 || most > size*deflateRatio) {
		most = size * deflateRatio
	}
	return most
}

func (g *gunzipTransform) problem() string {
	switch {
	case g.o.MaxSize < -1:
		return fmt.Sprintf("has the MaxSize %d (use 1 or more bytes, 0 for %d, -1 for no limit)", g.o.MaxSize, int64(defaultMaxUnpacked))
	case g.o.MaxRatio < 0:
		return fmt.Sprintf("has the MaxRatio %d (use 1 or more, or 0 for no limit)", g.o.MaxRatio)
	}
	return ""
}

func (g *gunzipTransform) Reader(_ context.Context, c Content) (io.ReadCloser, error) {
	in := &counted{r: c}
	z, ok := g.readers.Get().(*gzip.Reader)
	if !ok {
		z = new(gzip.Reader)
	}
	if err := z.Reset(in); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, badGzip(err)
	}
	u := &unpacked{r: z, in: in, o: g.o}
	return &pooled{Reader: u, back: func() { g.readers.Put(z) }}, nil
}

// badGzip gives an error of package gzip its code; those of the source stay.
func badGzip(err error) error {
	var corrupt flate.CorruptInputError
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || err == io.ErrUnexpectedEOF || errors.As(err, &corrupt) {
		return &Error{Code: IntegrityError, Err: err}
	}
	return err
}

// counted counts what was read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// unpacked is what was compressed, within limits.
type unpacked struct {
	r    io.Reader
	in   *counted
	o    GunzipOptions
	made int64
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	u.made += int64(n)
	switch {
	case u.o.MaxSize >= 0 && u.made > u.o.MaxSize:
		return 0, &Error{Code: ReadFileError, Err: fmt.Errorf("it becomes more than %d bytes (GunzipOptions.MaxSize)", u.o.MaxSize)}
	case u.o.MaxRatio > 0 && u.made > ratioFrom && u.made/u.o.MaxRatio > u.in.n:
		return 0, &Error{Code: ReadFileError, Err: fmt.Errorf("it becomes more than %d times as large (GunzipOptions.MaxRatio)", u.o.MaxRatio)}
	case err != nil && err != io.EOF:
		err = badGzip(err)
	}
	return n, err
}
