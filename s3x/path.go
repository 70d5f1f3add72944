package s3x

import (
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
	at, err := s.split(op, path)
	if err != nil {
		return object{}, err
	}
	if at.key == "" || strings.HasSuffix(at.key, "/") {
		return object{}, because(op, path, transfer.IsDirectory, "the path names no object: its key is empty or ends in a slash", nil)
	}
	at.key = s.o.Prefix + at.key
	return at, nil
}

// locateFolder finds what the keys in a directory begin with: nothing, or a text that ends in a slash.
func (s *Storage) locateFolder(op, path string) (object, error) {
	at, err := s.split(op, path)
	if err != nil {
		return object{}, err
	}
	if at.key = strings.TrimSuffix(at.key, "/"); at.key != "" {
		at.key += "/"
	}
	at.key = s.o.Prefix + at.key
	return at, nil
}

// split takes the bucket off a path. The key lacks Options.Prefix.
func (s *Storage) split(op, path string) (object, error) {
	at := object{path: path, bucket: s.o.Bucket, key: strings.TrimPrefix(path, "/")}
	if escapes(at.key) {
		return object{}, because(op, path, transfer.PathEscapes, `a path must not have a segment ".."`, nil)
	}
	if at.bucket == "" {
		at.bucket, at.key, _ = strings.Cut(at.key, "/")
	}
	if at.bucket == "" {
		return object{}, because(op, path, transfer.PathNotFound, "the path names no bucket (write /bucket/key, or set s3x.Options.Bucket)", nil)
	}
	return at, nil
}

// escapes reports whether key has a segment "..", which means nothing to AWS but leads out of a folder on servers that
// keep objects as files.
func escapes(key string) bool {
	return strings.Contains(key, "..") && slices.Contains(strings.Split(key, "/"), "..")
}
