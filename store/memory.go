package store

import (
	"bytes"
	linked "container/list"
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"time"
)

// Memory is a [Store] that keeps everything in the process and forgets it when the process ends: the default, and the
// one for tests. It is built for millions of rows: a file takes about 430 bytes besides its paths and its checkpoint, a
// transfer, a partner and a rule some hundred each. What CreateTransfer, Claim, Update, Control, Swept and Purge cost
// depends on how many files they are about, and but for a logarithm not on how many others there are.
//
// Pages in the orders by id, start and stop cost what is on them, wherever they begin, for all files, those of a
// partner, of a rule, in some states, or of a partner or a rule in some states; From and To are as good in the orders
// by start, Updated in those by stop. So do pages by id of one transfer and of litter. Pages by stop and counts within
// Updated also look at all running files of the partner or the rule, or of all, at 0.02 µs each. Lists of one transfer, follow id or LocalPath in any order look at all files that these have. With any
// other filter, each file of the smallest of these sets is looked at until the page is full, all of them in the orders
// by source path, and none outside of bounds of time, at 0.1 to 0.2 µs each: 0.2 s in a million where nothing matches.
// An Offset passes over files one by one.
//
// Listing the events of a stream looks at all of them behind After, those of LookUp cost what is looked up. Duties,
// connectors and operations are few: each call that lists or claims looks at all of them.
//
// Counts look at no file where all files, a partner or a rule are counted, also in some states and within From and To or
// Updated, or a transfer or a follow id, also in some states; otherwise at all of the smallest set. Lists and counts
// hold off writers while they look, and end with ctx.
type Memory struct {
	mu        sync.RWMutex // guards all fields below and everything that they lead to
	closed    bool
	transfers map[string]*transfer // by id
	tokens    map[string]*transfer // by client token
	queues    map[string]*queue    // by connector id
	follows   map[string]*transfer // the newest one by follow id
	rows      table
	all       group
	partners  groups
	rules     groups
	litter    list // by id
	paths     list // by the hash of LocalPath
	seed      maphash.Seed
	turns     uint64 // how many files were ever claimed
	watchers  map[*watcher]struct{}

	connectors map[string]*Connector // by id, deleted ones too
	revision   int64                 // of the last change of any of them
	operations map[string]*Operation // by id
	duties     map[string]*Duty      // by name
	journal    journal
	ledger     ledger
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{
		transfers: make(map[string]*transfer),
		tokens:    make(map[string]*transfer),
		queues:    make(map[string]*queue),
		follows:   make(map[string]*transfer),
		partners:  make(groups),
		rules:     make(groups),
		seed:      maphash.MakeSeed(),
		watchers:  make(map[*watcher]struct{}),

		connectors: make(map[string]*Connector),
		operations: make(map[string]*Operation),
		duties:     make(map[string]*Duty),
		journal:    journal{streams: make(map[string]*stream)},
		ledger:     ledger{entries: make(map[ledgerKey]*linked.Element)},
	}
}

// CreateTransfer implements [Store].
func (m *Memory) CreateTransfer(ctx context.Context, t Transfer, files []NewFile) (Transfer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return Transfer{}, err
	}
	if known := m.tokens[t.ClientToken]; known != nil {
		if !bytes.Equal(known.RequestHash, t.RequestHash) {
			return Transfer{}, ErrTokenReused
		}
		return clone(known.Transfer), nil
	}
	if m.transfers[t.ID] != nil {
		return Transfer{}, fmt.Errorf("store: transfer %s exists already (give each transfer a new id)", t.ID)
	}

	now := microsOf(time.Now())
	created := &transfer{Transfer: clone(t), first: m.rows.n + 1, queue: m.queue(t.ConnectorID)}
	created.Files = len(files)
	created.CreatedAt, created.createdAt = now.time(), now
	created.rule = m.rules.get(created.RuleName)
	m.addTransfer(created)
	m.addFiles(created, files, now)
	if len(files) > 0 {
		m.hint(FilesReady)
	}
	return clone(created.Transfer), nil
}

func (m *Memory) addTransfer(t *transfer) {
	m.transfers[t.ID] = t
	if t.ClientToken != "" {
		m.tokens[t.ClientToken] = t
	}
	if t.FollowID == "" {
		return
	}
	if t.older = m.follows[t.FollowID]; t.older != nil {
		t.older.newer = t
	}
	m.follows[t.FollowID] = t
}

// addFiles adds the rows of a transfer.
func (m *Memory) addFiles(t *transfer, files []NewFile, now micros) {
	var partner *group
	for i := range files {
		f := &files[i]
		if f.Partner != partner.value() {
			partner = m.partners.get(f.Partner)
		}
		r := m.rows.add()
		r.transfer = t
		r.direction, r.partner, r.sourcePath, r.targetPath, r.parent = f.Direction, partner, f.SourcePath, f.TargetPath, f.Parent
		r.state, r.size, r.priority = Queued, -1, f.Priority
		r.startAt = microsOf(f.StartAt)
		r.readyAt = max(r.startAt, now)
		r.updatedAt = now
		r.startedAt, r.finishedAt, r.leaseUntil = never, never, never
		t.queue.give(r)
		m.enlist(r)
		m.paths.add(m.pathOf(r))
	}
}

// pathOf returns the row's place in m.paths.
func (m *Memory) pathOf(r *row) entry {
	path := r.sourcePath
	if r.direction == Retrieve {
		path = r.targetPath
	}
	return entry{m.hash(path), r.id}
}

func (m *Memory) hash(text string) int64 { return int64(maphash.String(m.seed, text)) }

// GetTransfer implements [Store].
func (m *Memory) GetTransfer(ctx context.Context, id string) (Transfer, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return Transfer{}, err
	}
	t := m.transfers[id]
	if t == nil {
		return Transfer{}, ErrNotFound
	}
	return clone(t.Transfer), nil
}

// Close implements [Store].
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for w := range m.watchers {
		w.stop()
		w.hint()
	}
	m.transfers, m.tokens, m.queues, m.follows, m.watchers = nil, nil, nil, nil, nil
	m.rows, m.all, m.partners, m.rules = table{}, group{}, nil, nil
	m.litter, m.paths = list{}, list{}
	m.connectors, m.operations, m.duties = nil, nil, nil
	m.journal, m.ledger = journal{}, ledger{}
	return nil
}

// usable tells whether a call may go on: the store is open and ctx has not ended while the call waited for the lock.
func (m *Memory) usable(ctx context.Context) error {
	if m.closed {
		return ErrClosed
	}
	return ctx.Err()
}

func (m *Memory) queue(connectorID string) *queue {
	q := m.queues[connectorID]
	if q == nil {
		q = &queue{connectorID: connectorID}
		m.queues[connectorID] = q
	}
	return q
}
