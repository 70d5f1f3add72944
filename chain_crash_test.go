package transfer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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

func (f *fated) runs(name string) int {
	return strings.Count(" "+strings.Join(f.read(), " ")+" ", " "+name+" ")
}

// The node dies at every step, before and after it was done, of a flow with every kind of task.
func TestANodeDiesAtEveryStepOfAFlow(t *testing.T) {
	for _, after := range []bool{false, true} {
		reached := true
		for at := 1; reached; at++ {
			require.Less(t, at, 200)
			synctest.Test(t, func(t *testing.T) { reached = dieInAFlow(t, at, after) })
		}
	}
}

func dieInAFlow(t *testing.T, at int, after bool) (reached bool) {
	f := newFated(t, at, after)
	f.rule = transfer.Rule{
		Direction: store.Retrieve, SourceDirectory: "drop", TargetDirectory: "in",
		Before: []transfer.Task{f.effect("b0", false), transfer.MoveSource("work"), f.effect("b2", true)},
		After: []transfer.Task{
			transfer.VerifyTarget(), transfer.GunzipTarget(0), f.effect("a2", false), transfer.RenameTarget("{base}.ready"), transfer.CopyTarget("archive"),
			transfer.DeleteSource(), transfer.Forward("second", "in"), f.effect("a7", true),
		},
		OnError: []transfer.Task{f.effect("e0", true)},
	}
	plain := content(5, 2600)
	f.remote.WriteFile("drop/a.csv.gz", gzipped(t, plain))
	r := f.live(transfer.StartFileTransferInput{RuleName: "r", RetrieveFilePaths: []string{"a.csv.gz"}, FollowID: "flow"}, func() {})
	why := fmt.Sprintf("step %d, after=%v: %v; %v %s", at, after, f.deaths, r.State, r.FailureMessage)

	require.LessOrEqual(t, f.runs("b0"), 1, why)
	require.LessOrEqual(t, f.runs("a2"), 1, why)
	if r.State == store.Failed {
		require.Equal(t, transfer.TaskInterrupted, r.FailureDetail, why)
		require.Equal(t, 1, f.runs("e0"), why)
		return true
	}
	require.Equal(t, store.Done, r.State, why)
	require.Equal(t, []int{1, 1, 0}, []int{f.runs("b0"), f.runs("a2"), f.runs("e0")}, why)
	require.GreaterOrEqual(t, f.runs("b2"), 1, why)
	require.GreaterOrEqual(t, f.runs("a7"), 1, why)
	require.Equal(t, 1, f.madeOf("ours:in/a.csv.gz"), "delivered exactly once: %s", why)
	require.Equal(t, []string{"archive/a.ready", "in/a.csv.gz", "in/a.ready"}, f.local.Paths(), why)
	require.Empty(t, f.remote.Paths(), why)
	require.Equal(t, []string{"in/a.ready"}, f.second.Paths(), why)
	got, err := f.second.ReadFile("in/a.ready")
	require.NoError(t, err)
	require.True(t, bytes.Equal(plain, got), why)
	forwarded, err := f.client.ListTransfers().FollowID("flow").Partner("second").All(t.Context())
	require.NoError(t, err)
	require.Len(t, forwarded, 1, why)
	require.Empty(t, f.local.Partials(), why)
	return len(f.deaths) > 0
}

// Random chains meet a crash, faults and wishes at random; SEED=n runs one of them again, SEEDS=n the first n.
func TestChainsAtRandom(t *testing.T) {
	from, to := 0, 150
	if s := os.Getenv("SEED"); s != "" {
		from, _ = strconv.Atoi(s)
		to = from + 1
	}
	if s := os.Getenv("SEEDS"); s != "" {
		to, _ = strconv.Atoi(s)
	}
	for seed := from; seed < to; seed++ {
		synctest.Test(t, func(t *testing.T) { chainAtRandom(t, uint64(seed)) })
	}
}

func chainAtRandom(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 11))
	f := newFated(t, random.IntN(20), random.IntN(2) == 0)
	once := make(map[string]bool)
	chain := func(prefix string) (tasks []transfer.Task) {
		for i := range random.IntN(4) {
			name := prefix + strconv.Itoa(i)
			once[name] = random.IntN(2) == 0
			tasks = append(tasks, f.effect(name, !once[name]))
		}
		return tasks
	}
	f.rule = transfer.Rule{Before: chain("b"), After: chain("a"), OnError: chain("e")}
	send := random.IntN(2) == 0
	size := []int{0, 500, 2500}[random.IntN(3)]
	in := transfer.StartFileTransferInput{RuleName: "r", SendFilePaths: []string{"a.bin"}, RemoteDirectoryPath: "in"}
	src, dst, target := f.local, f.remote, "theirs:in/a.bin"
	if !send {
		in = transfer.StartFileTransferInput{RuleName: "r", RetrieveFilePaths: []string{"a.bin"}, LocalDirectoryPath: "in"}
		src, dst, target = f.remote, f.local, "ours:in/a.bin"
	}
	src.WriteFile("a.bin", content(seed, size))
	for range random.IntN(3) {
		f.partner.Inject(transfertest.Rule{Op: transfertest.OpConnect | transfertest.OpWriteWindow | transfertest.OpCommit, Nth: 1 + random.IntN(4),
			Err: []transfer.Code{transfer.ConnectionLost, transfer.PermissionDenied}[random.IntN(2)], Done: random.IntN(2) == 0})
	}
	cancelled := false
	r := f.live(in, func() {
		for range random.IntN(3) {
			time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
			rows, err := f.client.ListTransfers().All(t.Context())
			require.NoError(t, err)
			switch what := (&transfer.ControlInput{TransferID: rows[0].TransferID}); random.IntN(3) {
			case 0:
				_, _ = pause(f.client, t.Context(), what)
			case 1:
				_, _ = resume(f.client, t.Context(), what)
			case 2:
				_, err := cancel(f.client, t.Context(), what)
				cancelled = err == nil
			}
		}
	})
	why := fmt.Sprintf("seed %d: %v %v; %v %v %s", seed, f.deaths, f.read(), r.State, r.FailureDetail, r.FailureMessage)
	for name, is := range once {
		if is {
			require.LessOrEqual(t, f.runs(name), 1, why)
		}
	}
	require.LessOrEqual(t, f.madeOf(target), 1, why)
	requireOrder(t, f.read(), why)
	all := func(prefix string, tasks []transfer.Task) {
		for i := range tasks {
			require.GreaterOrEqual(t, f.runs(prefix+strconv.Itoa(i)), 1, why)
		}
	}
	switch r.State {
	case store.Done:
		all("b", f.rule.Before)
		all("a", f.rule.After)
		require.Equal(t, 1, f.madeOf(target), why)
		got, err := dst.ReadFile("in/a.bin")
		require.NoError(t, err, why)
		require.True(t, bytes.Equal(content(seed, size), got), why)
		require.NotContains(t, strings.Join(f.read(), " "), "e", why)
	case store.Failed:
		if !strings.Contains(r.FailureMessage, "then task OnError") {
			all("e", f.rule.OnError)
		}
		if r.FailureDetail != transfer.TaskInterrupted && r.FailureDetail != transfer.PermissionDenied && r.FailureDetail != transfer.ConnectionLost {
			t.Errorf("failed for no reason: %s", why)
		}
	case store.Cancelled:
		require.True(t, cancelled, why)
	default:
		t.Errorf("not at an end: %s", why)
	}
}

// requireOrder makes sure that tasks run in their order, each again at once or not at all.
func requireOrder(t *testing.T, lines []string, why string) {
	t.Helper()
	rank := map[byte]int{'b': 0, 'a': 1, 'e': 2}
	for i := 1; i < len(lines); i++ {
		before, now := lines[i-1], lines[i]
		same := before[0] == now[0]
		if same {
			require.LessOrEqual(t, before, now, why)
		} else {
			require.Less(t, rank[before[0]], rank[now[0]], why)
		}
	}
}
