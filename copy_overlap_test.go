package transfer

import (
	"context"
	"crypto/sha256"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// far is a tape at a distance: each window takes a second, as many at once as it allows, and the first one as long as
// held is open.
type far struct {
	*tape
	held chan struct{}
}

func (f far) pass(ctx context.Context, off int64) error {
	if off == 0 && f.held != nil {
		select {
		case <-f.held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	time.Sleep(time.Second)
	return nil
}

func (f far) ReadWindow(ctx context.Context, p []byte, off int64) error {
	if err := f.pass(ctx, off); err != nil {
		return err
	}
	return f.tape.ReadWindow(ctx, p, off)
}

func (f far) WriteWindow(ctx context.Context, p []byte, off int64) error {
	if err := f.pass(ctx, off); err != nil {
		return err
	}
	return f.tape.WriteWindow(ctx, p, off)
}

func TestCopyKeepsBothSidesBusy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ read, write, inFlight, seconds int }{
		"one at a time on each side":              {1, 1, 5, 21},
		"two at a time on each side":              {2, 2, 5, 11},
		"one at a time from here, four to there":  {1, 4, 5, 21},
		"four at a time from there, one to here":  {4, 1, 5, 21},
		"more than may be in memory on each side": {9, 9, 4, 10},
		"only one in memory":                      {2, 2, 1, 40},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				src := far{tape: &tape{data: noise(20_000), concurrency: test.read}}
				dst := far{tape: &tape{data: make([]byte, 20_000), concurrency: test.write}}
				c := newTestCopier(src.tape, dst.tape, 1000)
				c.src, c.dst, c.inFlight = src, dst, test.inFlight
				before := time.Now()
				sum, err := c.run(t.Context())
				require.NoError(t, err)
				require.Equal(t, time.Duration(test.seconds)*time.Second, time.Since(before), "on the clock of the bubble")
				require.Equal(t, sha256.Sum256(src.data), sum)
				require.Equal(t, src.data, dst.data)
				requireAllGivenBack(t, c)
			})
		})
	}
}

func TestCopyDoesNotRunAwayFromAWindowThatIsLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := &tape{data: noise(200_000), concurrency: 2}
		dst := far{&tape{data: make([]byte, 200_000), concurrency: 4}, make(chan struct{})}
		c := newTestCopier(src, dst.tape, 1000)
		c.dst, c.inFlight = dst, 5
		var mu sync.Mutex
		var last position
		c.moved = func(p position) {
			mu.Lock()
			defer mu.Unlock()
			last = p
		}
		var sum [sha256.Size]byte
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			sum, err = c.run(t.Context())
		}()

		time.Sleep(time.Hour) // of the bubble

		mu.Lock()
		require.Zero(t, last.rank, "nothing is acknowledged beyond a gap")
		mu.Unlock()
		dst.mu.Lock()
		require.Len(t, dst.touched, 5*windowsAhead-1, "as many as may follow the gap have arrived")
		dst.mu.Unlock()
		close(dst.held)
		<-done
		require.NoError(t, err)
		require.Equal(t, int64(200), last.rank)
		require.Equal(t, sha256.Sum256(src.data), sum)
		requireAllGivenBack(t, c)
	})
}
