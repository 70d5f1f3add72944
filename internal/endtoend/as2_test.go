//go:build unix

package endtoend

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/as2x"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/s3x"
	"github.com/seed62b9dc43/transfer/store"
)

// TestAS2OverDurableStores sends a file whose receipt comes after the node that sent it has ended, and records what was
// received, in both durable stores.
func TestAS2OverDurableStores(t *testing.T) {
	for name, open := range queues {
		t.Run(name, func(t *testing.T) {
			inbox, _ := directory(t)
			outbox, path := directory(t)
			data := bytes.Repeat([]byte("UNH+1+ORDERS:D:96A:UN'\r\n"), 20_000)
			require.NoError(t, os.WriteFile(filepath.Join(path, "orders.edi"), data, 0o600))
			newAS2Rig(t, open(t)(t), outbox, inbox).testLateReceipt(t, int64(len(data)))
		})
	}
}

// TestAS2WithS3 has everything in a bucket: what is sent and received, result files, and records.
func TestAS2WithS3(t *testing.T) {
	t.Parallel()
	server := testenv.S3(t)
	b := bucket{server.Client(t), server.NewBucket(t)}
	storage := func(folder string) transfer.Storage {
		s, err := s3x.New(b.client, s3x.Options{Bucket: b.name, Prefix: folder})
		require.NoError(t, err)
		return s
	}
	data := bytes.Repeat([]byte("seventeen bytes.\n"), 1<<20) // three parts when it is received
	b.put(t, "out/orders.edi", data)
	newAS2Rig(t, store.NewMemory(), storage("out"), storage("in")).testLateReceipt(t, int64(len(data)))
	listed, err := b.client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: aws.String("in/in/")})
	require.NoError(t, err)
	var sizes []int64
	for _, o := range listed.Contents {
		if !strings.Contains(*o.Key, "/processed/") {
			sizes = append(sizes, *o.Size)
			require.True(t, bytes.Equal(data, b.get(t, *o.Key)))
		}
	}
	require.Equal(t, []int64{int64(len(data))}, sizes)
	b.requireNothingOpen(t)
}

// as2Rig is both sides of an exchange, over one store.
type as2Rig struct {
	store     store.Store
	outbox    transfer.Storage
	connector *as2x.Connector
	door      atomic.Bool // ours, for receipts: open
}

func newAS2Rig(t *testing.T, st store.Store, outbox, inbox transfer.Storage) *as2Rig {
	t.Helper()
	r := &as2Rig{store: st, outbox: outbox}
	us, usSeen := as2Side(t, "US")
	partner, partnerSeen := as2Side(t, "PARTNER")
	recorder, err := transfer.New(transfer.Config{Store: st, Storage: inbox})
	require.NoError(t, err)
	records := &as2x.Records{Storage: r.outbox, Directory: "as2"}
	receipts := as2Server(t, as2x.ReceiverConfig{
		Agreements: []as2x.Agreement{{ID: "receipts", Local: us, Partner: partnerSeen}}, Storage: r.outbox, Records: records, Client: recorder,
	}, r.door.Load)
	server := as2Server(t, as2x.ReceiverConfig{
		Agreements: []as2x.Agreement{{ID: "from-us", Local: partner, Partner: usSeen, Directory: "in", AsyncMDNHosts: []string{"127.0.0.1"}}},
		Storage:    inbox, Records: &as2x.Records{Storage: inbox, Directory: "as2"}, Client: recorder, MDNDelay: 100 * time.Millisecond,
	}, func() bool { return true })
	r.connector, err = as2x.New(as2x.Config{
		URL: server, Local: us, Partner: partnerSeen, Compression: as2x.CompressionZLIB, MDNResponse: as2x.MDNAsync,
		AsyncMDNURL: receipts, Records: records, Results: r.outbox, MDNPoll: time.Hour,
	})
	require.NoError(t, err)
	return r
}

// node starts a client.
func (r *as2Rig) node(t *testing.T) *transfer.Client {
	t.Helper()
	client, err := transfer.New(transfer.Config{
		Store: r.store, Storage: r.outbox, Connectors: map[string]transfer.Connector{"partner": r.connector}, WindowSize: 64 << 10,
	})
	require.NoError(t, err)
	require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
	return client
}

// testLateReceipt sends orders.edi, which has this size.
func (r *as2Rig) testLateReceipt(t *testing.T, size int64) {
	first := r.node(t)
	started, err := first.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "partner", SendFilePaths: []string{"/orders.edi"}})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return as2Row(t, first, started.TransferID).State == store.Waiting }, time.Minute, 5*time.Millisecond)
	require.NoError(t, first.Shutdown(t.Context()))
	r.door.Store(true)
	second := r.node(t)
	defer func() { require.NoError(t, second.Shutdown(context.WithoutCancel(t.Context()))) }()
	_, err = second.Wait(t.Context(), started.TransferID)
	require.NoError(t, err)
	sent := as2Row(t, second, started.TransferID)
	require.Equal(t, transfer.TransferTableStatusCompleted, sent.StatusCode, sent.FailureMessage)

	var received []transfer.TransferRow
	for row, err := range second.ListTransfers().Each(t.Context()) {
		require.NoError(t, err)
		if !row.Sent {
			received = append(received, row)
		}
	}
	require.Len(t, received, 1)
	require.Equal(t, "from-us", received[0].ConnectorID)
	require.Equal(t, sent.SHA256, received[0].SHA256)
	require.Equal(t, size, received[0].Size)
}

func as2Row(t *testing.T, c *transfer.Client, id string) transfer.ConnectorFileTransferResult {
	t.Helper()
	out, err := c.ListFileTransferResults(t.Context(), &transfer.ListFileTransferResultsInput{ConnectorID: "partner", TransferID: id})
	require.NoError(t, err)
	require.Len(t, out.FileTransferResults, 1)
	return out.FileTransferResults[0]
}

// as2Server starts a Receiver that is away until open says so, and returns its URL.
func as2Server(t *testing.T, cfg as2x.ReceiverConfig, open func() bool) string {
	t.Helper()
	receiver, err := as2x.NewReceiver(cfg)
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !open() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		receiver.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.Close()
		require.NoError(t, receiver.Close(context.Background()))
	})
	return server.URL
}

// as2Side makes the keys of one side: as it has them, and as the other one knows them.
func as2Side(t *testing.T, id string) (as2x.Local, as2x.Partner) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: id},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	known := []as2x.Certificate{{Certificate: cert}}
	pair := []as2x.KeyPair{{Certificate: known[0], Key: key}}
	return as2x.Local{AS2ID: id, Signing: pair, Decryption: pair}, as2x.Partner{AS2ID: id, Signing: known, Encryption: known}
}

// directory returns an empty directory as a storage, and its path.
func directory(t *testing.T) (*transfer.Directory, string) {
	t.Helper()
	path := t.TempDir()
	d, err := transfer.Dir(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d, path
}
