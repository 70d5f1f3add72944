package report

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTable(t *testing.T) {
	t.Parallel()
	tab := &Table{Heads: []string{"filter", "ms"}}
	tab.Add("none", Mark("0.050", true))
	tab.Add("partner, DONE", Mark("12.0", false))
	require.Equal(t, ""+
		"| filter        |      ms |\n"+
		"|---------------|--------:|\n"+
		"| none          | 0.050 ✓ |\n"+
		"| partner, DONE |  12.0 ✗ |\n", tab.String())
}

func TestTableLeft(t *testing.T) {
	t.Parallel()
	tab := &Table{Heads: []string{"a", "bb", "c"}, Left: 2}
	tab.Add("1", "2", "33")
	require.Equal(t, ""+
		"| a | bb |  c |\n"+
		"|---|----|---:|\n"+
		"| 1 | 2  | 33 |\n", tab.String())
}

func TestThousands(t *testing.T) {
	t.Parallel()
	require.Equal(t, "0", Thousands(0))
	require.Equal(t, "999", Thousands(999))
	require.Equal(t, "1,000", Thousands(1000))
	require.Equal(t, "1,234,567", Thousands(1234567))
}

func TestReplaceSection(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "performance.md")
	const before = "# Title\n\n<!-- begin life -->\nold\n<!-- end life -->\n\n<!-- begin sizes -->\n<!-- end sizes -->\n"
	require.NoError(t, os.WriteFile(path, []byte(before), 0o644))
	require.NoError(t, ReplaceSection(path, "life", "new\n"))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "# Title\n\n<!-- begin life -->\nnew\n<!-- end life -->\n\n<!-- begin sizes -->\n<!-- end sizes -->\n", string(got))
	require.ErrorContains(t, ReplaceSection(path, "pages", ""), `no lines "<!-- begin pages -->"`)
	require.NoError(t, CheckSections(path, []string{"life", "sizes"}))
	require.Error(t, CheckSections(path, []string{"life", "pages"}))
}

func TestMachine(t *testing.T) {
	t.Parallel()
	require.Contains(t, Machine(), " cores")
}
