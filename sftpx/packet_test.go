package sftpx_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/storagetest"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// Servers that answer READ short make careless clients truncate files; here only the first window is slower.
func TestShortAnswers(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{100, 5000, 16 << 10, 32<<10 - 1, 32 << 10} {
		for _, packet := range []int{0, 255 << 10} {
			t.Run(fmt.Sprintf("%d bytes, packets of %d", limit, packet), func(t *testing.T) {
				t.Parallel()
				server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Faults: transfertest.SFTPFaults{MaxRead: limit}})
				size := 2*mebibyte + 4321
				if limit < 512 {
					size = 300_000
				}
				want := random(t, size)
				require.NoError(t, server.WriteFile("/a", want))
				cfg := config(server)
				cfg.MaxPacket = packet
				c := connect(t, cfg)
				for range 2 {
					got, err := download(t, c, "/a")
					require.NoError(t, err)
					require.Equal(t, len(want), len(got))
					require.Equal(t, want, got)
				}
				require.NoError(t, upload(t, c, "/b", want))
				got, err := server.ReadFile("/b")
				require.NoError(t, err)
				require.Equal(t, want, got)
			})
		}
	}
}

// What was learned of a server is used from then on: no more short answers.
func TestShortAnswersAreLearnedOnce(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Faults: transfertest.SFTPFaults{MaxRead: 16 << 10}})
	require.NoError(t, server.WriteFile("/a", random(t, 4*mebibyte)))
	cfg := config(server)
	cfg.IdleTimeout = time.Millisecond // a new connection for each file
	c := connect(t, cfg)
	_, err := download(t, c, "/a")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return server.Connections() == 0 }, eventually, often)
	before := server.Requests(transfertest.SFTPRead)
	_, err = download(t, c, "/a")
	require.NoError(t, err)
	require.Equal(t, 4*mebibyte/(16<<10), server.Requests(transfertest.SFTPRead)-before)
}

// A short answer now and then is no limit.
func TestOccasionalShortAnswer(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	want := random(t, 4*mebibyte)
	require.NoError(t, server.WriteFile("/a", want))
	c := connect(t, config(server))
	_, err := download(t, c, "/a")
	require.NoError(t, err)
	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPRead, Nth: 40, Times: 1, Do: func(transfertest.SFTPRequest) {
		server.SetFaults(transfertest.SFTPFaults{MaxRead: 37})
	}})
	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPRead, Nth: 41, Times: 1, Do: func(transfertest.SFTPRequest) {
		server.SetFaults(transfertest.SFTPFaults{})
	}})
	got, err := download(t, c, "/a")
	require.NoError(t, err)
	require.Equal(t, want, got)
	before := server.Requests(transfertest.SFTPRead)
	_, err = download(t, c, "/a")
	require.NoError(t, err)
	require.Equal(t, 4*mebibyte/(32<<10), server.Requests(transfertest.SFTPRead)-before)
}

// A server that calls itself OpenSSH gets large packets, and small ones if it does not take them after all.
func TestPacketSize(t *testing.T) {
	t.Parallel()
	for version, packet := range map[string]int{
		"SSH-2.0-OpenSSH_9.2p1 Debian-2": 255 << 10, "SSH-2.0-OpenSSH_8.5": 255 << 10, "SSH-2.0-OpenSSH_10.0": 255 << 10,
		"SSH-2.0-OpenSSH_8.4p1": 32 << 10, "SSH-2.0-OpenSSH_7.9": 32 << 10, "SSH-2.0-mod_sftp": 32 << 10,
		"SSH-2.0-OpenSSH_for_Windows_9.5": 32 << 10, "SSH-2.0-NotOpenSSH_9.2": 32 << 10,
	} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Version: version})
			require.NoError(t, server.WriteFile("/a", make([]byte, mebibyte)))
			c := connect(t, config(server))
			_, err := download(t, c, "/a")
			require.NoError(t, err)
			require.Equal(t, (mebibyte+packet-1)/packet, server.Requests(transfertest.SFTPRead))
			require.NoError(t, upload(t, c, "/b", make([]byte, mebibyte)))
			require.Equal(t, (mebibyte+packet-1)/packet, server.Requests(transfertest.SFTPWrite))
			require.Equal(t, version, remote(t, c).Features().Server)
		})
	}
}

func TestLargePacketsAreRefused(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{
		Version: "SSH-2.0-OpenSSH_9.9", Faults: transfertest.SFTPFaults{MaxPacket: 32 << 10},
	})
	c := connect(t, config(server))
	want := random(t, 2*mebibyte+99)
	require.NoError(t, upload(t, c, "/a", want))
	got, err := server.ReadFile("/a")
	require.NoError(t, err)
	require.Equal(t, want, got)

	c = connect(t, config(server))
	got, err = download(t, c, "/a")
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// A server that hangs up on large packets is spared them after the second time.
func TestLargePacketsBreakTheConnection(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Version: "SSH-2.0-OpenSSH_9.9"})
	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPWrite, Cut: true, Times: 2})
	c := connect(t, config(server))
	data := random(t, mebibyte)
	for range 2 {
		require.ErrorIs(t, upload(t, c, "/a", data), transfer.ConnectionLost)
	}
	before := server.Requests(transfertest.SFTPWrite)
	require.NoError(t, upload(t, c, "/a", data))
	require.Equal(t, mebibyte/(32<<10), server.Requests(transfertest.SFTPWrite)-before)
}

// While one file learns, others move.
func TestLearningBesideOtherFiles(t *testing.T) {
	t.Parallel()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Faults: transfertest.SFTPFaults{MaxRead: 5000}})
	want := random(t, 2*mebibyte+1)
	require.NoError(t, server.WriteFile("/a", want))
	cfg := config(server)
	cfg.MaxConnections = 1
	c := connect(t, cfg)
	var group sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		r := remote(t, c)
		group.Go(func() {
			if i%2 == 0 {
				errs[i] = storagetest.Write(t.Context(), r, fmt.Sprint("/up", i), want, transfer.CreateOptions{WindowSize: mebibyte})
				return
			}
			got, err := storagetest.Read(t.Context(), r, "/a")
			if err == nil && !bytes.Equal(want, got) {
				err = errors.New("content differs")
			}
			errs[i] = err
		})
	}
	group.Wait()
	require.NoError(t, errors.Join(errs...))
	for i := 0; i < len(errs); i += 2 {
		got, err := server.ReadFile(fmt.Sprint("/up", i))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}
