package sftpx_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/storagetest"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// profiled returns a server with faults and a connector that treats it by a profile.
func profiled(t *testing.T, faults transfertest.SFTPFaults, p sftpx.Profile) (*transfertest.SFTPServer, *sftpx.Connector) {
	t.Helper()
	server := transfertest.StartSFTP(t, transfertest.SFTPOptions{Faults: faults})
	cfg := config(server)
	cfg.Profile = p
	return server, connect(t, cfg)
}

// put delivers data to path under an overwrite policy.
func put(t *testing.T, c *sftpx.Connector, path, data string, policy transfer.Overwrite) error {
	t.Helper()
	return storagetest.Write(t.Context(), remote(t, c), path, []byte(data), transfer.CreateOptions{Overwrite: policy})
}

func TestRenameModes(t *testing.T) {
	t.Parallel()
	type faults = transfertest.SFTPFaults
	for name, c := range map[string]struct {
		mode   sftpx.RenameMode
		faults faults
		fresh  transfer.Code // of a delivery where there is no file
		over   transfer.Code // of one where there is
		ops    transfertest.SFTPOp
	}{
		"posix":                      {mode: sftpx.RenamePosix, ops: transfertest.SFTPPosixRename},
		"posix, not there":           {sftpx.RenamePosix, faults{NoPosixRename: true}, transfer.UnsupportedOperationError, transfer.UnsupportedOperationError, 0},
		"posix does not replace":     {sftpx.RenamePosix, faults{NoReplace: true}, "", transfer.RenameError, transfertest.SFTPPosixRename},
		"plain":                      {sftpx.RenamePlain, faults{}, "", transfer.FileExists, transfertest.SFTPRename},
		"plain, no posix":            {sftpx.RenamePlain, faults{NoPosixRename: true}, "", transfer.FileExists, transfertest.SFTPRename},
		"replace, posix lies":        {sftpx.RenameReplace, faults{LyingRename: true}, "", "", transfertest.SFTPRename | transfertest.SFTPRemove},
		"replace, nothing replaces":  {sftpx.RenameReplace, faults{NoReplace: true}, "", "", transfertest.SFTPRename | transfertest.SFTPRemove},
		"direct, no rename":          {sftpx.RenameDirect, faults{NoRename: true}, "", "", 0},
		"auto, no posix":             {sftpx.RenameAuto, faults{NoPosixRename: true}, "", "", transfertest.SFTPRename | transfertest.SFTPRemove},
		"replace, but cannot rename": {sftpx.RenameReplace, faults{NoRename: true}, transfer.RenameError, transfer.RenameError, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, conn := profiled(t, c.faults, sftpx.Profile{RenameMode: c.mode})
			require.NoError(t, server.WriteFile("/old", []byte("old")))
			for _, target := range []string{"/new", "/old"} {
				want := c.fresh
				if target == "/old" {
					want = c.over
				}
				err := put(t, conn, target, "new", transfer.OverwriteReplace)
				require.Equal(t, want, transfer.CodeOf(err), "%s: %v", target, err)
				if err == nil {
					requireServerFile(t, server, target, []byte("new"))
				}
			}
			err := put(t, conn, "/old", "newer", transfer.OverwriteFail)
			if c.fresh != transfer.UnsupportedOperationError && c.over != transfer.RenameError {
				require.Equal(t, transfer.FileExists, transfer.CodeOf(err))
			}
			require.Subset(t, []string{"/new", "/old"}, server.Files(), "something was left behind")
			all := transfertest.SFTPRename | transfertest.SFTPPosixRename | transfertest.SFTPRemove
			if c.ops != 0 {
				require.NotZero(t, server.Requests(c.ops))
			}
			if c.over == "" {
				require.Zero(t, server.Requests(all&^c.ops))
			}
		})
	}
}

// What a server lacks is said before anything is moved, and with the fix.
func TestRenamePosixIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	server, c := profiled(t, transfertest.SFTPFaults{NoPosixRename: true}, sftpx.Profile{RenameMode: sftpx.RenamePosix})
	_, err := remote(t, c).Create(t.Context(), "/a", transfer.CreateOptions{Size: 1, WindowSize: 1, Key: storagetest.NewKey()})
	require.ErrorIs(t, err, transfer.UnsupportedOperationError)
	require.ErrorContains(t, err, "sftpx.RenameAuto")
	require.Zero(t, server.Requests(transfertest.SFTPOpen))
	require.False(t, remote(t, c).Features().AtomicReplace)
}

func TestRenameModesOnOpenSSH(t *testing.T) {
	t.Parallel()
	server := testenv.SSHD(t)
	for _, mode := range []sftpx.RenameMode{sftpx.RenameAuto, sftpx.RenameDirect, sftpx.RenamePosix, sftpx.RenamePlain, sftpx.RenameReplace} {
		cfg := sshdConfig(server)
		cfg.RenameMode, cfg.PreserveTimes, cfg.FileMode = mode, true, 0o640
		c := connect(t, cfg)
		target := filepath.Join(server.Dir, mode.String())
		modified := time.Unix(1_600_000_000, 0)
		deliver := func(text string) error {
			return storagetest.Write(t.Context(), remote(t, c), target, []byte(text), transfer.CreateOptions{ModTime: modified})
		}
		require.NoError(t, deliver("old"), mode)
		info, err := os.Stat(target)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o640), info.Mode().Perm(), mode)
		require.True(t, modified.Equal(info.ModTime()), mode)
		err = deliver("new")
		require.Equal(t, mode == sftpx.RenamePlain, err != nil, mode)
		got, err := os.ReadFile(target)
		require.NoError(t, err)
		require.Equal(t, mode == sftpx.RenamePlain, string(got) == "old", mode)
	}
	require.Len(t, filesIn(t, server.Dir), 5)
}

func TestVerify(t *testing.T) {
	t.Parallel()
	hidden, lost := transfertest.SFTPFaults{WriteOnly: true}, transfertest.SFTPFaults{LosesFiles: true}
	lies := transfertest.SFTPRule{Op: transfertest.SFTPWrite, Pretend: true}
	for name, c := range map[string]struct {
		faults  transfertest.SFTPFaults
		rule    *transfertest.SFTPRule
		profile sftpx.Profile
		code    transfer.Code
	}{
		"size":                    {profile: sftpx.Profile{}},
		"size, lie":               {rule: &lies, code: transfer.SizeMismatch},
		"size, hidden":            {faults: hidden},
		"size, lost":              {faults: lost, code: transfer.RenameError},
		"size, lost, direct":      {faults: lost, profile: sftpx.Profile{RenameMode: sftpx.RenameDirect}, code: transfer.WriteFileError},
		"strict":                  {profile: sftpx.Profile{Verify: sftpx.VerifyStrict}},
		"strict, hidden":          {faults: hidden, profile: sftpx.Profile{Verify: sftpx.VerifyStrict}, code: transfer.WriteFileError},
		"strict, lost":            {faults: lost, profile: sftpx.Profile{Verify: sftpx.VerifyStrict}, code: transfer.WriteFileError},
		"lenient, lie":            {rule: &lies, profile: sftpx.Profile{Verify: sftpx.VerifyLenient}, code: transfer.SizeMismatch},
		"lenient, taken, direct":  {faults: transfertest.SFTPFaults{Take: "a"}, profile: sftpx.Profile{Verify: sftpx.VerifyLenient, RenameMode: sftpx.RenameDirect}},
		"none, lie":               {rule: &lies, profile: sftpx.Profile{Verify: sftpx.VerifyNone}},
		"none, taken, direct":     {faults: transfertest.SFTPFaults{Take: "a"}, profile: sftpx.Profile{Verify: sftpx.VerifyNone, RenameMode: sftpx.RenameDirect}},
		"none, lost, but renamed": {faults: lost, profile: sftpx.Profile{Verify: sftpx.VerifyNone}, code: transfer.RenameError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, conn := profiled(t, c.faults, c.profile)
			if c.rule != nil {
				server.Inject(*c.rule)
			}
			err := put(t, conn, "/a", "new", "")
			require.Equal(t, c.code, transfer.CodeOf(err), "%v", err)
			if c.code == transfer.WriteFileError {
				require.ErrorContains(t, err, "sftpx.VerifyLenient")
			}
			if c.profile.Verify == sftpx.VerifyNone {
				require.Zero(t, server.Requests(transfertest.SFTPStat))
			}
		})
	}
}

// A server that refuses attributes gets the file all the same, and is not asked again.
func TestAttributes(t *testing.T) {
	t.Parallel()
	p := sftpx.Profile{PreserveTimes: true, FileMode: 0o640}
	modified := time.Unix(1_600_000_000, 0)
	deliver := func(t *testing.T, c *sftpx.Connector, path string, modified time.Time) {
		t.Helper()
		o := transfer.CreateOptions{ModTime: modified}
		require.NoError(t, storagetest.Write(t.Context(), remote(t, c), path, []byte("x"), o))
	}
	server, c := profiled(t, transfertest.SFTPFaults{}, p)
	deliver(t, c, "/a", modified.Add(time.Millisecond))
	info, err := server.Stat("/a")
	require.NoError(t, err)
	require.True(t, modified.Equal(info.ModTime()))
	require.Equal(t, fs.FileMode(0o640), info.Mode().Perm())
	for _, unknown := range []time.Time{{}, time.Unix(-1, 0), time.Unix(1<<32, 0)} {
		deliver(t, c, "/b", unknown)
	}
	require.Equal(t, 5, server.Requests(transfertest.SFTPSetstat))

	server, c = profiled(t, transfertest.SFTPFaults{NoSetstat: true}, p)
	deliver(t, c, "/a", modified)
	deliver(t, c, "/b", modified)
	require.Equal(t, 1, server.Requests(transfertest.SFTPSetstat))
	server, c = profiled(t, transfertest.SFTPFaults{}, p)
	server.Inject(transfertest.SFTPRule{Op: transfertest.SFTPSetstat, Status: transfertest.StatusPermissionDenied})
	deliver(t, c, "/a", modified)
	require.Equal(t, []string{"/a"}, server.Files())
}

// Mailboxes of all kinds hand out a file once, and that is enough.
func TestReadOnce(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string]transfertest.SFTPFaults{
		"gone with CLOSE": {ReadOnce: true, Sequential: true}, "opened once": {OpenOnce: true}, "STAT consumes": {StatConsumes: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, c := profiled(t, faults, sftpx.Profile{ReadOnce: true})
			want := random(t, 3*mebibyte+1)
			require.NoError(t, server.WriteFile("/a", want))
			src, err := remote(t, c).Open(t.Context(), "/a")
			require.NoError(t, err)
			require.Zero(t, src.Info().ModTime, "there is no going on")
			before := server.Requests(0) - server.Requests(transfertest.SFTPRead)
			got := make([]byte, len(want))
			for off := 0; off < len(got); off += mebibyte {
				require.NoError(t, src.ReadWindow(t.Context(), got[off:min(off+mebibyte, len(got))], int64(off)))
			}
			require.Equal(t, want, got)
			require.Equal(t, before, server.Requests(0)-server.Requests(transfertest.SFTPRead), "something besides READ")
			require.NoError(t, src.Close())
			require.Equal(t, 1, server.Requests(transfertest.SFTPClose))
		})
	}
}

// Once a byte was read, a failure is final, whatever it is.
func TestReadOnceFailure(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*transfertest.SFTPServer)
		first bool // the first window fails, before a byte has come
		code  transfer.Code
	}{
		"cut":               {func(s *transfertest.SFTPServer) { s.CutConnections() }, false, transfer.ReadFileError},
		"cut at the start":  {func(s *transfertest.SFTPServer) { s.CutConnections() }, true, transfer.ConnectionLost},
		"frozen":            {func(s *transfertest.SFTPServer) { freeze(s) }, false, transfer.ReadFileError},
		"refused":           {func(s *transfertest.SFTPServer) { refuseReads(s) }, false, transfer.ReadFileError},
		"shorter than said": {func(s *transfertest.SFTPServer) { _ = s.WriteFile("/a", []byte("x")) }, false, transfer.ReadFileError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := transfertest.StartSFTP(t, transfertest.SFTPOptions{})
			require.NoError(t, server.WriteFile("/a", random(t, 2*mebibyte)))
			cfg := config(server)
			cfg.ReadOnce, cfg.StallTimeout = true, soon
			src, err := remote(t, connect(t, cfg)).Open(t.Context(), "/a")
			require.NoError(t, err)
			p := make([]byte, mebibyte)
			if !c.first {
				require.NoError(t, src.ReadWindow(t.Context(), p, 0))
			}
			c.spoil(server)
			err = src.ReadWindow(t.Context(), p, mebibyte)
			require.Equal(t, c.code, transfer.CodeOf(err), "%v", err)
			require.Equal(t, c.first, transfer.CodeOf(err).Retryable())
			if !c.first {
				require.ErrorContains(t, err, "1048576 of 2097152 bytes")
				require.ErrorContains(t, err, "Config.ReadOnce")
			}
			require.NoError(t, src.Close())
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		server, c := profiled(t, transfertest.SFTPFaults{}, sftpx.Profile{ReadOnce: true})
		require.NoError(t, server.WriteFile("/a", random(t, 2)))
		src, err := remote(t, c).Open(t.Context(), "/a")
		require.NoError(t, err)
		require.NoError(t, src.ReadWindow(t.Context(), make([]byte, 1), 0))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, src.ReadWindow(ctx, make([]byte, 1), 1), context.Canceled)
		require.NoError(t, src.Close())
	})
}

func freeze(s *transfertest.SFTPServer) {
	s.SetFaults(transfertest.SFTPFaults{Conn: transfertest.ConnFaults{Frozen: true}})
}

func refuseReads(s *transfertest.SFTPServer) {
	s.Inject(transfertest.SFTPRule{Op: transfertest.SFTPRead, Status: transfertest.StatusFailure})
}

// A server that wants one request at a time gets that, in both directions, and one file for each connection.
func TestSequential(t *testing.T) {
	t.Parallel()
	faults := transfertest.SFTPFaults{OneRequest: true, Sequential: true, MaxRead: 20_000}
	server, c := profiled(t, faults, sftpx.Profile{Sequential: true})
	require.Equal(t, 2, c.Info().MaxFiles)
	want := random(t, 2*mebibyte+17)
	require.NoError(t, upload(t, c, "/a", want))
	requireServerFile(t, server, "/a", want)
	got, err := download(t, c, "/a")
	require.NoError(t, err)
	require.Equal(t, want, got)

	_, c = profiled(t, faults, sftpx.Profile{})
	require.Error(t, upload(t, c, "/a", want), "the fault is real")
}

func TestNoResume(t *testing.T) {
	t.Parallel()
	server, c := profiled(t, transfertest.SFTPFaults{}, sftpx.Profile{NoResume: true})
	r := remote(t, c)
	require.False(t, r.Features().Resume)
	k, o := begin(t, r, "/a", 20, 10)
	require.NoError(t, k.WriteWindow(t.Context(), random(t, 10), 0))
	require.Nil(t, k.Checkpoint())
	require.NoError(t, k.Close())
	o.Checkpoint = []byte(`{"temp":"` + server.Files()[0] + `","acked":10}`)
	_, err := r.Create(t.Context(), "/a", o)
	require.Equal(t, transfer.CheckpointLost, transfer.CodeOf(err))
}

// A server that cannot go on with a file is noticed, and gets fresh starts from then on.
func TestNoResumeIsNoticed(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string]transfertest.SFTPFaults{
		"opens no file again": {NoReopen: true}, "appends": {AppendOnly: true}, "writes from the start only": {Sequential: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, c := profiled(t, faults, sftpx.Profile{})
			r := remote(t, c)
			k, o := begin(t, r, "/a", 20, 10)
			require.NoError(t, k.WriteWindow(t.Context(), random(t, 10), 0))
			o.Checkpoint = k.Checkpoint()
			require.NoError(t, k.Close())
			_, err := r.Create(t.Context(), "/a", o)
			require.Equal(t, transfer.CheckpointLost, transfer.CodeOf(err))
			want := random(t, 20)
			o.Checkpoint = nil
			require.NoError(t, storagetest.Write(t.Context(), r, "/a", want, o))
			requireServerFile(t, server, "/a", want)
			require.False(t, r.Features().Resume)
			k, _ = begin(t, remote(t, c), "/b", 20, 10)
			require.NoError(t, k.WriteWindow(t.Context(), random(t, 10), 0))
			require.Nil(t, k.Checkpoint())
		})
	}
}

// A server that reads files from their start only fails a download that goes on once, and is remembered.
func TestNoSeekIsNoticed(t *testing.T) {
	t.Parallel()
	server, c := profiled(t, transfertest.SFTPFaults{Sequential: true}, sftpx.Profile{})
	require.NoError(t, server.WriteFile("/a", random(t, 20)))
	src, err := remote(t, c).Open(t.Context(), "/a")
	require.NoError(t, err)
	require.NotZero(t, src.Info().ModTime)
	err = src.ReadWindow(t.Context(), make([]byte, 10), 10)
	require.Equal(t, transfer.ConnectionError, transfer.CodeOf(err))
	require.True(t, transfer.CodeOf(err).Retryable())
	require.NoError(t, src.Close())
	src, err = remote(t, c).Open(t.Context(), "/a")
	require.NoError(t, err)
	require.Zero(t, src.Info().ModTime, "so that the next attempt starts at zero")
	require.NoError(t, src.Close())
}

func TestQuota(t *testing.T) {
	t.Parallel()
	server, c := start(t, transfertest.SFTPFaults{DiskSpace: mebibyte, Quota: true})
	require.ErrorIs(t, upload(t, c, "/a", random(t, 3*mebibyte)), transfer.NoSpace)
	require.Empty(t, server.Files())
}

// A connection whose other side is gone without a word fails the window in time.
func TestHalfOpenConnection(t *testing.T) {
	t.Parallel()
	server, c, conns := wrapped(t, func(cfg *sftpx.Config) { cfg.StallTimeout = soon })
	require.NoError(t, server.WriteFile("/a", random(t, mebibyte)))
	src, err := remote(t, c).Open(t.Context(), "/a")
	require.NoError(t, err)
	(<-conns).Set(transfertest.ConnFaults{HalfOpen: true})
	err = src.ReadWindow(within(t, longAfter), make([]byte, mebibyte), 0)
	require.Equal(t, transfer.Stalled, transfer.CodeOf(err))
	require.NoError(t, src.Close())
	_, err = download(t, c, "/a")
	require.NoError(t, err, "over a new connection")
}
