package transfertest

import (
	"io/fs"
	"os"
	"strings"
)

// dirFS is a directory that nothing leaves: not by "..", not by a link.
type dirFS struct{ root *os.Root }

func newDirFS(dir string) (*dirFS, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &dirFS{root}, nil
}

func local(name string) string {
	if name = strings.TrimPrefix(name, "/"); name != "" {
		return name
	}
	return "."
}

func (d *dirFS) close() error { return d.root.Close() }

func (d *dirFS) open(name string, flags int, mode fs.FileMode) (file, error) {
	f, err := d.root.OpenFile(local(name), flags, mode)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (d *dirFS) stat(name string) (fs.FileInfo, error)  { return d.root.Stat(local(name)) }
func (d *dirFS) lstat(name string) (fs.FileInfo, error) { return d.root.Lstat(local(name)) }

func (d *dirFS) list(name string) ([]fs.FileInfo, error) {
	f, err := d.root.Open(local(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdir(-1)
}

func (d *dirFS) mkdir(name string, mode fs.FileMode) error { return d.root.Mkdir(local(name), mode) }
func (d *dirFS) remove(name string) error                  { return d.root.Remove(local(name)) }
func (d *dirFS) rename(from, to string) error              { return d.root.Rename(local(from), local(to)) }
func (d *dirFS) readlink(name string) (string, error)      { return d.root.Readlink(local(name)) }
func (d *dirFS) symlink(target, name string) error         { return d.root.Symlink(target, local(name)) }

func (d *dirFS) setAttrs(name string, a attributes) error {
	if a.flags&attrSize != 0 {
		f, err := d.root.OpenFile(local(name), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := f.Truncate(a.size); err != nil {
			return err
		}
	}
	if a.flags&attrMode != 0 {
		if err := d.root.Chmod(local(name), a.mode); err != nil {
			return err
		}
	}
	if a.flags&attrTimes != 0 {
		return d.root.Chtimes(local(name), a.atime, a.mtime)
	}
	return nil
}
