package store

import (
	"bytes"
	linked "container/list"
	"context"
	"slices"
	"time"
)

// ledger is what Memory keeps of a Ledger.
type ledger struct {
	entries map[ledgerKey]*linked.Element // of written
	written linked.List                   // of *LedgerEntry, in the order in which they were written
}

type ledgerKey struct{ scope, path string }

// enter writes the entry of a file that has become Done.
func (l *ledger) enter(e LedgerEntry, r *row) {
	e.SHA256 = bytes.Clone(e.SHA256)
	e.FileID, e.At = r.id, r.finishedAt.time()
	key := ledgerKey{e.Scope, e.Path}
	l.forget(key)
	l.entries[key] = l.written.PushBack(&e)
}

func (l *ledger) forget(key ledgerKey) {
	if known := l.entries[key]; known != nil {
		l.written.Remove(known)
		delete(l.entries, key)
	}
}

// LookUp implements [Store].
func (m *Memory) LookUp(ctx context.Context, scope string, paths []string) ([]LedgerEntry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	var found []LedgerEntry
	for _, path := range slices.Compact(slices.Sorted(slices.Values(paths))) {
		if known := m.ledger.entries[ledgerKey{scope, path}]; known != nil {
			e := *known.Value.(*LedgerEntry)
			e.SHA256 = bytes.Clone(e.SHA256)
			found = append(found, e)
		}
	}
	return found, nil
}

// Forget implements [Store].
func (m *Memory) Forget(ctx context.Context, scope string, paths []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	for _, path := range paths {
		m.ledger.forget(ledgerKey{scope, path})
	}
	return nil
}

// PurgeLedger implements [Store].
func (m *Memory) PurgeLedger(ctx context.Context, olderThan time.Duration, limit int) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return 0, err
	}
	removed, until := 0, microsOf(time.Now()).add(-olderThan)
	for removed < limit {
		oldest := m.ledger.written.Front()
		if oldest == nil {
			break
		}
		e := oldest.Value.(*LedgerEntry)
		if microsOf(e.At) > until {
			break
		}
		m.ledger.forget(ledgerKey{e.Scope, e.Path})
		removed++
	}
	return removed, nil
}
