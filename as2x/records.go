package as2x

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"

	"github.com/seed62b9dc43/transfer"
)

// Records keeps small notes that must outlive the process: messages that await an MDN, the MDNs that came for them, and
// the MDNs that were given for received messages. All connectors and receivers of a fleet share one. The notes are files
// of a Storage, one or two for each message; nothing removes them, so that a rule of the storage (a lifecycle rule, a job)
// should, once partners no longer repeat messages of that age: 30 days is generous.
type Records struct {
	// Storage holds the notes. It must be one that refuses to replace a file where asked to (Dir, Memory, s3x).
	Storage transfer.Storage
	// Directory is where in Storage. Empty is its root.
	Directory string
}

// maxRecord is the largest note.
const maxRecord = 2 * maxMDN

// name is where a note lies. Its key may be anything the other side made up.
func (r *Records) name(kind string, key ...string) string {
	return path.Join("/", r.Directory, kind, digestName(key...))
}

// digestName is a name for something that the other side named.
func digestName(key ...string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", key))
	return hex.EncodeToString(sum[:])
}

// get returns a note, or nil if there is none.
func (r *Records) get(ctx context.Context, kind string, key ...string) ([]byte, error) {
	data, err := readFile(ctx, r.Storage, r.name(kind, key...), maxRecord)
	switch transfer.CodeOf(err) {
	case transfer.FileNotFound, transfer.DirectoryNotFound, transfer.PathNotFound:
		return nil, nil
	}
	return data, err
}

// put makes a note. It returns the one that is there already, if there is one.
func (r *Records) put(ctx context.Context, kind string, data []byte, key ...string) (earlier []byte, err error) {
	err = writeFile(ctx, r.Storage, r.name(kind, key...), data, transfer.OverwriteFail)
	if transfer.CodeOf(err) == transfer.FileExists {
		return r.get(ctx, kind, key...)
	}
	return nil, err
}

// readFile reads a small file.
func readFile(ctx context.Context, s transfer.Storage, name string, limit int64) ([]byte, error) {
	src, err := s.Open(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	defer func() { _ = src.Close() }()
	size := src.Info().Size
	if size < 0 || size > limit {
		return nil, fmt.Errorf("read %s: %d bytes are more than %d: %w", name, size, limit, fs.ErrInvalid)
	}
	data := make([]byte, size)
	if err := src.ReadWindow(ctx, data, 0); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

// writeFile writes a small file.
func writeFile(ctx context.Context, s transfer.Storage, name string, data []byte, o transfer.Overwrite) error {
	d := delivery{storage: s, path: name, key: digestName(name, string(data))[:32], overwrite: o}
	return d.run(ctx, spoolOf(data), 0)
}
