package transfer

import (
	"archive/zip"
	"context"
	"io"
)

// Zip returns a Transform that makes a ZIP file with one entry of the file, under its base name and with the time of the
// source; beyond 4 GiB it is ZIP64. "a.csv" becomes "a.csv.zip". There is no counterpart that unpacks: a ZIP file may hold
// any number of files, and to deliver the first alone would lose the others.
func Zip() Transform { return zipTransform{} }

type zipTransform struct{}

func (zipTransform) Name() string { return "zip" }

func (zipTransform) TargetName(source string) string { return source + ".zip" }

func (zipTransform) MaxSize(size int64) int64 { return size + size>>10 + 4096 }

func (zipTransform) Reader(_ context.Context, c Content) (io.ReadCloser, error) {
	return ReadThrough(c, func(w io.Writer) (io.WriteCloser, error) {
		z := zip.NewWriter(w)
		entry, err := z.CreateHeader(zipEntry(c.Name, c))
		return zipped{entry, z}, err
	})
}

func zipEntry(name string, c Content) *zip.FileHeader {
	h := &zip.FileHeader{Name: name, Method: zip.Deflate}
	if !c.ModTime.IsZero() {
		h.Modified = c.ModTime.UTC()
	}
	h.SetMode(0o644)
	return h
}

// zipped is the last entry of a ZIP file; with it the file ends.
type zipped struct {
	io.Writer
	file *zip.Writer
}

func (z zipped) Close() error { return z.file.Close() }
