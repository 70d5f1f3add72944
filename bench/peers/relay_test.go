//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// echoServer sends back what comes, and ends each connection when its client does.
func echoServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(conn, conn)
			_ = conn.Close()
		}
	}()
	return listener.Addr().String()
}

func TestRelayPassesOnEverything(t *testing.T) {
	t.Parallel()
	relay, err := startRelay(t.Context(), echoServer(t), distance{roundTrip: 10 * time.Millisecond, loss: 0.01})
	require.NoError(t, err)
	defer relay.close()
	content := make([]byte, 3<<20+17)
	_, _ = rand.NewChaCha8([32]byte{}).Read(content)
	conn, err := net.Dial("tcp", relay.addr())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(content)
		sent <- err
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.NoError(t, <-sent)
	require.True(t, bytes.Equal(content, got))
}

func TestRelayCloseCutsConnections(t *testing.T) {
	t.Parallel()
	relay, err := startRelay(t.Context(), echoServer(t), distance{})
	require.NoError(t, err)
	conn, err := net.Dial("tcp", relay.addr())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte("x"))
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, 1))
	require.NoError(t, err)
	relay.close()
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err)
}

func TestRelayWithoutServer(t *testing.T) {
	t.Parallel()
	addr, err := freeAddress(t.Context())
	require.NoError(t, err)
	relay, err := startRelay(t.Context(), addr, distance{})
	require.NoError(t, err)
	defer relay.close()
	conn, err := net.Dial("tcp", relay.addr())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err)
}

// TestDue is what a byte waits for: half a round trip, whoever came before it, and a whole one more if it is lost.
func TestDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const roundTrip = 50 * time.Millisecond
		now := time.Now()
		l := &line{distance: distance{roundTrip: roundTrip}}
		require.Equal(t, now.Add(roundTrip/2), l.due(1, time.Time{}))
		require.Equal(t, now.Add(time.Second), l.due(1, now.Add(time.Second)), "not before what came before")
		l.loss, l.random = 1, rand.New(rand.NewPCG(0, 0))
		require.Equal(t, now.Add(roundTrip*3/2), l.due(1, time.Time{}))
	})
}

// TestLost counts: of a million packets, a thousand.
func TestLost(t *testing.T) {
	t.Parallel()
	l := &line{distance: distance{loss: 0.001}, random: rand.New(rand.NewPCG(lossSeed, 0))}
	lost := 0
	for range 100_000 {
		if l.lost(10 * packetSize) {
			lost++
		}
	}
	require.InDelta(t, 1000, lost, 100)
}

func TestSleepUntil(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		require.True(t, sleepUntil(t.Context(), began.Add(time.Minute)))
		require.Equal(t, time.Minute, time.Since(began))
		require.True(t, sleepUntil(t.Context(), began), "long over")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.False(t, sleepUntil(ctx, time.Now().Add(time.Minute)))
		require.False(t, sleepUntil(ctx, began), "ctx has ended")
	})
}

// BenchmarkRelay is what a relay can pass on: far more than any client asks of it.
func BenchmarkRelay(b *testing.B) {
	const size = 64 << 20
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer func() { _ = listener.Close() }()
	relay, err := startRelay(b.Context(), listener.Addr().String(), distance{roundTrip: 20 * time.Millisecond})
	require.NoError(b, err)
	defer relay.close()
	client, err := net.Dial("tcp", relay.addr())
	require.NoError(b, err)
	defer func() { _ = client.Close() }()
	server, err := listener.Accept()
	require.NoError(b, err)
	defer func() { _ = server.Close() }()
	content, into := make([]byte, 256<<10), make([]byte, 256<<10)
	b.SetBytes(size)
	for b.Loop() {
		sent := make(chan error, 1)
		go func() {
			var err error
			for range size / len(content) {
				_, writeErr := client.Write(content)
				err = errors.Join(err, writeErr)
			}
			sent <- err
		}()
		_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(server, size), into)
		require.NoError(b, err)
		require.NoError(b, <-sent)
	}
}
