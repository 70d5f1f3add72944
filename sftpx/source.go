package sftpx

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pkg/sftp"

	"github.com/seed62b9dc43/transfer"
)

// closeTimeout is how long the answer to a CLOSE may take. Servers dislike clients that leave without one.
const closeTimeout = 5 * time.Second

// Open looks at the file, then opens it. Between this and Close nothing but READ is sent.
func (r *remote) Open(ctx context.Context, path string) (transfer.Source, error) {
	if err := checkPath("open", path); err != nil {
		return nil, err
	}
	s := r.s
	var info transfer.FileInfo
	err := s.request(ctx, "open", path, func() (err error) {
		info, err = regular(s.client, path)
		return err
	})
	if err != nil {
		return nil, err
	}
	if r.c.cfg.ReadOnce || r.c.noSeek.Load() {
		info.ModTime = time.Time{} // so that nobody goes on in the middle: what has no version starts at zero
	}
	src := &source{s: s, path: path, info: info}
	err = s.request(ctx, "open", path, func() (err error) {
		src.file, err = s.openFile(path, fxfRead)
		return err
	})
	if err != nil {
		return nil, err
	}
	if info.Size == 0 {
		err = src.checkEmpty(ctx)
	} else if src.file.size = info.Size; s.manyLanes() && !info.ModTime.IsZero() {
		src.file.same = func(l *lane, handle string) error {
			return sameFile(l, handle, info.Size, info.ModTime.Unix())
		}
	}
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	return src, nil
}

// regular returns what the server says of a file that can be read.
func regular(client *sftp.Client, path string) (info transfer.FileInfo, err error) {
	stat, err := client.Stat(path)
	switch {
	case err != nil:
		return info, err
	case stat.IsDir():
		return info, &transfer.Error{Op: "open", Path: path, Code: transfer.IsDirectory}
	case !stat.Mode().IsRegular():
		return info, &transfer.Error{Op: "open", Path: path, Code: transfer.IsDirectory,
			Err: fmt.Errorf("neither a file nor a directory: %v", stat.Mode().Type())}
	case stat.Size() < 0:
		return info, fmt.Errorf("the server says a size of %d", uint64(stat.Size()))
	}
	info.Size = stat.Size()
	if modified := stat.ModTime(); modified.Unix() != 0 { // 0: the server does not say
		info.ModTime = modified.UTC()
	}
	return info, nil
}

// source is a file on the server, open for reading.
type source struct {
	s    *session
	path string
	info transfer.FileInfo
	file *file
}

// Info is what the server said before the file was opened.
func (src *source) Info() transfer.FileInfo { return src.info }

// Concurrency is more than 1 for servers that are known to take requests in any order.
func (src *source) Concurrency() int { return src.s.concurrency() }

// ReadWindow fills p, with many requests under way.
func (src *source) ReadWindow(ctx context.Context, p []byte, off int64) error {
	if off < 0 || off > src.info.Size-int64(len(p)) {
		return fmt.Errorf("read %s: bytes %d to %d of a file of %d", src.path, off, off+int64(len(p)), src.info.Size)
	}
	s, before := src.s, src.file.got.Load()
	err := s.do(ctx, s.move("read", src.file, len(p)), func() error { return src.file.move(ctx, p, off) })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errEnd):
		err = &transfer.Error{Op: "read", Path: src.path, Code: transfer.SizeMismatch, Err: saidBy(s.c.cfg.Addr,
			fmt.Errorf("the file ends before byte %d, but had %d when it was opened", off+int64(len(p)), src.info.Size))}
	case off > 0 && before == 0 && isStatus(err, fxFailure, fxOpUnsupported):
		err = src.cannotSeek(err)
	}
	return src.final(ctx, err)
}

// cannotSeek notes that the server does not read from the middle of a file. The next attempt starts at zero.
func (src *source) cannotSeek(err error) error {
	src.s.c.noSeek.Store(true)
	return &transfer.Error{Op: "read", Path: src.path, Code: transfer.ConnectionError, Err: fmt.Errorf(
		"the server does not go on in the middle of a file; the next attempt starts at its begin: %w", cause(err))}
}

// final makes a failure one that is not tried again, if the server hands out a file once and has begun to.
func (src *source) final(ctx context.Context, err error) error {
	if !src.s.c.cfg.ReadOnce || src.file.got.Load() == 0 || ctx.Err() != nil {
		return err
	}
	return &transfer.Error{Op: "read", Path: src.path, Code: transfer.ReadFileError, Err: fmt.Errorf(
		"failed after %d of %d bytes, and the server hands out a file once (Config.ReadOnce), so it is not asked again; "+
			"the partner has to offer it again: %w", src.file.got.Load(), src.info.Size, cause(err))}
}

// checkEmpty makes sure that a file is empty: some servers leave out the size, which then looks like zero.
func (src *source) checkEmpty(ctx context.Context) error {
	s := src.s
	err := s.do(ctx, s.move("open", src.file, 1), func() error { return src.file.move(ctx, make([]byte, 1), 0) })
	if errors.Is(err, errEnd) {
		return nil
	}
	if err == nil {
		err = &transfer.Error{Op: "open", Path: src.path, Code: transfer.SizeMismatch, Err: saidBy(s.c.cfg.Addr,
			errors.New("the server says that the file is empty, but it is not"))}
	}
	return err
}

// Close closes the file on the server. It waits for the answer where that may say something; a server that is silent for
// 5 s loses the connection.
func (src *source) Close() error {
	closed := func() error { return src.s.closeFile(context.Background(), src.file) }
	if src.s.manyLanes() && src.s.spawn(func() { _ = closed() }) {
		return nil
	}
	return closed()
}

// closeFile closes a file whose content no longer matters. With its connection it is closed already.
func (s *session) closeFile(ctx context.Context, f *file) error {
	err := s.do(ctx, call{
		op: "close", path: f.path, limit: closeTimeout, patience: s.c.cfg.OperationTimeout,
		code: transfer.OperationTimeout,
	}, f.close)
	if s.broken() != nil {
		return nil
	}
	return err
}
