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

// Mounts is several storages under path prefixes, made by [Mount].
type Mounts struct {
	storages map[string]Storage // by cleaned prefix: "/a/b", or "/"
	prefixes string             // all of them, for messages
}

// Mount returns the Storage that has each of storages under its path prefix: with {"/in": a, "/old": b}, "/in/x.csv" is
// "/x.csv" in a. The longest prefix counts, whole segments only; "/" takes what no other takes; a path under none is
// PathNotFound. Paths are cleaned before: "/in/../old/x" is in b, "/in/../../x" is PathEscapes.
func Mount(storages map[string]Storage) (*Mounts, error) {
	if len(storages) == 0 {
		return nil, errors.New(`transfer: Mount got no storages (try {"/": storage})`)
	}
	m := &Mounts{storages: make(map[string]Storage, len(storages))}
	given := make(map[string]string, len(storages))
	for _, prefix := range slices.Sorted(maps.Keys(storages)) {
		local, err := localPath(prefix)
		if err != nil || prefix == "" {
			return nil, fmt.Errorf("transfer: Mount prefix %q is no path below %q (try %q)", prefix, "/", path.Clean("/"+prefix))
		}
		clean := path.Join("/", local)
		if other, ok := given[clean]; ok {
			return nil, fmt.Errorf("transfer: Mount prefixes %q and %q are the same (leave one out)", other, prefix)
		}
		if storages[prefix] == nil {
			return nil, fmt.Errorf("transfer: Mount storage at %q is nil (try transfer.Dir(path))", prefix)
		}
		given[clean], m.storages[clean] = prefix, storages[prefix]
	}
	m.prefixes = strings.Join(slices.Sorted(maps.Keys(m.storages)), ", ")
	return m, nil
}

// Open opens a file of the storage that path leads to.
func (m *Mounts) Open(ctx context.Context, path string) (Source, error) {
	storage, prefix, rest, err := m.route(path)
	if err != nil {
		return nil, failure("open", path, err)
	}
	source, err := storage.Open(ctx, rest)
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", prefix, err)
	}
	return source, nil
}

// Create begins a delivery to the storage that path leads to.
func (m *Mounts) Create(ctx context.Context, path string, o CreateOptions) (Sink, error) {
	storage, prefix, rest, err := m.route(path)
	if err != nil {
		return nil, failure("create", path, err)
	}
	sink, err := storage.Create(ctx, rest, o)
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", prefix, err)
	}
	return sink, nil
}

// Discard removes what an unfinished delivery left in the storage that path leads to.
func (m *Mounts) Discard(ctx context.Context, path string, o CreateOptions) error {
	storage, prefix, rest, err := m.route(path)
	if err != nil {
		return failure("discard", path, err)
	}
	if err := storage.Discard(ctx, rest, o); err != nil {
		return fmt.Errorf("mount %s: %w", prefix, err)
	}
	return nil
}

// route finds the storage for a path, and the path in there.
func (m *Mounts) route(name string) (storage Storage, prefix, rest string, err error) {
	local, err := localPath(name)
	if err != nil {
		return nil, "", "", err
	}
	clean := path.Join("/", local)
	for prefix = clean; ; prefix = path.Dir(prefix) {
		if storage, ok := m.storages[prefix]; ok {
			return storage, prefix, path.Join("/", strings.TrimPrefix(clean, prefix)), nil
		}
		if prefix == "/" {
			err = fmt.Errorf("no storage is mounted there (mounted are: %s)", m.prefixes)
			return nil, "", "", &Error{Code: PathNotFound, Err: err}
		}
	}
}
