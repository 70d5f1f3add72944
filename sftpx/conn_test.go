package sftpx

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// notes is a connection that takes down what is written.
type notes struct {
	net.Conn
	written bytes.Buffer
	err     error
}

func (n *notes) Write(p []byte) (int, error) {
	if n.err != nil {
		return 0, n.err
	}
	return n.written.Write(p)
}

// What is written arrives whole and in order, also where a packet is just as long as the piece that others begin with.
func TestFirstPieces(t *testing.T) {
	t.Parallel()
	piece, rest := bytes.Repeat([]byte{1}, firstPiece), []byte{2, 3}
	synctest.Test(t, func(t *testing.T) {
		n := &notes{}
		c := newBufferedConn(n)
		write := func(p []byte) {
			done, err := c.Write(p)
			require.NoError(t, err)
			require.Len(t, p, done)
		}
		write(piece)
		require.Equal(t, piece, n.written.Bytes(), "before the session is made nothing waits")
		c.ready.Store(true)
		n.written.Reset()
		write(piece)
		require.Zero(t, n.written.Len())
		write(rest)
		require.Equal(t, append(bytes.Clone(piece), rest...), n.written.Bytes())

		n.written.Reset()
		write(piece)
		time.Sleep(restComes)
		synctest.Wait()
		require.Equal(t, piece, n.written.Bytes(), "nothing came after it")

		n.err = io.ErrClosedPipe
		write(piece)
		time.Sleep(restComes)
		synctest.Wait()
		_, err := c.Write(rest)
		require.ErrorIs(t, err, io.ErrClosedPipe)
	})
}
