package transfertest_test

import (
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/transfertest"
)

func TestRuleNthWrite(t *testing.T) {
	t.Parallel()
	srv, client, _ := setup(t, 1, transfertest.SFTPFaults{})
	third := srv.Inject(transfertest.SFTPRule{
		Op: transfertest.SFTPWrite, Nth: 3, Status: transfertest.StatusQuotaExceeded, Message: "quota of ACME is used up",
	})
	f, err := client.OpenFile("/b", os.O_WRONLY|os.O_CREATE)
	require.NoError(t, err)
	defer f.Close()
	for i := range 5 {
		_, err := f.WriteAt([]byte{'0' + byte(i)}, int64(i))
		if i != 2 {
			require.NoError(t, err)
			continue
		}
		require.Equal(t, transfertest.StatusQuotaExceeded, status(t, err))
		require.ErrorContains(t, err, "quota of ACME is used up")
		<-third.Hit()
	}
	require.Equal(t, 1, third.Hits())
	got, err := srv.ReadFile("/b")
	require.NoError(t, err)
	require.Equal(t, "01\x0034", string(got))
}

func TestRuleTimes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		nth, times int
		struck     string
	}{
		"all":             {0, 0, "xxxxx"},
		"first two":       {0, 2, "xx..."},
		"only the third":  {3, 0, "..x.."},
		"second to third": {2, 2, ".xx.."},
		"from the third":  {3, -1, "..xxx"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, client, _ := setup(t, 1, transfertest.SFTPFaults{})
			rule := srv.Inject(transfertest.SFTPRule{
				Op: transfertest.SFTPStat | transfertest.SFTPLstat, Nth: c.nth, Times: c.times,
				Status: transfertest.StatusFailure,
			})
			struck := ""
			for i := range 5 {
				stat := client.Stat
				if i%2 == 1 {
					stat = client.Lstat
				}
				if _, err := stat("/a"); err != nil {
					struck += "x"
				} else {
					struck += "."
				}
			}
			require.Equal(t, c.struck, struck)
			rule.Remove()
			_, err := client.Stat("/a")
			require.NoError(t, err)
		})
	}
}

func TestRulePaths(t *testing.T) {
	t.Parallel()
	srv, client, _ := setup(t, 1, transfertest.SFTPFaults{})
	require.NoError(t, srv.WriteFile("/in/a.csv", nil))
	srv.Inject(transfertest.SFTPRule{Path: "/in/*", Status: transfertest.StatusPermissionDenied})
	srv.Inject(transfertest.SFTPRule{Path: "*.tmp", Status: transfertest.StatusNoSuchFile})
	_, err := client.Stat("/in/a.csv")
	require.ErrorIs(t, err, fs.ErrPermission)
	require.ErrorIs(t, client.PosixRename("/a", "/in/b"), fs.ErrPermission, "the target matches too")
	_, err = client.Stat("/out/x.tmp")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = client.Stat("/a")
	require.NoError(t, err)
	_, err = client.ReadDir("/in")
	require.NoError(t, err, "the directory does not match")
}

// A lie at CLOSE: every write was acknowledged, and still the file is not there in full.
func TestRuleLieAtClose(t *testing.T) {
	t.Parallel()
	srv, client, _ := setup(t, 1, transfertest.SFTPFaults{})
	srv.Inject(transfertest.SFTPRule{Op: transfertest.SFTPClose, Path: "/b", Status: transfertest.StatusFailure})
	require.Equal(t, transfertest.StatusFailure, status(t, upload(client, "/b", []byte("x"))))
	require.Zero(t, srv.OpenHandles(), "the handle is closed all the same")
}

func TestRuleDone(t *testing.T) {
	t.Parallel()
	srv, client, _ := setup(t, 1, transfertest.SFTPFaults{})
	srv.Inject(transfertest.SFTPRule{
		Op: transfertest.SFTPPosixRename, Status: transfertest.StatusFailure, Done: true, Times: 1,
	})
	require.Error(t, client.PosixRename("/a", "/b"))
	require.Equal(t, []string{"/b"}, srv.Files())
	require.NoError(t, client.PosixRename("/b", "/c"))
}

func TestRulePretend(t *testing.T) {
	t.Parallel()
	srv, client, _ := setup(t, 1, transfertest.SFTPFaults{})
	srv.Inject(transfertest.SFTPRule{Op: transfertest.SFTPWrite, Pretend: true})
	require.NoError(t, upload(client, "/b", []byte("lost")))
	got, err := srv.ReadFile("/b")
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestRuleCut(t *testing.T) {
	t.Parallel()
	srv, client, _ := setup(t, 1, transfertest.SFTPFaults{})
	srv.Inject(transfertest.SFTPRule{Op: transfertest.SFTPPosixRename, Cut: true})
	require.Error(t, client.PosixRename("/a", "/b"))
	require.Equal(t, []string{"/a"}, srv.Files())
}

func TestRuleMute(t *testing.T) {
	t.Parallel()
	srv, client, _ := setup(t, 1, transfertest.SFTPFaults{})
	mute := srv.Inject(transfertest.SFTPRule{Op: transfertest.SFTPStat, Mute: true})
	result := make(chan error, 1)
	go func() {
		_, err := client.Stat("/a")
		result <- err
	}()
	<-mute.Hit()
	_, err := client.Lstat("/a")
	require.NoError(t, err, "other requests are answered")
	require.Empty(t, result)
	srv.CutConnections()
	require.Error(t, <-result)
}

func TestRuleHold(t *testing.T) {
	t.Parallel()
	srv, client, _ := setup(t, 1, transfertest.SFTPFaults{})
	release := make(chan struct{})
	hold := srv.Inject(transfertest.SFTPRule{Op: transfertest.SFTPStat, Hold: release})
	result := make(chan error, 1)
	go func() {
		_, err := client.Stat("/a")
		result <- err
	}()
	<-hold.Hit()
	require.Empty(t, result)
	close(release)
	require.NoError(t, <-result)

	srv.Inject(transfertest.SFTPRule{Op: transfertest.SFTPLstat, Hold: make(chan struct{})})
	go func() {
		_, err := client.Lstat("/a")
		result <- err
	}()
	require.Eventually(t, func() bool { return srv.Requests(transfertest.SFTPLstat) == 1 }, time.Minute, time.Millisecond)
	require.NoError(t, srv.Close(), "it does not wait for what is held")
	require.Error(t, <-result)
}

func TestRuleDelay(t *testing.T) {
	t.Parallel()
	srv, client, _ := setup(t, 1, transfertest.SFTPFaults{})
	srv.Inject(transfertest.SFTPRule{Op: transfertest.SFTPStat, Delay: 20 * time.Millisecond})
	start := time.Now()
	_, err := client.Stat("/a")
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(start), 20*time.Millisecond)
}

// The server goes down before it has done what was asked.
func TestRuleDoCuts(t *testing.T) {
	t.Parallel()
	srv, client, _ := setup(t, 1, transfertest.SFTPFaults{})
	srv.Inject(transfertest.SFTPRule{Op: transfertest.SFTPPosixRename, Do: func(transfertest.SFTPRequest) {
		srv.CutConnections()
	}})
	require.Error(t, client.PosixRename("/a", "/b"))
	require.NoError(t, srv.Close())
	require.Equal(t, []string{"/a"}, srv.Files())
}

// The source changes while it is read.
func TestRuleDo(t *testing.T) {
	t.Parallel()
	srv, client, data := setup(t, 100<<10, transfertest.SFTPFaults{})
	later := time.Now().Add(time.Hour)
	changed := make(chan error, 1)
	srv.Inject(transfertest.SFTPRule{Op: transfertest.SFTPRead, Nth: 2, Do: func(q transfertest.SFTPRequest) {
		changed <- errors.Join(srv.WriteFile(q.Path, make([]byte, len(data))), srv.SetModTime(q.Path, later))
	}})
	got := download(t, client, "/a", len(data))
	require.NoError(t, <-changed)
	require.Equal(t, data[:32<<10], got[:32<<10])
	require.Equal(t, make([]byte, 68<<10), got[32<<10:])
	info, err := client.Stat("/a")
	require.NoError(t, err)
	require.Equal(t, later.Unix(), info.ModTime().Unix())
}

func TestOpNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "STAT|posix-rename@openssh.com", (transfertest.SFTPStat | transfertest.SFTPPosixRename).String())
	require.Equal(t, "any", transfertest.SFTPOp(0).String())
	require.Equal(t, "Open|Commit", (transfertest.OpOpen | transfertest.OpCommit).String())
	require.Equal(t, "Status 99", transfertest.SFTPStatus(99).String())
}
