package transfer

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

var _ Directories = (*Memory)(nil)

// ListDirectory lists a directory. The root is there always, another one while there is a file
// below it.
func (m *Memory) ListDirectory(ctx context.Context, dir string, found func(DirectoryEntry) (more bool)) error {
	name, err := localPath(dir)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return failure("list", dir, err)
	}
	entries, err := m.entries(name)
	if err != nil {
		return failure("list", dir, err)
	}
	for _, e := range entries {
		if !found(e) {
			return nil
		}
	}
	return nil
}

func (m *Memory) entries(dir string) ([]DirectoryEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, file := m.files[dir]; file || !m.isDirectory(dir) {
		return nil, fs.ErrNotExist
	}
	prefix := dir + "/"
	if dir == "." {
		prefix = ""
	}
	var entries []DirectoryEntry
	for _, file := range slices.Sorted(maps.Keys(m.files)) {
		rest, below := strings.CutPrefix(file, prefix)
		if !below {
			continue
		}
		name, _, deeper := strings.Cut(rest, "/")
		switch {
		case !deeper:
			f := m.files[file]
			entries = append(entries, DirectoryEntry{Name: name, Size: f.info.Size, ModTime: f.info.ModTime})
		case len(entries) == 0 || entries[len(entries)-1].Name != name: // its files come one after the other
			entries = append(entries, DirectoryEntry{Name: name, Directory: true, Size: -1})
		}
	}
	return entries, nil
}

// RemovePath removes a file.
func (m *Memory) RemovePath(ctx context.Context, path string) error {
	name, err := localPath(path)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return failure("remove", path, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.files[name]; ok {
		delete(m.files, name)
		return nil
	}
	if m.isDirectory(name) {
		return &Error{Op: "remove", Path: path, Code: DeleteError}
	}
	return failure("remove", path, fs.ErrNotExist)
}

// MovePath gives a file, or all files of a directory, another path.
func (m *Memory) MovePath(ctx context.Context, from, to string) error {
	source, err := localPath(from)
	if err != nil {
		return failure("move", from, err)
	}
	target, err := localPath(to)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return failure("move", to, err)
	}
	if strings.HasPrefix(target, source+"/") {
		return &Error{Op: "move", Path: to, Code: PathNotFound, Err: errors.New("it is below what is to be moved")}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.files[target]; taken || m.isDirectory(target) {
		return failure("move", to, fs.ErrExist)
	}
	moved := false
	for _, file := range slices.Collect(maps.Keys(m.files)) {
		rest, below := strings.CutPrefix(file, source+"/")
		switch {
		case file == source:
			rest = ""
		case !below:
			continue
		}
		m.files[path.Join(target, rest)] = m.files[file]
		delete(m.files, file)
		moved = true
	}
	if !moved {
		return failure("move", from, fs.ErrNotExist)
	}
	return nil
}

// MakeDirectory does nothing: directories are there while files are below them.
func (m *Memory) MakeDirectory(ctx context.Context, path string) error {
	if _, err := localPath(path); err != nil {
		return failure("make directory", path, err)
	}
	return ctx.Err()
}
