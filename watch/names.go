package watch

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// temporarySuffixes are those under which programs write files that they rename at the end.
var temporarySuffixes = []string{".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload"}

// temporary reports whether a path's name says that the file is still being written, or any part of it that it is hidden.
func temporary(rel string) bool {
	for element := range strings.SplitSeq(rel, "/") {
		if strings.HasPrefix(element, ".") {
			return true
		}
	}
	for _, suffix := range temporarySuffixes {
		if n := len(rel) - len(suffix); n >= 0 && strings.EqualFold(rel[n:], suffix) {
			return true
		}
	}
	return false
}

// hostile says why a path that the other side gave out cannot be used, or "".
func hostile(rel string) string {
	switch {
	case !utf8.ValidString(rel):
		return "is not UTF-8"
	case strings.ContainsFunc(rel, hostileRune):
		return "has control characters"
	}
	for element := range strings.SplitSeq(rel, "/") {
		if element == "" || element == "." || element == ".." {
			return "leads elsewhere"
		}
	}
	return ""
}

// hostileRune reports whether r breaks a line, or does things to a terminal.
func hostileRune(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// marker is a Guard's Marker: the text before and behind the placeholder.
type marker struct {
	prefix, suffix string
	base           bool // it stands for the name without its extension
}

// Placeholders of Guard.Marker.
const (
	placeholderName = "{name}"
	placeholderBase = "{base}"
)

// parseMarker returns nil for an empty pattern, and false for a wrong one.
func parseMarker(pattern string) (*marker, bool) {
	if pattern == "" {
		return nil, true
	}
	m := &marker{}
	prefix, suffix, ok := strings.Cut(pattern, placeholderName)
	if !ok {
		prefix, suffix, ok = strings.Cut(pattern, placeholderBase)
		m.base = true
	}
	m.prefix, m.suffix = prefix, suffix
	text := prefix + suffix
	return m, ok && text != "" && validText(text, 1, maxNameLength) && !strings.ContainsAny(text, "/{}")
}

// marks returns what a path that looks like a marker speaks of, a key as of returns it.
func (m *marker) marks(rel string) (key string, is bool) {
	dir, name := path.Split(rel)
	inner, ok := strings.CutPrefix(name, m.prefix)
	if ok {
		inner, ok = strings.CutSuffix(inner, m.suffix)
	}
	return dir + inner, ok && inner != ""
}

// of returns the key of a file's marker.
func (m *marker) of(rel string) string {
	if !m.base {
		return rel
	}
	dir, name := path.Split(rel)
	if ext := path.Ext(name); ext != name {
		name = strings.TrimSuffix(name, ext)
	}
	return dir + name
}
