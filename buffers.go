package transfer

import (
	"context"
	"fmt"
	"math/bits"
	"sync"

	"golang.org/x/sync/semaphore"
)

const (
	smallestBuffer = 4 << 10
	mebibyte       = 1 << 20
)

// buffers lends window buffers within one byte budget for all files of a node. Buffers that came back are kept for
// reuse; lent and kept ones together stay within the budget, so that memory is bounded without waiting for the
// garbage collector. Large ones are none of its business at all where the system allows that: it lets garbage grow as
// large as what is in use, and so the process would take twice as much as the windows do.
type buffers struct {
	window int64
	lent   *semaphore.Weighted // bounds what is lent

	mu        sync.Mutex // guards the fields below
	kept      map[int64][][]byte
	keptBytes int64
	lentBytes int64
	budget    int64

	of *buffers // not nil: these are a share of it, and only window, lent and budget count
}

// share returns the part of b that one connector may use: most bytes, or one window if that is larger. So a partner
// that does not move leaves something for the others.
func (b *buffers) share(most int64) *buffers {
	return &buffers{window: b.window, lent: semaphore.NewWeighted(most), budget: most, of: b}
}

func newBuffers(budget, window int64) *buffers {
	return &buffers{
		window: window,
		lent:   semaphore.NewWeighted(budget),
		kept:   make(map[int64][][]byte),
		budget: budget,
	}
}

// class is the capacity of the buffer for n bytes: a power of two up to a window, whole MiB beyond. A budget of one
// window is always enough for one window.
func (b *buffers) class(n int64) int64 {
	if n > b.window {
		return (n + mebibyte - 1) / mebibyte * mebibyte
	}
	if n <= smallestBuffer {
		return min(smallestBuffer, b.window)
	}
	return min(1<<bits.Len64(uint64(n-1)), b.window)
}

// get lends a buffer of n bytes, waiting until the budget allows it. More than the whole budget is an error.
func (b *buffers) get(ctx context.Context, n int64) ([]byte, error) {
	class := b.class(n)
	if b.of != nil {
		own := min(class, b.budget)
		if err := b.lent.Acquire(ctx, own); err != nil {
			return nil, err
		}
		buf, err := b.of.get(ctx, n)
		if err != nil {
			b.lent.Release(own)
		}
		return buf, err
	}
	if class > b.budget {
		return nil, fmt.Errorf("a window of %d bytes is more than Config.MemoryBudget, %d (raise it)", n, b.budget)
	}
	if err := b.lent.Acquire(ctx, class); err != nil {
		return nil, err
	}
	return b.take(n), nil
}

// getPair lends two buffers, of n and m bytes, at once: whoever has one and waits for the other may keep others waiting who
// do the same.
func (b *buffers) getPair(ctx context.Context, n, m int64) (first, second []byte, err error) {
	own, most := b.class(n)+b.class(m), b.budget
	if own > most {
		return nil, nil, fmt.Errorf("windows of %d and %d bytes are more than Config.MemoryBudget leaves for a connector, %d (raise it)", n, m, most)
	}
	if err := b.lent.Acquire(ctx, own); err != nil {
		return nil, nil, err
	}
	if b.of == nil {
		return b.take(n), b.take(m), nil
	}
	if first, second, err = b.of.getPair(ctx, n, m); err != nil {
		b.lent.Release(own)
	}
	return first, second, err
}

// tryGet lends a buffer of n bytes if the budget allows it just now, and returns nil otherwise.
func (b *buffers) tryGet(n int64) []byte {
	class := b.class(n)
	if class > b.budget || !b.lent.TryAcquire(class) {
		return nil
	}
	if b.of == nil {
		return b.take(n)
	}
	buf := b.of.tryGet(n)
	if buf == nil {
		b.lent.Release(class)
	}
	return buf
}

// take returns a buffer of n bytes that are acquired.
func (b *buffers) take(n int64) []byte {
	class := b.class(n)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lentBytes += class
	if free := b.kept[class]; len(free) > 0 {
		buf := free[len(free)-1]
		b.kept[class] = free[:len(free)-1]
		b.keptBytes -= class
		return buf[:n]
	}
	for size, free := range b.kept {
		if b.lentBytes+b.keptBytes <= b.budget {
			break
		}
		b.forget(size, free)
	}
	if class < mebibyte {
		return make([]byte, n, class)
	}
	return newPages(class)[:n]
}

// forget is called with mu locked.
func (b *buffers) forget(size int64, free [][]byte) {
	b.keptBytes -= size * int64(len(free))
	delete(b.kept, size)
	for _, buf := range free {
		if size >= mebibyte {
			freePages(buf)
		}
	}
}

// close lets go what is kept, once nothing is lent any more.
func (b *buffers) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for size, free := range b.kept {
		b.forget(size, free)
	}
}

// put takes a buffer back.
func (b *buffers) put(buf []byte) {
	class := int64(cap(buf))
	if b.of != nil {
		b.of.put(buf)
		b.lent.Release(min(class, b.budget))
		return
	}
	b.mu.Lock()
	b.lentBytes -= class
	b.keptBytes += class
	b.kept[class] = append(b.kept[class], buf)
	b.mu.Unlock()
	b.lent.Release(class)
}
