//go:build linux

package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRowKeys(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range allRows() {
		require.False(t, seen[r.key], r.key)
		seen[r.key] = true
		require.NotEmpty(t, r.opponents)
	}
	require.True(t, seen["1GiB-sshd-to-s3"])
	require.True(t, seen["100MiB-down-200ms"])
	require.True(t, seen["200x4KiB-up-50ms-loss"])
}

func TestChooseRows(t *testing.T) {
	t.Parallel()
	rows, err := chooseRows("^1GiB-up", "^rclone$", 0.5)
	require.NoError(t, err)
	require.Len(t, rows, 1, "the one at a distance is not against rclone's defaults")
	require.Len(t, rows[0].opponents, 1)
	require.Equal(t, rcloneDefault.name, rows[0].opponents[0].client.name)
	require.EqualValues(t, 2, rows[0].opponents[0].goal)
	require.EqualValues(t, gib/2, rows[0].data.size)
}

// TestShown has no path, port or name of this run in it.
func TestShown(t *testing.T) {
	t.Parallel()
	b := &bed{
		folder: "/tmp/bench1", self: "/tmp/peers", sshd: &sshd{user: "root", opensshConf: "/tmp/bench1/ssh/ssh_config"},
		gateway: &gateway{dir: "/tmp/bench1/s3"},
		paths:   paths{&rclone: "/tmp/bin/rclone", &sftp: "/usr/bin/sftp", &lftp: "/usr/bin/lftp"},
	}
	for _, r := range allRows() {
		task := b.newTask(r, "127.0.0.1:40001", "run7")
		for _, o := range r.opponents {
			line := task.shown(o.client.command(task))
			for _, secret := range []string{"/tmp", "/usr", "run7", "127.0.0.1", "40001", "root"} {
				require.NotContains(t, line, secret)
			}
		}
		require.True(t, filepath.IsAbs(task.arrived()))
	}
}
