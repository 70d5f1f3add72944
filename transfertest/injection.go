package transfertest

import (
	"path"
	"strings"
	"sync"
)

// Injection is a rule at work.
type Injection struct {
	remove func()
	hit    chan struct{}

	mu    sync.Mutex // guards all below
	nth   int
	times int
	seen  int
	hits  int
}

func newInjection(nth, times int) *Injection {
	if nth > 0 && times == 0 {
		times = 1
	}
	return &Injection{hit: make(chan struct{}), nth: max(nth, 1), times: times}
}

// Remove ends the rule. What it holds back or delays already stays so.
func (i *Injection) Remove() { i.remove() }

// Hits returns how often the rule has struck.
func (i *Injection) Hits() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.hits
}

// Hit is closed when the rule strikes for the first time, before anything else happens.
func (i *Injection) Hit() <-chan struct{} { return i.hit }

// strikes counts one matching call and reports whether the rule strikes it.
func (i *Injection) strikes() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.seen++
	if i.seen < i.nth || i.times > 0 && i.seen >= i.nth+i.times {
		return false
	}
	if i.hits++; i.hits == 1 {
		close(i.hit)
	}
	return true
}

// match reports whether name fits pattern: the whole path, or the base name if the pattern has no slash.
func match(pattern, name string) bool {
	if pattern == "" {
		return true
	}
	if name == "" {
		return false
	}
	if !strings.Contains(pattern, "/") {
		name = path.Base(name)
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
