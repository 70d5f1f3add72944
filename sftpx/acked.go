package sftpx

import "sync"

// acked is how much of a file the server has acknowledged, from its start on. Windows may come in any order.
type acked struct {
	mu    sync.Mutex // guards the fields below
	end   int64
	ahead map[int64]int64 // windows behind a gap: where they start, and end
}

// below returns how many bytes there are without a gap.
func (a *acked) below() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.end
}

// top returns where the last of them ends.
func (a *acked) top() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	top := a.end
	for _, end := range a.ahead {
		top = max(top, end)
	}
	return top
}

// add notes a window.
func (a *acked) add(start, end int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if start > a.end {
		if a.ahead == nil {
			a.ahead = make(map[int64]int64)
		}
		a.ahead[start] = max(a.ahead[start], end)
		return
	}
	a.end = max(a.end, end)
	for next, ok := a.ahead[a.end]; ok; next, ok = a.ahead[a.end] {
		delete(a.ahead, a.end)
		a.end = max(a.end, next)
	}
}
