package main

import (
	"net"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// pipes is a listener to which a new connection always comes.
type pipes struct{ net.Listener }

func (pipes) Accept() (net.Conn, error) {
	ours, theirs := net.Pipe()
	return ours, theirs.Close()
}

func (pipes) Close() error { return nil }

// Connections beyond the limit wait until others end, and so does nobody after Close.
func TestLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimited(pipes{}, 2)
		first, err := l.Accept()
		require.NoError(t, err)
		second, err := l.Accept()
		require.NoError(t, err)
		accepted := make(chan error)
		go func() {
			for range 2 {
				_, err := l.Accept()
				accepted <- err
			}
		}()
		synctest.Wait()
		require.False(t, received(accepted), "the limit holds")
		require.NoError(t, first.Close())
		require.NoError(t, first.Close(), "closing twice counts once")
		require.NoError(t, <-accepted)
		synctest.Wait()
		require.False(t, received(accepted))
		require.NoError(t, l.Close())
		require.ErrorIs(t, <-accepted, net.ErrClosed)
		require.NoError(t, second.Close())
		require.NoError(t, l.Close())
	})
}

func received(c <-chan error) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
