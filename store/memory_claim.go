package store

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// Claim implements [Store].
func (m *Memory) Claim(ctx context.Context, r ClaimRequest) ([]Claimed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	now := microsOf(time.Now())
	line := m.line(r, now)
	room := 0
	for _, q := range line {
		room += q.room(r.Limits[q.connectorID])
	}
	claimed := make([]Claimed, 0, max(0, min(r.Max, room)))
	for len(line) > 0 && len(claimed) < r.Max { // one round of turns
		again := line[:0]
		for _, q := range line[:min(len(line), r.Max-len(claimed))] {
			claimed = append(claimed, m.claimNext(q, r, now))
			if q.claimable(r.Limits[q.connectorID], now) {
				again = append(again, q)
			}
		}
		line = again
	}
	return claimed, nil
}

// line returns the queues that have a file to claim, the one that waits longest for its turn first, but no more of them
// than files are wanted: there may be many, and to look at one's files takes longer than to see that its turn is later.
func (m *Memory) line(r ClaimRequest, now micros) []*queue {
	most := max(0, r.Max)
	var line []*queue
	for connectorID, limit := range r.Limits {
		q := m.queues[connectorID]
		if q == nil {
			continue
		}
		place, _ := slices.BinarySearchFunc(line, q, byTurn)
		if place == most {
			continue
		}
		q.expire(now)
		if q.claimable(limit, now) {
			line = slices.Insert(line, place, q)
			line = line[:min(len(line), most)]
		}
	}
	return line
}

func byTurn(a, b *queue) int {
	return cmp.Or(cmp.Compare(a.turn, b.turn), strings.Compare(a.connectorID, b.connectorID))
}

// claimNext leases the first ready file of q.
func (m *Memory) claimNext(q *queue, req ClaimRequest, now micros) Claimed {
	m.turns++
	q.turn = m.turns
	r := q.ready[0]
	q.remove(r)
	m.delist(r)
	r.state, r.phase = Running, PhaseConnect
	r.attempts++
	r.token++
	r.worker = req.Worker
	r.leaseUntil = now.add(req.Lease)
	r.updatedAt = now
	if r.startedAt == never {
		r.startedAt = now
	}
	m.enlist(r)
	q.lease(r)
	c := Claimed{Spec: bytes.Clone(r.transfer.Spec)}
	r.file(&c.File)
	return c
}
