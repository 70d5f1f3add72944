//go:build unix

package endtoend

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/s3x"
	"github.com/seed62b9dc43/transfer/sftpx"
)

// tortureVariable is how long TestTorture kills workers; `make torture` sets it to two minutes.
const tortureVariable = "TRANSFER_TORTURE"

// tortureWorkerVariable holds the folder of a worker process.
const tortureWorkerVariable = "TRANSFER_TORTURE_WORKER"

const shortTorture = 6 * time.Second

// torture is what a worker process needs to know.
type torture struct {
	Addr, User, Database           string
	HostKeys                       []string
	Key                            []byte
	Endpoint, AccessKey, SecretKey string

	dir string
}

func (w *torture) client(t *testing.T, log *slog.Logger) *transfer.Client {
	t.Helper()
	signer, err := ssh.ParsePrivateKey(w.Key)
	require.NoError(t, err)
	connector, err := sftpx.New(sftpx.Config{
		Addr: w.Addr, User: w.User, HostKeys: w.HostKeys, Auth: []sftpx.Auth{sftpx.PublicKey(signer)}, MakeDirs: true,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, connector.Close()) })
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	storage, err := s3x.New(s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(w.Endpoint), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(w.AccessKey, w.SecretKey, ""), HTTPClient: &http.Client{Transport: transport},
	}), s3x.Options{})
	require.NoError(t, err)
	st := crashStore(t, w.dir, w.Database)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	client, err := transfer.New(transfer.Config{
		Storage: storage, Store: st, Connectors: map[string]transfer.Connector{"acme": connector}, Logger: log,
		WindowSize: window, Lease: time.Second, ProgressInterval: 100 * time.Millisecond, PollInterval: 100 * time.Millisecond,
		Retry: transfer.RetryPolicy{MaxAttempts: -1, FirstDelay: 50 * time.Millisecond, MaxDelay: 500 * time.Millisecond},
	})
	require.NoError(t, err)
	return client
}

// TestTortureWorker is not a test of its own: it is what the processes do that TestTorture kills.
func TestTortureWorker(t *testing.T) {
	dir := os.Getenv(tortureWorkerVariable)
	if dir == "" {
		t.Log("only in a worker process")
		return
	}
	text, err := os.ReadFile(filepath.Join(dir, "torture.json"))
	require.NoError(t, err)
	w := torture{dir: dir}
	require.NoError(t, json.Unmarshal(text, &w))
	log, err := os.Create(filepath.Join(dir, fmt.Sprintf("%d.log", os.Getpid())))
	require.NoError(t, err)
	defer func() { _ = log.Close() }()
	client := w.client(t, slog.New(slog.NewJSONHandler(log, nil)))
	require.NoError(t, client.Start(context.Background()))
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent closes it
	require.NoError(t, client.Shutdown(context.Background()))
}

// TestTorture kills worker processes at random moments while they move files of all sizes between OpenSSH and S3, both
// ways. In the end every file is there, whole, and none has begun again from zero that had come further.
func TestTorture(t *testing.T) {
	onBothStores(t, func(t *testing.T, database string) { newRack(t, database).run(t) })
}

// rack is where the torture happens.
type rack struct {
	torture
	bucket bucket
	server *testenv.S3Server
	remote string // folder of the SFTP server
	client *transfer.Client
	random *rand.Rand
	kills  int
	files  []racked
}

// racked is one file on its way.
type racked struct {
	transferID string
	read       func(t *testing.T) []byte // what was delivered
	sum        [sha256.Size]byte
}

func newRack(t *testing.T, database string) *rack {
	r := &rack{remote: t.TempDir(), random: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))}
	r.dir = t.TempDir()
	private, public := newKey(t)
	keys := filepath.Join(r.dir, "authorized_keys")
	require.NoError(t, os.WriteFile(keys, ssh.MarshalAuthorizedKey(public), 0o600))
	sshd := testenv.SSHD(t, "AuthorizedKeysFile "+keys, "MaxStartups 100")
	r.server = testenv.S3(t)
	r.bucket = bucket{r.server.Client(t), r.server.NewBucket(t)}
	r.Addr, r.User, r.HostKeys, r.Key, r.Database = sshd.Addr, sshd.User, sshd.HostKeys, private, database
	r.Endpoint, r.AccessKey, r.SecretKey = r.server.Endpoint, r.server.AccessKey, r.server.SecretKey
	text, err := json.Marshal(r.torture)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, "torture.json"), text, 0o600))
	r.client = r.torture.client(t, nil)
	return r
}

func (r *rack) run(t *testing.T) {
	period := shortTorture
	if text := os.Getenv(tortureVariable); text != "" {
		var err error
		period, err = time.ParseDuration(text)
		require.NoError(t, err, tortureVariable)
	}
	workers := []*exec.Cmd{startProcess(t, "TestTortureWorker", tortureWorkerVariable, r.dir), startProcess(t, "TestTortureWorker", tortureWorkerVariable, r.dir)}
	for deadline := time.Now().Add(period); time.Now().Before(deadline); {
		r.submit(t)
		time.Sleep(time.Duration(200+r.random.IntN(800)) * time.Millisecond)
		i := r.random.IntN(len(workers))
		require.NoError(t, workers[i].Process.Kill())
		_ = workers[i].Wait()
		r.kills++
		workers[i] = startProcess(t, "TestTortureWorker", tortureWorkerVariable, r.dir)
	}
	r.requireDelivered(t)
	r.requireNothingAgain(t)
}

// submit starts transfers of files of all sizes both ways, unless there is a lot to do already.
func (r *rack) submit(t *testing.T) {
	waiting, err := r.client.ListTransfers().Status(transfer.StatusToSubmit, transfer.StatusRunning, transfer.StatusInterrupted).Count(t.Context())
	require.NoError(t, err)
	if waiting > 40 {
		return
	}
	round := len(r.files)
	for i, size := range []int{0, 1, 4096, 100_000, window, window + 1, 3*window + 5, 4096, 4096, 5 * window} {
		data := content(uint64(round+i), size)
		name := fmt.Sprintf("%d.bin", round+i)
		if i%2 == 0 {
			r.bucket.put(t, "outbox/"+name, data)
			r.start(t, data, transfer.StartFileTransferInput{SendFilePaths: []string{r.bucket.name + "/outbox/" + name}, RemoteDirectoryPath: r.remote + "/in"},
				func(t *testing.T) []byte {
					got, err := os.ReadFile(filepath.Join(r.remote, "in", name))
					require.NoError(t, err)
					return got
				})
			continue
		}
		require.NoError(t, os.MkdirAll(filepath.Join(r.remote, "out"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(r.remote, "out", name), data, 0o600))
		r.start(t, data, transfer.StartFileTransferInput{RetrieveFilePaths: []string{r.remote + "/out/" + name}, LocalDirectoryPath: r.bucket.name + "/inbox"},
			func(t *testing.T) []byte { return r.bucket.get(t, "inbox/"+name) })
	}
}

func (r *rack) start(t *testing.T, data []byte, in transfer.StartFileTransferInput, read func(*testing.T) []byte) {
	in.ConnectorID = "acme"
	out, err := r.client.StartFileTransfer(t.Context(), &in)
	require.NoError(t, err)
	r.files = append(r.files, racked{out.TransferID, read, sha256.Sum256(data)})
}

func (r *rack) requireDelivered(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, f := range r.files {
		s, err := r.client.Wait(ctx, f.transferID)
		require.NoError(t, err)
		require.Equal(t, transfer.TransferSummary{Files: 1, Completed: 1}, s)
		require.Equal(t, f.sum, sha256.Sum256(f.read(t)))
	}
	entries, err := os.ReadDir(filepath.Join(r.remote, "in"))
	require.NoError(t, err)
	for _, e := range entries {
		require.Empty(t, temporary([]string{e.Name()}))
	}
	require.Len(t, entries, len(r.files)/2, "each file once")
}

// requireNothingAgain reads the workers' logs: a file that had come to some window goes on there, or turns out to have been
// published.
func (r *rack) requireNothingAgain(t *testing.T) {
	lost, published := map[int64]string{}, map[int64]bool{} // by file
	wentOn := 0
	logs, err := filepath.Glob(filepath.Join(r.dir, "*.log"))
	require.NoError(t, err)
	for _, name := range logs {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
			var line struct {
				Msg  string
				File int64
			}
			if json.Unmarshal(lines.Bytes(), &line) != nil {
				continue // the last one of a killed process
			}
			switch line.Msg {
			case "file goes on":
				wentOn++
			case "file cannot go on where it stopped":
				lost[line.File] = lines.Text()
			case "file was published by an earlier attempt":
				published[line.File] = true
			}
		}
	}
	for file, line := range lost {
		require.True(t, published[file], line)
	}
	t.Logf("%d files, %d kills, %d times a file went on in the middle, %d times it was there already", len(r.files), r.kills, wentOn, len(published))
}
