package awsapi

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestManyKeys: keys that come and go, as temporary ones do, are forgotten once that changes nothing.
func TestManyKeys(t *testing.T) {
	t.Parallel()
	throttle := newThrottle(1, 1)
	now := time.Now()
	for i := range 10 * manyBuckets {
		require.Zero(t, throttle.take(fmt.Sprint(i), now))
		require.LessOrEqual(t, len(throttle.buckets), manyBuckets)
		now = now.Add(10 * time.Millisecond)
	}
	require.NotZero(t, throttle.take(fmt.Sprint(10*manyBuckets-1), now), "who has just been here is remembered")
}

// TestClockSetBack costs nobody more than a wait for one token.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	throttle := newThrottle(1, 1)
	now := time.Now()
	require.Zero(t, throttle.take("key", now))
	require.LessOrEqual(t, throttle.take("key", now.Add(-time.Hour)), time.Second)
	require.Zero(t, throttle.take("key", now.Add(time.Second)))
}
