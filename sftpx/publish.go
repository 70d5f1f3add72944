package sftpx

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed62b9dc43/transfer"
)

// publish gives the delivered file its name.
func (k *sink) publish(ctx context.Context) error {
	if k.r.c.cfg.RenameMode == RenameDirect {
		return nil
	}
	err := k.rename(ctx)
	if err != nil && k.s.broken() != nil && ctx.Err() == nil && k.wasRenamed(ctx) {
		return nil
	}
	return err
}

func (k *sink) rename(ctx context.Context) error {
	s, mode := k.s, k.r.c.cfg.RenameMode
	if !k.replaces() {
		return k.renameNew(ctx)
	}
	if s.features().AtomicReplace {
		err := k.posixRename(ctx)
		if mode == RenamePosix || !isStatus(err, fxOpUnsupported) {
			return k.renameError(ctx, err)
		}
	}
	if mode == RenameReplace {
		return k.replaceOld(ctx)
	}
	err := k.plainRename(ctx)
	if err == nil || s.broken() != nil || ctx.Err() != nil || isStatus(err, fxOpUnsupported) || !k.isFile(ctx) {
		return err
	}
	if removed := k.removeOld(ctx); removed != nil {
		return errors.Join(err, removed)
	}
	return k.plainRename(ctx)
}

// renameNew gives the file a name that must be free.
func (k *sink) renameNew(ctx context.Context) error {
	// SFTP version 3 lets no rename replace a file, but not all servers know; so look first.
	if err := k.refuseExisting(ctx, "rename"); err != nil {
		return err
	}
	if k.r.c.cfg.RenameMode == RenamePosix {
		return k.renameError(ctx, k.posixRename(ctx))
	}
	err := k.plainRename(ctx)
	if err != nil && k.s.broken() == nil && errors.Is(k.refuseExisting(ctx, "rename"), transfer.FileExists) {
		return &transfer.Error{Op: "rename", Path: k.target, Code: transfer.FileExists, Err: cause(err)}
	}
	return err
}

// replaceOld removes an old file, if there is one, and then renames.
func (k *sink) replaceOld(ctx context.Context) error {
	if k.isFile(ctx) {
		if err := k.removeOld(ctx); err != nil {
			return err
		}
	}
	return k.plainRename(ctx)
}

func (k *sink) removeOld(ctx context.Context) error {
	return k.s.request(ctx, "replace", k.target, func() error { return k.s.client.Remove(k.target) })
}

func (k *sink) posixRename(ctx context.Context) error {
	return k.s.request(ctx, "rename", k.temp, func() error { return k.s.client.PosixRename(k.temp, k.target) })
}

func (k *sink) plainRename(ctx context.Context) error {
	err := k.s.request(ctx, "rename", k.temp, func() error { return k.s.client.Rename(k.temp, k.target) })
	return k.renameError(ctx, err)
}

// renameError gives a failed rename its code.
func (k *sink) renameError(ctx context.Context, err error) error {
	switch code := transfer.CodeOf(err); {
	case err == nil, code == transfer.PermissionDenied, code == transfer.FileExists, code == transfer.NoSpace,
		code == transfer.IsDirectory, k.s.broken() != nil, ctx.Err() != nil:
		return err
	case code == transfer.UnsupportedOperationError:
		return &transfer.Error{Op: "rename", Path: k.target, Code: transfer.RenameError,
			Err: fmt.Errorf("the server cannot rename (set Config.RenameMode to sftpx.RenameDirect): %w", cause(err))}
	}
	if k.isDirectory(ctx) {
		return &transfer.Error{Op: "rename", Path: k.target, Code: transfer.IsDirectory, Err: cause(err)}
	}
	return &transfer.Error{Op: "rename", Path: k.target, Code: transfer.RenameError, Err: cause(err)}
}

// isFile reports whether there is something at the target that may be replaced.
func (k *sink) isFile(ctx context.Context) bool {
	there, directory := k.look(ctx)
	return there && !directory
}

func (k *sink) isDirectory(ctx context.Context) bool {
	_, directory := k.look(ctx)
	return directory
}

func (k *sink) look(ctx context.Context) (there, directory bool) {
	err := k.s.request(ctx, "look at", k.target, func() error {
		stat, err := k.s.client.Lstat(k.target)
		directory = err == nil && stat.IsDir()
		return err
	})
	return err == nil, directory
}

// wasRenamed finds out, over a new connection, whether a rename whose answer was lost has happened: the temporary file
// is gone, and the target is there in the right size.
func (k *sink) wasRenamed(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, abortTimeout)
	defer cancel()
	s, err := k.r.c.pool.get(ctx)
	if err != nil {
		return false
	}
	defer k.r.c.pool.put(s)
	var size int64 = -1
	err = s.request(ctx, "look for", k.temp, func() error {
		stat, err := s.client.Lstat(k.target)
		if err != nil {
			return err
		}
		size = stat.Size()
		_, err = s.client.Lstat(k.temp)
		return err
	})
	return size == k.whole() && transfer.CodeOf(err) == transfer.FileNotFound
}
