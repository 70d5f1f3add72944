package transfer

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Config.Retry accepts it, and engine.settle, which calls delay, is outside of what guards a file: the process ends.
func TestReviewADelayWithoutBoundDoesNotPanic(t *testing.T) {
	t.Parallel()
	p := RetryPolicy{MaxAttempts: -1, MaxDelay: math.MaxInt64}
	_, err := New(Config{Retry: p})
	require.NoError(t, err)
	require.NotPanics(t, func() {
		for n := range 100 {
			p.withDefaults().delay(n)
		}
	})
}

// A probe that ends long after it had connected says nothing about the one that is under way then.
func TestReviewABreakerLetsOneProbeThrough(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := &breaker{}
	b.missed(now)
	now = now.Add(time.Hour)
	require.Equal(t, gateProbe, b.gate(now))
	b.probe()   // a first file is claimed
	b.reached() // connects, and moves for a long time
	b.missed(now)
	now = now.Add(time.Hour)
	require.Equal(t, gateProbe, b.gate(now))
	b.probe() // a second one finds out
	b.end()   // the first one is at its end
	require.Equal(t, gateShut, b.gate(now), "the second one is still finding out")
}

// What connected for another reason, or was claimed before, does not end the pause of a probe that is under way.
func TestReviewAnOldFileDoesNotSpeakForTheProbe(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := &breaker{}
	b.missed(now) // the first of four files that were claimed together
	now = now.Add(time.Hour)
	b.probe()     // a fifth finds out
	b.missed(now) // the second of the four comes to its time-out
	now = now.Add(time.Hour)
	require.Equal(t, gateShut, b.gate(now), "the probe is still finding out")
}
