package transfertest_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/transfertest"
)

// pair returns a connection with faults and its other end.
func pair(t *testing.T, f transfertest.ConnFaults) (*transfertest.Conn, net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	far, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	near, err := listener.Accept()
	require.NoError(t, err)
	c := transfertest.WrapConn(near, f)
	t.Cleanup(func() { c.Cut(); _ = far.Close() })
	return c, far
}

func TestConnCut(t *testing.T) {
	t.Parallel()
	t.Run("after written bytes", func(t *testing.T) {
		t.Parallel()
		c, far := pair(t, transfertest.ConnFaults{CutAfterWritten: 1000})
		n, err := c.Write(make([]byte, 5000))
		require.ErrorIs(t, err, transfertest.ErrCut)
		require.Equal(t, 1000, n)
		got, err := io.ReadAll(far)
		require.NoError(t, err)
		require.Len(t, got, 1000)
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, transfertest.ErrCut)
	})
	t.Run("after read bytes", func(t *testing.T) {
		t.Parallel()
		c, far := pair(t, transfertest.ConnFaults{CutAfterRead: 1000})
		_, err := far.Write(make([]byte, 5000))
		require.NoError(t, err)
		got, err := io.ReadAll(c)
		require.ErrorIs(t, err, transfertest.ErrCut)
		require.Len(t, got, 1000)
		require.EqualValues(t, 1000, c.BytesRead())
	})
	t.Run("counts begin with Set", func(t *testing.T) {
		t.Parallel()
		c, far := pair(t, transfertest.ConnFaults{})
		_, err := c.Write(make([]byte, 5000))
		require.NoError(t, err)
		c.Set(transfertest.ConnFaults{CutAfterWritten: 10})
		_, err = c.Write(make([]byte, 5000))
		require.ErrorIs(t, err, transfertest.ErrCut)
		got, err := io.ReadAll(far)
		require.NoError(t, err)
		require.Len(t, got, 5010)
	})
	t.Run("by a reset", func(t *testing.T) {
		t.Parallel()
		c, far := pair(t, transfertest.ConnFaults{Reset: true})
		c.Cut()
		_, err := io.ReadAll(far)
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
	t.Run("now, with a latency", func(t *testing.T) {
		t.Parallel()
		c, far := pair(t, transfertest.ConnFaults{Latency: time.Hour})
		_, err := c.Write([]byte("lost"))
		require.NoError(t, err)
		c.Cut()
		got, _ := io.ReadAll(far)
		require.Empty(t, got)
	})
}

func TestConnFreeze(t *testing.T) {
	t.Parallel()
	c, far := pair(t, transfertest.ConnFaults{FreezeAfterWritten: 3})
	written := make(chan error, 1)
	go func() {
		_, err := c.Write([]byte("abcdef"))
		written <- err
	}()
	got := make([]byte, 6)
	_, err := io.ReadFull(far, got[:3])
	require.NoError(t, err)
	require.Eventually(t, c.Frozen, time.Minute, time.Millisecond) // the bytes may arrive a moment before

	_, err = far.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
	_, err = c.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "reading is frozen too")
	require.Empty(t, written)

	require.NoError(t, c.SetReadDeadline(time.Time{}))
	c.Set(transfertest.ConnFaults{})
	require.NoError(t, <-written)
	_, err = io.ReadFull(far, got[3:])
	require.NoError(t, err)
	require.Equal(t, "abcdef", string(got))
	_, err = io.ReadFull(c, got[:1])
	require.NoError(t, err)
	require.Equal(t, "x", string(got[:1]))
}

// What a Read has in hand when the connection freezes is not lost to a deadline.
func TestConnFreezeKeepsBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		c := transfertest.WrapConn(near, transfertest.ConnFaults{})
		result := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 8))
			result <- err
		}()
		synctest.Wait() // it waits below
		c.Set(transfertest.ConnFaults{Frozen: true})
		_, err := far.Write([]byte("held"))
		require.NoError(t, err)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Second)))
		require.ErrorIs(t, <-result, os.ErrDeadlineExceeded)

		c.Set(transfertest.ConnFaults{})
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		got := make([]byte, 4)
		_, err = io.ReadFull(c, got)
		require.NoError(t, err)
		require.Equal(t, "held", string(got))
		require.NoError(t, c.Close())
	})
}

func TestConnFreezeEndsWithClose(t *testing.T) {
	t.Parallel()
	c, _ := pair(t, transfertest.ConnFaults{Frozen: true})
	result := make(chan error, 1)
	go func() {
		_, err := c.Write([]byte("x"))
		result <- err
	}()
	require.NoError(t, c.Close())
	require.ErrorIs(t, <-result, net.ErrClosed)
	require.ErrorIs(t, c.Close(), net.ErrClosed)
}

func TestConnLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		c := transfertest.WrapConn(near, transfertest.ConnFaults{Latency: time.Second})
		start := time.Now()
		for range 10 {
			_, err := c.Write([]byte("0123456789"))
			require.NoError(t, err)
		}
		require.Zero(t, time.Since(start), "nobody waits to write")
		got := make([]byte, 100)
		_, err := io.ReadFull(far, got)
		require.NoError(t, err)
		require.Equal(t, time.Second, time.Since(start), "one latency for all")
		require.Equal(t, bytes.Repeat([]byte("0123456789"), 10), got)

		_, err = c.Write([]byte("last"))
		require.NoError(t, err)
		go func() { _ = c.Close() }()
		rest, err := io.ReadAll(far)
		require.NoError(t, err)
		require.Equal(t, "last", string(rest), "what was written before Close arrives")
		synctest.Wait()
	})
}

func TestConnLatencyGivesUpOnADeafPeer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, _ := net.Pipe()
		c := transfertest.WrapConn(near, transfertest.ConnFaults{Latency: time.Second})
		_, err := c.Write([]byte("nobody reads this"))
		require.NoError(t, err)
		start := time.Now()
		require.NoError(t, c.Close())
		require.Less(t, time.Since(start), 5*time.Second)
	})
}

func TestConnBandwidth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		c := transfertest.WrapConn(near, transfertest.ConnFaults{BytesPerSecond: 1000})
		go func() {
			_, _ = c.Write(make([]byte, 10_000))
			_ = c.Close()
		}()
		start := time.Now()
		got, err := io.ReadAll(far)
		require.NoError(t, err)
		require.Len(t, got, 10_000)
		require.InDelta(t, 10, time.Since(start).Seconds(), 0.1)
	})
}

func TestConnFragment(t *testing.T) {
	t.Parallel()
	c, far := pair(t, transfertest.ConnFaults{Fragment: 7})
	_, err := far.Write(make([]byte, 100))
	require.NoError(t, err)
	n, err := c.Read(make([]byte, 100))
	require.NoError(t, err)
	require.Equal(t, 7, n)
	n, err = c.Write(make([]byte, 100))
	require.NoError(t, err)
	require.Equal(t, 100, n)
}
