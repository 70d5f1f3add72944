package transfertest

import "sync"

// use watches how a Source or Sink is used.
type use struct {
	*script
	what string

	mu       sync.Mutex // guards all below
	running  int        // windows
	last     int64      // offset of the last window
	finished bool       // Commit or Abort was called
	closed   bool
}

// window notes the begin of a window; what it returns notes the end.
func (u *use) window(off int64, n int, size int64, concurrency int) (done func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.running++
	switch {
	case u.closed:
		u.violation("%s: window at %d after Close", u.what, off)
	case u.finished:
		u.violation("%s: window at %d after Commit or Abort", u.what, off)
	case u.running > concurrency:
		u.violation("%s: %d windows at once, where Concurrency is %d", u.what, u.running, concurrency)
	case concurrency == 1 && off < u.last:
		u.violation("%s: window at %d after the one at %d, where Concurrency is 1", u.what, off, u.last)
	}
	if off < 0 || off+int64(n) > size {
		u.violation("%s: window of %d bytes at %d, where there are %d", u.what, n, off, size)
	}
	u.last = off
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.running--
	}
}

// finish notes a Commit or an Abort.
func (u *use) finish(call string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.closed:
		u.violation("%s: %s after Close", u.what, call)
	case u.running > 0:
		u.violation("%s: %s while %d windows run", u.what, call, u.running)
	case u.finished && call == "Commit":
		u.violation("%s: Commit after Commit or Abort", u.what)
	}
	u.finished = true
}

// end notes a Close and reports whether it is the first.
func (u *use) end() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.closed:
		u.violation("%s: closed twice", u.what)
		return false
	case u.running > 0:
		u.violation("%s: closed while %d windows run", u.what, u.running)
	}
	u.closed = true
	return true
}
