package watch

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// entry is one file or directory that a directory has, or one below it.
type entry struct {
	rel       string // its path below the directory that is listed: hostile input
	size      int64  // -1 if not known
	modTime   time.Time
	directory bool
	truncated bool // it is the last one, though there are more
	unnamed   bool // no request could name it: only rel is known
}

// version tells versions of one file apart.
func (e *entry) version() string {
	return transfer.FileInfo{Size: e.size, ModTime: e.modTime}.Identity()
}

// lister lists the files of a directory, and of those below it as far as the flow's patterns reach.
type lister interface {
	list(ctx context.Context, f *flow) iter.Seq2[entry, error]
}

// clientLister asks a Client.
type clientLister struct{ client *transfer.Client }

func (l clientLister) list(ctx context.Context, f *flow) iter.Seq2[entry, error] {
	in := &transfer.ListDirectoryInput{Path: f.listed, Recursive: f.depth() > 0, MaxItems: maxListed, MaxDepth: f.depth() + 1}
	if f.Direction == store.Retrieve {
		in.ConnectorID = f.ConnectorID
	}
	return func(yield func(entry, error) bool) {
		ended := false
		in.LeftOut = func(path string) { ended = ended || !yield(entry{rel: f.below(path), unnamed: true}, nil) }
		for item, err := range l.client.ListDirectory(ctx, in) {
			if ended {
				return
			}
			if err != nil {
				yield(entry{}, err)
				return
			}
			e := entry{rel: f.below(item.Path), size: item.Size, modTime: item.ModTime, directory: item.Directory}
			e.truncated = item.Truncated
			if !yield(e, nil) {
				return
			}
		}
	}
}

// below is the path of a file below the directory that is listed.
func (f *flow) below(listed string) string {
	if f.listed == "." {
		return listed
	}
	return strings.TrimPrefix(listed, strings.TrimSuffix(f.listed, "/")+"/")
}
