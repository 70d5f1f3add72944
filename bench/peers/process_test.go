//go:build linux

package main

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCommandRun(t *testing.T) {
	t.Parallel()
	u, err := command{args: []string{"sh", "-c", `read x; [ "$x$Y" = ab ]`}, env: []string{"Y=b"}, input: "a\n"}.run(t.Context())
	require.NoError(t, err)
	require.Positive(t, u.wall)
	require.Positive(t, u.memory)
}

// TestCommandRunIsCutOff ends a shell and the child that it waits for, which keeps the shell's output open.
func TestCommandRunIsCutOff(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	ready := filepath.Join(t.TempDir(), "ready")
	require.NoError(t, syscall.Mkfifo(ready, 0o600))
	go func() {
		_, _ = os.ReadFile(ready) // until the shell has written
		cancel()
	}()
	_, err := command{args: []string{"sh", "-c", "echo >'" + ready + "'; sleep 1000; :"}}.run(ctx)
	require.ErrorContains(t, err, "signal: terminated")
}

func TestWatchMemoryCountsChildren(t *testing.T) {
	t.Parallel()
	peaks := map[int]int64{os.Getppid(): 1}
	addChildren(peaks)
	require.Positive(t, peaks[os.Getpid()])
	require.Positive(t, residentPeak(os.Getpid()))
	require.Zero(t, residentPeak(-1))
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	for stat, want := range map[string][2]int{
		"12 (sh) S 3 12 12":     {12, 3},
		"12 (a b) S 1) R 4 5 6": {12, 4},
		"7 (x (y)) Z 2":         {7, 2},
	} {
		pid, parent, ok := parseStat(stat)
		require.True(t, ok, stat)
		require.Equal(t, want, [2]int{pid, parent}, stat)
	}
	for _, stat := range []string{"", "12", "12 (sh)", "12 (sh) S", "x (sh) S 3", ") 1 ("} {
		_, _, ok := parseStat(stat)
		require.False(t, ok, stat)
	}
}
