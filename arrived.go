package transfer

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// check refuses options that no caller in its right mind gives. A Key becomes part of file names.
func (o CreateOptions) check() error {
	wrong := func(format string, args ...any) error {
		return &Error{Code: InternalError, Err: fmt.Errorf("CreateOptions."+format, args...)}
	}
	switch {
	case o.Size < UnknownSize:
		return wrong("Size is %d (must not be negative, but for UnknownSize)", o.Size)
	case o.WindowSize < 1:
		return wrong("WindowSize is %d (must be at least 1)", o.WindowSize)
	case !validKey(o.Key):
		return wrong("Key is %q (must be 16 to 64 characters of 0-9a-f)", o.Key)
	case !o.Overwrite.valid():
		return wrong("Overwrite is %q (try OverwriteReplace)", o.Overwrite)
	}
	return nil
}

// validKey reports whether a delivery may have this Key.
func validKey(key string) bool {
	return len(key) >= 16 && len(key) <= 64 && strings.Trim(key, "0123456789abcdef") == ""
}

// arrived knows which windows of a file are there.
type arrived struct {
	size   int64 // or UnknownSize
	window int64

	mu    sync.Mutex       // guards the fields below
	top   int64            // with UnknownSize: where the last window ends of those that have come
	short bool             // that one is shorter than the others, and so the last
	next  int64            // all windows below it are there
	chain uint32           // checksum of their checksums, in order
	above map[int64]uint32 // checksums of those above the first gap
}

func newArrived(o CreateOptions) *arrived {
	return &arrived{size: o.Size, window: o.WindowSize, above: make(map[int64]uint32)}
}

// fits reports whether a delivery with these options may go on with it.
func (a *arrived) fits(o CreateOptions) bool {
	return a.size >= 0 && a.size == o.Size && a.window == o.WindowSize
}

// index is the number of the window p at off, if it is one.
func (a *arrived) index(p []byte, off int64) (int64, error) {
	if a.size == UnknownSize {
		return a.indexOpen(p, off)
	}
	inside := off >= 0 && off%a.window == 0 && off <= a.size
	if !inside || int64(len(p)) != min(a.window, a.size-off) {
		return 0, &Error{Code: SizeMismatch,
			Err: fmt.Errorf("%d bytes at %d are no window of %d bytes in windows of %d", len(p), off, a.size, a.window)}
	}
	return off / a.window, nil
}

// indexOpen is index where the file ends with the first window that is shorter, or with the last one.
func (a *arrived) indexOpen(p []byte, off int64) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	end, short := off+int64(len(p)), int64(len(p)) < a.window
	switch {
	case off < 0 || off%a.window != 0 || len(p) == 0 || int64(len(p)) > a.window:
		return 0, &Error{Code: SizeMismatch, Err: fmt.Errorf("%d bytes at %d are no window in windows of %d", len(p), off, a.window)}
	case a.short && end > a.top, short && end < a.top:
		return 0, &Error{Code: SizeMismatch, Err: fmt.Errorf("%d bytes at %d are no window of a file that ends at %d", len(p), off, a.top)}
	}
	a.top, a.short = max(a.top, end), a.short || short
	return off / a.window, nil
}

// add notes that a window is there. It may come again.
func (a *arrived) add(index int64, sum uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if index < a.next {
		return
	}
	a.above[index] = sum
	for sum, ok := a.above[a.next]; ok; sum, ok = a.above[a.next] {
		delete(a.above, a.next)
		a.next++
		a.chain = chained(a.chain, sum)
	}
}

// below returns how many windows are there without a gap, and the checksum of their checksums.
func (a *arrived) below() (next int64, chain uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.next, a.chain
}

// complete fails with SizeMismatch while a window is missing.
func (a *arrived) complete() error {
	next, _ := a.below()
	size := a.total()
	if bytes := min(next*a.window, size); bytes < size {
		return &Error{Code: SizeMismatch, Err: fmt.Errorf("%d of %d bytes arrived without a gap", bytes, size)}
	}
	return nil
}

// total is the size of the file; while that is not known, where what has come so far ends.
func (a *arrived) total() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.size == UnknownSize {
		return a.top
	}
	return a.size
}

func chained(chain, sum uint32) uint32 {
	return crc32.Update(chain, castagnoli, binary.BigEndian.AppendUint32(nil, sum))
}
