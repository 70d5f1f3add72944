package transfer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

var _ Directories = (*Mounts)(nil)

// ListDirectory lists a directory of the storage that dir leads to. Prefixes below dir come first, as directories, and
// hide what that storage has under their names; where no storage is mounted they are all there is. Here and in all calls
// below, a storage that is no [Directories] is UnsupportedOperationError.
func (m *Mounts) ListDirectory(ctx context.Context, dir string, found func(DirectoryEntry) (more bool)) error {
	local, err := localPath(dir)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return failure("list", dir, err)
	}
	points := m.pointsIn(path.Join("/", local))
	for _, name := range points {
		if !found(DirectoryEntry{Name: name, Directory: true, Size: -1}) {
			return nil
		}
	}
	names, prefix, rest, err := m.names(dir)
	if err == nil {
		err = mounted(prefix, names.ListDirectory(ctx, rest, func(e DirectoryEntry) bool {
			return slices.Contains(points, e.Name) || found(e)
		}))
	} else {
		err = failure("list", dir, err)
	}
	if code := CodeOf(err); len(points) > 0 && (code == PathNotFound || code == FileNotFound || code == DirectoryNotFound) {
		return nil // prefixes lead through it, whatever is there
	}
	return err
}

// pointsIn returns the names in a directory that lead to prefixes below it, sorted.
func (m *Mounts) pointsIn(dir string) []string {
	names := make(map[string]bool)
	for prefix := range m.storages {
		if rest, below := strings.CutPrefix(prefix, strings.TrimSuffix(dir, "/")+"/"); below && rest != "" {
			name, _, _ := strings.Cut(rest, "/")
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// names finds the Directories for a path, and the path in there.
func (m *Mounts) names(name string) (names Directories, prefix, rest string, err error) {
	storage, prefix, rest, err := m.route(name)
	if err != nil {
		return nil, "", "", err
	}
	names, ok := storage.(Directories)
	if !ok {
		err = fmt.Errorf("the storage at %s has no directories (%T)", prefix, storage)
		return nil, "", "", &Error{Code: UnsupportedOperationError, Err: err}
	}
	return names, prefix, rest, nil
}

// mounted says where err, if it is one, comes from.
func mounted(prefix string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("mount %s: %w", prefix, err)
}

// RemovePath removes a file, or an empty directory, of the storage that path leads to.
func (m *Mounts) RemovePath(ctx context.Context, path string) error {
	names, prefix, rest, err := m.names(path)
	if err != nil {
		return failure("remove", path, err)
	}
	return mounted(prefix, names.RemovePath(ctx, rest))
}

// MovePath moves within one storage. From one prefix to another it is UnsupportedOperationError, as is moving what a
// prefix leads to.
func (m *Mounts) MovePath(ctx context.Context, from, to string) error {
	names, prefix, source, err := m.names(from)
	if err != nil {
		return failure("move", from, err)
	}
	_, other, target, err := m.names(to)
	if err != nil {
		return failure("move", to, err)
	}
	if prefix != other || source == "/" || len(m.pointsIn(path.Join(prefix, source))) > 0 {
		err := fmt.Errorf("%s is on mount %s, %s on %s (copy it, and remove it then)", from, prefix, to, other)
		if prefix == other {
			err = errors.New("storages are mounted there")
		}
		return &Error{Op: "move", Path: from, Code: UnsupportedOperationError, Err: err}
	}
	return mounted(prefix, names.MovePath(ctx, source, target))
}

// MakeDirectory makes a directory in the storage that name leads to. One that prefixes lead through is there already.
func (m *Mounts) MakeDirectory(ctx context.Context, name string) error {
	local, err := localPath(name)
	if err != nil {
		return failure("make directory", name, err)
	}
	if len(m.pointsIn(path.Join("/", local))) > 0 {
		return ctx.Err()
	}
	names, prefix, rest, err := m.names(name)
	if err != nil {
		return failure("make directory", name, err)
	}
	return mounted(prefix, names.MakeDirectory(ctx, rest))
}
