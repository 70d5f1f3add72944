package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/crypto/ssh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// every is every flag that a worker must have.
var every = []string{"-dsn", "host=/does/not/exist", "-dir", ".", "-host", "127.0.0.1:1", "-user", "alice", "-key", "/does/not/exist", "-host-key", "x"}

func TestWrongUsage(t *testing.T) {
	for _, name := range []string{"DSN", "DIR", "HOST", "USER", "KEY", "HOST_KEY", "FILES"} {
		t.Setenv("FLEET_"+name, "")
	}
	with := func(args ...string) []string { return append(append([]string{args[0]}, every...), args[1:]...) }
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"no command":      {nil, []string{"no command (give work or submit)"}},
		"unknown command": {[]string{"-files", "3", "work"}, []string{`"-files" is not a command (give work or submit, and flags behind it)`}},
		"nothing": {[]string{"work"}, []string{
			"-dsn is missing (such as postgres://", "-dir is missing", "-host is missing", "-user is missing", "-key is missing", "-host-key is missing (run ssh-keyscan HOST",
		}},
		"no job":                  {with("submit"), []string{"-job is missing (a name"}},
		"long job":                {with("submit", "-job", string(make([]byte, maxJob+1))), []string{"-job has more than 100 bytes"}},
		"flag of the other":       {with("work", "-job", "x"), []string{"-job"}},
		"short lease":             {with("work", "-lease", "10ms"), []string{"-lease must be 1s or more"}},
		"no files at once":        {with("work", "-files", "0", "-limit", "-1"), []string{"-files must be 1 or more", "-limit must be 1 or more"}},
		"not a number":            {with("work", "-files", "many"), []string{"-files", "many"}},
		"paths":                   {with("submit", "-job", "x", "a.csv"), []string{`"a.csv" is not a flag (files are those in -dir)`}},
		"no such key":             {with("work"), []string{"read -key: open /does/not/exist"}},
		"no such directory":       {with("work", "-dir", "/does/not/exist"), []string{"-dir: open /does/not/exist"}},
		"no files in a directory": {with("submit", "-job", "x", "-dir", t.TempDir()), []string{"-dir: no files in"}},
		"not a host key":          {with("work", "-key", writeKey(t)), []string{"ssh-keyscan"}},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			require.Equal(t, exitUsage, run(t.Context(), test.args, &stdout, &stderr), stderr.String())
			require.Regexp(t, `.\n\(-help explains the flags\)\n$`, stderr.String())
			require.Empty(t, stdout.String())
			for _, want := range test.want {
				require.Contains(t, stderr.String(), want)
			}
		})
	}
}

func writeKey(t *testing.T) string {
	t.Helper()
	private, _ := newKey(t, t.TempDir())
	return private
}

// newKey makes a key and returns the paths of the private one and of a list of authorized keys.
func newKey(t *testing.T, dir string) (private, authorized string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKey(key, "")
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	private, authorized = filepath.Join(dir, "id_ed25519"), filepath.Join(dir, "authorized")
	require.NoError(t, os.WriteFile(private, pem.EncodeToMemory(block), 0o600))
	require.NoError(t, os.WriteFile(authorized, ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o600))
	return private, authorized
}

func TestWrongVariable(t *testing.T) {
	t.Setenv("FLEET_FILES", "many")
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitUsage, run(t.Context(), append([]string{"work"}, every...), &stdout, &stderr))
	require.Contains(t, stderr.String(), `invalid value "many" of FLEET_FILES: parse error (see -files)`)
}

func TestQueueAwayAtStart(t *testing.T) {
	t.Parallel()
	args := append([]string{"work"}, every...)
	args = append(args, "-key", writeKey(t), "-host-key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJoWFxPLd9YO9zO3xdqoVgvLIFrmmfGcCYEM4rUyRzGS")
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitFailed, run(t.Context(), args, &stdout, &stderr))
	require.Contains(t, stderr.String(), "fleet: open the queue: ")
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-help"}, {"work", "-help"}, {"submit", "-h"}} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, exitDone, run(t.Context(), args, &stdout, &stderr))
		for _, want := range []string{"-host-key lines\n", "-lease time\n", "-job name\n"} {
			require.Contains(t, stdout.String(), want)
		}
		require.Empty(t, stderr.String())
	}
}
