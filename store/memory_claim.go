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
	line := m.line(&r, now)
	room := 0
	for _, t := range line {
		room += t.room
	}
	claimed := make([]Claimed, 0, max(0, min(r.Max, room)))
	for len(line) > 0 && len(claimed) < r.Max { // one round of turns
		again := line[:0]
		for _, t := range line[:min(len(line), r.Max-len(claimed))] {
			claimed = append(claimed, m.claimNext(t, &r, now))
			t.room--
			if t.next = t.first(now); t.next != nil && t.room > 0 {
				again = append(again, t)
			}
		}
		line = again
	}
	return claimed, nil
}

// turn is a queue that has a file to claim, within a Claim.
type turn struct {
	*queue
	next *row
	room int // how many more may be claimed of it
}

// line returns the queues that have a file to claim, the one that waits longest for its turn first, but no more of them
// than files are wanted: there may be many, and to look at one's files takes longer than to see that its turn is later.
func (m *Memory) line(r *ClaimRequest, now micros) []turn {
	most := max(0, r.Max)
	var line []turn
	for connectorID := range r.Limits {
		q := m.queues[connectorID]
		if q == nil {
			continue
		}
		place, _ := slices.BinarySearchFunc(line, turn{queue: q}, byTurn)
		if place == most {
			continue
		}
		q.expire(now)
		if t := (turn{queue: q, next: q.first(now), room: q.room(r)}); t.next != nil && t.room > 0 {
			line = slices.Insert(line, place, t)
			line = line[:min(len(line), most)]
		}
	}
	return line
}

func byTurn(a, b turn) int {
	return cmp.Or(cmp.Compare(a.turn, b.turn), strings.Compare(a.connectorID, b.connectorID))
}

// claimNext leases the next file of the queue whose turn it is.
func (m *Memory) claimNext(t turn, req *ClaimRequest, now micros) Claimed {
	m.turns++
	q, r := t.queue, t.next
	q.turn = m.turns
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
