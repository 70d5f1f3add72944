//go:build unix

package endtoend

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
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
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/watch"
)

// flowWorkerVariable holds the folder of a worker process.
const flowWorkerVariable = "TRANSFER_TEST_FLOW_WORKER"

// flow is what a worker process needs to know: packed orders are dropped at one partner, and go unpacked to another.
type flow struct {
	Addr, User, Database           string
	HostKeys                       []string
	Key                            []byte
	Endpoint, AccessKey, SecretKey string
	Bucket, Drop, Archive, Bank    string
	Public, Secret                 string // OpenPGP keys of the bank, where it has some

	dir  string
	wrap func(store.Store) store.Store // nil: it is used as it is
}

// parts are what a worker works with.
type parts struct {
	store   store.Store
	client  *transfer.Client
	watcher *watch.Watcher
}

func (f *flow) open(t *testing.T, log *slog.Logger, rules map[string]transfer.Rule) parts {
	t.Helper()
	return f.assemble(t, log, f.storage(t, nil), transfer.Config{Rules: rules}, map[string]watch.Watch{"drop": {
		Selection: watch.Selection{ConnectorID: "acme", Direction: store.Retrieve, Directory: f.Drop, Patterns: []string{"*.gz"}},
		Delivery:  watch.Delivery{RuleName: "orders", Ledger: transfer.LedgerSkip},
		Schedule:  watch.Schedule{Every: time.Second},
		Guard:     watch.Guard{Unchanged: 2, Interval: time.Second},
	}})
}

// connectors returns two partners, both on the same server.
func (f *flow) connectors(t *testing.T) map[string]transfer.Connector {
	t.Helper()
	signer, err := ssh.ParsePrivateKey(f.Key)
	require.NoError(t, err)
	connectors := make(map[string]transfer.Connector)
	for _, id := range []string{"acme", "bank"} {
		connector, err := sftpx.New(sftpx.Config{Addr: f.Addr, User: f.User, HostKeys: f.HostKeys, Auth: []sftpx.Auth{sftpx.PublicKey(signer)}})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, connector.Close()) })
		connectors[id] = connector
	}
	return connectors
}

// storage returns that of S3; spoil, if there is one, comes between it and the server.
func (f *flow) storage(t *testing.T, spoil func(http.RoundTripper) http.RoundTripper) transfer.Storage {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	if spoil != nil {
		client.Transport = spoil(transport)
	}
	storage, err := s3x.New(s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(f.Endpoint), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(f.AccessKey, f.SecretKey, ""), HTTPClient: client,
	}), s3x.Options{})
	require.NoError(t, err)
	return storage
}

// assemble makes a client, with what cfg says, and a watcher beside it.
func (f *flow) assemble(t *testing.T, log *slog.Logger, storage transfer.Storage, cfg transfer.Config, watches map[string]watch.Watch) parts {
	t.Helper()
	p := parts{store: crashStore(t, f.dir, f.Database)}
	t.Cleanup(func() { require.NoError(t, p.store.Close()) })
	if f.wrap != nil {
		p.store = f.wrap(p.store)
	}
	cfg.Storage, cfg.Store, cfg.Connectors, cfg.Logger = storage, p.store, f.connectors(t), log
	cfg.Lease, cfg.ProgressInterval, cfg.PollInterval = time.Second, 100*time.Millisecond, 100*time.Millisecond
	cfg.Retry = transfer.RetryPolicy{MaxAttempts: -1, FirstDelay: 50 * time.Millisecond, MaxDelay: 500 * time.Millisecond}
	var err error
	p.client, err = transfer.New(cfg)
	require.NoError(t, err)
	p.watcher, err = watch.New(watch.Config{
		Client: p.client, Logger: log, Lease: time.Second, PollInterval: 100 * time.Millisecond, Watches: watches,
	})
	require.NoError(t, err)
	return p
}

// start starts both, until the test ends.
func (p parts) start(t *testing.T) {
	t.Helper()
	require.NoError(t, p.client.Start(context.WithoutCancel(t.Context())))
	require.NoError(t, p.watcher.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, p.watcher.Shutdown(ctx))
		require.NoError(t, p.client.Shutdown(ctx))
	})
}

// serve starts both, until the parent of this process ends.
func (p parts) serve(t *testing.T) {
	t.Helper()
	p.start(t)
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent closes it
}

// rules has the chain of the flow, whose every task ends the process twice for each file: before it ran, and after.
func (f *flow) rules() map[string]transfer.Rule {
	after := f.tasks()
	for i, task := range after {
		after[i] = deadly{task, filepath.Join(f.dir, "deaths"), i}
	}
	return map[string]transfer.Rule{"orders": {Direction: store.Retrieve, TargetDirectory: f.Bucket + "/inbox", After: after}}
}

func (f *flow) tasks() []transfer.Task {
	return []transfer.Task{
		transfer.VerifyTarget(), transfer.GunzipTarget(1 << 30), transfer.MoveSource(f.Archive), transfer.Forward("bank", f.Bank),
	}
}

// deadly is a task around which the process dies.
type deadly struct {
	transfer.Task
	dir   string
	index int
}

func (d deadly) Run(ctx context.Context, f *transfer.TaskFile) error {
	d.die(f, "before")
	if err := d.Task.Run(ctx, f); err != nil {
		return err
	}
	d.die(f, "after")
	return nil
}

// die kills the process, the first time for each file.
func (d deadly) die(f *transfer.TaskFile, when string) {
	dieOnce(d.dir, fmt.Sprintf("%d-%d-%s", f.FileID, d.index, when))
}

// dieOnce kills the process, unless one has died of this before.
func dieOnce(deaths, why string) {
	mark, err := os.OpenFile(filepath.Join(deaths, why), os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return
	}
	_ = mark.Close()
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// TestFlowWorker is not a test of its own: it is what the processes do that TestFlow has die.
func TestFlowWorker(t *testing.T) {
	dir := os.Getenv(flowWorkerVariable)
	if dir == "" {
		t.Log("only in a worker process")
		return
	}
	f := readFlow(t, dir)
	f.open(t, slog.New(slog.NewTextHandler(os.Stdout, nil)), f.rules()).serve(t)
}

func readFlow(t *testing.T, dir string) *flow {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "flow.json"))
	require.NoError(t, err)
	f := &flow{dir: dir}
	require.NoError(t, json.Unmarshal(text, f))
	return f
}

// TestFlow: files that are dropped at a partner are retrieved once they are whole, verified, unpacked, archived there, and
// forwarded to another partner, each once, by processes that die before and after each of these tasks.
func TestFlow(t *testing.T) {
	onBothStores(t, func(t *testing.T, database string) { newFlow(t, database).run(t) })
}

// flowFiles is how many files are dropped.
const flowFiles = 2

func newFlow(t *testing.T, database string) *flow {
	f := &flow{dir: t.TempDir(), Database: database}
	remote := t.TempDir()
	f.Drop, f.Archive, f.Bank = filepath.Join(remote, "drop"), filepath.Join(remote, "archive"), filepath.Join(remote, "bank")
	for _, dir := range []string{f.Drop, f.Bank, filepath.Join(f.dir, "deaths")} {
		require.NoError(t, os.Mkdir(dir, 0o755))
	}
	private, public := newKey(t)
	keys := filepath.Join(f.dir, "authorized_keys")
	require.NoError(t, os.WriteFile(keys, ssh.MarshalAuthorizedKey(public), 0o600))
	sshd := testenv.SSHD(t, "AuthorizedKeysFile "+keys, "MaxStartups 100")
	server := testenv.S3(t)
	f.Bucket = server.NewBucket(t)
	f.Addr, f.User, f.HostKeys, f.Key = sshd.Addr, sshd.User, sshd.HostKeys, private
	f.Endpoint, f.AccessKey, f.SecretKey = server.Endpoint, server.AccessKey, server.SecretKey
	f.save(t)
	return f
}

// save writes it for worker processes.
func (f *flow) save(t *testing.T) {
	t.Helper()
	text, err := json.Marshal(f)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(f.dir, "flow.json"), text, 0o600))
}

func (f *flow) run(t *testing.T) {
	p := f.open(t, nil, f.rules()) // it only lists
	orders := make(map[string][]byte)
	for i := range flowFiles {
		orders[fmt.Sprintf("orders-%d.csv", i)] = bytes.Repeat([]byte(fmt.Sprintf("%d;an order;3\n", i)), 100_000)
	}
	written := f.drop(t, orders)
	f.outlive(t, 1, "TestFlowWorker", flowWorkerVariable, func() bool { return f.ended(t, p.client) })
	<-written
	deaths, err := os.ReadDir(filepath.Join(f.dir, "deaths"))
	require.NoError(t, err)
	require.Len(t, deaths, 2*len(f.tasks())*flowFiles, "before and after each task of each file")
	f.requireDone(t, p.client, orders)
}

// outlive has so many worker processes at once do the work until it is done: others take the place of those that die.
func (f *flow) outlive(t *testing.T, n int, test, variable string, done func() bool) {
	t.Helper()
	deaths := make([]chan struct{}, n)
	require.Eventually(t, func() bool {
		if done() {
			return true
		}
		for i, died := range deaths {
			if died == nil || closed(died) {
				deaths[i] = f.start(t, test, variable)
			}
		}
		return false
	}, 3*time.Minute, 50*time.Millisecond, "the flow comes to no end")
}

// start starts a worker process and returns what is closed when it has died.
func (f *flow) start(t *testing.T, test, variable string) (died chan struct{}) {
	t.Helper()
	worker := startProcess(t, test, variable, f.dir)
	died = make(chan struct{})
	go func() { defer close(died); _, _ = worker.Process.Wait() }()
	return died
}

// drop writes packed orders into the drop directory, in two halves, and not at once.
func (f *flow) drop(t *testing.T, orders map[string][]byte) (written <-chan struct{}) {
	done := make(chan struct{})
	var files []*os.File
	halves := make(map[*os.File][]byte)
	for name, order := range orders {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, err := w.Write(order)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		file, err := os.Create(filepath.Join(f.Drop, name+".gz"))
		require.NoError(t, err)
		_, err = file.Write(packed.Next(packed.Len() / 2))
		require.NoError(t, err)
		files = append(files, file)
		halves[file] = packed.Bytes()
	}
	time.AfterFunc(1500*time.Millisecond, func() {
		defer close(done)
		for _, file := range files {
			_, _ = file.Write(halves[file])
			_ = file.Close()
		}
	})
	return done
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// ended reports whether as many files as expected were retrieved and forwarded, and none is under way.
func (f *flow) ended(t *testing.T, client *transfer.Client) bool {
	counts, err := client.ListTransfers().CountByStatus(t.Context())
	require.NoError(t, err)
	all := int64(0)
	for _, n := range counts {
		all += n
	}
	return all >= 2*flowFiles && counts[transfer.StatusDone]+counts[transfer.StatusInError] == all
}

func (f *flow) requireDone(t *testing.T, client *transfer.Client, orders map[string][]byte) {
	t.Helper()
	rows, err := client.ListTransfers().All(t.Context())
	require.NoError(t, err)
	require.Len(t, rows, 2*flowFiles, "each file is retrieved once and forwarded once")
	follow := make(map[string]int)
	for _, r := range rows {
		require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
		follow[r.FollowID]++
	}
	for _, r := range rows {
		require.GreaterOrEqual(t, follow[r.FollowID], 2, "what is forwarded keeps its follow id")
	}
	bucket := bucket{testenvClient(t, f), f.Bucket}
	for name, order := range orders {
		got, err := os.ReadFile(filepath.Join(f.Bank, name))
		require.NoError(t, err)
		require.True(t, bytes.Equal(order, got), "unpacked with the second partner")
		require.True(t, bytes.Equal(order, bucket.get(t, "inbox/"+name)))
		require.FileExists(t, filepath.Join(f.Archive, name+".gz"))
	}
	for dir, n := range map[string]int{f.Drop: 0, f.Archive: flowFiles, f.Bank: flowFiles} {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, n, dir)
	}
}

func testenvClient(t *testing.T, f *flow) *s3.Client {
	t.Helper()
	return (&testenv.S3Server{Endpoint: f.Endpoint, AccessKey: f.AccessKey, SecretKey: f.SecretKey}).Client(t)
}
