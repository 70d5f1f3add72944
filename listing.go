package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxListing is how many bytes the two lists of a listing file may have together.
const maxListing = 64 << 20

// listing is a listing file in the making.
type listing struct {
	dir          string
	files, paths bytes.Buffer // the elements of each list
	items        int
	most         int
	leftOut      int
	truncated    bool
}

// listedFile and listedPath are AWS's shapes (Transfer Family User Guide, "List contents of a remote directory").
type listedFile struct {
	FilePath          string `json:"filePath"`
	ModifiedTimestamp string `json:"modifiedTimestamp,omitempty"`
	Size              *int64 `json:"size,omitempty"`
}

type listedPath struct {
	Path string `json:"path"`
}

// outputError is a failure in our storage, and not at the partner.
type outputError struct{ err error }

func (e outputError) Error() string { return "write the listing file: " + e.err.Error() }
func (e outputError) Unwrap() error { return e.err }

// list lists a directory and delivers the listing file.
func (ops *operations) list(ctx context.Context, remote Remote, o *operation) error {
	l := &listing{dir: o.spec.Path, most: o.spec.MaxItems}
	if err := remote.ListDirectory(ctx, o.spec.Path, l.add); err != nil {
		return err
	}
	if err := ops.engine.publish(ctx, o.spec.Target, o.id, l.text()); err != nil {
		return outputError{err}
	}
	o.result = operationResult{Items: l.items, LeftOut: l.leftOut, Truncated: l.truncated}
	return nil
}

// add takes an entry and reports whether there is room for more.
func (l *listing) add(entry DirectoryEntry) (more bool) {
	full := entry.Name
	if l.dir != "." {
		full = strings.TrimSuffix(l.dir, "/") + "/" + entry.Name
	}
	if !validText(full, 1, maxPathLength) {
		l.leftOut++ // no request could name it
		return true
	}
	if l.items >= l.most || l.files.Len()+l.paths.Len() >= maxListing {
		l.truncated = true
		return false
	}
	l.items++
	if entry.Directory {
		element(&l.paths, listedPath{full})
		return true
	}
	f := listedFile{FilePath: full}
	if entry.Size >= 0 {
		f.Size = &entry.Size
	}
	if y := entry.ModTime.Year(); !entry.ModTime.IsZero() && y >= 0 && y <= 9999 {
		f.ModifiedTimestamp = entry.ModTime.UTC().Format(time.RFC3339)
	}
	element(&l.files, f)
	return true
}

// element appends an element of a list.
func element(list *bytes.Buffer, value any) {
	if list.Len() > 0 {
		list.WriteByte(',')
	}
	e := json.NewEncoder(list)
	e.SetEscapeHTML(false)
	_ = e.Encode(value) // texts, which are UTF-8, and numbers
	list.Truncate(list.Len() - 1)
}

// text returns the file. truncated is a text there, and no bool.
func (l *listing) text() []byte {
	text := make([]byte, 0, l.files.Len()+l.paths.Len()+64)
	text = append(append(text, `{"files":[`...), l.files.Bytes()...)
	text = append(append(text, `],"paths":[`...), l.paths.Bytes()...)
	return fmt.Appendf(text, `],"truncated":"%t"}`, l.truncated)
}

// publish delivers a small file to our storage.
func (e *engine) publish(ctx context.Context, target, id string, text []byte) (err error) {
	key := sha256.Sum256([]byte(id))
	sink, err := e.cfg.Storage.Create(ctx, target, CreateOptions{
		Size: int64(len(text)), WindowSize: e.cfg.WindowSize, Key: hex.EncodeToString(key[:16]),
	})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
			defer cancel()
			err = errors.Join(err, sink.Abort(cleanup))
		}
		err = errors.Join(err, sink.Close())
	}()
	for off := int64(0); off < int64(len(text)); off += e.cfg.WindowSize {
		if err := sink.WriteWindow(ctx, text[off:min(off+e.cfg.WindowSize, int64(len(text)))], off); err != nil {
			return err
		}
	}
	return sink.Commit(ctx, sha256.Sum256(text))
}
