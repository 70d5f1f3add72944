package s3x

import (
	"errors"
	"slices"
	"strings"

	"github.com/seed62b9dc43/transfer"
)

// object is where a file is.
type object struct {
	path   string // as the caller wrote it
	bucket string
	key    string
}

// locate finds the object of a path: "/bucket/key", "bucket/key", or below Options.Bucket and Options.Prefix the key.
func (s *Storage) locate(op, path string) (object, error) {
	at := object{path: path, bucket: s.o.Bucket, key: strings.TrimPrefix(path, "/")}
	wrong := func(code transfer.Code, problem string) (object, error) {
		return object{}, &transfer.Error{Op: op, Path: path, Code: code, Err: errors.New(problem)}
	}
	if escapes(at.key) {
		return wrong(transfer.PathEscapes, `a path must not have a segment ".."`)
	}
	if at.bucket == "" {
		at.bucket, at.key, _ = strings.Cut(at.key, "/")
		if at.bucket == "" {
			return wrong(transfer.PathNotFound, "the path names no bucket (write /bucket/key, or set s3x.Options.Bucket)")
		}
	}
	if at.key == "" || strings.HasSuffix(at.key, "/") {
		return wrong(transfer.IsDirectory, "the path names no object: its key is empty or ends in a slash")
	}
	at.key = s.o.Prefix + at.key
	return at, nil
}

// escapes reports whether key has a segment "..", which means nothing to AWS but leads out of a folder on servers that
// keep objects as files.
func escapes(key string) bool {
	return strings.Contains(key, "..") && slices.Contains(strings.Split(key, "/"), "..")
}
