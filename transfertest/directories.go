package transfertest

import (
	"context"

	"github.com/seed62b9dc43/transfer"
)

// directories returns those of the storage behind the partner, if it has any.
func (c *Connector) directories() transfer.Directories {
	if d, ok := c.storage.inner.(transfer.Directories); ok {
		return d
	}
	return transfer.NoDirectories{}
}

// ListDirectory lists a directory of the partner's storage, if that is one of transfer.Directories.
func (r *remote) ListDirectory(ctx context.Context, dir string, found func(transfer.DirectoryEntry) bool) error {
	return r.ask(ctx, OpListDirectory, dir, func() error { return r.connector.directories().ListDirectory(ctx, dir, found) })
}

// RemovePath removes a file from the partner's storage.
func (r *remote) RemovePath(ctx context.Context, path string) error {
	return r.ask(ctx, OpRemovePath, path, func() error { return r.connector.directories().RemovePath(ctx, path) })
}

// MovePath moves a file of the partner's storage.
func (r *remote) MovePath(ctx context.Context, from, to string) error {
	return r.ask(ctx, OpMovePath, from, func() error { return r.connector.directories().MovePath(ctx, from, to) })
}

// MakeDirectory makes a directory of the partner's storage.
func (r *remote) MakeDirectory(ctx context.Context, path string) error {
	return r.ask(ctx, OpMakeDirectory, path, func() error { return r.connector.directories().MakeDirectory(ctx, path) })
}

func (r *remote) ask(ctx context.Context, op Op, path string, do func() error) error {
	if err := r.begin(op.String(), path); err != nil {
		return err
	}
	defer r.end()
	return r.connector.run(ctx, Call{Op: op, Path: path}, do)
}
