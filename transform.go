package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
)

// Transform changes the content of files on their way, such as Gzip. It works on a stream whose length nobody knows before
// its end, so that a file with a Transform does not go on in mid-file after an interruption, but begins anew. It is
// delivered whole or not at all, as any file: if the stream ends with an error, nothing is published. Size, offset and
// SHA-256 of its row are of what is delivered.
//
// Methods MUST be safe for concurrent use. A Client that repeats a file calls Reader again; what it makes need not be the
// same bytes.
type Transform interface {
	// Name says what it does in logs and messages, such as "gzip".
	Name() string

	// TargetName returns the base name of the target for that of the source, such as "a.csv.gz" for "a.csv". What is no
	// base name leaves it as it is.
	TargetName(source string) string

	// MaxSize returns the most bytes that size bytes can become, or -1 where that cannot be said; size is at least 0. It
	// bounds the memory that a file takes, and decides how large its windows are (an upload to S3 has 10,000). A file that
	// becomes larger than one window and than MaxSize fails.
	MaxSize(size int64) int64

	// Reader returns what becomes of the content. The caller reads it to the end, or not, and closes it. Bad content is an
	// error of Read, with IntegrityError where that can be told. What the content holds behind the end that the Transform
	// finds in it, is an IntegrityError too. Read MUST return promptly once ctx has ended, and MUST NOT use goroutines
	// that are still there after Close.
	Reader(ctx context.Context, c Content) (io.ReadCloser, error)
}

// Content is what a Transform works on.
type Content struct {
	io.Reader           // its errors are those of the source, and MUST be returned as they are, or wrapped
	Name      string    // base name: of the source, or what the Transform before has made of it
	Size      int64     // bytes; -1 if not known
	ModTime   time.Time // of the source; zero if not known
}

// TargetName returns the base name under which Transforms have a file delivered, for the base name of its source.
func (r Rule) TargetName(base string) string {
	for _, t := range r.Transforms {
		base = renamed(t, base)
	}
	return base
}

// renamed is TargetName, or name where that would be none.
func renamed(t Transform, name string) string {
	made := t.TargetName(name)
	if made == "" || made == "." || made == ".." || strings.Contains(made, "/") {
		return name
	}
	return made
}

// checkTransforms reports what is wrong with the rule's Transforms as "<where>.Transforms…".
func (r Rule) checkTransforms(where string, wrong func(is bool, format string, args ...any)) {
	for i, t := range r.Transforms {
		if t == nil || reflect.ValueOf(t).Kind() == reflect.Pointer && reflect.ValueOf(t).IsNil() {
			wrong(true, "%s.Transforms[%d] is nil (leave it out)", where, i)
			continue
		}
		wrong(t.Name() == "", "%s.Transforms[%d] has no name (its Name must say what it does)", where, i)
		if own, ok := t.(interface{ problem() string }); ok && own.problem() != "" {
			wrong(true, "%s.Transforms[%d] %s", where, i, own.problem())
		}
	}
}

// changing is content on its way through Transforms.
type changing struct {
	levels []*level
}

// level is what one of them makes. It remembers how that ended.
type level struct {
	io.ReadCloser
	name string
	end  error // what Read has ended with, io.EOF included
}

// maxEmptyReads is how often a Reader may return nothing, and no error, in a row.
const maxEmptyReads = 100

func (l *level) Read(p []byte) (n int, err error) {
	for range maxEmptyReads {
		if l.end != nil {
			return 0, l.end
		}
		if n, err = l.ReadCloser.Read(p); err != nil {
			l.end = err
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
	l.end = &Error{Op: l.name, Code: InternalError, Err: io.ErrNoProgress}
	return 0, l.end
}

// begin puts the content through the Transforms.
func (c *changing) begin(ctx context.Context, all []Transform, content Content) (io.Reader, error) {
	for _, t := range all {
		name := renamed(t, content.Name)
		made, err := t.Reader(ctx, content)
		if err != nil {
			return nil, transformError(t.Name(), err)
		}
		l := &level{ReadCloser: made, name: t.Name()}
		c.levels = append(c.levels, l)
		content = Content{Reader: l, Name: name, Size: -1, ModTime: content.ModTime}
	}
	return content.Reader, nil
}

// finish makes sure that every Transform has come to its end, once the last one has: what one checks last, such as a
// signature, must not be left out because the next one stopped reading.
func (c *changing) finish() error {
	for _, l := range c.levels {
		if err := requireEnd(l, l.name); err != nil {
			return err
		}
	}
	return nil
}

// failed is what the first Transform has ended with that failed.
func (c *changing) failed() error {
	for _, l := range c.levels {
		if l.end != nil && l.end != io.EOF {
			return transformError(l.name, l.end)
		}
	}
	return nil
}

func (c *changing) close() (err error) {
	for _, l := range c.levels {
		err = errors.Join(err, l.Close())
	}
	return err
}

// requireEnd fails unless r has come to its end.
func requireEnd(r io.Reader, name string) error {
	var more [1]byte
	switch n, err := io.ReadFull(r, more[:]); {
	case n > 0:
		return &Error{Op: name, Code: IntegrityError, Err: errors.New("there is more behind the end of the content")}
	case err != io.EOF: // nor one that wraps it
		return transformError(name, err)
	}
	return nil
}

// transformError says which Transform failed, unless it is the source that did.
func transformError(name string, err error) error {
	var known *Error
	var step stepError
	if errors.As(err, &known) && known.Op == "" {
		return &Error{Op: name, Code: known.Code, Err: known.Err}
	}
	if err == nil || errors.As(err, &known) || errors.As(err, &step) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}
