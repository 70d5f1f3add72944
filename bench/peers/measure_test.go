//go:build linux

package main

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLockedWaits(t *testing.T) {
	t.Parallel()
	m := &measurement{lock: filepath.Join(t.TempDir(), "lock")}
	unlock, err := m.locked(t.Context())
	require.NoError(t, err)
	ended, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err = m.locked(ended)
	require.ErrorIs(t, err, context.Canceled)
	got := make(chan error, 1)
	go func() {
		unlock, err := m.locked(t.Context())
		if err == nil {
			unlock()
		}
		got <- err
	}()
	unlock()
	require.NoError(t, <-got)
}
