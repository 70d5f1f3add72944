package transfer_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// bench is a client between our storage and one partner, both with faults on request.
type bench struct {
	t             *testing.T
	local, remote *transfer.Memory
	storage       *transfertest.Storage
	partner       *transfertest.Connector
	store         store.Store
	client        *transfer.Client
}

// setup returns a started client with windows of 1,000 bytes.
func setup(t *testing.T, change ...func(*transfer.Config)) *bench {
	t.Helper()
	b := &bench{t: t, local: transfer.NewMemory(), remote: transfer.NewMemory(), store: store.NewMemory()}
	b.storage = transfertest.NewStorage(b.local)
	b.partner = transfertest.NewConnector(b.remote, transfertest.ConnectorOptions{URL: "sftp://alice@partner.example", MaxFiles: 4})
	b.client = b.newClient(change...)
	require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(b.requireClean)
	return b
}

func (b *bench) newClient(change ...func(*transfer.Config)) *transfer.Client {
	cfg := transfer.Config{
		Storage:          b.storage,
		Store:            b.store,
		Connectors:       map[string]transfer.Connector{"acme": b.partner},
		WindowSize:       1000,
		MemoryBudget:     100_000,
		PollInterval:     10 * time.Millisecond,
		ProgressInterval: 5 * time.Millisecond,
		Retry:            transfer.RetryPolicy{MaxAttempts: 1}, // retry_test.go is about more
	}
	for _, f := range change {
		f(&cfg)
	}
	client, err := transfer.New(cfg)
	require.NoError(b.t, err)
	return client
}

// requireClean ends the client and looks for what a test must never leave behind.
func (b *bench) requireClean() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // a test that failed may have left a call blocked
	defer cancel()
	require.NoError(b.t, b.client.Shutdown(ctx))
	require.Zero(b.t, b.storage.OpenSources()+b.storage.OpenSinks(), "open files in our storage")
	require.Zero(b.t, b.partner.OpenSources()+b.partner.OpenSinks(), "open files at the partner")
	require.Zero(b.t, b.partner.OpenRemotes(), "open sessions")
	require.Empty(b.t, b.storage.Violations())
	require.Empty(b.t, b.partner.Violations())
}

func (b *bench) start(in transfer.StartFileTransferInput) string {
	b.t.Helper()
	in.ConnectorID = "acme"
	out, err := b.client.StartFileTransfer(b.t.Context(), &in)
	require.NoError(b.t, err)
	return out.TransferID
}

func (b *bench) results(id string) []transfer.ConnectorFileTransferResult {
	b.t.Helper()
	var all []transfer.ConnectorFileTransferResult
	p := transfer.NewListFileTransferResultsPaginator(b.client, &transfer.ListFileTransferResultsInput{ConnectorID: "acme", TransferID: id})
	for r, err := range p.All(b.t.Context()) {
		require.NoError(b.t, err)
		all = append(all, r)
	}
	return all
}

// run starts a transfer, waits for its end and returns its results.
func (b *bench) run(in transfer.StartFileTransferInput) []transfer.ConnectorFileTransferResult {
	b.t.Helper()
	id := b.start(in)
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	_, err := b.client.Wait(ctx, id)
	require.NoError(b.t, err)
	return b.results(id)
}

func content(seed uint64, n int) []byte {
	data := make([]byte, n)
	random := rand.New(rand.NewPCG(seed, 1))
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	return data
}

// bubble runs a test on a clock of its own, which moves on when everybody waits.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

func policy(p transfer.RetryPolicy) func(*transfer.Config) {
	return func(c *transfer.Config) { c.Retry, c.PollInterval, c.ProgressInterval = p, time.Second, time.Second }
}

// inOrder is a storage that is read and written window by window, as SFTP servers are.
type inOrder struct{ transfer.Storage }

type inOrderSource struct{ transfer.Source }

type inOrderSink struct{ transfer.Sink }

func (inOrderSource) Concurrency() int { return 1 }
func (inOrderSink) Concurrency() int   { return 1 }

func (o inOrder) Open(ctx context.Context, path string) (transfer.Source, error) {
	src, err := o.Storage.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	return inOrderSource{src}, nil
}

func (o inOrder) Create(ctx context.Context, path string, c transfer.CreateOptions) (transfer.Sink, error) {
	dst, err := o.Storage.Create(ctx, path, c)
	if err != nil {
		return nil, err
	}
	return inOrderSink{dst}, nil
}

// ordered is setup with both sides inOrder.
func ordered(t *testing.T, change ...func(*transfer.Config)) *bench {
	t.Helper()
	b := &bench{t: t, local: transfer.NewMemory(), remote: transfer.NewMemory(), store: store.NewMemory()}
	b.storage = transfertest.NewStorage(inOrder{b.local})
	b.partner = transfertest.NewConnector(inOrder{b.remote}, transfertest.ConnectorOptions{URL: "sftp://alice@partner.example", MaxFiles: 4})
	b.client = b.newClient(change...)
	require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(b.requireClean)
	return b
}

// offsets notes where windows were written at the partner.
func (b *bench) offsets() func() []int {
	var mu sync.Mutex
	var at []int
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Do: func(c transfertest.Call) {
		mu.Lock()
		defer mu.Unlock()
		at = append(at, int(c.Offset))
	}})
	return func() []int {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(at)
	}
}

func (b *bench) row(id string) transfer.TransferRow {
	b.t.Helper()
	rows, err := b.client.ListTransfers().Transfer(id).All(b.t.Context())
	require.NoError(b.t, err)
	require.Len(b.t, rows, 1)
	return rows[0]
}
