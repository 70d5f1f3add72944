package watch

import (
	"cmp"
	"fmt"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/seed62b9dc43/transfer/store"
)

// Limits of a Selection.
const (
	maxPatterns      = 100  // of Patterns and Exclude each
	maxPatternLength = 1024 // characters
	maxDoubleStars   = 3    // in one pattern: matching takes a power of their number
	maxPathLength    = 1024 // characters, of a path in a request
	maxNameLength    = 255
	defaultMaxDepth  = 16
	deepest          = 100
	defaultMaxFiles  = 10_000
	maxListed        = 200_000 // files and directories of one look
)

// Order says which of the files that are ready come first.
type Order string

// Orders. Ties are broken by path.
const (
	OldestFirst Order = "OLDEST" // by modification time; those without come first. The default
	ByName      Order = "NAME"   // by path, byte by byte
)

// Selection says which files of a directory are meant. It is resolved when it is run, not before.
type Selection struct {
	// ConnectorID names the partner. Required.
	ConnectorID string

	// Direction says whose directory it is: ours with store.Send, the partner's with store.Retrieve. Default: the rule's;
	// required where there is none.
	Direction store.Direction

	// Directory is where to look. With a rule that has a SourceDirectory it is relative to that; otherwise it is required
	// ("." is the root of our storage, or the home directory at the partner). One that is missing is a failure, of which a
	// Watch makes no more than a note: it looks again at the next time, and forgets nothing.
	Directory string

	// Patterns say which files are meant, by their path below Directory: "*" stands for any text without a slash, "**"
	// for any directories, "?" for one character, "[a-z]" for one of these, "{a,b}" for either. One must match. Names are
	// compared with upper and lower case. Sub-directories are looked into as far as a pattern can match there. At most
	// 100, with 1,024 characters and three "**" each, and 1,000 with their braces written out. Default: "*".
	Patterns []string

	// Exclude are patterns of files that are not meant, such as an archive below Directory, whatever Patterns say. At most 100.
	Exclude []string

	// IncludeTemporary selects files, too, whose names say that they are still being written: those that begin with a dot,
	// or end in .part, .partial, .filepart, .tmp, .temp or .crdownload, in any case. By default they, and what
	// is in directories that begin with a dot, are passed over.
	IncludeTemporary bool

	// MinAge and MaxAge bound how long ago a file was modified, by the clocks of whoever stores it and of this node. A
	// file without a modification time matches no MaxAge. See Guard about MinAge in a Watch; elsewhere a file without
	// one does not match it either. 0: no bound.
	MinAge, MaxAge time.Duration

	// MinSize and MaxSize bound the size in bytes, both inclusive. A file of unknown size matches no bound. 0: no bound.
	MinSize, MaxSize int64

	// MaxFiles is how many files are started in one run, at most; the others stay for the next. Default 10,000; at most
	// 200,000.
	MaxFiles int

	// MaxDepth is how many directories below Directory are looked into, one in the other, where a pattern has "**".
	// Default 16, at most 100.
	MaxDepth int

	// Order says which files come first. Default OldestFirst.
	Order Order
}

func (s Selection) withDefaults() Selection {
	if len(s.Patterns) == 0 {
		s.Patterns = []string{"*"}
	}
	if s.MaxFiles == 0 {
		s.MaxFiles = defaultMaxFiles
	}
	if s.MaxDepth == 0 {
		s.MaxDepth = defaultMaxDepth
	}
	if s.Order == "" {
		s.Order = OldestFirst
	}
	return s
}

// wrongFunc takes one wrong field.
type wrongFunc func(is bool, format string, args ...any)

// check reports each wrong field. s has its defaults, and its rule's.
func (s Selection) check(wrong wrongFunc) {
	wrong(!validText(s.ConnectorID, 1, maxNameLength), "ConnectorID is %q (use 1 to %d characters of one line)", shorten(s.ConnectorID), maxNameLength)
	wrong(s.Direction != store.Send && s.Direction != store.Retrieve, "Direction is %d (use store.Send or store.Retrieve)", s.Direction)
	wrong(!validText(s.Directory, 1, maxPathLength), "Directory is %q (use 1 to %d characters of one line, such as %q)", shorten(s.Directory), maxPathLength, ".")
	checkPatterns("Patterns", s.Patterns, wrong)
	checkPatterns("Exclude", s.Exclude, wrong)
	wrong(s.MinAge < 0, "MinAge is %v (use more than 0, or 0 for no bound)", s.MinAge)
	wrong(s.MaxAge < 0 || s.MaxAge > 0 && s.MaxAge < s.MinAge, "MaxAge is %v (use MinAge, %v, or more, or 0 for no bound)", s.MaxAge, s.MinAge)
	wrong(s.MinSize < 0, "MinSize is %d (use more than 0, or 0 for no bound)", s.MinSize)
	wrong(s.MaxSize < 0 || s.MaxSize > 0 && s.MaxSize < s.MinSize, "MaxSize is %d (use MinSize, %d, or more, or 0 for no bound)", s.MaxSize, s.MinSize)
	wrong(s.MaxFiles < 0 || s.MaxFiles > maxListed, "MaxFiles is %d (use 1 to %d, or 0 for %d)", s.MaxFiles, maxListed, defaultMaxFiles)
	wrong(s.MaxDepth < 0 || s.MaxDepth > deepest, "MaxDepth is %d (use 1 to %d, or 0 for %d)", s.MaxDepth, deepest, defaultMaxDepth)
	wrong(s.Order != OldestFirst && s.Order != ByName, "Order is %q (use %s or %s)", s.Order, OldestFirst, ByName)
}

func checkPatterns(field string, patterns []string, wrong wrongFunc) {
	wrong(len(patterns) > maxPatterns, "%s has %d patterns, more than %d", field, len(patterns), maxPatterns)
	for i, p := range patterns[:min(len(patterns), maxPatterns)] {
		problem := patternProblem(p)
		for _, alternative := range expand(p, maxExpanded) {
			problem = cmp.Or(problem, patternProblem(alternative))
		}
		wrong(problem != "", "%s[%d] is %q, which %s", field, i, shorten(p), problem)
	}
	wrong(len(expandAll(patterns)) > maxExpanded, "%s has braces that stand for more than %d patterns (use fewer)", field, maxExpanded)
}

// patternProblem says what is wrong with a pattern, and the fix.
func patternProblem(p string) string {
	switch {
	case !validText(p, 1, maxPatternLength):
		return fmt.Sprintf("is not a pattern (use 1 to %d characters of one line)", maxPatternLength)
	case !doublestar.ValidatePattern(p):
		return `is not a pattern (close brackets and braces; write \[ for the character itself)`
	case strings.HasPrefix(p, "/") || strings.HasPrefix(p, "./"):
		return "matches nothing (paths are relative to Directory and begin with a name)"
	case strings.Count(p, "**") > maxDoubleStars:
		return fmt.Sprintf("has more than %d times ** (use fewer)", maxDoubleStars)
	}
	for element := range strings.SplitSeq(p, "/") {
		if element == ".." || element == "." {
			return "matches nothing (paths below Directory have no . or ..)"
		}
	}
	return ""
}

// depth is how many directories below Directory are to be looked into, one in the other.
func (s Selection) depth() int {
	deepest := 0
	for _, p := range s.Patterns {
		if strings.Contains(p, "**") {
			return s.MaxDepth
		}
		deepest = max(deepest, strings.Count(p, "/"))
	}
	return min(deepest, s.MaxDepth)
}

// selects reports whether a file is meant, by all but its age, which matches decides.
func (s Selection) selects(e *entry) bool {
	if !s.IncludeTemporary && temporary(e.rel) {
		return false
	}
	if (s.MinSize > 0 || s.MaxSize > 0) && (e.size < s.MinSize || e.size < 0) || s.MaxSize > 0 && e.size > s.MaxSize {
		return false
	}
	return matchesAny(s.Patterns, e.rel) && !matchesAny(s.Exclude, e.rel)
}

// tooOld reports whether a file was modified before MaxAge, or nobody knows when.
func (s Selection) tooOld(e *entry, now time.Time) bool {
	return s.MaxAge > 0 && (e.modTime.IsZero() || now.Sub(e.modTime) > s.MaxAge)
}

// aged reports whether a file was modified MinAge ago or earlier.
func (s Selection) aged(e *entry, now time.Time) bool {
	return s.MinAge == 0 || !e.modTime.IsZero() && now.Sub(e.modTime) >= s.MinAge
}

func matchesAny(patterns []string, rel string) bool {
	for _, p := range patterns {
		if doublestar.MatchUnvalidated(p, rel) {
			return true
		}
	}
	return false
}

// compare orders two files as Order says.
func (s Selection) compare(a, b *candidate) int {
	if s.Order == OldestFirst {
		if c := a.modTime.Compare(b.modTime); c != 0 {
			return c
		}
	}
	return strings.Compare(a.rel, b.rel)
}

// validText reports whether s is valid UTF-8 of one line, shortest to longest characters long.
func validText(s string, shortest, longest int) bool {
	n := utf8.RuneCountInString(s)
	return n >= shortest && n <= longest && utf8.ValidString(s) && !strings.ContainsFunc(s, hostileRune)
}

// shorten cuts a text to what fits into a message.
func shorten(s string) string { return shortenTo(s, 80) }

func shortenTo(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// parent is the directory of a path below Directory, "" for Directory itself.
func parent(rel string) string {
	if dir := path.Dir(rel); dir != "." {
		return dir
	}
	return ""
}
