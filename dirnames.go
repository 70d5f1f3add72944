package transfer

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"syscall"
)

var _ Directories = (*Directory)(nil)

// namesAtOnce is how many names of a directory are read at once.
const namesAtOnce = 256

// ListDirectory lists a directory below this one in the order in which the file system keeps it. A symbolic link is
// listed as what it leads to; one that leads nowhere, or out of here, is left out, as are what is neither a file nor a
// directory, and the temporary files of deliveries that are not finished.
func (d *Directory) ListDirectory(ctx context.Context, dir string, found func(DirectoryEntry) (more bool)) error {
	name, err := localPath(dir)
	if err == nil {
		err = d.listNames(ctx, name, found)
	}
	if err != nil {
		return d.failure("list", dir, err)
	}
	return nil
}

func (d *Directory) listNames(ctx context.Context, dir string, found func(DirectoryEntry) bool) error {
	f, err := d.enter(dir)
	if err != nil {
		return err
	}
	defer d.leave(f)
	handle, err := f.root.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = handle.Close() }()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		names, err := handle.Readdirnames(namesAtOnce)
		for _, name := range names {
			if entry, ok := d.entry(f, name); ok && !found(entry) {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// entry looks at a name in a folder; ok is false for what is to be left out, or is gone again.
func (d *Directory) entry(f *folder, name string) (entry DirectoryEntry, ok bool) {
	if isTemporary(name) {
		return entry, false
	}
	info, err := f.root.Lstat(name)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		info, err = d.root.Stat(path.Join(f.path, name)) // it may lead out of the folder, but not from here
	}
	switch {
	case err != nil:
		return entry, false
	case info.IsDir():
		return DirectoryEntry{Name: name, Directory: true, Size: -1, ModTime: info.ModTime().UTC()}, true
	case info.Mode().IsRegular():
		return DirectoryEntry{Name: name, Size: info.Size(), ModTime: info.ModTime().UTC()}, true
	}
	return entry, false
}

const (
	tempPrefix = ".transfer-"
	tempSuffix = ".part"
)

// isTemporary reports whether a delivery may have made a file of this name.
func isTemporary(name string) bool {
	key, ok := strings.CutPrefix(name, tempPrefix)
	if ok {
		key, ok = strings.CutSuffix(key, tempSuffix)
	}
	return ok && validKey(key)
}

// RemovePath removes a file, a symbolic link, or a directory that is empty, and makes that last.
func (d *Directory) RemovePath(ctx context.Context, name string) error {
	local, err := localPath(name)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = d.remove(local)
	}
	if err != nil {
		return d.failure("remove", name, err)
	}
	return nil
}

func (d *Directory) remove(name string) error {
	if name == "." {
		return &Error{Code: DeleteError, Err: errors.New("it is the root of the storage")}
	}
	f, err := d.enter(path.Dir(name))
	if err != nil {
		return err
	}
	defer d.leave(f)
	err = f.root.Remove(path.Base(name))
	if errors.Is(err, syscall.ENOTEMPTY) {
		return &Error{Code: DeleteError, Err: cause(err)} // package fs takes it for ErrExist
	}
	if err != nil {
		return err
	}
	return f.sync()
}

// MovePath renames a file, a symbolic link or a directory, and makes that last. A file that appears at the new path at
// the same moment is replaced.
func (d *Directory) MovePath(ctx context.Context, from, to string) error {
	source, err := localPath(from)
	if err != nil {
		return d.failure("move", from, err)
	}
	target, err := localPath(to)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = d.free(target)
	}
	if err != nil {
		return d.failure("move", to, err)
	}
	if err := d.rename(source, target); err != nil {
		return d.failure("move", from, err)
	}
	return nil
}

// free fails if something is at name, or the directory is missing that it would be in.
func (d *Directory) free(name string) error {
	_, err := d.root.Lstat(name)
	if err == nil {
		return fs.ErrExist
	}
	if errors.Is(err, fs.ErrNotExist) {
		_, err = d.root.Stat(path.Dir(name))
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return &Error{Code: DirectoryNotFound, Err: cause(err)}
	}
	return err
}

func (d *Directory) rename(from, to string) error {
	var folders [2]*folder // opened before, so that what is renamed is what is synced
	for i, name := range []string{from, to} {
		f, err := d.enter(path.Dir(name))
		if err != nil {
			return err
		}
		defer d.leave(f)
		folders[i] = f
	}
	if err := d.root.Rename(from, to); err != nil {
		return err
	}
	err := folders[1].sync()
	if folders[0] != folders[1] {
		err = errors.Join(err, folders[0].sync())
	}
	return err
}

// MakeDirectory makes a directory and those above it, mode 0755 less the umask, and makes that last.
func (d *Directory) MakeDirectory(ctx context.Context, name string) error {
	local, err := localPath(name)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = d.makeDirectory(local)
	}
	if err != nil {
		return d.failure("make directory", name, err)
	}
	return nil
}

func (d *Directory) makeDirectory(name string) error {
	made, err := d.mkdirAll(name)
	if err != nil {
		return err
	}
	info, err := d.root.Stat(name)
	if err == nil && !info.IsDir() {
		return fs.ErrExist
	}
	for dir := name; made > 0 && err == nil; made-- {
		dir = path.Dir(dir)
		err = syncDirectory(d.root, dir)
	}
	return err
}
