package watch

import (
	"context"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is one store, our storage and a partner, with as many nodes as a test wants.
type site struct {
	t             *testing.T
	local, remote *transfer.Memory
	partner       transfer.Connector
	storage       transfer.Storage // ours, if it is not local itself
	store         *faulty
	rules         map[string]transfer.Rule
	audit         bool
	poll          time.Duration // of Watcher and Client; 0 for their default

	mu      sync.Mutex // guards the fields below
	looks   int
	onLook  func(ctx context.Context) error
	entries []entry // in place of what is there
}

func newSite(t *testing.T) *site {
	s := &site{t: t, local: transfer.NewMemory(), remote: transfer.NewMemory(), store: &faulty{Store: store.NewMemory()}}
	s.partner = transfertest.NewConnector(s.remote, transfertest.ConnectorOptions{URL: "sftp://alice@partner.example", MaxFiles: 4})
	return s
}

// node is a Client with its Watcher.
type node struct {
	*Watcher
	client *transfer.Client
	end    context.CancelFunc
}

// node returns one that is not started.
func (s *site) node(name string, watches map[string]Watch) *node {
	s.t.Helper()
	var storage transfer.Storage = s.local
	if s.storage != nil {
		storage = s.storage
	}
	client, err := transfer.New(transfer.Config{
		Storage: storage, Store: s.store, Connectors: map[string]transfer.Connector{"acme": s.partner}, Rules: s.rules, Name: name, Audit: s.audit,
		Retry: transfer.RetryPolicy{MaxAttempts: 1}, MaxPaths: 100, PollInterval: s.poll,
	})
	require.NoError(s.t, err)
	w, err := New(Config{Client: client, Watches: watches, Name: name, Lease: 30 * time.Second, PollInterval: s.poll})
	require.NoError(s.t, err)
	w.lister = lookout{s, w.lister}
	return &node{Watcher: w, client: client}
}

// start starts it; the test's end, or kill, ends it.
func (n *node) start(s *site) *node {
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	n.end = cancel
	require.NoError(s.t, n.client.Start(ctx))
	require.NoError(s.t, n.Start(ctx))
	s.t.Cleanup(func() {
		cancel()
		require.NoError(s.t, n.Shutdown(context.Background()))
		require.NoError(s.t, n.client.Shutdown(context.Background()))
	})
	return n
}

// paths are the source paths of all rows, in the order in which they were made.
func (s *site) paths() []string {
	s.t.Helper()
	files, err := s.store.ListFiles(context.Background(), store.Query{})
	require.NoError(s.t, err)
	var paths []string
	for _, f := range files {
		paths = append(paths, f.SourcePath)
	}
	return paths
}

// deceive has looks find these entries, if there are any, and fail as onLook says.
func (s *site) deceive(entries []entry, onLook func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries, s.onLook = entries, onLook
}

func (s *site) looked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.looks
}

// lookout is the lister of a node, which a test can hold up or deceive.
type lookout struct {
	*site
	real lister
}

func (l lookout) list(ctx context.Context, f *flow) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		l.mu.Lock()
		l.looks++
		onLook, given := l.onLook, l.entries
		l.mu.Unlock()
		if onLook != nil {
			if err := onLook(ctx); err != nil {
				yield(entry{}, err)
				return
			}
		}
		if given == nil {
			l.real.list(ctx, f)(yield)
			return
		}
		for _, e := range given {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// bubble runs a test on a clock of its own.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

// faulty is a store whose calls about duties can be made to fail, and whose starts are counted.
type faulty struct {
	store.Store

	mu       sync.Mutex // guards the fields below
	onUpdate func(d store.Duty) error
	onStart  func(t store.Transfer) error // after it was stored
	before   func(t store.Transfer)       // it is stored
}

func (f *faulty) hooks(update func(store.Duty) error, start func(store.Transfer) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onUpdate, f.onStart = update, start
}

func (f *faulty) UpdateDuty(ctx context.Context, d store.Duty, lease time.Duration) error {
	f.mu.Lock()
	hook := f.onUpdate
	f.mu.Unlock()
	if hook != nil {
		if err := hook(d); err != nil {
			return err
		}
	}
	return f.Store.UpdateDuty(ctx, d, lease)
}

func (f *faulty) CreateTransfer(ctx context.Context, t store.Transfer, files []store.NewFile) (store.Transfer, error) {
	f.mu.Lock()
	before, hook := f.before, f.onStart
	f.mu.Unlock()
	if before != nil {
		before(t)
	}
	stored, err := f.Store.CreateTransfer(ctx, t, files)
	if hook != nil && err == nil {
		err = hook(stored)
	}
	return stored, err
}

func outbox(change ...func(*Watch)) map[string]Watch {
	w := Watch{
		Selection: Selection{ConnectorID: "acme", Direction: store.Send, Directory: "/out"},
		Delivery:  Delivery{TargetDirectory: "/in"},
		Schedule:  Schedule{Every: time.Minute},
	}
	for _, f := range change {
		f(&w)
	}
	return map[string]Watch{"outbox": w}
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }
