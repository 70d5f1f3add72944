package store

import (
	"math"
	"slices"
	"sort"
)

// entry is the place of a row in a list: by key, ties by id.
type entry struct{ key, id int64 }

var (
	lowest  = entry{math.MinInt64, math.MinInt64} // before all others
	highest = entry{math.MaxInt64, math.MaxInt64} // behind all others
)

func (e entry) before(o entry) bool { return e.key < o.key || e.key == o.key && e.id < o.id }

func (e entry) compare(o entry) int {
	switch {
	case e.before(o):
		return -1
	case e == o:
		return 0
	}
	return 1
}

// blockSize is how many entries a block of a list holds at most: 8 KiB.
const blockSize = 512

// list is a sorted list of entries in blocks, none of which is empty. To add and to remove costs a binary search and a
// move within a block. Entries hold no pointers, so that the garbage collector does not look at them.
type list struct {
	blocks [][]entry
}

// place is where an entry stands in a list.
type place struct{ block, at int }

func (p place) before(o place) bool { return p.block < o.block || p.block == o.block && p.at < o.at }

// add puts e, which is not in the list, where it belongs.
func (l *list) add(e entry) {
	end := len(l.blocks) - 1
	switch {
	case end < 0:
		l.blocks = append(l.blocks, []entry{e})
		return
	case len(l.blocks[end]) == blockSize && l.blocks[end][blockSize-1].before(e):
		l.blocks = append(l.blocks, append(make([]entry, 0, blockSize), e))
		return
	}
	i := l.blockOf(e)
	if len(l.blocks[i]) >= blockSize {
		l.split(i)
		i = l.blockOf(e)
	}
	b := l.blocks[i]
	l.blocks[i] = slices.Insert(b, search(b, e), e)
}

// remove takes e, which is in the list, out.
func (l *list) remove(e entry) {
	i := l.blockOf(e)
	b := l.blocks[i]
	at := search(b, e)
	if at == 0 {
		b = b[1:] // queues are emptied from the front
	} else {
		b = append(b[:at], b[at+1:]...)
	}
	l.blocks[i] = b
	if len(b) == 0 {
		l.blocks = slices.Delete(l.blocks, i, i+1)
	} else if len(b) < blockSize/4 {
		l.join(i)
		l.join(i - 1)
	}
}

// split makes two blocks of a full one.
func (l *list) split(i int) {
	b := l.blocks[i]
	l.blocks[i] = b[:blockSize/2]
	l.blocks = slices.Insert(l.blocks, i+1, slices.Clone(b[blockSize/2:]))
}

// join makes one block of this one and the next, if they are small.
func (l *list) join(i int) {
	if i < 0 || i+1 >= len(l.blocks) || len(l.blocks[i])+len(l.blocks[i+1]) > blockSize/2 {
		return
	}
	l.blocks[i] = append(l.blocks[i], l.blocks[i+1]...)
	l.blocks = slices.Delete(l.blocks, i+1, i+2)
}

// blockOf returns the block in which e is or belongs, of a list that is not empty. News are at the end, what is claimed
// at the front: these two are found without a search.
func (l *list) blockOf(e entry) int {
	end := len(l.blocks) - 1
	switch {
	case end == 0 || !e.before(l.blocks[end][0]):
		return end
	case e.before(l.blocks[1][0]):
		return 0
	}
	return sort.Search(end, func(i int) bool { return e.before(l.blocks[i][0]) }) - 1
}

// search returns the place in b of the first entry that is not before e.
func search(b []entry, e entry) int {
	end := len(b) - 1
	switch {
	case b[end].before(e):
		return end + 1
	case !b[0].before(e):
		return 0
	}
	return sort.Search(end, func(i int) bool { return !b[i].before(e) })
}

// seek returns the place of the first entry that is not before e.
func (l *list) seek(e entry) place {
	if len(l.blocks) == 0 {
		return place{}
	}
	p := place{block: l.blockOf(e)}
	p.at = search(l.blocks[p.block], e)
	if p.at == len(l.blocks[p.block]) {
		return place{block: p.block + 1}
	}
	return p
}

// source gives candidates for a query, one after the other.
type source interface {
	next() (entry, bool)
	// size is how many are left, or more.
	size() int
}

// span is a source: what is left of a part of a list.
type span struct {
	*list
	from, to place // to is behind the last
	down     bool  // it is read from the end
}

// span returns the entries that are not before from and before to.
func (l *list) span(from, to entry, down bool) *span {
	s := &span{list: l, from: l.seek(from), to: l.seek(to), down: down}
	if s.to.before(s.from) {
		s.to = s.from
	}
	return s
}

func (s *span) next() (entry, bool) {
	switch {
	case s.from == s.to:
		return entry{}, false
	case s.down:
		return s.lastOne(), true
	}
	e := s.blocks[s.from.block][s.from.at]
	s.from.at++
	if s.from.at == len(s.blocks[s.from.block]) {
		s.from = place{block: s.from.block + 1}
	}
	return e, true
}

func (s *span) lastOne() entry {
	if s.to.at == 0 {
		s.to.block--
		s.to.at = len(s.blocks[s.to.block])
	}
	s.to.at--
	return s.blocks[s.to.block][s.to.at]
}

func (s *span) size() int {
	n := s.to.at - s.from.at
	for _, b := range s.blocks[s.from.block:s.to.block] {
		n += len(b)
	}
	return n
}

// merged is a source: some others, each of them in order, merged. There are at most as many as states, so that the
// next one is found by looking at each.
type merged struct {
	sources []source
	heads   []entry // the next one of each
	down    bool
}

func merge(sources []source, down bool) *merged {
	m := &merged{down: down}
	for _, s := range sources {
		if e, ok := s.next(); ok {
			m.sources, m.heads = append(m.sources, s), append(m.heads, e)
		}
	}
	return m
}

func (m *merged) next() (entry, bool) {
	if len(m.heads) == 0 {
		return entry{}, false
	}
	best := 0
	for i := 1; i < len(m.heads); i++ {
		if m.heads[i].before(m.heads[best]) != m.down {
			best = i
		}
	}
	e := m.heads[best]
	head, ok := m.sources[best].next()
	if ok {
		m.heads[best] = head
	} else {
		m.sources = slices.Delete(m.sources, best, best+1)
		m.heads = slices.Delete(m.heads, best, best+1)
	}
	return e, true
}
