package awsapi

import (
	"sync"
	"sync/atomic"
	"time"
)

// throttle limits how many requests a second each access key gets: token buckets, full at first.
type throttle struct {
	rate  float64 // tokens a second; 0: no limit
	burst float64 // that a bucket holds

	mu      sync.Mutex // guards buckets
	buckets map[string]bucket
}

type bucket struct {
	tokens float64
	at     time.Time // when tokens were counted
}

// manyBuckets is how many there may be before full ones, which say nothing, are dropped.
const manyBuckets = 1024

func newThrottle(rate float64, burst int) *throttle {
	return &throttle{rate: rate, burst: float64(burst), buckets: make(map[string]bucket)}
}

// take takes a token of key's and returns 0, or says how long it takes until there is one.
func (t *throttle) take(key string, now time.Time) time.Duration {
	if t.rate == 0 {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	b, ok := t.buckets[key]
	if !ok {
		t.makeRoom(now)
		b = bucket{t.burst, now}
	}
	b = t.filled(b, now)
	if b.tokens < 1 {
		t.buckets[key] = b
		return time.Duration((1 - b.tokens) / t.rate * float64(time.Second))
	}
	b.tokens--
	t.buckets[key] = b
	return 0
}

// filled is the bucket as it is now.
func (t *throttle) filled(b bucket, now time.Time) bucket {
	if now.Before(b.at) {
		return b
	}
	return bucket{min(t.burst, b.tokens+now.Sub(b.at).Seconds()*t.rate), now}
}

// makeRoom drops buckets that are full again. Keys are only counted once their signature was verified, so that their
// number is the provider's.
func (t *throttle) makeRoom(now time.Time) {
	if len(t.buckets) < manyBuckets {
		return
	}
	for key, b := range t.buckets {
		if t.filled(b, now).tokens == t.burst {
			delete(t.buckets, key)
		}
	}
}

// gauge counts what is in use up to a limit, without waiting.
type gauge struct {
	limit int64
	used  atomic.Int64
}

func (g *gauge) take(n int64) bool {
	if g.used.Add(n) > g.limit {
		g.used.Add(-n)
		return false
	}
	return true
}

func (g *gauge) give(n int64) { g.used.Add(-n) }
