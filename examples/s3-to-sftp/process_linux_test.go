package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer/internal/testenv"
)

const (
	bigSize     = 1 << 30
	smallSize   = 4 << 10
	smallFiles  = 2000
	largeFiles  = 8
	largeSize   = 64 << 20
	peakLimit   = 128 << 20
	spaceNeeded = 5 << 30 // the big file three times, once more while the S3 server joins its parts, and some air
)

// rig is the built program between a real sshd and a real S3 server.
type rig struct {
	program string
	home    string
	flags   []string
	sshd    *testenv.SSHDServer
	s3      *testenv.S3Server
	bucket  string
}

func setup(t *testing.T) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{program: filepath.Join(dir, "s3-to-sftp"), home: dir}
	key, authorized := newKey(t, dir)
	r.sshd = testenv.SSHD(t, "AuthorizedKeysFile "+authorized)
	r.s3 = testenv.S3(t)
	r.bucket = r.s3.NewBucket(t)
	r.flags = []string{"-host", r.sshd.Addr, "-user", r.sshd.User, "-key", key, "-endpoint", r.s3.Endpoint, "-path-style"}
	for _, line := range r.sshd.HostKeys {
		r.flags = append(r.flags, "-host-key", line)
	}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-race=false", "-o", r.program, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	return r
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

// command is the program with paths on its standard input, in an environment of its own.
func (r *rig) command(t *testing.T, paths []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), r.program, append(args, r.flags...)...)
	cmd.Env = []string{
		"HOME=" + r.home,
		"AWS_ACCESS_KEY_ID=" + r.s3.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + r.s3.SecretKey,
		"AWS_EC2_METADATA_DISABLED=true",
	}
	cmd.Stdin = strings.NewReader(strings.Join(paths, "\n"))
	cmd.Stdout, cmd.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	return cmd
}

func (r *rig) inBucket(elem ...string) string {
	return filepath.Join(append([]string{r.s3.Dir, r.bucket}, elem...)...)
}

// TestProcess runs the program as its users do.
func TestProcess(t *testing.T) {
	r := setup(t)
	t.Run("missing files", r.testMissing)
	t.Run("wrong host key", r.testWrongHostKey)
	t.Run("interrupt", r.testInterrupt)
	t.Run("interrupt at a terminal", r.testInterruptAtTerminal)
	t.Run("many large files at once", r.testLarge)
	t.Run("a big file and many small ones", r.testManyAndBig)
}

func (r *rig) testMissing(t *testing.T) {
	require.NoError(t, os.WriteFile(filepath.Join(r.sshd.Dir, "here.csv"), []byte("1;2;3\n"), 0o600))
	back := r.command(t, []string{"here.csv", "gone.csv"}, "-direction", "retrieve", "-to", "/"+r.bucket+"/missing")
	requireExit(t, exitFailed, back.Run(), back)
	require.Contains(t, back.Stderr.(*bytes.Buffer).String(), "\ngone.csv: RETRIEVE_FILE_NOT_FOUND: ")
	require.Contains(t, back.Stdout.(*bytes.Buffer).String(), "1 of 2 files arrived, 6 bytes")
	require.FileExists(t, r.inBucket("missing", "here.csv"))

	here, gone, noBucket := "/"+r.bucket+"/missing/here.csv", "/"+r.bucket+"/missing/gone.csv", "/no-such-bucket/a.csv"
	there := r.command(t, []string{here, gone, noBucket}, "-direction", "send", "-to", "new", "-make-dirs")
	requireExit(t, exitFailed, there.Run(), there)
	require.Contains(t, there.Stderr.(*bytes.Buffer).String(), "\n"+gone+": SEND_FILE_NOT_FOUND: ")
	require.Contains(t, there.Stderr.(*bytes.Buffer).String(), "\n"+noBucket+": PATH_NOT_FOUND: ")
	require.FileExists(t, filepath.Join(r.sshd.Dir, "new", "here.csv"))
}

func (r *rig) testWrongHostKey(t *testing.T) {
	other := *r
	other.flags = append([]string{}, r.flags...)
	for i, flag := range other.flags {
		if flag == "-host-key" {
			other.flags[i+1] = anyHostKey
		}
	}
	cmd := other.command(t, []string{"here.csv"}, "-direction", "retrieve", "-to", "/"+r.bucket)
	requireExit(t, exitFailed, cmd.Run(), cmd)
	require.Contains(t, cmd.Stderr.(*bytes.Buffer).String(), "\nhere.csv: CONNECTION_ERROR (HOST_KEY_MISMATCH): ")
}

func (r *rig) testInterrupt(t *testing.T) {
	sparse(t, filepath.Join(r.sshd.Dir, "sparse.bin"), 16<<30) // takes longer than this test
	cmd := r.command(t, []string{"sparse.bin"}, "-direction", "retrieve", "-to", "/"+r.bucket+"/interrupt")
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return r.s3.OpenUploads(t, r.bucket) > 0 }, time.Minute, 20*time.Millisecond)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	asked := time.Now()
	requireExit(t, exitFailed, cmd.Wait(), cmd)
	require.Less(t, time.Since(asked), shutdownLimit)
	require.Contains(t, cmd.Stderr.(*bytes.Buffer).String(), "interrupted\nsparse.bin: not finished, ")
	require.Contains(t, cmd.Stdout.(*bytes.Buffer).String(), "0 of 1 files arrived, 0 bytes\n")
	require.NoFileExists(t, r.inBucket("interrupt", "sparse.bin"))
}

// testInterruptAtTerminal interrupts the program while a person has yet to type the first path.
func (r *rig) testInterruptAtTerminal(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	defer terminal.Close()
	cmd := r.command(t, nil, "-direction", "retrieve", "-to", "/"+r.bucket)
	cmd.Stdin, cmd.Stderr = terminal, nil
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	printed := bufio.NewReader(stderr)
	line, err := printed.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "reading paths from standard input")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	rest, err := io.ReadAll(printed)
	require.NoError(t, err)
	require.Equal(t, "s3-to-sftp: interrupted while reading paths\n", string(rest))
	requireExit(t, exitFailed, cmd.Wait(), cmd)
}

// testLarge wants more windows at once than the memory budget has.
func (r *rig) testLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: moves half a gigabyte (run without -short)")
	}
	requireSpace(t, r.sshd.Dir)
	var names []string
	for i := range largeFiles {
		name := fmt.Sprintf("large-%d.bin", i)
		names = append(names, name)
		sparse(t, filepath.Join(r.sshd.Dir, name), largeSize)
	}
	r.requireTransfer(t, names, "-direction", "retrieve", "-to", "/"+r.bucket+"/large")
	for _, name := range names {
		info, err := os.Stat(r.inBucket("large", name))
		require.NoError(t, err)
		require.Equal(t, int64(largeSize), info.Size())
	}
	require.NoError(t, os.RemoveAll(r.inBucket("large")))
}

// sparse makes a file that takes no space.
func sparse(t *testing.T, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(size))
	require.NoError(t, f.Close())
}

func (r *rig) testManyAndBig(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: moves a gigabyte each way (run without -short)")
	}
	requireSpace(t, r.sshd.Dir)
	sums := r.writeFiles(t)
	paths := func(dir string) (paths []string) {
		for _, name := range slices.Sorted(maps.Keys(sums)) {
			paths = append(paths, dir+"/"+name)
		}
		return paths
	}

	r.requireTransfer(t, paths("outbox"), "-direction", "retrieve", "-to", "/"+r.bucket+"/all")
	requireFiles(t, r.inBucket("all"), sums)
	require.NoError(t, os.RemoveAll(filepath.Join(r.sshd.Dir, "outbox")))

	r.requireTransfer(t, paths("/"+r.bucket+"/all"), "-direction", "send", "-to", "inbox", "-make-dirs")
	requireFiles(t, filepath.Join(r.sshd.Dir, "inbox"), sums)
}

// requireTransfer runs the program, which must succeed within the memory that it may take.
func (r *rig) requireTransfer(t *testing.T, paths []string, args ...string) {
	t.Helper()
	cmd := r.command(t, paths, args...)
	begin := time.Now()
	requireExit(t, exitArrived, cmd.Run(), cmd)
	// Linux counts in what the process had in memory before it became the program, which is this test: never too little.
	peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss * 1024
	t.Logf("%s: %s in %.1f s, CPU %.1f s, peak memory %d MiB", args[1],
		strings.TrimSpace(cmd.Stdout.(*bytes.Buffer).String()), time.Since(begin).Seconds(),
		(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), peak>>20)
	require.Less(t, peak, int64(peakLimit))
}

// writeFiles writes the big file and the small ones to the SFTP server's disk and returns their sums.
func (r *rig) writeFiles(t *testing.T) map[string][sha256.Size]byte {
	t.Helper()
	dir := filepath.Join(r.sshd.Dir, "outbox")
	require.NoError(t, os.Mkdir(dir, 0o755))
	random := mathrand.NewChaCha8([32]byte{62, 'b', 9})
	sums := map[string][sha256.Size]byte{"big.bin": writeRandom(t, filepath.Join(dir, "big.bin"), random, bigSize)}
	for i := range smallFiles {
		name := fmt.Sprintf("small-%04d.bin", i)
		sums[name] = writeRandom(t, filepath.Join(dir, name), random, smallSize)
	}
	return sums
}

func writeRandom(t *testing.T, path string, random io.Reader, size int64) (sum [sha256.Size]byte) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	h := sha256.New()
	_, err = io.CopyN(io.MultiWriter(f, h), random, size)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	h.Sum(sum[:0])
	return sum
}

// requireFiles checks that dir holds these files and nothing else, no temporary file in particular.
func requireFiles(t *testing.T, dir string, sums map[string][sha256.Size]byte) {
	t.Helper()
	for name, sum := range sums {
		f, err := os.Open(filepath.Join(dir, name))
		require.NoError(t, err)
		h := sha256.New()
		_, err = io.Copy(h, f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		require.True(t, bytes.Equal(sum[:], h.Sum(nil)), "content of %s", name)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, len(sums))
}

func requireExit(t *testing.T, want int, err error, cmd *exec.Cmd) {
	t.Helper()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		require.NoError(t, err)
	}
	require.Equal(t, want, cmd.ProcessState.ExitCode(), "%s%s", cmd.Stdout, cmd.Stderr)
}

// requireSpace skips t, visibly, or fails it where nothing may be skipped, if the disk is too small.
func requireSpace(t *testing.T, dir string) {
	t.Helper()
	var disk syscall.Statfs_t
	require.NoError(t, syscall.Statfs(dir, &disk))
	free := int64(disk.Bavail) * disk.Bsize
	if free >= spaceNeeded {
		return
	}
	testenv.Skip(t, fmt.Sprintf("%s has %d MiB free, of the %d MiB that this test needs", dir, free>>20, int64(spaceNeeded)>>20))
}
