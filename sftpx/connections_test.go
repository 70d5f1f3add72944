package sftpx_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

func TestConnectionsAreCounted(t *testing.T) {
	t.Parallel()
	c := connect(t, config(transfertest.StartSFTP(t, transfertest.SFTPOptions{})))
	counted := func() [2]int {
		used, idle := c.Connections()
		return [2]int{used, idle}
	}
	require.Equal(t, [2]int{0, 0}, counted())
	var remotes []transfer.Remote
	for range c.Info().MaxFiles { // on two connections
		remotes = append(remotes, remote(t, c))
	}
	require.Equal(t, [2]int{2, 0}, counted())
	for _, r := range remotes {
		require.NoError(t, r.Close())
	}
	require.Equal(t, [2]int{0, 2}, counted())
	require.NoError(t, c.Close())
	require.Equal(t, [2]int{0, 0}, counted())
}
