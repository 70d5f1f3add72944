package store

import "container/heap"

// queue holds the files of one connector that can be claimed now or later. Each is in exactly one of the heaps.
type queue struct {
	connectorID string
	// by place of their priority: Queued, Waiting, Interrupted, and Running with a lease that was seen to have expired
	ready  [High - Low + 1]rowHeap
	leases rowHeap // Running
	turn   uint64
}

// heap returns where a file stands, or belongs.
func (q *queue) heap(r *row) *rowHeap {
	if r.leased {
		return &q.leases
	}
	return &q.ready[r.priority.place()]
}

// place is a number from 0, for the files that come first, to High - Low.
func (p Priority) place() int { return int(High - min(max(p, Low), High)) }

// give adds a file that nobody holds.
func (q *queue) give(r *row) {
	r.leased = false
	heap.Push(q.heap(r), r)
}

// lease adds a file that a worker holds.
func (q *queue) lease(r *row) {
	r.leased = true
	heap.Push(&q.leases, r)
}

// remove takes a file out.
func (q *queue) remove(r *row) { heap.Remove(q.heap(r), int(r.position)) }

// expire makes the files ready whose leases have expired.
func (q *queue) expire(now micros) {
	for len(q.leases) > 0 && q.leases[0].since() <= now {
		r := q.leases[0]
		q.remove(r)
		q.give(r)
	}
}

// first returns the file that is claimed next, or nil. One of a higher priority that is not ready yet hides none.
func (q *queue) first(now micros) *row {
	for i := range q.ready {
		if h := q.ready[i]; len(h) > 0 && h[0].since() <= now {
			return h[0]
		}
	}
	return nil
}

// room is how many files could be claimed at most, were all of them ready.
func (q *queue) room(r *ClaimRequest) int {
	n := 0
	for _, h := range q.ready {
		n += len(h)
	}
	n = min(n, r.Limits[q.connectorID]-len(q.leases))
	if most, bounded := r.Most[q.connectorID]; bounded {
		n = min(n, most)
	}
	return n
}

// rowHeap is a heap.Interface: first the row that is claimable first, ties by id.
type rowHeap []*row

func (h rowHeap) Len() int { return len(h) }

func (h rowHeap) Less(i, j int) bool {
	a, b := h[i].since(), h[j].since()
	return a < b || a == b && h[i].id < h[j].id
}

func (h rowHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].position, h[j].position = int32(i), int32(j)
}

func (h *rowHeap) Push(x any) {
	r := x.(*row)
	r.position = int32(len(*h))
	*h = append(*h, r)
}

func (h *rowHeap) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return r
}
