package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed62b9dc43/transfer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const anyHostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJoWFxPLd9YO9zO3xdqoVgvLIFrmmfGcCYEM4rUyRzGS"

func TestWrongUsage(t *testing.T) {
	for _, name := range []string{"SFTP_HOST", "SFTP_USER", "SFTP_PASSWORD", "SSH_AUTH_SOCK"} {
		t.Setenv(name, "")
	}
	to := []string{"-direction", "send", "-host", "127.0.0.1:1", "-user", "alice"}
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"nothing":           {nil, []string{"-direction must be", "-host is missing", "-user is missing"}},
		"unknown flag":      {[]string{"-frobnicate"}, []string{"-frobnicate"}},
		"unknown direction": {[]string{"-direction", "sideways"}, []string{"-direction must be"}},
		"unknown policy":    {[]string{"-overwrite", "maybe"}, []string{"replace, fail or skip"}},
		"nowhere to go": {
			[]string{"-direction", "retrieve", "-host", "h", "-user", "alice", "/out/a.csv"}, []string{"-to is missing"},
		},
		"no paths":        {to, []string{"no paths"}},
		"flag after path": {append(to, "/bucket/a", "-overwrite", "fail"), []string{"-overwrite is behind", "before them", "./-overwrite"}},
		"all behind":      {append([]string{"/bucket/a"}, to...), []string{"-direction is behind"}},
		"URL":             {append(to, "s3://bucket/a"), []string{`"s3://bucket/a": paths are /bucket/key, not URLs`}},
		"URL of target": {
			[]string{"-direction", "retrieve", "-host", "h", "-user", "alice", "-to", "s3://bucket/in", "a.csv"},
			[]string{`"s3://bucket/in": paths are /bucket/key, not URLs`},
		},
		"no way to log in": {append(to, "-host-key", anyHostKey, "/bucket/a"), []string{"no way to log in"}},
		"no such key":      {append(to, "-key", "/does/not/exist", "/bucket/a"), []string{"read -key"}},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			require.Equal(t, exitUsage, run(t.Context(), test.args, strings.NewReader("\n \t\r\n"), &stdout, &stderr))
			require.Regexp(t, `.\n\(-help explains the flags\)\n$`, stderr.String())
			require.Empty(t, stdout.String())
			for _, want := range test.want {
				require.Contains(t, stderr.String(), want)
			}
		})
	}
}

func TestWrongRequest(t *testing.T) {
	t.Setenv("SFTP_PASSWORD", "secret")
	args := []string{
		"-direction", "send", "-host", "127.0.0.1:1", "-user", "alice", "-host-key", anyHostKey,
		"/bucket/one/a.csv", "/bucket/two/a.csv",
	}
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitUsage, run(t.Context(), args, nil, &stdout, &stderr))
	require.Contains(t, stderr.String(), "SendFilePaths[1]")
	require.Contains(t, stderr.String(), "same target")
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitArrived, run(t.Context(), []string{"-help"}, nil, &stdout, &stderr))
	require.Contains(t, stdout.String(), "-host-key")
	require.Contains(t, stdout.String(), "-direction direction\n")
	require.Contains(t, stdout.String(), "-overwrite policy\n")
	require.Empty(t, stderr.String())
}

func TestParse(t *testing.T) {
	t.Setenv("SFTP_HOST", "sftp.example.com")
	t.Setenv("SFTP_USER", "alice")
	o, err := parse([]string{"-direction", "retrieve", "-to", "/bucket/in", "-overwrite", "skip"})
	require.NoError(t, err)
	require.NoError(t, o.readPaths(t.Context(), strings.NewReader("/out/a.csv\r\n\n  \r\n/out/b c.csv\n"), io.Discard))
	require.Equal(t, []string{"/out/a.csv", "/out/b c.csv"}, o.paths)
	require.Equal(t, "sftp.example.com", o.host)
	require.Equal(t, transfer.OverwriteSkip, o.overwrite)
	in := o.request()
	require.Equal(t, o.paths, in.RetrieveFilePaths)
	require.Equal(t, "/bucket/in", in.LocalDirectoryPath)

	o, err = parse([]string{"-direction", "send", "/bucket/a"})
	require.NoError(t, err)
	require.Equal(t, []string{"/bucket/a"}, o.request().SendFilePaths)
	require.Equal(t, transfer.OverwriteReplace, o.overwrite)
}

func TestURLOnStandardInput(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	args := []string{"-direction", "send", "-host", "127.0.0.1:1", "-user", "alice"}
	require.Equal(t, exitUsage, run(t.Context(), args, strings.NewReader("/bucket/a\ns3://bucket/b\n"), &stdout, &stderr))
	require.Contains(t, stderr.String(), `"s3://bucket/b": paths are /bucket/key, not URLs`)
}

func TestInterruptWhileReadingPaths(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	stdin, open := io.Pipe()
	defer open.Close()
	go func() {
		_, _ = io.WriteString(open, "/bucket/a\n") // is read, and then there is nothing
		interrupt()
	}()
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitFailed, run(ctx, []string{"-direction", "send", "-host", "127.0.0.1:1", "-user", "alice"}, stdin, &stdout, &stderr))
	require.Equal(t, "s3-to-sftp: interrupted while reading paths\n", stderr.String())
	require.Empty(t, stdout.String())
}

func TestBar(t *testing.T) {
	t.Parallel()
	var screen bytes.Buffer
	b := newBar(&screen)
	b.show(progress{files: 2})
	b.show(progress{files: 2, arrived: 1, bytes: 1 << 20, known: 1 << 20})
	b.show(progress{files: 2, arrived: 1, bytes: 3 << 20, known: 5 << 20})
	b.show(progress{files: 2, arrived: 2, bytes: 5 << 20, known: 5 << 20})
	b.end()
	require.Contains(t, screen.String(), "0/2 files")
	require.Contains(t, screen.String(), "1/2 files")
	require.Contains(t, screen.String(), "2/2 files")
	require.Contains(t, screen.String(), "5.0/5.0 MiB")
}
