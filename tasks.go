package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/seed62b9dc43/transfer/store"
)

// builtin is a task of this package. All of them but Call's may run again: they find out what an earlier run has done.
type builtin struct {
	name     string
	wrong    error // with how it was made
	atTarget bool  // it is about a file that was delivered: there is nothing to do for another
	atSource bool  // it is about the source, at least of files that are sent
	ours     side  // the side that must be ours; 0: none
	once     bool  // it must not run again
	run      func(ctx context.Context, f *TaskFile) error
}

func (b *builtin) Name() string     { return b.name }
func (b *builtin) Repeatable() bool { return !b.once }

func (b *builtin) Run(ctx context.Context, f *TaskFile) error {
	if b.atTarget && !f.Delivered {
		return nil
	}
	if b.atSource && len(f.job.request.Bundle) > 0 { // the rule was another one when it was started
		return &Error{Op: b.name, Path: f.SourcePath, Code: UnsupportedOperationError, Err: errors.New("a bundle has several sources")}
	}
	if b.ours != 0 && !b.ours.isOurs(f.Direction) {
		return &Error{Op: b.name, Path: *b.ours.path(f), Code: UnsupportedOperationError, Err: errNotOurs}
	}
	return b.run(ctx, f)
}

var errNotOurs = errors.New("the content of files at the partner is not changed or copied there (use Rule.Transforms)")

// check says what is wrong with the task in a chain.
func (b *builtin) check(phase store.Phase, d store.Direction) error {
	switch {
	case b.wrong != nil:
		return b.wrong
	case b.atTarget && phase == store.PhaseBefore:
		return errors.New("is about a file that was delivered (put it into After)")
	case b.ours != 0 && d != 0 && !b.ours.isOurs(d):
		return fmt.Errorf("cannot be done: %w", errNotOurs)
	}
	return nil
}

// side is one side of a file.
type side int

const (
	sourceSide side = iota + 1
	targetSide
)

func (s side) String() string { return [...]string{sourceSide: "source", targetSide: "target"}[s] }

// isOurs reports whether the side is our storage for files that go in this direction.
func (s side) isOurs(d store.Direction) bool { return (s == sourceSide) == (d == store.Send) }

func (s side) place(f *TaskFile) Place {
	if s == sourceSide {
		return f.Source()
	}
	return f.Target()
}

func (s side) path(f *TaskFile) *string {
	if s == sourceSide {
		return &f.SourcePath
	}
	return &f.TargetPath
}

// Call returns a task that calls a function. Set repeatable only if nothing is wrong with calling it again for the same
// file: TaskFile.Repeated says when an earlier call may have done all or a part of it.
func Call(name string, repeatable bool, run func(ctx context.Context, f *TaskFile) error) Task {
	b := &builtin{name: name, once: !repeatable, run: run}
	if run == nil {
		b.wrong = errors.New("has no function (give Call one)")
	}
	return b
}

// DeleteSource returns a task that removes the source. One that is gone already is no error. After the transfer a source
// that is another version than was delivered is left, and the file fails with detail SOURCE_CHANGED: nobody has the new
// one. Partners that hand out a file once are not asked.
func DeleteSource() Task {
	return &builtin{name: "delete source", atSource: true, run: func(ctx context.Context, f *TaskFile) error {
		if err := f.sourceIsSame(ctx, "delete"); err != nil {
			return err
		}
		return unlessGone(f.Source().RemovePath(ctx, f.SourcePath))
	}}
}

// DeleteTarget returns a task that removes what was delivered: where error-tasks follow an after-task that found it bad. A
// file that was not delivered is left as it is, and so is what was at the target before.
func DeleteTarget() Task {
	return &builtin{name: "delete target", atTarget: true, run: func(ctx context.Context, f *TaskFile) error {
		return unlessGone(f.Target().RemovePath(ctx, f.TargetPath))
	}}
}

// MakeTargetDirectory returns a task that makes the directory that the file goes to, and those above it. It is done where
// the directory is there.
func MakeTargetDirectory() Task {
	return &builtin{name: "make target directory", run: func(ctx context.Context, f *TaskFile) error {
		dir := path.Dir(f.TargetPath)
		if dir == "." || dir == "/" {
			return nil
		}
		return f.Target().MakeDirectory(ctx, dir)
	}}
}

// VerifyTarget returns a task that reads what is at the target and compares its SHA-256 with what was delivered, or with
// what a task has made of it. What differs fails with detail INTEGRITY_ERROR, and is not looked at again.
func VerifyTarget() Task {
	return &builtin{name: "verify target", atTarget: true, run: func(ctx context.Context, f *TaskFile) error {
		if err := f.mayReadBack(ctx); err != nil {
			return err
		}
		sum, err := f.hash(ctx, f.Target(), f.TargetPath)
		if err != nil {
			return fmt.Errorf("read what was delivered: %w", err)
		}
		if !bytes.Equal(sum, f.SHA256) {
			return forGood{&Error{Op: "verify", Path: f.TargetPath, Code: IntegrityError, Err: fmt.Errorf("its SHA-256 is %x, that of what was delivered %x", sum, f.SHA256)}}
		}
		return nil
	}}
}

// mayReadBack fails where the target is a partner's that hands out a file once.
func (f *TaskFile) mayReadBack(ctx context.Context) error {
	if f.Direction != store.Send {
		return nil
	}
	once, err := f.theirs().readsOnce(ctx)
	if err == nil && once {
		err = &Error{Op: "verify", Path: f.TargetPath, Code: UnsupportedOperationError, Err: errors.New("the partner hands out a file once, so it must not be read back")}
	}
	return err
}

// Forward returns a task that sends the file on to another partner, into a directory there (default: the home directory):
// the file in our storage, which is the target of one that was retrieved and the source of one that is sent. It starts a
// transfer of its own, once, with the same FollowID and metadata and without a rule, and does not wait for it. That reads
// the file later: do not move or delete it in the same chain.
func Forward(connectorID, remoteDirectoryPath string) Task {
	b := &builtin{name: "forward to " + shorten(connectorID, maxShownValue), atSource: true, run: func(ctx context.Context, f *TaskFile) error {
		return f.forward(ctx, connectorID, remoteDirectoryPath)
	}}
	if !validText(connectorID, 1, maxNameLength) || !validText(remoteDirectoryPath, 0, maxPathLength) {
		b.wrong = fmt.Errorf("has a wrong connector id or directory (use 1 to %d and up to %d characters of one line)", maxNameLength, maxPathLength)
	}
	return b
}

func (f *TaskFile) forward(ctx context.Context, connectorID, dir string) error {
	ours := f.SourcePath
	if f.Direction == store.Retrieve {
		if ours = f.TargetPath; !f.Delivered {
			return nil // nothing is there
		}
	}
	_, err := f.engine.startTransfer(WithActor(ctx, "rule "+f.RuleName), &StartFileTransferInput{
		ConnectorID: connectorID, SendFilePaths: []string{ours}, RemoteDirectoryPath: dir, FollowID: f.FollowID, Metadata: f.Metadata,
		ClientToken: fmt.Sprintf("forward/%d/%s/%d", f.FileID, chainName(f.phase), f.index),
	})
	var invalid *InvalidRequestException
	var unknown *ResourceNotFoundException
	if errors.As(err, &invalid) || errors.As(err, &unknown) {
		return forGood{err}
	}
	return err
}

// sourceIsSame fails if another version than was delivered is at the source by now.
func (f *TaskFile) sourceIsSame(ctx context.Context, op string) error {
	if f.identity == "" {
		return nil
	}
	if f.Direction == store.Retrieve {
		if once, err := f.theirs().readsOnce(ctx); once || err != nil {
			return err
		}
	}
	src, err := f.Source().Open(ctx, f.SourcePath)
	if err != nil {
		return unlessGone(err)
	}
	defer func() { _ = src.Close() }()
	if src.Info().Identity() != f.identity {
		return forGood{&Error{Op: op, Path: f.SourcePath, Code: SourceChanged, Err: errors.New("it is not the version that was delivered")}}
	}
	return nil
}

// readsOnce reports whether a file that was read is gone at the partner.
func (s *session) readsOnce(ctx context.Context) (bool, error) {
	if err := s.connect(ctx); err != nil {
		return false, err
	}
	return s.features().ReadOnce, nil
}

// hash is the SHA-256 of a file.
func (f *TaskFile) hash(ctx context.Context, p Place, path string) ([]byte, error) {
	src, err := p.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = src.Close() }()
	return (&delivery{engine: f.engine, job: f.job}).hash(ctx, src)
}

// isGone reports whether err says that something is missing.
func isGone(err error) bool {
	switch CodeOf(err) {
	case FileNotFound, DirectoryNotFound, PathNotFound:
		return true
	}
	return false
}

func unlessGone(err error) error {
	if isGone(err) {
		return nil
	}
	return err
}
