package watch

import (
	"strings"
	"testing"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/stretchr/testify/require"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"a":              "a",
		"{a,b}.{c,d}":    "a.c a.d b.c b.d",
		"x{,y}":          "x xy",
		"{a,{b,c}d}":     "a bd cd",
		`\{a,b\}`:        `\{a,b\}`,
		"[{,}]x":         "[{,}]x",
		`{a\,b,[,}]c}`:   `a\,b [,}]c`,
		"{**/,}*.csv":    "**/*.csv *.csv",
		"in/{a}/{b,c}/*": "in/a/b/* in/a/c/*",
	} {
		require.Equal(t, strings.Fields(want), expand(pattern, 100), pattern)
	}
	require.Less(t, len(expand(strings.Repeat("{a,b}", 200), 100)), 300)
	require.Less(t, len(expandAll([]string{strings.Repeat("{a,b}", 11), strings.Repeat("{a,b}", 20), "c"})), 3*maxExpanded)
}

// What the library matches with braces is matched with braces written out, and the library misses some that are empty there.
func FuzzExpand(f *testing.F) {
	f.Add("{a,b}.{c,[d}]}", "a.c")
	f.Add("x{,y,{z,**/}}*", "xz")
	f.Add(`\{a,b}`, "{a,b}")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 20 || len(name) > 10 || patternProblem(pattern) != "" || hostile(name) != "" {
			return
		}
		if doublestar.MatchUnvalidated(pattern, name) {
			require.True(t, matchesAny(expand(pattern, 1000), name), "%q %q", pattern, name)
		}
	})
}

// No name of the other side takes so long to match that this test does not end.
func TestMatchingTakesBoundedTime(t *testing.T) {
	t.Parallel()
	names := []string{strings.Repeat("aaaaaaaaa/", 100) + "c", strings.Repeat("a", 1000), strings.Repeat("a/", 500) + "c"}
	patterns := []string{"**/a*a*a*/**/a*a*/**/b", strings.Repeat("*a", 100) + "b", strings.Repeat("{a,aa}", 9) + "b", "{*,**/*}{*,a}{*,a}{*,a}{*,a}b"}
	for _, p := range patterns {
		require.Empty(t, patternProblem(p))
		for _, name := range names {
			require.False(t, matchesAny(expandAll([]string{p}), name))
		}
	}
}
