package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// MoveSource returns a task that moves the source into a directory of its side, which is made if it is missing. In dir,
// {date}, {time}, {id} and {transfer} stand for what they do in RenameSource. A file of that name which is there already
// fails the task with detail FILE_EXISTS: give {id} or {transfer} where names may come again, or meet because they are of
// several sub-directories, which are not kept. In a directory that is watched, let the watch exclude this one. After the transfer, a source that is another version than was delivered is left
// where it is, and the file fails, as in DeleteSource.
func MoveSource(dir string) Task { return moveInto(sourceSide, dir) }

// MoveTarget returns a task that moves what was delivered into a directory of its side, as MoveSource does. It does nothing
// for a file that was not delivered.
func MoveTarget(dir string) Task { return moveInto(targetSide, dir) }

// RenameSource returns a task that gives the source another name in its directory. In pattern these stand for what is in
// brackets here, of the source "report.tar.gz":
//
//	{name}      its name [report.tar.gz]
//	{base}      its name up to the last dot [report.tar]
//	{ext}       and from there on [.gz]
//	{date}      the day on which the transfer was started, in UTC [20240131]
//	{time}      and the second [20240131T154507Z]
//	{id}        the FileID
//	{transfer}  the TransferID
//
// So that a repeated run makes the same name, nothing depends on when or where it runs. A name that would not stay in its
// directory, is longer than 255 bytes, or is there already fails the task, as does another version than was delivered (see MoveSource).
func RenameSource(pattern string) Task { return renameTo(sourceSide, pattern) }

// RenameTarget returns a task that gives what was delivered another name in its directory, by a pattern as in RenameSource.
// It does nothing for a file that was not delivered.
func RenameTarget(pattern string) Task { return renameTo(targetSide, pattern) }

func moveInto(s side, dir string) Task {
	return &builtin{
		name: shorten(fmt.Sprintf("move %v to %s", s, dir), maxNameLength), atTarget: s == targetSide, atSource: s == sourceSide, wrong: checkDirectoryPattern(dir),
		run: func(ctx context.Context, f *TaskFile) error {
			return s.move(ctx, f, path.Join(f.expand(dir, ""), path.Base(*s.path(f))))
		},
	}
}

func renameTo(s side, pattern string) Task {
	return &builtin{
		name: shorten(fmt.Sprintf("rename %v to %s", s, pattern), maxNameLength), atTarget: s == targetSide, atSource: s == sourceSide, wrong: checkNamePattern(pattern),
		run: func(ctx context.Context, f *TaskFile) error {
			dir, base := path.Split(*s.path(f))
			name := f.expand(pattern, base)
			if !isFileName(name) {
				return &Error{Op: "rename", Path: shorten(name, maxShownValue), Code: UnsupportedOperationError, Err: errors.New("this is not the name of a file in its directory")}
			}
			return s.move(ctx, f, dir+name)
		},
	}
}

// move gives the file another path on its side.
func (s side) move(ctx context.Context, f *TaskFile, to string) error {
	from := s.path(f)
	if to == *from {
		return nil
	}
	if s == sourceSide {
		if err := f.sourceIsSame(ctx, "move"); err != nil {
			return err
		}
	}
	if err := f.relocate(ctx, s.place(f), *from, to); err != nil {
		return err
	}
	*from = to
	return nil
}

// relocate moves a file. After an earlier run that was cut off, it may be at the new path already, or at both, because
// some storages copy and then remove.
func (f *TaskFile) relocate(ctx context.Context, p Place, from, to string) error {
	err := p.MovePath(ctx, from, to)
	if isGone(err) && f.Repeated {
		there, look := isThere(ctx, p, to)
		if there || look != nil {
			return look
		}
	}
	if isGone(err) { // the file, or the directory that it goes to
		if made := p.MakeDirectory(ctx, path.Dir(to)); made != nil {
			return made
		}
		err = p.MovePath(ctx, from, to)
	}
	if CodeOf(err) == FileExists && f.Repeated {
		return f.finishMove(ctx, p, from, to, err)
	}
	return err
}

// finishMove removes the file at its old path if it is at the new one as well.
func (f *TaskFile) finishMove(ctx context.Context, p Place, from, to string, exists error) error {
	old, err := f.hash(ctx, p, from)
	if isGone(err) {
		return nil // it was removed a moment ago
	}
	if err != nil {
		return err
	}
	moved, err := f.hash(ctx, p, to)
	if err != nil {
		return err
	}
	if !bytes.Equal(old, moved) {
		return exists
	}
	return unlessGone(p.RemovePath(ctx, from))
}

// isThere reports whether a file is at path.
func isThere(ctx context.Context, p Place, path string) (bool, error) {
	src, err := p.Open(ctx, path)
	if err == nil {
		_ = src.Close()
	}
	return err == nil, unlessGone(err)
}

// Placeholders of patterns.
const (
	placeholdersAnywhere = "{date}{time}{id}{transfer}"
	placeholdersOfNames  = "{name}{base}{ext}" + placeholdersAnywhere
)

// maxFileName is the longest name that common file systems take, in bytes.
const maxFileName = 255

func checkNamePattern(pattern string) error {
	if pattern == "" || strings.ContainsAny(pattern, "/\\") || !validText(pattern, 1, maxFileName) {
		return fmt.Errorf("has a pattern that is not a name (use 1 to %d characters without slashes)", maxFileName)
	}
	return checkPlaceholders(pattern, placeholdersOfNames)
}

func checkDirectoryPattern(dir string) error {
	if !validText(dir, 1, maxPathLength) || climbs(dir) {
		return fmt.Errorf("has a directory that is none (use 1 to %d characters of one line, without ..)", maxPathLength)
	}
	return checkPlaceholders(dir, placeholdersAnywhere)
}

// checkPlaceholders refuses what looks like a placeholder and is none of those that are known here.
func checkPlaceholders(pattern, known string) error {
	for {
		_, rest, found := strings.Cut(pattern, "{")
		if !found {
			return nil
		}
		word, after, closed := strings.Cut(rest, "}")
		if !closed || word == "" || !strings.Contains(known, "{"+word+"}") {
			return fmt.Errorf("has the placeholder {%s} (use %s)", shorten(word, maxShownValue), strings.ReplaceAll(known, "}{", "}, {"))
		}
		pattern = after
	}
}

// expand replaces the placeholders of a pattern, in one pass: a name that looks like one is taken as it is.
func (f *TaskFile) expand(pattern, name string) string {
	base, ext := splitName(name)
	at := f.CreatedAt.UTC()
	return strings.NewReplacer(
		"{name}", name, "{base}", base, "{ext}", ext,
		"{date}", at.Format("20060102"), "{time}", at.Format("20060102T150405Z"),
		"{id}", strconv.FormatInt(f.FileID, 10), "{transfer}", f.TransferID,
	).Replace(pattern)
}

// splitName cuts a name at its last dot, unless it begins with that.
func splitName(name string) (base, ext string) {
	if dot := strings.LastIndexByte(name, '.'); dot > 0 {
		return name[:dot], name[dot:]
	}
	return name, ""
}

// isFileName reports whether a name stays in its directory, and is one that file systems take.
func isFileName(name string) bool { return isName(name) && len(name) <= maxFileName }
