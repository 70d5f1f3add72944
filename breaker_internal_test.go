package transfer

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Config.Retry accepts it, and engine.settle, which calls delay, is outside of what guards a file: the process ends.
func TestADelayWithoutBoundDoesNotPanic(t *testing.T) {
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
func TestABreakerLetsOneProbeThrough(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := &breaker{}
	require.Positive(t, b.missed(now, 0))
	now = now.Add(time.Hour)
	require.Equal(t, gateProbe, b.gate(now))
	first := b.begin()
	require.True(t, b.reached()) // connects, and moves for a long time
	require.Positive(t, b.missed(now, 0))
	now = now.Add(time.Hour)
	require.Equal(t, gateProbe, b.gate(now))
	second := b.begin()
	b.end(first)
	require.Equal(t, gateShut, b.gate(now), "the second one is still finding out")
	b.end(second)
	require.Equal(t, gateProbe, b.gate(now))
}

// What was claimed before the breaker opened does not end the pause of a probe that is under way.
func TestAnOldFileDoesNotSpeakForTheProbe(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := &breaker{}
	b.missed(now, 0) // the first of four files that were claimed together
	now = now.Add(time.Hour)
	probe := b.begin()
	require.Zero(t, b.missed(now, 0)) // the second of the four comes to its time-out
	now = now.Add(time.Hour)
	require.Equal(t, gateShut, b.gate(now), "the probe is still finding out")
	require.Positive(t, b.missed(now, probe))
}
