package transfertest_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer/transfertest"
)

// setup starts a server with the file /a of n bytes and faults f, and connects a client.
func setup(t *testing.T, n int, f transfertest.SFTPFaults) (*transfertest.SFTPServer, *sftp.Client, []byte) {
	t.Helper()
	srv := transfertest.StartSFTP(t, transfertest.SFTPOptions{Faults: f})
	data := random(t, n)
	require.NoError(t, srv.WriteFile("/a", data))
	return srv, dial(t, srv), data
}

// upload writes as users do who want speed.
func upload(client *sftp.Client, name string, data []byte) error {
	f, err := client.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.ReadFromWithConcurrency(bytes.NewReader(data), 16)
	return errors.Join(err, f.Close())
}

func status(t *testing.T, err error) transfertest.SFTPStatus {
	t.Helper()
	var e *sftp.StatusError
	require.ErrorAs(t, err, &e)
	return transfertest.SFTPStatus(e.Code)
}

// The trap: with pkg/sftp's default options, io.Copy from a server that answers short loses half the file and says
// nothing.
func TestMaxReadTruncatesCarelessClients(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	srv, client, data := setup(t, size, transfertest.SFTPFaults{MaxRead: 16 << 10})

	f, err := client.Open("/a")
	require.NoError(t, err)
	defer f.Close()
	var got bytes.Buffer
	_, err = io.Copy(&got, f)
	require.NoError(t, err, "this is the trap")
	require.Less(t, got.Len(), size)
	n, err := f.ReadAt(make([]byte, size), 0)
	require.Equal(t, 16<<10, n)
	require.ErrorIs(t, err, io.EOF)

	careful := dial(t, srv, sftp.MaxPacket(16<<10))
	require.True(t, bytes.Equal(data, download(t, careful, "/a", size)))
}

func TestMaxPacket(t *testing.T) {
	t.Parallel()
	srv, client, data := setup(t, 1<<20, transfertest.SFTPFaults{MaxPacket: 4 << 10})
	require.Equal(t, transfertest.StatusBadMessage, status(t, upload(client, "/b", data)))
	f, err := client.Open("/a")
	require.NoError(t, err)
	defer f.Close()
	_, err = f.ReadAt(make([]byte, 32<<10), 0)
	require.Equal(t, transfertest.StatusBadMessage, status(t, err))

	small := dial(t, srv, sftp.MaxPacket(4<<10))
	require.NoError(t, upload(small, "/b", data))
	require.True(t, bytes.Equal(data, download(t, small, "/a", len(data))))
}

func TestSequential(t *testing.T) {
	t.Parallel()
	_, client, data := setup(t, 1<<20, transfertest.SFTPFaults{Sequential: true})
	require.True(t, bytes.Equal(data, download(t, client, "/a", len(data))), "in order is fine")
	require.NoError(t, upload(client, "/b", data))

	f, err := client.OpenFile("/b", os.O_WRONLY)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("x"), 1000)
	require.ErrorContains(t, err, "seek 1000 not supported with cursor 0")
	r, err := client.Open("/a")
	require.NoError(t, err)
	defer r.Close()
	_, err = r.ReadAt(make([]byte, 10), 1000)
	require.ErrorContains(t, err, "seek 1000 not supported with cursor 0")
}

func TestNoReadWrite(t *testing.T) {
	t.Parallel()
	_, client, _ := setup(t, 1, transfertest.SFTPFaults{NoReadWrite: true})
	_, err := client.Create("/b") // opens for reading too
	require.Equal(t, transfertest.StatusOpUnsupported, status(t, err))
	require.NoError(t, upload(client, "/b", nil))
}

func TestDiskSpace(t *testing.T) {
	t.Parallel()
	srv, client, data := setup(t, 1<<20, transfertest.SFTPFaults{DiskSpace: 256 << 10})
	vfs, err := client.StatVFS("/")
	require.NoError(t, err)
	require.EqualValues(t, 256<<10, vfs.FreeSpace())
	require.Equal(t, transfertest.StatusFailure, status(t, upload(client, "/b", data)))
	info, err := srv.Stat("/b")
	require.NoError(t, err)
	require.LessOrEqual(t, info.Size(), int64(256<<10))
	vfs, err = client.StatVFS("/")
	require.NoError(t, err)
	require.Zero(t, vfs.FreeSpace())

	srv.SetFaults(transfertest.SFTPFaults{DiskSpace: -1})
	require.Equal(t, transfertest.StatusFailure, status(t, upload(client, "/c", []byte("x"))))
	srv.SetFaults(transfertest.SFTPFaults{})
	require.NoError(t, upload(client, "/b", data))
}

func TestRenames(t *testing.T) {
	t.Parallel()
	const posix = "posix-rename@openssh.com"
	type F = transfertest.SFTPFaults
	for name, c := range map[string]struct {
		faults                         F
		advertised                     bool
		rename, posix, replace, posixR transfertest.SFTPStatus
	}{
		"none":          {F{}, true, 0, 0, 4, 0},
		"NoPosixRename": {F{NoPosixRename: true}, false, 0, 8, 4, 8},
		"NoRename":      {F{NoRename: true}, false, 8, 8, 8, 8},
		"NoReplace":     {F{NoReplace: true}, true, 0, 0, 4, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, client, _ := setup(t, 1, c.faults)
			_, advertised := client.HasExtension(posix)
			require.Equal(t, c.advertised, advertised)
			require.NoError(t, srv.WriteFile("/old", []byte("old")))
			check := func(want transfertest.SFTPStatus, rename func(from, to string) error, to string) {
				require.NoError(t, srv.WriteFile("/from", []byte("new")))
				err := rename("/from", to)
				if want == transfertest.StatusOK {
					require.NoError(t, err)
					got, err := srv.ReadFile(to)
					require.NoError(t, err)
					require.Equal(t, "new", string(got))
					return
				}
				require.Equal(t, want, status(t, err))
			}
			check(c.rename, client.Rename, "/to1")
			check(c.posix, client.PosixRename, "/to2")
			check(c.replace, client.Rename, "/old")
			check(c.posixR, client.PosixRename, "/old")
		})
	}
}

func TestReadOnce(t *testing.T) {
	t.Parallel()
	srv, client, data := setup(t, 1000, transfertest.SFTPFaults{ReadOnce: true})
	f, err := client.Open("/a")
	require.NoError(t, err)
	require.NoError(t, f.Close(), "not read: it stays")

	f, err = client.Open("/a")
	require.NoError(t, err)
	_, err = f.Stat()
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = client.Stat("/a")
	require.ErrorIs(t, err, fs.ErrNotExist)
	got := make([]byte, 1000)
	_, err = f.ReadAt(got, 0)
	require.NoError(t, err)
	require.Equal(t, data, got)
	require.NoError(t, f.Close())
	require.Empty(t, srv.Files())
}

func TestTake(t *testing.T) {
	t.Parallel()
	srv, client, _ := setup(t, 1, transfertest.SFTPFaults{Take: "/in/*.csv"})
	require.NoError(t, srv.MkdirAll("/in"))
	require.NoError(t, upload(client, "/in/a.csv", []byte("closed")))
	require.NoError(t, upload(client, "/in/b.tmp", []byte("renamed")))
	_, err := client.Stat("/in/b.tmp")
	require.NoError(t, err)
	require.NoError(t, client.PosixRename("/in/b.tmp", "/in/b.csv"))
	for _, name := range []string{"/in/a.csv", "/in/b.csv"} {
		_, err := client.Stat(name)
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
	require.Equal(t, map[string][]byte{"/in/a.csv": []byte("closed"), "/in/b.csv": []byte("renamed")}, srv.Taken())
}

func TestMaxHandles(t *testing.T) {
	t.Parallel()
	srv, client, _ := setup(t, 1, transfertest.SFTPFaults{MaxHandles: 1})
	f, err := client.Open("/a")
	require.NoError(t, err)
	_, err = client.Open("/a")
	require.Equal(t, transfertest.StatusFailure, status(t, err))
	require.Equal(t, 1, srv.OpenHandles())
	require.NoError(t, f.Close())
	require.Zero(t, srv.OpenHandles())
	f, err = client.Open("/a")
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestMaxSessionsAndConnections(t *testing.T) {
	t.Parallel()
	srv := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	srv.SetFaults(transfertest.SFTPFaults{MaxSessions: 1, MaxConnections: 1})
	conn, err := ssh.Dial("tcp", srv.Addr(), srv.ClientConfig())
	require.NoError(t, err)
	defer conn.Close()
	first, err := sftp.NewClient(conn)
	require.NoError(t, err)
	_, err = sftp.NewClient(conn)
	require.ErrorContains(t, err, "administratively prohibited")
	_, err = ssh.Dial("tcp", srv.Addr(), srv.ClientConfig())
	require.Error(t, err)
	require.Equal(t, 1, srv.Connections())
	require.NoError(t, first.Close())
	require.NoError(t, conn.Close())
	require.Eventually(t, func() bool { return srv.Connections() == 0 }, time.Minute, time.Millisecond)
}

func TestExtraNames(t *testing.T) {
	t.Parallel()
	_, client, _ := setup(t, 1, transfertest.SFTPFaults{ExtraNames: []string{"../../etc/passwd"}})
	infos, err := client.ReadDir("/")
	require.NoError(t, err)
	require.Len(t, infos, 2)
	// pkg/sftp takes the last element of the name, so a careless client would not even notice.
	require.Equal(t, path.Base("../../etc/passwd"), infos[1].Name())
}

func TestGreeting(t *testing.T) {
	t.Parallel()
	srv := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	srv.SetFaults(transfertest.SFTPFaults{Greeting: "Welcome to ACME!\n"})
	conn, err := ssh.Dial("tcp", srv.Addr(), srv.ClientConfig())
	require.NoError(t, err)
	defer conn.Close()
	_, err = sftp.NewClient(conn)
	require.Error(t, err)
}

func TestNoSubsystemAndCommands(t *testing.T) {
	t.Parallel()
	srv := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	srv.SetFaults(transfertest.SFTPFaults{NoSubsystem: true})
	conn, err := ssh.Dial("tcp", srv.Addr(), srv.ClientConfig())
	require.NoError(t, err)
	defer conn.Close()
	_, err = sftp.NewClient(conn)
	require.Error(t, err)
	session, err := conn.NewSession()
	require.NoError(t, err)
	require.Error(t, session.Run("md5sum /a"))
	require.Equal(t, 1, srv.Stats().Commands)
	_, _, err = conn.SendRequest("keepalive@openssh.com", true, nil)
	require.NoError(t, err)
	require.Equal(t, 1, srv.Stats().Keepalives)
}

func TestRefuseAndStop(t *testing.T) {
	t.Parallel()
	srv, client, _ := setup(t, 1, transfertest.SFTPFaults{})
	srv.SetFaults(transfertest.SFTPFaults{Refuse: true})
	_, err := ssh.Dial("tcp", srv.Addr(), srv.ClientConfig())
	require.Error(t, err)
	_, err = client.Stat("/a")
	require.NoError(t, err, "old connections live")

	srv.Stop()
	_, err = client.Stat("/a")
	require.Error(t, err)
	_, err = net.Dial("tcp", srv.Addr())
	require.ErrorContains(t, err, "refused")
	addr := srv.Addr()
	srv.SetFaults(transfertest.SFTPFaults{})
	require.NoError(t, srv.Start())
	require.Equal(t, addr, srv.Addr())
	require.NotEmpty(t, srv.Files())
	dial(t, srv)
	require.NoError(t, srv.Close())
	require.NoError(t, srv.Close())
	require.Error(t, srv.Start())
}

// Nothing in x/crypto bounds a handshake: only closing the connection frees it.
func TestSilent(t *testing.T) {
	t.Parallel()
	srv := transfertest.StartSFTP(t, transfertest.SFTPOptions{Faults: transfertest.SFTPFaults{Silent: true}})
	for _, heal := range []bool{false, true} {
		conn, err := net.Dial("tcp", srv.Addr())
		require.NoError(t, err)
		result := make(chan error, 1)
		go func() {
			c, _, _, err := ssh.NewClientConn(conn, srv.Addr(), srv.ClientConfig())
			if err == nil {
				_ = c.Close()
			}
			result <- err
		}()
		require.Eventually(t, func() bool { return srv.Connections() == 1 }, time.Minute, time.Millisecond)
		require.Empty(t, result)
		if heal {
			srv.SetFaults(transfertest.SFTPFaults{})
			require.NoError(t, <-result)
			return
		}
		require.NoError(t, conn.Close())
		require.Error(t, <-result)
		srv.CutConnections()
		require.Eventually(t, func() bool { return srv.Connections() == 0 }, time.Minute, time.Millisecond)
	}
}

func TestCutMidFile(t *testing.T) {
	t.Parallel()
	const size, at = 4 << 20, 1 << 20
	for name, conn := range map[string]transfertest.ConnFaults{
		"download": {CutAfterWritten: at},
		"upload":   {CutAfterRead: at},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, client, data := setup(t, size, transfertest.SFTPFaults{})
			srv.SetFaults(transfertest.SFTPFaults{Conn: conn, ConnTimes: 1})
			run := func(client *sftp.Client) error {
				if name == "upload" {
					return upload(client, "/b", data)
				}
				f, err := client.Open("/a")
				if err != nil {
					return err
				}
				defer f.Close()
				_, err = f.ReadAt(make([]byte, size), 0)
				return err
			}
			require.Error(t, run(client))
			require.Eventually(t, func() bool { return srv.OpenHandles() == 0 }, time.Minute, time.Millisecond)
			require.NoError(t, run(dial(t, srv)), "one connection was to be cut")
		})
	}
}

// A frozen server blocks pkg/sftp for ever, and thaws.
func TestFreezeMidFile(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	srv, client, data := setup(t, size, transfertest.SFTPFaults{})
	srv.SetFaults(transfertest.SFTPFaults{Conn: transfertest.ConnFaults{FreezeAfterWritten: 1 << 20}})
	got := make([]byte, size)
	f, err := client.Open("/a")
	require.NoError(t, err)
	result := make(chan error, 1)
	go func() {
		_, err := f.ReadAt(got, 0)
		result <- err
	}()
	require.Eventually(t, func() bool { return srv.Frozen() == 1 }, time.Minute, time.Millisecond)
	require.Empty(t, result)
	srv.SetFaults(transfertest.SFTPFaults{})
	require.NoError(t, <-result)
	require.True(t, bytes.Equal(data, got))
}

func TestCloseWhileFrozen(t *testing.T) {
	t.Parallel()
	srv, client, _ := setup(t, 1, transfertest.SFTPFaults{})
	srv.SetFaults(transfertest.SFTPFaults{Conn: transfertest.ConnFaults{Frozen: true, Latency: time.Hour}})
	result := make(chan error, 1)
	go func() {
		_, err := client.Stat("/a")
		result <- err
	}()
	require.NoError(t, srv.Close())
	require.Error(t, <-result)
}

func TestLatency(t *testing.T) {
	t.Parallel()
	const rtt = 100 * time.Millisecond
	srv, client, data := setup(t, 1<<20, transfertest.SFTPFaults{})
	srv.SetFaults(transfertest.SFTPFaults{Conn: transfertest.ConnFaults{Latency: rtt}})
	start := time.Now()
	_, err := client.Stat("/a")
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(start), rtt)
	start = time.Now()
	require.True(t, bytes.Equal(data, download(t, client, "/a", len(data))))
	require.Less(t, time.Since(start), 16*rtt, "32 requests are in flight at once")
}

func TestConcurrentSessions(t *testing.T) {
	t.Parallel()
	srv := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
	data := random(t, 1<<20)
	var wg sync.WaitGroup
	for _, name := range []string{"/1", "/2", "/3", "/4"} {
		client := dial(t, srv)
		wg.Go(func() {
			for range 3 {
				if err := upload(client, name, data); err != nil {
					t.Error(err)
				}
				f, err := client.Open(name)
				if err != nil {
					t.Error(err)
					return
				}
				got := make([]byte, len(data))
				if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(data, got) {
					t.Error("not what was written", err)
				}
				_ = f.Close()
			}
		})
	}
	wg.Wait()
	require.Len(t, srv.Files(), 4)
	require.Equal(t, 4, srv.Stats().Logins)
	require.Equal(t, 24, srv.Requests(transfertest.SFTPOpen))
	require.Equal(t, 24, srv.Requests(transfertest.SFTPClose))
	require.GreaterOrEqual(t, srv.Requests(0), srv.Requests(transfertest.SFTPRead|transfertest.SFTPWrite))
}
