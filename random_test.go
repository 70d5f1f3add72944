package transfer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// mortal is a store whose node has died: it does not write any more.
type mortal struct {
	store.Store
	dead *atomic.Bool
}

func (m mortal) Update(ctx context.Context, c []store.Change) ([]error, error) {
	if m.dead.Load() {
		return nil, store.ErrClosed
	}
	return m.Store.Update(ctx, c)
}
func (m mortal) Claim(ctx context.Context, c store.ClaimRequest) ([]store.Claimed, error) {
	if m.dead.Load() {
		return nil, store.ErrClosed
	}
	return m.Store.Claim(ctx, c)
}
func (m mortal) ListFiles(ctx context.Context, c store.Query) ([]store.File, error) {
	if m.dead.Load() {
		return nil, store.ErrClosed
	}
	return m.Store.ListFiles(ctx, c)
}

// mortalStorage counts the calls of both sides, and the node dies at one of them, before or after it was done.
type mortalStorage struct {
	transfer.Storage
	dead  *atomic.Bool
	steps *atomic.Int64
	at    atomic.Int64
	after bool
}

func (m *mortalStorage) step(do func() error) error {
	if m.dead.Load() {
		return transfer.ConnectionLost
	}
	if m.steps.Add(1) == m.at.Load() {
		if m.after {
			_ = do()
		}
		m.dead.Store(true)
		return transfer.ConnectionLost
	}
	return do()
}

func (m *mortalStorage) Open(ctx context.Context, path string) (s transfer.Source, err error) {
	err = m.step(func() error { s, err = m.Storage.Open(ctx, path); return err })
	if err != nil {
		if s != nil {
			_ = s.Close()
		}
		return nil, err
	}
	return mortalSource{s, m}, nil
}
func (m *mortalStorage) Create(ctx context.Context, path string, o transfer.CreateOptions) (s transfer.Sink, err error) {
	err = m.step(func() error { s, err = m.Storage.Create(ctx, path, o); return err })
	if err != nil {
		if s != nil {
			_ = s.Close()
		}
		return nil, err
	}
	return mortalSink{s, m}, nil
}

func (m *mortalStorage) Discard(ctx context.Context, path string, o transfer.CreateOptions) error {
	return m.step(func() error { return m.Storage.Discard(ctx, path, o) })
}

type mortalSource struct {
	transfer.Source
	m *mortalStorage
}

func (s mortalSource) ReadWindow(ctx context.Context, p []byte, off int64) error {
	return s.m.step(func() error { return s.Source.ReadWindow(ctx, p, off) })
}

type mortalSink struct {
	transfer.Sink
	m *mortalStorage
}

func (s mortalSink) WriteWindow(ctx context.Context, p []byte, off int64) error {
	return s.m.step(func() error { return s.Sink.WriteWindow(ctx, p, off) })
}
func (s mortalSink) Commit(ctx context.Context, sum [sha256.Size]byte) error {
	return s.m.step(func() error { return s.Sink.Commit(ctx, sum) })
}
func (s mortalSink) Abort(ctx context.Context) error {
	return s.m.step(func() error { return s.Sink.Abort(ctx) })
}

// A file meets a crash, faults and wishes at random; SEED=n runs one of them again, SEEDS=n the first n. Each complaint says
// what happened.
func TestCrashesAndFaultsAtRandom(t *testing.T) {
	from, to := uint64(0), uint64(100)
	if s := os.Getenv("SEED"); s != "" {
		n, _ := strconv.Atoi(s)
		from, to = uint64(n), uint64(n+1)
	}
	if s := os.Getenv("SEEDS"); s != "" {
		n, _ := strconv.Atoi(s)
		to = uint64(n)
	}
	for seed := from; seed < to; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { liveAtRandom(t, rand.New(rand.NewPCG(seed, 7))) })
		})
	}
}

func liveAtRandom(t *testing.T, random *rand.Rand) {
	var published atomic.Int64
	b := &bench{t: t, local: transfer.NewMemory(), remote: transfer.NewMemory(), store: store.NewMemory()}
	crash := random.IntN(2) == 0
	dead, steps := &atomic.Bool{}, &atomic.Int64{}
	ml := &mortalStorage{counted{inOrder{b.local}, &published}, dead, steps, atomic.Int64{}, random.IntN(2) == 0}
	mr := &mortalStorage{counted{inOrder{b.remote}, &published}, dead, steps, atomic.Int64{}, random.IntN(2) == 0}
	if crash {
		ml.at.Store(int64(1 + random.IntN(14)))
		mr.at.Store(ml.at.Load())
	}
	b.storage = transfertest.NewStorage(ml)
	b.partner = transfertest.NewConnector(mr, transfertest.ConnectorOptions{URL: "sftp://a@b", MaxFiles: 4})
	mk := func(d *atomic.Bool) *transfer.Client {
		return b.newClient(policy(transfer.RetryPolicy{MaxAttempts: 6}), func(c *transfer.Config) {
			c.Lease = 3 * time.Second
			if d != nil {
				c.Store = mortal{b.store, d}
			}
		})
	}
	first := mk(dead)
	send := random.IntN(2) == 0
	size := []int{0, 500, 2500, 4500}[random.IntN(4)]
	data := content(1, size)
	src, dst := b.local, b.remote
	in := transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"a.bin"}, RemoteDirectoryPath: "in"}
	if !send {
		src, dst = b.remote, b.local
		in = transfer.StartFileTransferInput{ConnectorID: "acme", RetrieveFilePaths: []string{"a.bin"}, LocalDirectoryPath: "in"}
	}
	in.Overwrite = []transfer.Overwrite{"REPLACE", "FAIL", "SKIP"}[random.IntN(3)]
	if random.IntN(4) == 0 {
		in.Verify = transfer.VerifyReadBack
	}
	src.WriteFile("a.bin", data)
	b.client = first
	out, err := first.StartFileTransfer(t.Context(), &in)
	require.NoError(t, err)
	id := out.TransferID
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow | transfertest.OpReadWindow, Delay: 100 * time.Millisecond})
	desc := fmt.Sprintf("crash=%v at=%d afterl=%v afterr=%v send=%v size=%d ow=%v verify=%v", crash, ml.at.Load(), ml.after, mr.after, send, size, in.Overwrite, in.Verify)
	ops := []transfertest.Op{transfertest.OpOpen, transfertest.OpReadWindow, transfertest.OpCreate, transfertest.OpWriteWindow, transfertest.OpCommit, transfertest.OpAbort, transfertest.OpConnect}
	for range random.IntN(4) {
		r := transfertest.Rule{Op: ops[random.IntN(len(ops))], Nth: 1 + random.IntN(5), Err: transfer.ConnectionLost, Done: random.IntN(2) == 0}
		local := random.IntN(3) == 0
		desc += fmt.Sprintf(" [%v %d done=%v local=%v]", r.Op, r.Nth, r.Done, local)
		if local && r.Op != transfertest.OpConnect {
			b.storage.Inject(r)
		} else {
			b.partner.Inject(r)
		}
	}
	require.NoError(t, first.Start(context.WithoutCancel(t.Context())))
	second := mk(nil)
	if crash {
		for range 200 {
			if dead.Load() {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if dead.Load() {
			time.Sleep(5 * time.Second)
			_ = first.Shutdown(ended)
		}
		dead.Store(false)
		ml.at.Store(0)
		mr.at.Store(0)
		b.client = second
		require.NoError(t, second.Start(context.WithoutCancel(t.Context())))
	}
	var wishes string
	for range random.IntN(4) {
		time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
		v := random.IntN(3)
		wishes += fmt.Sprint(v)
		if v == 2 && random.IntN(2) == 0 {
			_, _ = cancel(b.client, t.Context(), &transfer.ControlInput{TransferID: id})
		} else if v == 1 {
			_, _ = pause(b.client, t.Context(), &transfer.ControlInput{TransferID: id})
		} else {
			_, _ = resume(b.client, t.Context(), &transfer.ControlInput{TransferID: id})
		}
	}
	time.Sleep(2 * time.Second)
	_, _ = resume(b.client, t.Context(), &transfer.ControlInput{TransferID: id})
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Hour)
	defer stop()
	_, err = b.client.Wait(ctx, id)
	require.NoError(t, err, "%s wishes %s", desc, wishes)
	r := b.row(id)
	desc += " wishes=" + wishes + fmt.Sprintf(" => %v %v %v skipped=%v attempts=%d failures=%d published=%d msg=%s", r.State, r.FailureCode, r.FailureDetail, r.Skipped, r.Attempts, r.Failures, published.Load(), r.FailureMessage)
	time.Sleep(5 * time.Minute)
	bad := func(why string) { t.Errorf("%s: %s", why, desc) }
	if r.StatusCode == transfer.TransferTableStatusCompleted {
		got, err := dst.ReadFile("in/a.bin")
		if err != nil || !bytes.Equal(got, data) {
			bad("content")
		}
		if published.Load() != 1 {
			bad("PUBLISHED N")
		}
		if r.Skipped {
			bad("SKIPPED")
		}
	} else if r.FailureCode != transfer.Cancelled {
		if published.Load() > 0 {
			bad("FAILED THOUGH PUBLISHED")
		}
		if r.FailureDetail == transfer.FileExists {
			bad("FILE_EXISTS")
		}
	}
	// Of a file of one window that a dead node had begun, and that was cancelled before anybody else took it up, nobody
	// knows: it has no checkpoint.
	unknown := crash && r.Size <= 1000 && r.FailureCode == transfer.Cancelled
	if !unknown && len(b.local.Partials())+len(b.remote.Partials()) > 0 {
		bad("PARTIALS")
	}
	require.NoError(t, b.client.Shutdown(t.Context()))
	_ = first.Shutdown(t.Context())
	_ = second.Shutdown(t.Context())
}
