package transfer

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// Limits of ListDirectory.
const (
	defaultMaxDepth = 32
	maxDepth        = 1000
)

// ListDirectoryInput says what to list.
type ListDirectoryInput struct {
	ConnectorID string // of a partner; empty for our storage
	Path        string // of a directory: at a partner absolute, or relative to the home directory; required
	Recursive   bool   // list what is in directories, too
	MaxItems    int    // files and directories together: 1 to 200,000; default 200,000
	MaxDepth    int    // with Recursive: levels of directories, that of Path included: 1 to 1,000; default 32

	// LeftOut, if it is set, is called with the path of each name that is left out, while the loop runs. It is as the other
	// side gives it: hostile input.
	LeftOut func(path string)
}

// ListedFile is one file or directory.
type ListedFile struct {
	Path      string // the Path that was asked for, and the names below it
	Directory bool
	Size      int64     // bytes; -1 if the other side does not say, and of directories
	ModTime   time.Time // UTC; zero if the other side does not say
	// TooDeep says that a directory lies as deep as MaxDepth allows, and nobody looked what is in it.
	TooDeep bool
	// Truncated says that this is the last one that is listed, and not the last one that there is: there are more than
	// MaxItems, more than 200,000 names with those that are left out, or more than 64 MiB of paths still to be looked into.
	Truncated bool
}

// ListDirectory lists a directory of a partner, or of our storage, while the loop over it runs; it holds one item, and the
// paths of directories that it has not come to yet. Items come in the order of the other side, those of a directory before
// those of the directories in it. Links are followed, and MaxDepth is what ends those that lead in circles. Names that no
// request could name are left out: those that are not UTF-8 or contain line breaks, and paths of more than 1,024 characters
// (see ListDirectoryInput.LeftOut). A directory below Path that is removed meanwhile is empty.
//
// The list ends with its first error, which comes with an empty item. Any Client can be asked, whether it runs or not. A
// partner's session is open as long as the loop goes on, so let the loop be quick, or break out of it.
//
// Errors: InvalidRequestException with every wrong field; ResourceNotFoundException for an unknown connector;
// ServiceUnavailableException when the Store failed, or the Client has no Protocol for the connector; what the partner or
// the storage says, as an [Error]: CodeOf tells. A missing directory is FileNotFound or DirectoryNotFound, a storage that is
// no [Directories] UnsupportedOperationError.
func (c *Client) ListDirectory(ctx context.Context, in *ListDirectoryInput) iter.Seq2[ListedFile, error] {
	var asked ListDirectoryInput
	if in != nil {
		asked = *in
	}
	return func(yield func(ListedFile, error) bool) {
		w := &walk{in: asked, yield: yield}
		err := w.check()
		if err == nil {
			err = c.walk(ctx, w)
		}
		if err != nil && !w.broken {
			yield(ListedFile{}, err)
		}
	}
}

// walk goes through the directories of a partner or of our storage.
func (c *Client) walk(ctx context.Context, w *walk) (err error) {
	if w.in.ConnectorID == "" {
		names, ok := c.cfg.Storage.(Directories)
		if !ok {
			return &Error{Op: "list", Path: w.in.Path, Code: UnsupportedOperationError, Err: fmt.Errorf("the storage has no directories (%T)", c.cfg.Storage)}
		}
		return w.run(ctx, names)
	}
	p, release, err := c.partnerAside(ctx, w.in.ConnectorID)
	if err != nil {
		return err
	}
	defer release()
	s := &session{engine: c.engine, partner: p}
	if err := guarded(func() error { return s.connect(ctx) }); err != nil {
		return err
	}
	defer func() { _ = s.close() }()
	ctx, cancel, explain := s.untilClosing(ctx)
	defer cancel()
	return explain(w.run(ctx, s.remote))
}

// partnerAside returns a connector for work that is no file's, and what to call after it. Where the engine has none, since
// the Client does not run or has not read the Store yet, one is made for this purpose alone.
func (c *Client) partnerAside(ctx context.Context, id string) (p *partner, release func(), err error) {
	info, err := c.connectorInfo(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	p = c.engine.partners.acquire(id)
	if p.conn != nil {
		return p, func() { c.engine.partners.release(p) }, nil
	}
	c.engine.partners.release(p)
	p = &partner{id: id, info: info, breaker: &breaker{}}
	p.limit(&c.cfg.Limits, nil)
	if configured, ok := c.cfg.Connectors[id]; ok {
		p.conn = configured
		return p, func() {}, nil
	}
	_, d, err := c.definition(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	opened, err := c.cfg.open(&d)
	if err != nil {
		return nil, nil, &ServiceUnavailableException{Message: fmt.Sprintf("this client cannot work with connector %q: %v", id, err), Err: err}
	}
	p.conn = opened
	return p, func() { _ = guarded(opened.Close) }, nil
}

// walk is one ListDirectory.
type walk struct {
	in    ListDirectoryInput
	yield func(ListedFile, error) bool

	held    *ListedFile // the last one, which may turn out to be the end
	items   int
	names   int     // with those that are left out
	ahead   []below // directories to look into, the next one last
	waiting int     // bytes of their paths
	full    bool    // there are more than the limits allow
	broken  bool    // the loop was left
}

// below is a directory to look into.
type below struct {
	path  string
	depth int
}

func (w *walk) check() error {
	var p problems
	p.text("ConnectorID", w.in.ConnectorID, 0, maxNameLength)
	p.text("Path", w.in.Path, 1, maxPathLength)
	if w.in.MaxItems < 0 || w.in.MaxItems > maxItems {
		p.add("MaxItems", fmt.Sprint(w.in.MaxItems), "is out of range (use 1 to %d, or 0 for %d)", maxItems, maxItems)
	}
	if w.in.MaxDepth < 0 || w.in.MaxDepth > maxDepth {
		p.add("MaxDepth", fmt.Sprint(w.in.MaxDepth), "is out of range (use 1 to %d, or 0 for %d)", maxDepth, defaultMaxDepth)
	}
	fill(&w.in.MaxItems, maxItems)
	fill(&w.in.MaxDepth, defaultMaxDepth)
	return p.err()
}

// run lists one directory after the other.
func (w *walk) run(ctx context.Context, names Directories) error {
	w.ahead = []below{{w.in.Path, 1}}
	for len(w.ahead) > 0 && !w.over() {
		next := len(w.ahead) - 1
		dir := w.ahead[next]
		w.ahead = w.ahead[:next]
		w.waiting -= len(dir.path)
		err := ctx.Err()
		if err == nil {
			err = names.ListDirectory(ctx, dir.path, func(e DirectoryEntry) bool { return w.found(dir, e) })
		}
		if code := CodeOf(err); dir.depth > 1 && (code == FileNotFound || code == DirectoryNotFound) {
			err = nil
		}
		if err != nil {
			w.pass()
			return err
		}
		slices.Reverse(w.ahead[next:])
	}
	if w.full && w.held == nil && !w.broken {
		return &Error{Op: "list", Path: w.in.Path, Code: ListDirectoryError, Err: fmt.Errorf("it begins with %d names that no request could name", maxItems)}
	}
	if w.full && w.held != nil {
		w.held.Truncated = true
	}
	w.pass()
	return nil
}

// over reports whether no more is wanted.
func (w *walk) over() bool { return w.full || w.broken }

// found takes a name in a directory and reports whether more are wanted.
func (w *walk) found(dir below, e DirectoryEntry) (more bool) {
	if w.over() {
		return false
	}
	if w.names++; w.names > maxItems || w.waiting > maxListing {
		w.full = true
		return false
	}
	f := ListedFile{Path: e.Name, Directory: e.Directory, Size: e.Size, ModTime: e.ModTime}
	if dir.path != "." {
		f.Path = strings.TrimSuffix(dir.path, "/") + "/" + e.Name
	}
	if !isName(e.Name) || !validText(f.Path, 1, maxPathLength) {
		if w.in.LeftOut != nil {
			w.in.LeftOut(f.Path)
		}
		return true
	}
	if w.items++; w.items > w.in.MaxItems {
		w.full = true
		return false
	}
	if e.Directory {
		f.Size = -1
		f.TooDeep = w.in.Recursive && !w.enter(below{f.Path, dir.depth + 1})
	}
	w.pass()
	w.held = &f
	return !w.broken
}

// enter notes a directory to look into, unless it lies too deep.
func (w *walk) enter(dir below) bool {
	if dir.depth > w.in.MaxDepth {
		return false
	}
	w.ahead = append(w.ahead, dir)
	w.waiting += len(dir.path)
	return true
}

// isName reports whether a name is one element of a path.
func isName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}

// pass gives the item that is held to the loop.
func (w *walk) pass() {
	if w.held != nil && !w.broken {
		w.broken = !w.yield(*w.held, nil)
	}
	w.held = nil
}
