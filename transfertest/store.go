package transfertest

import (
	"context"
	"slices"
	"sync"

	"github.com/seed62b9dc43/transfer/store"
)

// StoreOp is a set of calls on a [Store]: OpClaim | OpUpdate is both.
type StoreOp uint16

// The calls on a store.Store but Close, which always closes, and Watch, whose hints may be missing anyway.
const (
	OpCreateTransfer StoreOp = 1 << iota
	OpGetTransfer
	OpListFiles
	OpCountFiles
	OpClaim
	OpUpdate
	OpControl
	OpSwept
	OpPurge
	OpConnectors // every call of store.Connectors
	OpOperations // every call of store.Operations
	OpDuties     // every call of store.Duties
	OpJournal    // every call of store.Journal
	OpLedger     // every call of store.Ledger
)

// StoreRule strikes single calls. Several rules may strike one call; the first with Err ends it.
type StoreRule struct {
	Op    StoreOp // which calls; 0 means all
	Nth   int     // the first matching call that it strikes, from 1 on; 0 means 1
	Times int     // how many it strikes; 0 means one if Nth is set, else all; -1 means all

	Do   func()          // called before anything else; may use the store
	Hold <-chan struct{} // the call waits until it is closed, or until its context ends
	Err  error           // the call fails with it
	Done bool            // what was asked is done before it fails, as if the answer was lost
}

// Store is a store.Store whose calls fail or wait as its rules say: a database that goes away, or whose answer gets
// lost.
type Store struct {
	store.Store // the one behind

	mu    sync.Mutex // guards rules
	rules []*storeRule
}

type storeRule struct {
	StoreRule
	*Injection
}

// NewStore returns a Store over inner; nil means a new store.Memory.
func NewStore(inner store.Store) *Store {
	if inner == nil {
		inner = store.NewMemory()
	}
	return &Store{Store: inner}
}

// Inject makes a rule strike from now on.
func (s *Store) Inject(r StoreRule) *Injection {
	rule := &storeRule{r, newInjection(r.Nth, r.Times)}
	rule.remove = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rules = slices.DeleteFunc(slices.Clone(s.rules), func(other *storeRule) bool { return other == rule })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(slices.Clip(s.rules), rule)
	return rule.Injection
}

// run does a call as the rules say.
func (s *Store) run(ctx context.Context, op StoreOp, do func() error) error {
	s.mu.Lock()
	rules := s.rules
	s.mu.Unlock()
	for _, r := range rules {
		if r.Op != 0 && r.Op&op == 0 || !r.strikes() {
			continue
		}
		if r.Do != nil {
			r.Do()
		}
		if r.Hold != nil {
			select {
			case <-r.Hold:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if r.Err != nil {
			if r.Done {
				_ = do()
			}
			return r.Err
		}
	}
	return do()
}

// CreateTransfer calls the store behind, if the rules let it.
func (s *Store) CreateTransfer(ctx context.Context, t store.Transfer, files []store.NewFile) (stored store.Transfer, err error) {
	err = s.run(ctx, OpCreateTransfer, func() (err error) { stored, err = s.Store.CreateTransfer(ctx, t, files); return err })
	return orZero(stored, err), err
}

// GetTransfer calls the store behind, if the rules let it.
func (s *Store) GetTransfer(ctx context.Context, id string) (t store.Transfer, err error) {
	err = s.run(ctx, OpGetTransfer, func() (err error) { t, err = s.Store.GetTransfer(ctx, id); return err })
	return orZero(t, err), err
}

// ListFiles calls the store behind, if the rules let it.
func (s *Store) ListFiles(ctx context.Context, q store.Query) (files []store.File, err error) {
	err = s.run(ctx, OpListFiles, func() (err error) { files, err = s.Store.ListFiles(ctx, q); return err })
	return orZero(files, err), err
}

// CountFiles calls the store behind, if the rules let it.
func (s *Store) CountFiles(ctx context.Context, q store.Query) (counts map[store.State]int64, err error) {
	err = s.run(ctx, OpCountFiles, func() (err error) { counts, err = s.Store.CountFiles(ctx, q); return err })
	return orZero(counts, err), err
}

// Claim calls the store behind, if the rules let it.
func (s *Store) Claim(ctx context.Context, r store.ClaimRequest) (claimed []store.Claimed, err error) {
	err = s.run(ctx, OpClaim, func() (err error) { claimed, err = s.Store.Claim(ctx, r); return err })
	return orZero(claimed, err), err
}

// Update calls the store behind, if the rules let it.
func (s *Store) Update(ctx context.Context, changes []store.Change) (verdicts []error, err error) {
	err = s.run(ctx, OpUpdate, func() (err error) { verdicts, err = s.Store.Update(ctx, changes); return err })
	return orZero(verdicts, err), err
}

// Control calls the store behind, if the rules let it.
func (s *Store) Control(ctx context.Context, r store.ControlRequest) (verdicts []error, err error) {
	err = s.run(ctx, OpControl, func() (err error) { verdicts, err = s.Store.Control(ctx, r); return err })
	return orZero(verdicts, err), err
}

// Swept calls the store behind, if the rules let it.
func (s *Store) Swept(ctx context.Context, ids []int64) error {
	return s.run(ctx, OpSwept, func() error { return s.Store.Swept(ctx, ids) })
}

// Purge calls the store behind, if the rules let it.
func (s *Store) Purge(ctx context.Context, r store.PurgeRequest) (n int, err error) {
	err = s.run(ctx, OpPurge, func() (err error) { n, err = s.Store.Purge(ctx, r); return err })
	return orZero(n, err), err
}

// orZero hides what was done before a call failed.
func orZero[T any](value T, err error) T {
	if err != nil {
		var zero T
		return zero
	}
	return value
}
