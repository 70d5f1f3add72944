package store

import "container/heap"

// queue holds the files of one connector that can be claimed now or later. Each is in exactly one of the two heaps.
type queue struct {
	connectorID string
	ready       rowHeap // Queued, Waiting, Interrupted, and Running with a lease that was seen to have expired
	leases      rowHeap // Running
	turn        uint64
}

// give adds a file that nobody holds.
func (q *queue) give(r *row) {
	r.leased = false
	heap.Push(&q.ready, r)
}

// lease adds a file that a worker holds.
func (q *queue) lease(r *row) {
	r.leased = true
	heap.Push(&q.leases, r)
}

// remove takes a file out.
func (q *queue) remove(r *row) {
	if r.leased {
		heap.Remove(&q.leases, int(r.position))
	} else {
		heap.Remove(&q.ready, int(r.position))
	}
}

// expire makes the files ready whose leases have expired.
func (q *queue) expire(now micros) {
	for len(q.leases) > 0 && q.leases[0].since() <= now {
		r := q.leases[0]
		q.remove(r)
		q.give(r)
	}
}

// room is how many files could be claimed at most, were all of them ready.
func (q *queue) room(limit int) int { return min(limit-len(q.leases), len(q.ready)) }

// claimable tells whether a file is ready and the limit allows one more to run.
func (q *queue) claimable(limit int, now micros) bool {
	return q.room(limit) > 0 && q.ready[0].since() <= now
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
