package sftpx

import (
	"path"
	"regexp"
	"strings"
	"unicode/utf8"
)

// temporaries returns what recognizes our own unfinished deliveries by their paths, or nil where nobody can: with
// RenameDirect, and where TempName says nothing that could not be part of a key.
func (c *Config) temporaries() *regexp.Regexp {
	pattern, anywhere := path.Clean(c.TempName), "^"
	if !path.IsAbs(pattern) {
		anywhere = "(?:^|/)"
		for strings.HasPrefix(pattern, "../") {
			pattern = pattern[len("../"):]
		}
	}
	text := strings.Trim(strings.NewReplacer("%k", "", "%n", "").Replace(pattern), "./0123456789abcdef")
	if c.RenameMode == RenameDirect || text == "" || !utf8.ValidString(pattern) {
		return nil
	}
	return regexp.MustCompile(anywhere + strings.NewReplacer("%k", "[0-9a-f]{16,64}", "%n", "[^/]+").Replace(regexp.QuoteMeta(pattern)) + "$")
}

// isOurs reports whether a name in a directory is that of an unfinished delivery of this connector, here or on another node.
func (c *Connector) isOurs(dir, name string) bool {
	return c.temporary != nil && c.temporary.MatchString(path.Join(dir, name))
}
