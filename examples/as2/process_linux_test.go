package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	peakLimit   = 64 << 20 // bytes resident of either process
	usualSize   = 96 << 20 // of the large file
	sizeSetting = "TRANSFER_AS2_SIZE"
)

// rig is the built program, and a folder with the keys of both sides.
type rig struct{ program, dir string }

func setup(t *testing.T) *rig {
	t.Helper()
	r := &rig{dir: t.TempDir()}
	r.program = filepath.Join(r.dir, "as2")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-race=false", "-o", r.program, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	for _, name := range []string{"us", "partner", "other"} {
		status, out := r.run(t, "keys", name)
		require.Equal(t, exitArrived, status, out)
	}
	return r
}

func (r *rig) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), r.program, args...) // receivers are stopped in a clean-up
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GOMEMLIMIT=")
	return cmd
}

// run runs the program and returns its exit status and what it printed.
func (r *rig) run(t *testing.T, args ...string) (status int, out string) {
	t.Helper()
	cmd := r.command(t, args...)
	printed, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		require.NoError(t, err)
	}
	requireModest(t, strings.Join(args[:1], " "), cmd)
	return cmd.ProcessState.ExitCode(), string(printed)
}

// requireModest checks how much memory an ended process took at most.
func requireModest(t *testing.T, name string, cmd *exec.Cmd) {
	t.Helper()
	peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	t.Logf("%s: %d MiB resident at most", name, peak>>20)
	require.Less(t, peak, int64(peakLimit), name)
}

// receiver is a running receiver.
type receiver struct {
	cmd  *exec.Cmd
	log  *bytes.Buffer
	url  string
	dir  string
	name string
}

// receive starts a receiver that is stopped, and checked, when the test ends.
func (r *rig) receive(t *testing.T, name string, args ...string) *receiver {
	t.Helper()
	v := &receiver{log: new(bytes.Buffer), dir: filepath.Join(r.dir, name), name: name}
	v.cmd = r.command(t, append([]string{
		"receive", "-id", "PARTNER", "-key", "partner", "-from", "US", "-from-cert", "us.crt", "-listen", "127.0.0.1:0", "-dir", name,
	}, args...)...)
	v.cmd.Stderr = v.log
	out, err := v.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, v.cmd.Start())
	t.Cleanup(func() { v.stop(t) })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	v.url = "http://" + strings.TrimSpace(strings.TrimPrefix(line, "listening at ")) + "/"
	return v
}

func (v *receiver) stop(t *testing.T) {
	if v.cmd.ProcessState != nil {
		return
	}
	_ = v.cmd.Process.Signal(os.Interrupt)
	err := v.cmd.Wait()
	require.NoError(t, err, v.log)
	requireModest(t, "receive "+v.name, v.cmd)
}

// files are those in the receiver's folder, without folders.
func (v *receiver) files(t *testing.T) (paths []string) {
	t.Helper()
	entries, err := os.ReadDir(v.dir)
	require.NoError(t, err)
	for _, e := range entries {
		if !e.IsDir() {
			paths = append(paths, filepath.Join(v.dir, e.Name()))
		}
	}
	return paths
}

func (v *receiver) sendArgs(more ...string) []string {
	return append([]string{"send", "-id", "US", "-key", "us", "-to", "PARTNER", "-to-cert", "partner.crt", "-url", v.url}, more...)
}

// TestProcess runs the program as its users do.
func TestProcess(t *testing.T) {
	r := setup(t)
	t.Run("failures", r.testFailures)
	t.Run("receipts that come later", r.testLateReceipts)
	t.Run("large file", r.testLargeFile)
}

// testLargeFile sends a file that is larger than what either process may have in memory.
func (r *rig) testLargeFile(t *testing.T) {
	size := int64(usualSize)
	if text := os.Getenv(sizeSetting); text != "" {
		var err error
		size, err = strconv.ParseInt(text, 10, 64)
		require.NoError(t, err)
	}
	sum := r.write(t, "large.bin", size)
	v := r.receive(t, "large")
	status, out := r.run(t, v.sendArgs("large.bin")...)
	require.Equal(t, exitArrived, status, out)
	require.Equal(t, fmt.Sprintf("large.bin %d %s\n", size, sum), out)
	require.Len(t, v.files(t), 1)
	require.Equal(t, sum, r.sum(t, v.files(t)[0]))
	receipts, err := filepath.Glob(filepath.Join(r.dir, "processed", "large.*.bin.mdn"))
	require.NoError(t, err)
	require.Len(t, receipts, 1)
	v.stop(t)
}

// write writes a file of random bytes and returns its SHA-256.
func (r *rig) write(t *testing.T, name string, size int64) string {
	t.Helper()
	f, err := os.Create(filepath.Join(r.dir, name))
	require.NoError(t, err)
	h := sha256.New()
	_, err = io.CopyN(io.MultiWriter(f, h), mathrand.NewChaCha8([32]byte{1}), size)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return fmt.Sprintf("%x", h.Sum(nil))
}

func (r *rig) sum(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	h := sha256.New()
	_, err = io.Copy(h, f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return fmt.Sprintf("%x", h.Sum(nil))
}

func (r *rig) testLateReceipts(t *testing.T) {
	sum := r.write(t, "orders.edi", 1000)
	v := r.receive(t, "late", "-mdn-hosts", "127.0.0.1")
	port := freePort(t)
	status, out := r.run(t, v.sendArgs("-mdn-url", "http://"+port+"/", "-mdn-listen", port, "orders.edi")...)
	require.Equal(t, exitArrived, status, out)
	require.Equal(t, fmt.Sprintf("orders.edi 1000 %s\n", sum), out)
	require.Equal(t, sum, r.sum(t, v.files(t)[0]))
}

// freePort returns an address that nobody listens at just now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}

func (r *rig) testFailures(t *testing.T) {
	r.write(t, "orders.edi", 1000)
	v := r.receive(t, "refused")
	for name, test := range map[string]struct {
		args   []string
		status int
		out    string
	}{
		"missing file":      {v.sendArgs("missing.edi"), exitFailed, "SEND_FILE_NOT_FOUND"},
		"for somebody else": {append(v.sendArgs("-to-cert", "other.crt"), "orders.edi"), exitFailed, "VERIFICATION_FAILED_NO_MATCHING_KEY_FOUND"},
		"from another":      {append(v.sendArgs("-key", "other"), "orders.edi"), exitFailed, "MDN_RESPONSE_INDICATES_AUTHENTICATION_FAILED"},
		"no agreement":      {append(v.sendArgs("-id", "THEM"), "orders.edi"), exitFailed, "HTTP_ERROR_RESPONSE_FROM_PARTNER"},
		"no file":           {v.sendArgs(), exitUsage, "SendFilePaths"},
		"no key":            {[]string{"send", "-id", "US"}, exitUsage, "required"},
		"no command":        {[]string{"fetch"}, exitUsage, "which command"},
	} {
		status, out := r.run(t, test.args...)
		require.Equal(t, test.status, status, "%s: %s", name, out)
		require.Contains(t, out, test.out, name)
	}
	require.Empty(t, v.files(t))
}
