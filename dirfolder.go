package transfer

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// folder is a directory below the root of a Directory in which deliveries are under way. They share its handle, so that
// not each of their steps walks there from the root, and what makes its entries last.
type folder struct {
	path string   // below the root
	root *os.Root // of its own
	info fs.FileInfo

	users int // the Directory's mu guards it

	disk sync.Mutex // held while entries are made to last
	mu   sync.Mutex // guards next
	next *syncTurn  // nil, or waits for disk
}

// syncTurn makes the entries of a folder last, for all who were there before it began.
type syncTurn struct {
	done chan struct{} // closed once err is set
	err  error
}

// enter returns the folder at path, which must be left again. It is the one that is there now: if somebody has renamed a
// directory under which deliveries are going on, those that come later go to the one that took its place.
func (d *Directory) enter(path string) (*folder, error) {
	info, err := d.root.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, syscall.ENOTDIR
	}
	if f := d.join(path, info); f != nil {
		return f, nil
	}
	root, err := d.root.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	f := &folder{path: path, root: root, users: 1}
	if f.info, err = root.Stat("."); err != nil {
		_ = root.Close()
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.folders == nil {
		d.folders = make(map[string]*folder)
	}
	d.folders[path] = f // in place of another one that somebody has opened just now
	return f, nil
}

// join returns the folder at path if it is open and is the one that info tells of.
func (d *Directory) join(path string, info fs.FileInfo) *folder {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.folders[path]
	if f == nil || !os.SameFile(f.info, info) {
		return nil
	}
	f.users++
	return f
}

// leave closes the folder behind the last one.
func (d *Directory) leave(f *folder) {
	d.mu.Lock()
	f.users--
	last := f.users == 0
	if last && d.folders[f.path] == f {
		delete(d.folders, f.path)
	}
	d.mu.Unlock()
	if last {
		_ = f.root.Close()
	}
}

// isThere fails if the folder is no longer what is at its path.
func (d *Directory) isThere(f *folder) error {
	info, err := d.root.Stat(f.path)
	if err == nil && !os.SameFile(info, f.info) {
		err = errors.New("the directory was replaced meanwhile")
	}
	return err
}

// sync makes the entries last that are there now. Those who ask while the disk is busy share one turn.
func (f *folder) sync() error {
	f.mu.Lock()
	turn, first := f.next, f.next == nil
	if first {
		turn = &syncTurn{done: make(chan struct{})}
		f.next = turn
	}
	f.mu.Unlock()
	if !first {
		<-turn.done
		return turn.err
	}
	f.disk.Lock()
	defer f.disk.Unlock()
	f.mu.Lock()
	f.next = nil // who comes from here on is too late for this turn
	f.mu.Unlock()
	turn.err = syncDirectory(f.root, ".")
	close(turn.done)
	return turn.err
}
