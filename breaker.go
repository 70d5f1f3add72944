package transfer

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Bounds of how long a partner that cannot be reached is left alone.
const (
	breakerFirst = time.Second
	breakerLast  = time.Minute
)

// breaker keeps a node from taking up files of a partner that cannot be reached: after a failed connection none is
// claimed for a while, then one alone, which finds out. So a dead partner costs one file's time-out now and then, and a
// wrong password one attempt, not as many as there are files. Each node finds out for itself.
type breaker struct {
	mu      sync.Mutex // guards the fields below
	failed  int        // connections in a row; 0: closed, the normal state
	until   time.Time  // before that, nothing is claimed
	probing bool       // a file is under way to find out
}

// gate is what may be claimed of a connector's files.
type gate int

const (
	gateOpen  gate = iota // as many as the limit allows
	gateProbe             // one
	gateShut              // none
)

func (b *breaker) gate(now time.Time) gate {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.failed == 0:
		return gateOpen
	case b.probing || now.Before(b.until):
		return gateShut
	}
	return gateProbe
}

// probe notes that a file was claimed to find out.
func (b *breaker) probe() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = b.failed > 0
}

// end notes that a probe ended without finding out: it never came to connect.
func (b *breaker) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

// reached notes a connection, and reports whether that is news.
func (b *breaker) reached() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	news := b.failed > 0
	b.failed, b.probing = 0, false
	return news
}

// missed notes a failed connection and returns how long the partner is left alone; 0 says that this was known.
func (b *breaker) missed(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed > 0 && !b.probing {
		return 0 // claimed before the breaker opened
	}
	pause := min(breakerFirst<<min(b.failed, 16), breakerLast)
	pause = pause/2 + rand.N(pause/2)
	b.failed++
	b.until, b.probing = now.Add(pause), false
	return pause
}
