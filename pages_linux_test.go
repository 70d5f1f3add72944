//go:build linux && !race

package transfer

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLargeBuffersAreOutsideOfTheHeap(t *testing.T) { // not parallel: it looks at the heap of the whole process
	const window = 8 << 20
	b := newBuffers(8*window, window)
	before := heapAlloc()
	var lent [][]byte
	for range 8 {
		buf, err := b.get(t.Context(), window-1)
		require.NoError(t, err)
		require.Len(t, buf, window-1)
		buf[window-2] = 1
		lent = append(lent, buf)
	}
	require.Less(t, heapAlloc(), before+window, "64 MiB are lent")
	for _, buf := range lent {
		b.put(buf)
	}
	b.close()
	require.Zero(t, b.keptBytes)

	again := newPages(window)
	require.Same(t, &lent[7][0], &again[0], "what was let go is used again")
	require.Equal(t, -1, bytes.IndexFunc(again, func(r rune) bool { return r != 0 }), "and its memory was given back")
	freePages(again)
}

func heapAlloc() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
