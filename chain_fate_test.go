package transfer_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// fate lets a node die at one of the steps that it takes: a write to the Store, a call of a storage, the beginning or the
// end of a task; before the step is done, or after that, when nobody gets to know.
type fate struct {
	mu     sync.Mutex // guards the fields below
	at     int        // the step; 0: never
	after  bool
	steps  int
	dead   bool
	deaths []string
	made   map[string]int // how often each path was published
}

func (f *fate) step(what string, do func() error) error {
	f.mu.Lock()
	f.steps++
	dies := f.steps == f.at
	switch {
	case f.dead:
		f.mu.Unlock()
		return store.ErrClosed
	case dies:
		f.dead = true
		f.deaths = append(f.deaths, "dies at "+what)
	}
	f.mu.Unlock()
	if dies && !f.after {
		return store.ErrClosed
	}
	err := do()
	if dies {
		return store.ErrClosed
	}
	return err
}

func (f *fate) isDead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// reborn lets the next node live.
func (f *fate) reborn() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead, f.at = false, 0
}

func (f *fate) published(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.made == nil {
		f.made = make(map[string]int)
	}
	f.made[path]++
}

func (f *fate) madeOf(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.made[path]
}

// fatedStore is the Store as a node with a fate sees it.
type fatedStore struct {
	store.Store
	*fate
}

func (s fatedStore) Update(ctx context.Context, c []store.Change) (verdicts []error, err error) {
	err = s.step("update", func() error { verdicts, err = s.Store.Update(ctx, c); return err })
	return verdicts, err
}

func (s fatedStore) Claim(ctx context.Context, r store.ClaimRequest) ([]store.Claimed, error) {
	if s.isDead() {
		return nil, store.ErrClosed
	}
	return s.Store.Claim(ctx, r)
}

func (s fatedStore) ListFiles(ctx context.Context, q store.Query) ([]store.File, error) {
	if s.isDead() {
		return nil, store.ErrClosed
	}
	return s.Store.ListFiles(ctx, q)
}

func (s fatedStore) CreateTransfer(ctx context.Context, t store.Transfer, files []store.NewFile) (made store.Transfer, err error) {
	err = s.step("create transfer", func() error { made, err = s.Store.CreateTransfer(ctx, t, files); return err })
	return made, err
}

// fatedStorage is a side as a node with a fate sees it.
type fatedStorage struct {
	*transfer.Memory
	*fate
	name string
}

func (s fatedStorage) Open(ctx context.Context, path string) (src transfer.Source, err error) {
	err = s.step("open "+s.name+path, func() error { src, err = s.Memory.Open(ctx, path); return err })
	return src, err
}

func (s fatedStorage) Create(ctx context.Context, path string, o transfer.CreateOptions) (transfer.Sink, error) {
	var sink transfer.Sink
	err := s.step("create "+s.name+path, func() (err error) { sink, err = s.Memory.Create(ctx, path, o); return err })
	if err != nil {
		return nil, err
	}
	return fatedSink{inOrderSink{sink}, s, path}, nil
}

func (s fatedStorage) Discard(ctx context.Context, path string, o transfer.CreateOptions) error {
	return s.step("discard "+s.name+path, func() error { return s.Memory.Discard(ctx, path, o) })
}

func (s fatedStorage) RemovePath(ctx context.Context, path string) error {
	return s.step("remove "+s.name+path, func() error { return s.Memory.RemovePath(ctx, path) })
}

func (s fatedStorage) MovePath(ctx context.Context, from, to string) error {
	return s.step("move "+s.name+from, func() error { return s.Memory.MovePath(ctx, from, to) })
}

func (s fatedStorage) MakeDirectory(ctx context.Context, path string) error {
	return s.step("mkdir "+s.name+path, func() error { return s.Memory.MakeDirectory(ctx, path) })
}

type fatedSink struct {
	transfer.Sink
	s    fatedStorage
	path string
}

func (k fatedSink) WriteWindow(ctx context.Context, p []byte, off int64) error {
	return k.s.step(fmt.Sprintf("write %s%s %d", k.s.name, k.path, off), func() error { return k.Sink.WriteWindow(ctx, p, off) })
}

func (k fatedSink) Commit(ctx context.Context, sum [sha256.Size]byte) error {
	return k.s.step("commit "+k.s.name+k.path, func() error {
		err := k.Sink.Commit(ctx, sum)
		if err == nil {
			k.s.published(k.s.name + k.path)
		}
		return err
	})
}

func (k fatedSink) Abort(ctx context.Context) error {
	return k.s.step("abort "+k.s.name+k.path, func() error { return k.Sink.Abort(ctx) })
}

// fated is a bench with two nodes, of which the first one has a fate, and a partner to forward to.
type fated struct {
	*bench
	*fate
	diary
	second *transfer.Memory
	rule   transfer.Rule
}

func newFated(t *testing.T, at int, after bool) *fated {
	f := &fated{fate: &fate{at: at, after: after}, second: transfer.NewMemory()}
	f.bench = &bench{t: t, local: transfer.NewMemory(), remote: transfer.NewMemory(), store: store.NewMemory()}
	f.storage = transfertest.NewStorage(fatedStorage{f.local, f.fate, "ours:"})
	f.partner = transfertest.NewConnector(fatedStorage{f.remote, f.fate, "theirs:"}, transfertest.ConnectorOptions{URL: "sftp://a@b"})
	return f
}

func (f *fated) node(s store.Store) *transfer.Client {
	return f.newClient(withRule(f.rule), func(c *transfer.Config) {
		c.Store, c.Lease = s, 3*time.Second
		c.Connectors["second"] = transfertest.NewConnector(f.second, transfertest.ConnectorOptions{URL: "sftp://second"})
	})
}

// effect is a task that has an effect, and may die before or after it.
func (f *fated) effect(name string, repeatable bool) transfer.Task {
	return transfer.Call(name, repeatable, func(context.Context, *transfer.TaskFile) error {
		return f.step("task "+name, func() error { f.note(name); return nil })
	})
}

// live starts the transfer on the first node, lets the second one go on when that has died, and returns how it ended.
func (f *fated) live(in transfer.StartFileTransferInput, wishes func()) transfer.TransferRow {
	t := f.t
	f.client = f.node(f.store) // lists
	id := f.start(in)
	first := f.node(fatedStore{f.store, f.fate})
	require.NoError(t, first.Start(context.WithoutCancel(t.Context())))
	wishes()
	for range 3000 {
		if f.isDead() || f.row(id).State.Final() {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(5 * time.Second) // forwarded files, too
	ended, cut := context.WithCancel(t.Context())
	cut()
	_ = first.Shutdown(ended)
	f.reborn()
	require.NoError(t, f.client.Start(context.WithoutCancel(t.Context())))
	_, _ = resume(f.client, t.Context(), &transfer.ControlInput{TransferID: id})
	r := f.wait(id)
	all, err := f.client.ListTransfers().All(t.Context())
	require.NoError(t, err)
	for _, other := range all {
		f.wait(other.TransferID)
	}
	require.NoError(t, f.client.Shutdown(t.Context()))
	return r
}

// runs is how often a task had its effect.
func (f *fated) runs(name string) (n int) {
	for _, line := range f.read() {
		if line == name {
			n++
		}
	}
	return n
}
