package transfertest

import (
	"context"

	"github.com/seed62b9dc43/transfer"
)

var _ transfer.Directories = (*Storage)(nil)

// directories returns those of the inner storage, if it has any; else calls fail with UnsupportedOperationError.
func (s *Storage) directories() transfer.Directories {
	if d, ok := s.inner.(transfer.Directories); ok {
		return d
	}
	return transfer.NoDirectories{}
}

// ListDirectory lists a directory of the inner storage, if the rules let it.
func (s *Storage) ListDirectory(ctx context.Context, dir string, found func(transfer.DirectoryEntry) bool) error {
	return s.run(ctx, Call{Op: OpListDirectory, Path: dir}, func() error { return s.directories().ListDirectory(ctx, dir, found) })
}

// RemovePath removes a file from the inner storage, if the rules let it.
func (s *Storage) RemovePath(ctx context.Context, path string) error {
	return s.run(ctx, Call{Op: OpRemovePath, Path: path}, func() error { return s.directories().RemovePath(ctx, path) })
}

// MovePath moves a file of the inner storage, if the rules let it. Their path is the one before.
func (s *Storage) MovePath(ctx context.Context, from, to string) error {
	return s.run(ctx, Call{Op: OpMovePath, Path: from}, func() error { return s.directories().MovePath(ctx, from, to) })
}

// MakeDirectory makes a directory of the inner storage, if the rules let it.
func (s *Storage) MakeDirectory(ctx context.Context, path string) error {
	return s.run(ctx, Call{Op: OpMakeDirectory, Path: path}, func() error { return s.directories().MakeDirectory(ctx, path) })
}

func (r *remote) ListDirectory(ctx context.Context, dir string, found func(transfer.DirectoryEntry) bool) error {
	return r.ask(OpListDirectory, dir, func(s *Storage) error { return s.ListDirectory(ctx, dir, found) })
}

func (r *remote) RemovePath(ctx context.Context, path string) error {
	return r.ask(OpRemovePath, path, func(s *Storage) error { return s.RemovePath(ctx, path) })
}

func (r *remote) MovePath(ctx context.Context, from, to string) error {
	return r.ask(OpMovePath, from, func(s *Storage) error { return s.MovePath(ctx, from, to) })
}

func (r *remote) MakeDirectory(ctx context.Context, path string) error {
	return r.ask(OpMakeDirectory, path, func(s *Storage) error { return s.MakeDirectory(ctx, path) })
}

func (r *remote) ask(op Op, path string, do func(*Storage) error) error {
	if err := r.begin(op.String(), path); err != nil {
		return err
	}
	defer r.end()
	return do(r.connector.storage)
}
