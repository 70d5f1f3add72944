//go:build linux

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDatasetCheck(t *testing.T) {
	t.Parallel()
	d := dataset{files: 3, size: 2*compareSize + 5}
	source, target := t.TempDir(), t.TempDir()
	require.NoError(t, d.make(source))
	require.NoError(t, d.make(source), "made already")
	require.NoError(t, d.make(target), "the same in every run")
	dir := filepath.Join(target, d.folder())
	require.NoError(t, d.check(source, dir))

	second := filepath.Join(dir, d.names()[1])
	content, err := os.ReadFile(second)
	require.NoError(t, err)
	for name, change := range map[string]func([]byte) []byte{
		"last byte": func(b []byte) []byte { b[len(b)-1]++; return b },
		"short":     func(b []byte) []byte { return b[:len(b)-1] },
		"long":      func(b []byte) []byte { return append(b, 0) },
		"empty":     func([]byte) []byte { return nil },
	} {
		require.NoError(t, os.WriteFile(second, change(append([]byte{}, content...)), 0o644))
		require.ErrorContains(t, d.check(source, dir), second+" is not ", name)
	}
	require.NoError(t, os.Remove(second))
	require.ErrorContains(t, d.check(source, dir), "2 files arrived in ")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f00000.dat.part"), nil, 0o644))
	require.ErrorContains(t, d.check(source, dir), "f00000.dat.part arrived where f00001.dat should")
}

func TestDatasetScaled(t *testing.T) {
	t.Parallel()
	require.Equal(t, dataset{files: 20, size: 4 << 10}, small.scaled(0.01))
	require.Equal(t, dataset{files: 1, size: gib / 2}, large.scaled(0.5))
	require.Equal(t, dataset{files: 1, size: 4 << 10}, few.scaled(1e-9))
}
