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
	mu     sync.Mutex // guards the fields below
	failed int        // connections in a row; 0: closed, the normal state
	until  time.Time  // before that, nothing is claimed
	probe  int        // the one that is under way to find out; 0: none
	probes int        // there were
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
	case b.probe != 0 || now.Before(b.until):
		return gateShut
	}
	return gateProbe
}

// begin notes that somebody sets out to find out, and returns the number of this probe.
func (b *breaker) begin() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probes++
	b.probe = b.probes
	return b.probe
}

// end notes that a probe is over, whether or not it came to connect.
func (b *breaker) end(probe int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.probe == probe {
		b.probe = 0
	}
}

// reached notes a connection, and reports whether that is news.
func (b *breaker) reached() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	news := b.failed > 0
	b.failed, b.probe = 0, 0
	return news
}

// missed notes a failed connection, of a probe or (0) not, and returns how long the partner is left alone. It returns 0
// where that is known already: what was claimed before the breaker opened says nothing new.
func (b *breaker) missed(now time.Time, probe int) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed > 0 && (probe == 0 || probe != b.probe) {
		return 0
	}
	pause := min(breakerFirst<<min(b.failed, 16), breakerLast)
	pause = pause/2 + rand.N(pause/2)
	b.failed++
	b.until, b.probe = now.Add(pause), 0
	return pause
}
