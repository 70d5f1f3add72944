package transfer

import (
	"context"
	"time"
)

// Directories are the requests about names that a [Remote] answers. Methods MUST return promptly once ctx has ended, and
// errors carry their cause as those of a [Storage] do.
type Directories interface {
	// ListDirectory calls found for each name in a directory, as the other side gives them out, in its order, until found
	// returns false. It looks into no directory below, and holds no more than one answer in memory. A missing directory is
	// FileNotFound or DirectoryNotFound.
	ListDirectory(ctx context.Context, dir string, found func(DirectoryEntry) (more bool)) error

	// RemovePath removes a file, or a directory that is empty. A missing one is FileNotFound.
	RemovePath(ctx context.Context, path string) error

	// MovePath gives a file or a directory another path on the same server. Where something is at the new path it fails
	// with FileExists, as far as that can be known before.
	MovePath(ctx context.Context, from, to string) error

	// MakeDirectory makes a directory, and those above it that are missing. One that is there already is no error. A
	// storage that has no directories of its own (S3) does nothing.
	MakeDirectory(ctx context.Context, path string) error
}

// DirectoryEntry is one name in a directory. It comes from the other side: hostile input.
type DirectoryEntry struct {
	Name      string // one element of a path: neither empty nor "." nor "..", without slash and NUL; it need not be UTF-8
	Directory bool
	Size      int64     // bytes; -1 if the other side does not say
	ModTime   time.Time // zero if the other side does not say
}

// NoDirectories are the Directories of a partner without any, such as one of AS2: they all fail with
// UnsupportedOperationError. Embed it.
type NoDirectories struct{}

var _ Directories = NoDirectories{}

// ListDirectory implements [Directories].
func (NoDirectories) ListDirectory(_ context.Context, dir string, _ func(DirectoryEntry) bool) error {
	return &Error{Op: "list", Path: dir, Code: UnsupportedOperationError}
}

// RemovePath implements [Directories].
func (NoDirectories) RemovePath(_ context.Context, path string) error {
	return &Error{Op: "remove", Path: path, Code: UnsupportedOperationError}
}

// MovePath implements [Directories].
func (NoDirectories) MovePath(_ context.Context, from, _ string) error {
	return &Error{Op: "move", Path: from, Code: UnsupportedOperationError}
}

// MakeDirectory implements [Directories].
func (NoDirectories) MakeDirectory(_ context.Context, path string) error {
	return &Error{Op: "make directory", Path: path, Code: UnsupportedOperationError}
}
