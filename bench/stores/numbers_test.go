package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	require.Equal(t, "0.0015", milliseconds(1499*time.Nanosecond))
	require.Equal(t, "0.100", milliseconds(100*time.Microsecond))
	require.Equal(t, "1.5", milliseconds(1500*time.Microsecond))
	require.Equal(t, "1500", milliseconds(1500*time.Millisecond))
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
