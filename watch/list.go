package watch

import (
	"context"
	"iter"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// entry is one file that a directory has, or one below it.
type entry struct {
	rel     string // its path below the directory that is listed: hostile input
	size    int64  // -1 if not known
	modTime time.Time
}

// version tells versions of one file apart.
func (e *entry) version() string {
	return transfer.FileInfo{Size: e.size, ModTime: e.modTime}.Identity()
}

// lister lists the files of a directory and of those below it, so deep, and at most so many files and directories.
type lister interface {
	list(ctx context.Context, f *flow, most int) iter.Seq2[entry, error]
}
