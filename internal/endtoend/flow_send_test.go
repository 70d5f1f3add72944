//go:build unix

package endtoend

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/pgpx"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/watch"
)

// sendFlowVariable holds the folder of a process of the flow that sends.
const sendFlowVariable = "TRANSFER_TEST_SEND_FLOW"

// outgoing assembles the flow that sends: what is put under a prefix of our bucket goes packed and encrypted to the bank, and
// its source to an archive prefix, which S3 does by a copy and a removal. The process dies between these two, once for each file.
func (f *flow) outgoing(t *testing.T, log *slog.Logger) parts {
	t.Helper()
	encrypt, err := pgpx.Encrypt(pgpx.EncryptOptions{Recipients: []string{f.Public}, Signer: f.Secret})
	require.NoError(t, err)
	rule := transfer.Rule{
		Direction: store.Send, SourceDirectory: f.Bucket + "/outbox", TargetDirectory: f.Bank, Ledger: transfer.LedgerSkip,
		Transforms: []transfer.Transform{transfer.Gzip(0), encrypt},
		Before:     []transfer.Task{transfer.MakeTargetDirectory()},
		After:      []transfer.Task{transfer.VerifyTarget(), transfer.MoveSource(f.Bucket + "/archive")},
	}
	storage := f.storage(t, func(next http.RoundTripper) http.RoundTripper {
		return deadlyRemoval{next, filepath.Join(f.dir, "deaths")}
	})
	return f.assemble(t, log, storage, transfer.Config{Rules: map[string]transfer.Rule{"payments": rule}}, map[string]watch.Watch{"outbox": {
		Selection: watch.Selection{ConnectorID: "bank", Directory: ".", Patterns: []string{"**/*.csv"}},
		Delivery:  watch.Delivery{RuleName: "payments"},
		Schedule:  watch.Schedule{Every: time.Second},
	}})
}

// deadlyRemoval is a way to S3 on which the process dies before an object is removed.
type deadlyRemoval struct {
	http.RoundTripper
	deaths string
}

func (d deadlyRemoval) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodDelete && r.URL.Query().Get("uploadId") == "" {
		dieOnce(d.deaths, strings.ReplaceAll(r.URL.Path, "/", "_"))
	}
	return d.RoundTripper.RoundTrip(r)
}

// TestSendFlowWorker is not a test of its own: it is what the processes do that TestSendFlow has die.
func TestSendFlowWorker(t *testing.T) {
	dir := os.Getenv(sendFlowVariable)
	if dir == "" {
		t.Log("only in a worker process")
		return
	}
	readFlow(t, dir).outgoing(t, slog.New(slog.NewTextHandler(os.Stdout, nil))).serve(t)
}

// TestSendFlow: files under a prefix of S3 come to a partner once, whoever dies while they are archived.
func TestSendFlow(t *testing.T) {
	onBothStores(t, func(t *testing.T, database string) {
		f := newFlow(t, database)
		f.Public, f.Secret = newPGPKey(t)
		f.save(t)
		b := bucket{testenvClient(t, f), f.Bucket}
		payments := map[string][]byte{"a.csv": content(1, 3000), "eu/b.csv": content(2, 2*window+17)}
		for name, data := range payments {
			b.put(t, "outbox/"+name, data)
		}
		b.put(t, "outbox/readme.txt", []byte("stays"))
		p := f.outgoing(t, nil) // it only lists
		f.outlive(t, 1, "TestSendFlowWorker", sendFlowVariable, func() bool {
			done, err := p.client.ListTransfers().Status(transfer.StatusDone, transfer.StatusInError).Count(t.Context())
			require.NoError(t, err)
			return done >= int64(len(payments))
		})
		rows, err := p.client.ListTransfers().All(t.Context())
		require.NoError(t, err)
		require.Len(t, rows, len(payments), "each file once")
		for _, r := range rows {
			require.NoError(t, r.Err())
			require.False(t, r.Skipped)
		}
		deaths, err := os.ReadDir(filepath.Join(f.dir, "deaths"))
		require.NoError(t, err)
		require.Len(t, deaths, len(payments), "in the middle of each move")
		for name, data := range payments {
			f.requireReceived(t, name, data)
			require.True(t, bytes.Equal(data, b.get(t, "archive/"+filepath.Base(name))))
			requireNoKeys(t, b, "outbox/"+name)
		}
		require.Equal(t, []byte("stays"), b.get(t, "outbox/readme.txt"))
		require.Equal(t, len(payments), countFiles(t, f.Bank), "nothing is left over at the partner")
		b.requireNothingOpen(t)
	})
}

// requireReceived checks what the bank makes of a file.
func (f *flow) requireReceived(t *testing.T, name string, data []byte) {
	t.Helper()
	decrypt, err := pgpx.Decrypt(pgpx.DecryptOptions{Keys: []string{f.Secret}, Signers: []string{f.Public}})
	require.NoError(t, err)
	secret, err := os.Open(filepath.Join(f.Bank, name+".gz.pgp"))
	require.NoError(t, err)
	defer func() { require.NoError(t, secret.Close()) }()
	packed, err := decrypt.Reader(t.Context(), transfer.Content{Reader: secret, Name: name, Size: -1})
	require.NoError(t, err)
	plain, err := transfer.Gunzip(transfer.GunzipOptions{}).Reader(t.Context(), transfer.Content{Reader: packed, Name: name, Size: -1})
	require.NoError(t, err)
	got, err := io.ReadAll(plain)
	require.NoError(t, err)
	require.NoError(t, plain.Close())
	require.NoError(t, packed.Close())
	require.True(t, bytes.Equal(data, got), name)
}

// countFiles counts the files below a directory.
func countFiles(t *testing.T, dir string) (n int) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			n++
		}
		return err
	}))
	return n
}
