package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTable(t *testing.T) {
	t.Parallel()
	tab := &table{heads: []string{"filter", "ms"}}
	tab.add("none", mark("0.050", true))
	tab.add("partner, DONE", mark("12.0", false))
	require.Equal(t, ""+
		"| filter        |      ms |\n"+
		"|---------------|--------:|\n"+
		"| none          | 0.050 ✓ |\n"+
		"| partner, DONE |  12.0 ✗ |\n", tab.String())
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	require.Equal(t, "0.0015", milliseconds(1499*time.Nanosecond))
	require.Equal(t, "0.100", milliseconds(100*time.Microsecond))
	require.Equal(t, "1.5", milliseconds(1500*time.Microsecond))
	require.Equal(t, "1500", milliseconds(1500*time.Millisecond))
	require.Equal(t, "0", thousands(0))
	require.Equal(t, "999", thousands(999))
	require.Equal(t, "1,000", thousands(1000))
	require.Equal(t, "1,234,567", thousands(1234567))
	require.Equal(t, "2.5", ratio(5*time.Millisecond, 2*time.Millisecond))
	require.Equal(t, "2,500", ratio(5*time.Second, 2*time.Millisecond))
	require.Equal(t, 2*time.Second, median([]time.Duration{3 * time.Second, time.Second, 2 * time.Second}))
}

func TestPageCells(t *testing.T) {
	t.Parallel()
	k := kind{page: 2 * time.Millisecond}
	times := timing{first: time.Millisecond, deep: 4 * time.Millisecond, scan: time.Second}
	withGoal := pageCase{filter: filter{goal: indexed}, order: orders[0]}
	require.Equal(t, []string{"1.0 ✓", "4.0 ✗", "1000", "250"}, k.pageCells(&withGoal, times))
	without := pageCase{filter: filter{goal: indexed}, order: orders[len(orders)-1]} // by filename
	require.Equal(t, []string{"1.0", "4.0", "", ""}, k.pageCells(&without, timing{first: time.Millisecond, deep: 4 * time.Millisecond}))
}

func TestSummary(t *testing.T) {
	t.Parallel()
	s := summary{goal: 2 * time.Millisecond}
	s.add("fast", time.Millisecond, time.Millisecond)
	s.add("slow", 5*time.Millisecond, 3*time.Millisecond)
	s.add("disturbed", 3*time.Millisecond, 2*time.Millisecond)
	require.Equal(t, summary{goal: s.goal, all: 3, met: 1, metOnce: 2, worst: 5 * time.Millisecond, slowest: "slow"}, s)
}

func TestCountLimit(t *testing.T) {
	t.Parallel()
	require.Equal(t, selectiveGoal, countLimit(10_000, 1_000_000))
	require.Equal(t, countGoal, countLimit(10_001, 1_000_000))
}

func TestReplaceSection(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "performance.md")
	const before = "# Title\n\n<!-- begin life -->\nold\n<!-- end life -->\n\n<!-- begin sizes -->\n<!-- end sizes -->\n"
	require.NoError(t, os.WriteFile(path, []byte(before), 0o644))
	require.NoError(t, replaceSection(path, "life", "new\n"))
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "# Title\n\n<!-- begin life -->\nnew\n<!-- end life -->\n\n<!-- begin sizes -->\n<!-- end sizes -->\n", string(got))
	require.ErrorContains(t, replaceSection(path, "pages", ""), `no lines "<!-- begin pages -->"`)
	require.NoError(t, checkSections(path, []string{"life", "sizes"}))
	require.Error(t, checkSections(path, []string{"life", "pages"}))
}
