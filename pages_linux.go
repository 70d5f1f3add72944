//go:build linux && !race

package transfer

import (
	"sync"
	"syscall"
)

// unusedPages are those that were freed, by their size. They stay mapped, without memory behind them: whoever was lent
// them may look at them once more by mistake, and shall find zeros then, not the end of the process.
var unusedPages struct {
	mu     sync.Mutex // guards bySize
	bySize map[int64][][]byte
}

// newPages returns a buffer of n bytes that the garbage collector does not know.
func newPages(n int64) []byte {
	unusedPages.mu.Lock()
	defer unusedPages.mu.Unlock()
	if unused := unusedPages.bySize[n]; len(unused) > 0 {
		unusedPages.bySize[n] = unused[:len(unused)-1]
		return unused[len(unused)-1]
	}
	pages, err := syscall.Mmap(-1, 0, int(n), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil { // a limit of the system's that the heap may still be within
		return make([]byte, n)
	}
	return pages
}

// freePages gives the memory behind a buffer back to the system.
func freePages(pages []byte) {
	pages = pages[:cap(pages)]
	_ = syscall.Madvise(pages, syscall.MADV_DONTNEED) // what it refuses stays for the next one
	unusedPages.mu.Lock()
	defer unusedPages.mu.Unlock()
	if unusedPages.bySize == nil {
		unusedPages.bySize = make(map[int64][][]byte)
	}
	n := int64(len(pages))
	unusedPages.bySize[n] = append(unusedPages.bySize[n], pages)
}
