package sftpx

import (
	"path"
	"regexp"
	"strings"
)

// temporaries returns what recognizes our own unfinished deliveries by their paths, or nil where nobody can: with
// RenameDirect, and where TempName says nothing but the key.
func (c *Config) temporaries() *regexp.Regexp {
	pattern := c.TempName
	if c.RenameMode == RenameDirect || strings.Trim(strings.NewReplacer("%k", "", "%n", "").Replace(pattern), "./") == "" {
		return nil
	}
	anywhere := "^"
	if pattern = path.Clean(pattern); !path.IsAbs(pattern) {
		anywhere = "(?:^|/)"
		for strings.HasPrefix(pattern, "../") {
			pattern = pattern[len("../"):]
		}
	}
	return regexp.MustCompile(anywhere + strings.NewReplacer("%k", "[0-9a-f]{16,64}", "%n", "[^/]+").Replace(regexp.QuoteMeta(pattern)) + "$")
}

// isOurs reports whether a name in a directory is that of an unfinished delivery of this connector, here or on another node.
func (c *Connector) isOurs(dir, name string) bool {
	return c.temporary != nil && c.temporary.MatchString(path.Join(dir, name))
}
