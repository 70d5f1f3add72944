package store

// stops is a source: running files in the order by stop, in which no list keeps them. It is a heap, so that a page puts
// no more of them in order than it goes through.
type stops struct {
	entries []entry
	ordered bool // else in no order and no heap
	down    bool
}

// stopsOf returns the running files of a group that are in a part of the axis byStop.
func (m *Memory) stopsOf(g *group, from, to entry, ordered, down bool) *stops {
	s := &stops{ordered: ordered, down: down}
	if g.counts[Running] == 0 {
		return s
	}
	s.entries = make([]entry, 0, g.counts[Running])
	for _, b := range g.lists[Running][byID].blocks {
		for _, running := range b {
			if e := m.rows.get(running.id).entry(byStop); !e.before(from) && e.before(to) {
				s.entries = append(s.entries, e)
			}
		}
	}
	if ordered {
		for i := len(s.entries)/2 - 1; i >= 0; i-- {
			s.sink(i)
		}
	}
	return s
}

func (s *stops) next() (entry, bool) {
	end := len(s.entries) - 1
	if end < 0 {
		return entry{}, false
	}
	e := s.entries[0]
	s.entries[0] = s.entries[end]
	s.entries = s.entries[:end]
	if s.ordered {
		s.sink(0)
	}
	return e, true
}

func (s *stops) size() int { return len(s.entries) }

// sink moves an entry behind those below it in the heap that come before it.
func (s *stops) sink(i int) {
	h := s.entries
	for {
		first := 2*i + 1
		if first >= len(h) {
			return
		}
		if other := first + 1; other < len(h) && h[other].before(h[first]) != s.down {
			first = other
		}
		if h[i].before(h[first]) != s.down {
			return
		}
		h[i], h[first] = h[first], h[i]
		i = first
	}
}
