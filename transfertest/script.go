package transfertest

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"time"
)

// Op is a set of calls on a [Storage] or a [Connector]: OpOpen | OpCreate is both.
type Op uint16

// The calls on a Storage, its Sources and Sinks, and on a Connector and its Remotes.
const (
	OpOpen Op = 1 << iota
	OpReadWindow
	OpCloseSource
	OpCreate
	OpWriteWindow
	OpCommit
	OpAbort
	OpCloseSink
	OpConnect
	OpCloseRemote
	OpListDirectory
	OpRemovePath
	OpMovePath
	OpMakeDirectory
	storageOps = iota
)

var opNames = [storageOps]string{
	"Open", "ReadWindow", "CloseSource", "Create", "WriteWindow", "Commit", "Abort", "CloseSink", "Connect",
	"CloseRemote", "ListDirectory", "RemovePath", "MovePath", "MakeDirectory",
}

// String names the calls, such as "Open|Create".
func (o Op) String() string {
	if o == 0 {
		return "any"
	}
	var names []string
	for rest := o; rest != 0; rest &= rest - 1 {
		if i := bits.TrailingZeros16(uint16(rest)); i < storageOps {
			names = append(names, opNames[i])
		}
	}
	return strings.Join(names, "|")
}

// Rule strikes single calls. Several rules may strike one call: all do what comes before the answer, and the first
// with Err or Block ends it.
type Rule struct {
	Op    Op     // which calls; 0 means all
	Path  string // a pattern as in path.Match, of the whole path, or of the base name if it has no slash; empty means all
	Nth   int    // the first matching call that it strikes, from 1 on; 0 means 1
	Times int    // how many it strikes; 0 means one if Nth is set, else all; -1 means all

	Do    func(Call)      // called before anything else; may use the storage
	Delay time.Duration   // the call waits so long, or until its context ends
	Hold  <-chan struct{} // the call waits until it is closed, or until its context ends

	Block bool  // the call fails with its context's error once that has ended; without effect on the calls to close
	Err   error // the call fails with it; what is to be closed is closed all the same
	Done  bool  // what was asked is done before it fails
}

// FailNth is the rule that fails the n-th call in op (0 means any call), counted from 1 on, with err. A test visits every
// place of failure by counting n up until the rule has no Hits.
func FailNth(op Op, n int, err error) Rule { return Rule{Op: op, Nth: n, Times: 1, Err: err} }

// Call is a call as a rule sees it.
type Call struct {
	Op     Op
	Path   string // empty for OpConnect and OpCloseRemote
	Offset int64  // of a window
	Length int    // of a window
}

// script counts calls, lets rules strike them, and knows what is open.
type script struct {
	mu         sync.Mutex // guards all below
	rules      []*rule
	calls      map[Op]int
	open       map[Op]int // by the call that opened it
	peak       int        // of open remotes
	violations []string
}

// rule is a Rule at work.
type rule struct {
	Rule
	*Injection
}

func newScript() *script { return &script{calls: map[Op]int{}, open: map[Op]int{}} }

// Inject adds a rule.
func (s *script) Inject(r Rule) *Injection {
	at := &rule{r, newInjection(r.Nth, r.Times)}
	at.remove = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rules = slices.DeleteFunc(slices.Clone(s.rules), func(x *rule) bool { return x == at })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(slices.Clone(s.rules), at)
	return at.Injection
}

// Calls returns how often any call in op was made, struck or not; 0 means all.
func (s *script) Calls(op Op) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for one, count := range s.calls {
		if op == 0 || op&one != 0 {
			n += count
		}
	}
	return n
}

// OpenSources returns how many Sources were opened and not closed.
func (s *script) OpenSources() int { return s.opened(OpOpen) }

// OpenSinks returns how many Sinks were created and not closed.
func (s *script) OpenSinks() int { return s.opened(OpCreate) }

// Violations returns what the caller did against the contract of Storage, Source, Sink and Remote: used after Close,
// closed twice, more windows at once than Concurrency, a window past the end, and the like.
func (s *script) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

func (s *script) violation(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violations = append(s.violations, fmt.Sprintf(format, args...))
}

func (s *script) opened(by Op) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[by]
}

func (s *script) track(by Op, change int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[by] += change
	s.peak = max(s.peak, s.open[OpConnect])
}

// run makes one call through the rules; do is the call itself.
func (s *script) run(ctx context.Context, c Call, do func() error) error {
	s.mu.Lock()
	s.calls[c.Op]++
	rules := s.rules
	s.mu.Unlock()
	closing := c.Op&(OpCloseSource|OpCloseSink|OpCloseRemote) != 0
	for _, r := range rules {
		if r.Op != 0 && r.Op&c.Op == 0 || !match(r.Path, c.Path) || !r.strikes() {
			continue
		}
		err := r.before(ctx, c, closing)
		if err == nil {
			err = r.Err
		}
		if err == nil {
			continue
		}
		if closing || r.Done {
			_ = do() // what it says is not what this test is about
		}
		return err
	}
	return do()
}

// before does what a rule does before the answer. An error is the end of the call's context.
func (r *rule) before(ctx context.Context, c Call, closing bool) error {
	if r.Do != nil {
		r.Do(c)
	}
	if r.Delay > 0 {
		timer := time.NewTimer(r.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if r.Hold != nil {
		select {
		case <-r.Hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if r.Block && !closing {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}
