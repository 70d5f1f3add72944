//go:build unix

package endtoend

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/pgstore"
	"github.com/seed62b9dc43/transfer/store/sqlitestore"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// workerVariable holds the folder of a worker process: this test binary, started again.
const workerVariable = "TRANSFER_TEST_WORKER"

// TestWorkerProcess is not a test of its own: it is what the process does that TestAKilledProcess kills.
func TestWorkerProcess(t *testing.T) {
	dir := os.Getenv(workerVariable)
	if dir == "" {
		t.Log("only in a worker process")
		return
	}
	client := crashClient(t, dir)
	require.NoError(t, client.Start(context.Background()))
	_, err := os.Stdin.Read(make([]byte, 1)) // until the parent closes it
	t.Log(err)
	require.NoError(t, client.Shutdown(context.Background()))
}

// crashClient is a client over what is in dir: queue, outbox, and how to reach the partner.
func crashClient(t *testing.T, dir string) *transfer.Client {
	t.Helper()
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return data
	}
	signer, err := ssh.ParsePrivateKey(read("key"))
	require.NoError(t, err)
	connector, err := sftpx.New(sftpx.Config{
		Addr: string(read("addr")), User: "alice", HostKeys: strings.Split(string(read("hostkeys")), "\n"),
		Auth: []sftpx.Auth{sftpx.PublicKey(signer)},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, connector.Close()) })
	storage, err := transfer.Dir(filepath.Join(dir, "outbox"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, storage.Close()) })
	st := crashStore(t, dir, string(read("database")))
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	client, err := transfer.New(transfer.Config{
		Storage: storage, Store: st, Connectors: map[string]transfer.Connector{"acme": connector},
		WindowSize: 256 << 10, Lease: time.Second, ProgressInterval: 50 * time.Millisecond, PollInterval: 50 * time.Millisecond,
	})
	require.NoError(t, err)
	return client
}

// crashStore opens the queue: in PostgreSQL if a database is given, or else in a file.
func crashStore(t *testing.T, dir, database string) store.Store {
	t.Helper()
	if database == "" {
		st, err := sqlitestore.Open(filepath.Join(dir, "queue.db"), sqlitestore.Options{})
		require.NoError(t, err)
		return st
	}
	pool, err := pgxpool.New(context.Background(), database)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	st, err := pgstore.Open(context.Background(), pool, pgstore.Options{Schema: "crash"})
	require.NoError(t, err)
	return st
}

func startWorker(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	return startProcess(t, "TestWorkerProcess", workerVariable, dir)
}

// startProcess starts this test binary again, to run one test alone until the parent ends.
func startProcess(t *testing.T, test, variable, dir string) *exec.Cmd {
	t.Helper()
	worker := exec.Command(os.Args[0], "-test.run=^"+test+"$", "-test.v")
	worker.Env = append(os.Environ(), variable+"="+dir)
	var output bytes.Buffer
	worker.Stdout, worker.Stderr = &output, &output
	stdin, err := worker.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, worker.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = worker.Wait()
		if t.Failed() {
			t.Logf("worker said:\n%s", output.String())
		}
	})
	return worker
}

// onBothStores runs a test with a queue in a file (an empty database), and with one in PostgreSQL.
func onBothStores(t *testing.T, test func(t *testing.T, database string)) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, "")
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		test(t, testenv.Postgres(t))
	})
}

// TestAKilledProcess: files go on in another process from where one that was killed had come to.
func TestAKilledProcess(t *testing.T) { onBothStores(t, killAndGoOn) }

func killAndGoOn(t *testing.T, database string) {
	c := newCrash(t, database)
	first := startWorker(t, c.dir)
	require.Eventually(t, func() bool { return c.result(t).Rank >= 8 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, first.Process.Kill())
	_ = first.Wait()
	require.Eventually(t, func() bool { return c.server.Connections() == 0 }, time.Minute, 10*time.Millisecond, "what it sent before it died arrives first")
	came := c.result(t).Rank
	before := c.server.Requests(transfertest.SFTPWrite)
	c.server.SetFaults(transfertest.SFTPFaults{})

	startWorker(t, c.dir)
	c.requireDelivered(t)
	left := int64(64) - came
	require.LessOrEqual(t, int64(c.server.Requests(transfertest.SFTPWrite)-before), left*8+1,
		"acknowledged windows are not sent again: %d windows were left, of 8 packets each", left)
}

// crash is a file of 64 windows for worker processes, on its way to a slow partner.
type crash struct {
	server  *transfertest.SFTPServer
	dir, id string
	data    []byte
	client  *transfer.Client // it only submits and lists
}

func newCrash(t *testing.T, database string) *crash {
	private, public := newKey(t)
	c := &crash{dir: t.TempDir(), data: content(3, 16<<20)}
	c.server = transfertest.StartSFTP(t, transfertest.SFTPOptions{
		User: "alice", AuthorizedKeys: []ssh.PublicKey{public},
		Faults: transfertest.SFTPFaults{Conn: transfertest.ConnFaults{BytesPerSecond: 8 << 20}},
	})
	require.NoError(t, c.server.MkdirAll("/in"))
	for name, text := range map[string][]byte{
		"addr": []byte(c.server.Addr()), "hostkeys": []byte(strings.Join(c.server.HostKeys(), "\n")), "key": private, "outbox/a.bin": c.data,
		"database": []byte(database),
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(c.dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(c.dir, name), text, 0o600))
	}
	c.client = crashClient(t, c.dir)
	out, err := c.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{
		ConnectorID: "acme", SendFilePaths: []string{"a.bin"}, RemoteDirectoryPath: "/in",
	})
	require.NoError(t, err)
	c.id = out.TransferID
	return c
}

func (c *crash) result(t *testing.T) transfer.ConnectorFileTransferResult {
	page, err := c.client.ListFileTransferResults(t.Context(), &transfer.ListFileTransferResultsInput{ConnectorID: "acme", TransferID: c.id})
	require.NoError(t, err)
	return page.FileTransferResults[0]
}

func (c *crash) requireDelivered(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := c.client.Wait(ctx, c.id)
	require.NoError(t, err)
	r := c.result(t)
	require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
	require.Equal(t, 2, r.Attempts)
	got, err := c.server.ReadFile("/in/a.bin")
	require.NoError(t, err)
	require.True(t, bytes.Equal(c.data, got), "byte-identical")
	require.Empty(t, temporary(c.server.Files()))
}

// TestAZombieProcess: a process that was stopped in mid-file and goes on after another one has delivered the file changes
// nothing any more.
func TestAZombieProcess(t *testing.T) { onBothStores(t, stopAndGoOn) }

func stopAndGoOn(t *testing.T, database string) {
	c := newCrash(t, database)
	zombie := startWorker(t, c.dir)
	require.Eventually(t, func() bool { return c.result(t).Rank >= 8 }, time.Minute, 10*time.Millisecond)
	t.Cleanup(func() { _ = zombie.Process.Signal(syscall.SIGCONT) })
	c.stop(t, zombie)
	c.server.SetFaults(transfertest.SFTPFaults{})

	startWorker(t, c.dir)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := c.client.Wait(ctx, c.id)
	require.NoError(t, err)
	before := c.result(t)
	require.Equal(t, 2, before.Attempts)
	require.NoError(t, zombie.Process.Signal(syscall.SIGCONT))
	require.Never(t, func() bool { return c.result(t) != before }, 2*time.Second, 50*time.Millisecond)
	c.requireDelivered(t)
}

// stop suspends a process between two of its writes: in the middle of one it would keep a queue in a file to itself.
func (c *crash) stop(t *testing.T, process *exec.Cmd) {
	t.Helper()
	later := &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"a.bin"}, StartAt: time.Now().Add(24 * time.Hour)}
	require.Eventually(t, func() bool {
		require.NoError(t, process.Process.Signal(syscall.SIGSTOP))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.client.StartFileTransfer(ctx, later); err == nil {
			return true
		}
		require.NoError(t, process.Process.Signal(syscall.SIGCONT))
		return false
	}, time.Minute, 10*time.Millisecond)
}

// newKey returns a private key as OpenSSH writes it, and its public half.
func newKey(t *testing.T) (private []byte, public ssh.PublicKey) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKey(key, "")
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	return pem.EncodeToMemory(block), signer.PublicKey()
}
