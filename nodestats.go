package transfer

import (
	"cmp"
	"slices"
	"time"
)

// NodeStats is what a Client does at one moment, on this node alone.
type NodeStats struct {
	Running      int   // files
	MemoryUsed   int64 // bytes of windows in use
	MemoryBudget int64 // bytes (Config.MemoryBudget)
	Connectors   []ConnectorStats
}

// ConnectorStats is what a Client does with one partner.
type ConnectorStats struct {
	ConnectorID string
	Breaker     BreakerState
	Running     int // files
	Sessions    int // that files and operations have open
	// Connections are those of a connector that is [Pooled], InUse and Idle together; -1 for others.
	Connections     int
	IdleConnections int
}

// BreakerState says whether a partner is left alone.
type BreakerState string

// States of breakers.
const (
	BreakerClosed   BreakerState = "closed"    // the normal one: its files are taken up
	BreakerOpen     BreakerState = "open"      // a connection failed: it is left alone for a while, or one file is finding out
	BreakerHalfOpen BreakerState = "half_open" // one file may find out whether it can be reached again
)

// Pooled is a Connector that keeps connections (package sftpx).
type Pooled interface {
	// Connections says how many there are just now, with files on them and without. It MUST return at once.
	Connections() (used, idle int)
}

// NodeStats says what this Client does just now, in the order of connector ids. It asks neither the Store nor a partner.
func (c *Client) NodeStats() NodeStats {
	e := c.engine
	running := e.runningFiles()
	s := NodeStats{MemoryUsed: e.buffers.inUse(), MemoryBudget: e.cfg.MemoryBudget}
	now := time.Now()
	for id, p := range e.partners.all() {
		s.Connectors = append(s.Connectors, p.stats(now, running[id]))
	}
	for _, n := range running {
		s.Running += n
	}
	slices.SortFunc(s.Connectors, func(a, b ConnectorStats) int { return cmp.Compare(a.ConnectorID, b.ConnectorID) })
	return s
}

// runningFiles counts the files that run, by connector.
func (e *engine) runningFiles() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := make(map[string]int)
	for j := range e.running {
		n[j.file.ConnectorID]++
	}
	return n
}

func (p *partner) stats(now time.Time, running int) ConnectorStats {
	s := ConnectorStats{
		ConnectorID: p.id, Breaker: p.breaker.gate(now).state(), Running: running,
		Sessions: int(p.sessions.Load()), Connections: -1,
	}
	if pool, ok := p.conn.(Pooled); ok {
		used, idle := pool.Connections()
		s.Connections, s.IdleConnections = used+idle, idle
	}
	return s
}

func (g gate) state() BreakerState {
	switch g {
	case gateOpen:
		return BreakerClosed
	case gateProbe:
		return BreakerHalfOpen
	}
	return BreakerOpen
}

// inUse is how many bytes are lent.
func (b *buffers) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lentBytes
}
