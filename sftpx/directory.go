package sftpx

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer"
)

const (
	fxpOpendir = 11
	fxpReaddir = 12
	fxpName    = 104
	// maxNames is how long one answer to READDIR may be, in bytes: what pkg/sftp takes as a packet.
	maxNames = 256 << 10

	attrExtended = 1 << 31

	modeType      = 0o170000
	modeDirectory = 0o040000
	modeFile      = 0o100000
	modeLink      = 0o120000
)

// ListDirectory lists a directory, one answer of the server after the other. Links are listed as what they lead to, where
// the server says that; what is neither a file nor a directory is left out, as are what no path could name, and the temporary
// files of deliveries that are not finished (Profile.TempName, if that says more than the key).
func (r *remote) ListDirectory(ctx context.Context, dir string, found func(transfer.DirectoryEntry) bool) (err error) {
	if err := checkPath("list", dir); err != nil {
		return err
	}
	var handle string
	err = r.s.request(ctx, "list", dir, func() (err error) {
		handle, err = r.s.first.opendir(dir)
		return err
	})
	if err != nil {
		return err
	}
	defer func() {
		if r.s.broken() == nil {
			closing := context.WithoutCancel(ctx)
			err = errors.Join(err, r.s.request(closing, "list", dir, func() error { return r.s.first.closeHandle(handle) }))
		}
	}()
	for {
		var names []name
		err := r.s.request(ctx, "list", dir, func() (err error) {
			names, err = r.s.first.readdir(handle)
			return err
		})
		if err != nil {
			return err
		}
		if len(names) == 0 {
			return nil
		}
		for _, n := range names {
			entry, ok := r.entry(ctx, dir, n)
			if ctx.Err() != nil {
				return ended(ctx, "list", dir)
			}
			if ok && !found(entry) {
				return nil
			}
		}
	}
}

// entry makes an entry of a name; ok is false for what is to be left out.
func (r *remote) entry(ctx context.Context, dir string, n name) (entry transfer.DirectoryEntry, ok bool) {
	if n.name == "" || n.name == "." || n.name == ".." || strings.ContainsAny(n.name, "/\x00") || r.c.isOurs(dir, n.name) {
		return entry, false
	}
	kind := n.kind()
	entry = transfer.DirectoryEntry{Name: n.name, Size: n.size, ModTime: n.modified}
	if kind == modeLink {
		// what a link leads to; one that leads nowhere is a file that cannot be retrieved
		_ = r.s.request(ctx, "look at", dir, func() error {
			stat, err := r.s.client.Stat(strings.TrimSuffix(dir, "/") + "/" + n.name)
			if err == nil {
				kind, entry.Size, entry.ModTime = modeFile, stat.Size(), stat.ModTime().UTC()
				if stat.IsDir() {
					kind = modeDirectory
				}
			}
			return err
		})
	}
	entry.Directory = kind == modeDirectory
	return entry, kind == modeDirectory || kind == modeFile || kind == modeLink
}

// opendir opens a directory and returns its handle.
func (l *lane) opendir(dir string) (handle string, err error) {
	a, err := l.call(fxpOpendir, func(b []byte) []byte { return appendString(b, dir) })
	if err != nil {
		return "", err
	}
	handle, _, ok := cutString(a.body)
	if a.kind != fxpHandle || !ok || len(handle) > maxHandle {
		return "", wireLost{fmt.Errorf("%w: no handle for a directory", errProtocol)}
	}
	return handle, nil
}

// readdir returns the next names of a directory, none at its end.
func (l *lane) readdir(handle string) ([]name, error) {
	a, err := l.call(fxpReaddir, func(b []byte) []byte { return appendString(b, handle) })
	switch {
	case err == io.EOF:
		return nil, nil
	case err != nil:
		return nil, err
	case a.kind != fxpName:
		return nil, wireLost{fmt.Errorf("%w: an answer of type %d to READDIR", errProtocol, a.kind)}
	}
	names, err := parseNames(a.body)
	if err != nil {
		return nil, wireLost{err}
	}
	return names, nil
}

// name is one of a NAME (draft-ietf-secsh-filexfer-02, section 7).
type name struct {
	name     string
	long     string // as ls prints it
	size     int64  // -1: not said
	mode     uint32 // 0: not said
	modified time.Time
}

// kind is the type part of the mode. Servers that leave it out may say it in the first letter of the long name.
func (n *name) kind() uint32 {
	if kind := n.mode & modeType; kind != 0 {
		return kind
	}
	switch {
	case strings.HasPrefix(n.long, "d"):
		return modeDirectory
	case strings.HasPrefix(n.long, "l"):
		return modeLink
	}
	return modeFile
}

// parseNames reads a NAME without its id.
func parseNames(b []byte) ([]name, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("%w: a list of names of %d bytes", errProtocol, len(b))
	}
	const least = 4 + 4 + 4 // two texts and the flags
	count := int64(binary.BigEndian.Uint32(b))
	b = b[4:]
	if count > int64(len(b)/least) {
		return nil, fmt.Errorf("%w: %d names in %d bytes", errProtocol, count, len(b))
	}
	names := make([]name, count)
	for i := range names {
		n, ok := &names[i], false
		if n.name, b, ok = cutString(b); ok {
			n.long, b, ok = cutString(b)
		}
		if ok {
			b, ok = n.cutAttrs(b)
		}
		if !ok {
			return nil, fmt.Errorf("%w: a list of names that breaks off", errProtocol)
		}
	}
	return names, nil
}

// cutAttrs reads ATTRS (section 5 there) from the front of b and returns what follows.
func (n *name) cutAttrs(b []byte) (rest []byte, ok bool) {
	flags, b, ok := cutNumber(b, 4)
	n.size = -1
	if ok && flags&attrSize != 0 {
		var size uint64
		size, b, ok = cutNumber(b, 8)
		n.size = int64(min(size, 1<<63-1))
	}
	if ok && flags&attrOwner != 0 {
		_, b, ok = cutNumber(b, 8)
	}
	if ok && flags&attrMode != 0 {
		var mode uint64
		mode, b, ok = cutNumber(b, 4)
		n.mode = uint32(mode)
	}
	if ok && flags&attrTimes != 0 {
		var times uint64
		times, b, ok = cutNumber(b, 8)
		n.modified = time.Unix(int64(uint32(times)), 0).UTC()
	}
	if ok && flags&attrExtended != 0 {
		var extended uint64
		extended, b, ok = cutNumber(b, 4)
		for ; ok && extended > 0; extended-- {
			if _, b, ok = cutString(b); ok {
				_, b, ok = cutString(b)
			}
		}
	}
	return b, ok
}

// cutNumber reads a number of n bytes, 4 or 8.
func cutNumber(b []byte, n int) (value uint64, rest []byte, ok bool) {
	if len(b) < n {
		return 0, nil, false
	}
	if n == 4 {
		return uint64(binary.BigEndian.Uint32(b)), b[4:], true
	}
	return binary.BigEndian.Uint64(b), b[8:], true
}

// RemovePath removes a file, or a directory that is empty.
func (r *remote) RemovePath(ctx context.Context, path string) error {
	if err := checkPath("remove", path); err != nil {
		return err
	}
	return r.s.request(ctx, "remove", path, func() error { return r.s.client.Remove(path) })
}

// MovePath renames by SFTP's own RENAME, which replaces nothing; not all servers know that, so it looks first.
func (r *remote) MovePath(ctx context.Context, from, to string) error {
	if err := errors.Join(checkPath("move", from), checkPath("move", to)); err != nil {
		return err
	}
	there := r.s.request(ctx, "look at", to, func() error { _, err := r.s.client.Lstat(to); return err })
	if there == nil {
		return &transfer.Error{Op: "move", Path: to, Code: transfer.FileExists}
	}
	if r.s.broken() != nil || ctx.Err() != nil {
		return there
	}
	return r.s.request(ctx, "move", from, func() error { return r.s.client.Rename(from, to) })
}

// MakeDirectory makes what is missing of the path, each directory with a request of its own.
func (r *remote) MakeDirectory(ctx context.Context, path string) error {
	if err := checkPath("make directory", path); err != nil {
		return err
	}
	return r.s.request(ctx, "make directory", path, func() error { return r.s.client.MkdirAll(path) })
}
