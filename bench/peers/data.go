//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// dataset is some files of one size with random content, the same in every run.
type dataset struct {
	files int
	size  int64 // of each
}

func (d dataset) bytes() int64 { return int64(d.files) * d.size }

// folder is the name of the dataset's folder.
func (d dataset) folder() string { return fmt.Sprintf("%dx%d", d.files, d.size) }

// names are the files in the folder.
func (d dataset) names() []string {
	names := make([]string, d.files)
	for i := range names {
		names[i] = fmt.Sprintf("f%05d.dat", i)
	}
	return names
}

// make writes the files below parent, unless they are there.
func (d dataset) make(parent string) error {
	dir := filepath.Join(parent, d.folder())
	if err := os.Mkdir(dir, 0o755); errors.Is(err, os.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	var seed [32]byte
	copy(seed[:], d.folder())
	content := rand.NewChaCha8(seed)
	for _, name := range d.names() {
		if err := writeFile(filepath.Join(dir, name), io.LimitReader(content, d.size)); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string, content io.Reader) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, content, make([]byte, 1<<20))
	return errors.Join(err, f.Close())
}

// check compares what arrived in dir, byte for byte, with the source below parent: the same files and no other.
func (d dataset) check(parent, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	names := d.names()
	if len(entries) != len(names) {
		return fmt.Errorf("%d files arrived in %s, not %d", len(entries), dir, len(names))
	}
	c := comparison{a: bufio.NewReaderSize(nil, compareSize), b: bufio.NewReaderSize(nil, compareSize)}
	for i, name := range names {
		if entries[i].Name() != name {
			return fmt.Errorf("%s arrived where %s should", entries[i].Name(), name)
		}
		if err := c.files(filepath.Join(parent, d.folder(), name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

const compareSize = 256 << 10

// comparison compares files with two buffers.
type comparison struct{ a, b *bufio.Reader }

func (c comparison) files(a, b string) (err error) {
	for path, reader := range map[string]*bufio.Reader{a: c.a, b: c.b} {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		reader.Reset(f)
	}
	for offset := 0; ; {
		x, errX := c.a.Peek(compareSize)
		y, errY := c.b.Peek(compareSize)
		if !bytes.Equal(x, y) {
			return fmt.Errorf("%s is not %s (they differ behind byte %d)", b, a, offset)
		}
		if errX != nil || errY != nil {
			return notEOF(errors.Join(errX, errY))
		}
		n, _ := c.a.Discard(len(x))
		_, _ = c.b.Discard(len(y))
		offset += n
	}
}

func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
