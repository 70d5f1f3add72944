package sftpx

import (
	"context"
	"fmt"

	"github.com/seed62b9dc43/transfer"
)

// verify asks how much the server has stored, as Config.Verify says.
func (k *sink) verify(ctx context.Context) error {
	if k.r.c.cfg.Verify == VerifyNone {
		return nil
	}
	if k.size >= 0 {
		return k.compare(k.size)
	}
	var size int64
	err := k.s.request(ctx, "compare size", k.temp, func() error {
		stat, err := k.s.client.Stat(k.temp)
		if err == nil {
			size = stat.Size()
		}
		return err
	})
	if err != nil {
		return k.unverified(err)
	}
	return k.compare(size)
}

func (k *sink) compare(size int64) error {
	if whole := k.whole(); size != whole {
		return &transfer.Error{Op: "commit", Path: k.target, Code: transfer.SizeMismatch, Err: saidBy(k.r.c.cfg.Addr,
			fmt.Errorf("the server has %d of %d bytes", size, whole))}
	}
	return nil
}

// unverified decides what it means that the server does not say the size. Some hide a file, or move it, at once.
func (k *sink) unverified(err error) error {
	c, code := k.r.c, transfer.CodeOf(err)
	hidden := code == transfer.PermissionDenied || code == transfer.UnsupportedOperationError
	gone := code == transfer.FileNotFound
	switch {
	case !hidden && !gone:
		return err
	case c.cfg.Verify == VerifyLenient, c.cfg.Verify == VerifySize && (hidden || c.cfg.RenameMode != RenameDirect):
		c.log.Debug("sftp server does not say the size of a delivered file", "server", c.url, "path", k.temp, "error", err)
		return nil
	}
	return &transfer.Error{Op: "commit", Path: k.target, Code: transfer.WriteFileError, Err: fmt.Errorf("it was "+
		"written and closed, but its size cannot be compared (if the partner takes or hides files at once: set "+
		"Config.Verify to sftpx.VerifyLenient): %w", cause(err))}
}
