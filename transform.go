package transfer

import (
	"context"
	"io"
)

// Transform changes the content of files on their way, such as Gzip. It works on a stream whose length nobody knows before
// its end, so that a file with a Transform does not go on in mid-file after an interruption, but begins anew.
type Transform interface {
	// Name says what it does in logs and messages, such as "gzip".
	Name() string

	// TargetName returns the base name of the target for that of the source, such as "a.csv.gz" for "a.csv".
	TargetName(source string) string

	// Reader returns what becomes of content. The caller reads it to the end, or not, and closes it. Bad content is an
	// error of Read, with IntegrityError where that can be told.
	Reader(ctx context.Context, content io.Reader) (io.ReadCloser, error)
}
