package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// tape is a Source and a Sink over bytes, with the faults that a test asks for.
type tape struct {
	data        []byte
	concurrency int
	fail        func(off int64) error

	mu      sync.Mutex // guards the fields below
	touched []int64    // offsets in the order of the calls
	busy    int
	most    int
}

func (t *tape) Info() FileInfo   { return FileInfo{Size: int64(len(t.data))} }
func (t *tape) Concurrency() int { return t.concurrency }
func (t *tape) Close() error     { return nil }

func (t *tape) ReadWindow(ctx context.Context, p []byte, off int64) error {
	defer t.enter(off)()
	if t.fail != nil {
		if err := t.fail(off); err != nil {
			return err
		}
	}
	copy(p, t.data[off:])
	return ctx.Err()
}

func (t *tape) WriteWindow(ctx context.Context, p []byte, off int64) error {
	defer t.enter(off)()
	if t.fail != nil {
		if err := t.fail(off); err != nil {
			return err
		}
	}
	copy(t.data[off:], p)
	return ctx.Err()
}

func (t *tape) Checkpoint() []byte                              { return []byte("tape") }
func (t *tape) Commit(context.Context, [sha256.Size]byte) error { return nil }
func (t *tape) Abort(context.Context) error                     { return nil }

func (t *tape) enter(off int64) (leave func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.touched = append(t.touched, off)
	t.busy++
	t.most = max(t.most, t.busy)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.busy--
	}
}

func noise(n int) []byte {
	data := make([]byte, n)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(data)
	return data
}

func newTestCopier(src, dst *tape, window int64) *copier {
	return &copier{
		src: src, dst: dst, size: int64(len(src.data)), window: window, inFlight: 3,
		buffers: newBuffers(64*window, window), stop: make(chan struct{}), moved: func(position) {},
	}
}

func requireAllGivenBack(t *testing.T, c *copier) {
	t.Helper()
	c.release()
	require.Zero(t, c.buffers.lentBytes, "every buffer must come back")
}

func TestCopyMovesEveryByteInWindows(t *testing.T) {
	t.Parallel()
	const window = 1000
	for _, size := range []int{0, 1, window - 1, window, window + 1, 2 * window, 17*window + 3} {
		for _, concurrency := range []int{1, 4} {
			t.Run(fmt.Sprintf("%d bytes, %d at once", size, concurrency), func(t *testing.T) {
				t.Parallel()
				src := &tape{data: noise(size), concurrency: concurrency}
				dst := &tape{data: make([]byte, size), concurrency: concurrency}
				c := newTestCopier(src, dst, window)
				var last position
				c.moved = func(p position) {
					require.Greater(t, p.rank, last.rank, "the rank only grows")
					last = p
				}

				sum, err := c.run(t.Context())

				require.NoError(t, err)
				require.Equal(t, sha256.Sum256(src.data), sum)
				require.True(t, bytes.Equal(src.data, dst.data))
				require.Equal(t, int64(size), last.offset)
				require.Equal(t, c.windows(), last.rank)
				require.LessOrEqual(t, src.most, concurrency)
				require.LessOrEqual(t, dst.most, concurrency)
				requireAllGivenBack(t, c)
			})
		}
	}
}

func TestCopyAsksForWindowsInOrderWhereOneAtATimeIsAllowed(t *testing.T) {
	t.Parallel()
	src := &tape{data: noise(10_000), concurrency: 1}
	dst := &tape{data: make([]byte, 10_000), concurrency: 1}
	c := newTestCopier(src, dst, 1000)
	_, err := c.run(t.Context())
	require.NoError(t, err)
	require.IsIncreasing(t, src.touched)
	require.IsIncreasing(t, dst.touched)
}

func TestCopyFailsWithTheFirstFailureAndGivesBuffersBack(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	at := func(n int64) func(int64) error {
		return func(off int64) error {
			if off == n*1000 {
				return boom
			}
			return nil
		}
	}
	panics := func(off int64) error {
		if off == 2000 {
			panic("boom")
		}
		return nil
	}
	for _, concurrency := range []int{1, 4} {
		for name, test := range map[string]struct {
			read, write func(int64) error
			step        step
			code        Code
		}{
			"reading the first window": {read: at(0), step: stepRead, code: UnknownError},
			"reading the last window":  {read: at(9), step: stepRead, code: UnknownError},
			"writing the first window": {write: at(0), step: stepWrite, code: UnknownError},
			"writing the last window":  {write: at(9), step: stepWrite, code: UnknownError},
			"a panic while reading":    {read: panics, code: InternalError},
			"a panic while writing":    {write: panics, code: InternalError},
		} {
			t.Run(fmt.Sprintf("%s, %d at once", name, concurrency), func(t *testing.T) {
				t.Parallel()
				src := &tape{data: noise(10_000), concurrency: concurrency, fail: test.read}
				dst := &tape{data: make([]byte, 10_000), concurrency: concurrency, fail: test.write}
				c := newTestCopier(src, dst, 1000)

				_, err := c.run(t.Context())

				require.ErrorContains(t, err, "boom")
				require.Equal(t, test.code, CodeOf(err))
				var at stepError
				errors.As(err, &at)
				require.Equal(t, test.step, at.step)
				requireAllGivenBack(t, c)
			})
		}
	}
}

func TestCopyStopsAtAWindowAndGoesOnFromThere(t *testing.T) {
	t.Parallel()
	for _, concurrency := range []int{1, 4} {
		t.Run(fmt.Sprintf("%d at once", concurrency), func(t *testing.T) {
			t.Parallel()
			src := &tape{data: noise(50_000), concurrency: concurrency}
			dst := &tape{data: make([]byte, 50_000), concurrency: concurrency}
			c := newTestCopier(src, dst, 1000)
			stop := make(chan struct{})
			var once sync.Once
			var last position
			c.stop = stop
			c.moved = func(p position) { last = p }
			dst.fail = func(off int64) error {
				if off >= 5000 {
					once.Do(func() { close(stop) })
				}
				return nil
			}
			_, err := c.run(t.Context())
			require.ErrorIs(t, err, errStopped)
			require.Less(t, last.rank, int64(50))
			requireAllGivenBack(t, c)

			dst.fail = nil
			again := &tape{data: src.data, concurrency: concurrency}
			rest := newTestCopier(again, dst, 1000)
			rest.at = last
			sum, err := rest.run(t.Context())

			require.NoError(t, err)
			require.Equal(t, sha256.Sum256(src.data), sum, "the hash goes on without reading the head again")
			require.Equal(t, src.data, dst.data)
			require.Len(t, again.touched, int(50-last.rank))
		})
	}
}

func TestCopyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	src := &tape{data: noise(10_000), concurrency: 1}
	dst := &tape{data: make([]byte, 10_000), concurrency: 1}
	c := newTestCopier(src, dst, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	c.moved = func(p position) {
		if p.rank == 3 {
			cancel()
		}
	}
	_, err := c.run(ctx)
	require.ErrorIs(t, err, context.Canceled)
	requireAllGivenBack(t, c)
}

func TestWindowForKeepsAFileWithinTheParts(t *testing.T) {
	t.Parallel()
	const window = 8 << 20
	for _, test := range []struct{ size, want int64 }{
		{0, window},
		{1, window},
		{window * maxWindows, window},
		{window*maxWindows + 1, 9 << 20},
		{150 << 30, 18 << 20}, // AWS's largest file
		{5 << 40, 583 << 20},  // S3's largest object
		{math.MaxInt64, 977343670 << 20},
	} {
		got := windowFor(test.size, window)
		require.Equal(t, test.want, got, "size %d", test.size)
		require.LessOrEqual(t, test.size/got, int64(maxWindows))
	}
}

func TestBuffersStayWithinTheBudget(t *testing.T) {
	t.Parallel()
	const window = 64 << 10
	b := newBuffers(4*window, window)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for range 200 {
				n := random.Int64N(window) + 1
				buf, err := b.get(t.Context(), n)
				if err != nil || int64(len(buf)) != n {
					t.Errorf("get %d: %d bytes, %v", n, len(buf), err)
					return
				}
				b.mu.Lock()
				if b.lentBytes+b.keptBytes > b.budget {
					t.Errorf("%d lent and %d kept, more than %d", b.lentBytes, b.keptBytes, b.budget)
				}
				b.mu.Unlock()
				b.put(buf)
			}
		})
	}
	wg.Wait()
	require.Zero(t, b.lentBytes)

	var all [4][]byte
	for i := range all {
		buf, err := b.get(t.Context(), window)
		require.NoError(t, err)
		all[i] = buf
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.get(ctx, 1)
	require.ErrorIs(t, err, context.Canceled, "nothing is lent beyond the budget")
	for _, buf := range all {
		b.put(buf)
	}
	_, err = b.get(t.Context(), 5*window)
	require.ErrorContains(t, err, "MemoryBudget", "what can never be lent is an error at once")
}
