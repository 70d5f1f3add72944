//go:build linux

package main

import (
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed62b9dc43/transfer/internal/testenv"
)

// TestMain lets the test's program be ours, as the real one does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == oursName {
		os.Exit(runOurs(os.Args[2:]))
	}
	goleak.VerifyTestMain(m)
}

// TestRun measures a little of everything for which there is a program on this machine, and OpenSSH in any case.
func TestRun(t *testing.T) {
	t.Parallel()
	requireOpenSSH(t)
	page := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(page, []byte("<!-- begin peers -->\n<!-- end peers -->\n"), 0o644))
	against, rows := installed()
	m, err := parse([]string{
		"-dir", t.TempDir(), "-o", page, "-scale", "0.005", "-repeat", "1", "-against", against, "-rows", rows,
	})
	require.NoError(t, err)
	m.log = log.New(io.Discard, "", 0)
	require.NoError(t, m.run(t.Context()))
	written, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(written), "OpenSSH sftp (")
	require.Contains(t, string(written), " goals are met.")
	left, err := os.ReadDir(m.folder)
	require.NoError(t, err)
	require.Empty(t, left)
}

func requireOpenSSH(t *testing.T) {
	t.Helper()
	if _, err := findSSHD(); err != nil {
		testenv.Skip(t, err.Error())
	}
	for _, p := range []*program{&ssh, &sftp} {
		if _, err := lookUp(p.name); err != nil {
			testenv.Skip(t, p.name+": "+err.Error())
		}
	}
}

// installed returns patterns of the opponents and rows that this machine has the programs for.
func installed() (against, rows string) {
	opponents := []string{openSSH.name}
	for _, c := range []client{rcloneBest, lftpClient} {
		if _, err := lookUp(c.program.name); err == nil {
			opponents = append(opponents, c.name)
		}
	}
	rows = "^(1GiB|2000x4KiB)-(up|down)$|^200x4KiB-down-50ms$"
	if _, err := lookUp(versitygw.name); err == nil {
		rows += "|^1GiB-s3|^2000x4KiB-sshd-to-s3"
	}
	return strings.Join(opponents, "|"), rows
}

// TestRunFailsLoudly has a client that delivers something else.
func TestRunFailsLoudly(t *testing.T) {
	t.Parallel()
	requireOpenSSH(t)
	liar := client{"liar", &sftp, func(task *task) command {
		return command{args: []string{"cp", "/dev/null", filepath.Join(task.target, task.data.names()[0])}}
	}}
	m, err := parse([]string{"-dir", t.TempDir(), "-scale", "0.001", "-rows", "^1GiB-up$"})
	require.NoError(t, err)
	m.log = log.New(io.Discard, "", 0)
	m.rows[0].opponents = []opponent{{client: liar}}
	err = m.run(t.Context())
	require.ErrorContains(t, err, "1GiB-up: liar delivered something else: ")
}

// TestRunSaysWhatAClientSaid has one that fails.
func TestRunSaysWhatAClientSaid(t *testing.T) {
	t.Parallel()
	requireOpenSSH(t)
	failing := client{"failing", &sftp, func(*task) command {
		return command{args: []string{"sh", "-c", "echo out of luck >&2; exit 3"}}
	}}
	m, err := parse([]string{"-dir", t.TempDir(), "-scale", "0.001", "-rows", "^1GiB-up$"})
	require.NoError(t, err)
	m.rows[0].opponents = []opponent{{client: failing}}
	err = m.run(t.Context())
	require.ErrorContains(t, err, "exit status 3\nout of luck")
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ flag, value, want string }{
		{"-rows", "2GiB", `-rows "2GiB" and -against "" leave none (try -list)`},
		{"-rows", "(", "-rows is \"(\": "},
		{"-against", "(", "-against is \"(\": "},
		{"-repeat", "0", "-repeat is 0 (try 1 or more)"},
		{"-scale", "0", "-scale is 0 (try more than 0 and up to 4)"},
		{"-o", "/dev/null", "/dev/null: no lines "},
	} {
		_, err := parse([]string{test.flag, test.value})
		require.ErrorContains(t, err, test.want)
	}
}
