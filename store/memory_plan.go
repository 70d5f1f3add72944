package store

import (
	"math"
	"slices"
	"time"
)

// plan is a way to answer a query: where to look, and what is left to check of each file found there.
type plan struct {
	sources []source // each file that matches is in one of them, none is in two
	states  []State  // of the sources, if each has one
	ordered bool     // each source is in the query's order and begins behind its cursor
	rest    Query    // the filters that the sources do not settle
	check   bool     // whether there are any
	scratch File
}

// settle notes which filters are left. Litter is left always, but Matches cannot check it without a copy of the
// checkpoint.
func (p *plan) settle(rest Query) {
	p.check = rest.filters()
	p.rest = rest
	p.rest.Litter = false
}

// filters reports whether q has a filter at all.
func (q *Query) filters() bool {
	return q.TransferID != "" || q.ConnectorID != "" || q.FollowID != "" || q.RuleName != "" || q.Partner != "" || q.SourcePath != "" ||
		q.LocalPath != "" || q.LocalPrefix != "" || q.Direction != 0 || q.States != nil || q.Code != "" || len(q.Metadata) > 0 ||
		!q.From.IsZero() || !q.To.IsZero() || !q.Updated.IsZero() || q.Litter
}

// matches reports whether a row of one of the sources is one that the query selects.
func (p *plan) matches(q *Query, r *row) bool {
	if !p.check {
		return true
	}
	if q.Litter && !r.litter() {
		return false
	}
	r.share(&p.scratch)
	return p.rest.Matches(&p.scratch)
}

func (p *plan) size() int {
	n := 0
	for _, s := range p.sources {
		n += s.size()
	}
	return n
}

// plans returns the ways to answer q: the one in q's order, if there is one, and the one with the fewest rows to look at,
// if that is another.
func (m *Memory) plans(q *Query) (ordered, small *plan) {
	if p := m.planSet(q); p != nil {
		if p.ordered {
			return p, nil
		}
		return nil, p
	}
	g := m.groupOf(q)
	a, ok := axisOf(q.Order)
	if ok {
		ordered = m.planGroup(q, g, a, true)
	}
	small = m.smallest(q, g, ordered)
	if small == nil && !ok {
		small = m.planGroup(q, g, byID, false)
	}
	return ordered, small
}

// smallest returns the plan with the fewest rows of those that bounds of time allow; nil if there is none, or none that
// is as small as another.
func (m *Memory) smallest(q *Query, g *group, than *plan) *plan {
	for _, a := range [...]axis{byStart, byStop} {
		if !q.bounded(a) {
			continue
		}
		if p := m.planGroup(q, g, a, false); than == nil || p.size() <= than.size() {
			than = p
		}
	}
	if than == nil || than.ordered {
		return nil
	}
	return than
}

// planSet looks at a few files that share what few do; nil if q does not say what.
func (m *Memory) planSet(q *Query) *plan {
	p, rest := &plan{}, *q
	ordered := q.Order == ByID || q.Order == ByIDDesc
	switch {
	case q.TransferID != "":
		rest.TransferID = ""
		if t := m.transfers[q.TransferID]; t != nil {
			p.sources = []source{m.filesOf(t, q)}
		}
		p.ordered = ordered
	case q.FollowID != "":
		rest.FollowID = ""
		for t := m.follows[q.FollowID]; t != nil; t = t.older {
			p.sources = append(p.sources, m.filesOf(t, &Query{}))
		}
	case q.LocalPath != "": // left to be checked: paths may share a hash
		hash := m.hash(q.LocalPath)
		p.sources = []source{m.paths.span(entry{hash, math.MinInt64}, entry{hash, math.MaxInt64}, false)}
	case q.Litter:
		rest.Litter = false
		from, to := lowest, highest
		if ordered {
			from, to = q.behind(byID, from, to)
		}
		p.sources = []source{m.litter.span(from, to, q.Order.descending())}
		p.ordered = ordered
	default:
		return nil
	}
	p.settle(rest)
	return p
}

// filesOf returns the files of a transfer as a source; in the orders by id those behind the cursor.
func (m *Memory) filesOf(t *transfer, q *Query) source {
	from, to := entry{t.first, t.first}, entry{t.first + int64(t.Files), 0}
	if q.Order == ByID || q.Order == ByIDDesc {
		from, to = q.behind(byID, from, to)
	}
	s := &idRange{table: &m.rows, from: from.key, to: to.key, down: q.Order.descending()}
	if from.id > from.key {
		s.from++
	}
	return s
}

// groupOf returns the smallest group in which all files are that q selects; nil if there is no file.
func (m *Memory) groupOf(q *Query) *group {
	g := &m.all
	if q.Partner != "" {
		g = m.partners[q.Partner]
	}
	if rule := m.rules[q.RuleName]; q.RuleName != "" && g != nil {
		if rule == nil || rule.counts.of(q) <= g.counts.of(q) {
			g = rule
		}
	}
	return g
}

// planGroup looks at the files of a group, on one axis within the bounds that q has there.
func (m *Memory) planGroup(q *Query, g *group, a axis, ordered bool) *plan {
	p := &plan{ordered: ordered}
	if g == nil {
		return p
	}
	from, to := q.bounds(a)
	if ordered {
		from, to = q.behind(a, from, to)
	}
	down := q.Order.descending()
	for _, s := range q.states() {
		switch {
		case g.lists[s] == nil:
			continue
		case s == Running && a == byStop:
			p.sources = append(p.sources, m.stopsOf(g, from, to, ordered, down))
		default:
			p.sources = append(p.sources, g.lists[s][a].span(from, to, down))
		}
		p.states = append(p.states, s)
	}
	p.settle(q.without(g, m, a))
	return p
}

// without returns q without the filters that the lists of a group on an axis settle.
func (q *Query) without(g *group, m *Memory, a axis) Query {
	rest := *q
	rest.States = nil
	switch {
	case g == &m.all:
	case g == m.partners[q.Partner]:
		rest.Partner = ""
	default:
		rest.RuleName = ""
	}
	switch a {
	case byStart:
		rest.From, rest.To = time.Time{}, time.Time{}
	case byStop:
		rest.Updated = time.Time{}
	}
	return rest
}

// states returns the states that q selects, each once.
func (q *Query) states() []State {
	if q.States == nil {
		return States()
	}
	return slices.DeleteFunc(States(), func(s State) bool { return !slices.Contains(q.States, s) })
}

// idRange is a source: the rows with ids not below from and below to.
type idRange struct {
	*table
	from, to int64
	down     bool
}

func (s *idRange) next() (entry, bool) {
	for s.from < s.to {
		var id int64
		if s.down {
			s.to--
			id = s.to
		} else {
			id = s.from
			s.from++
		}
		if s.get(id) != nil {
			return entry{id, id}, true
		}
	}
	return entry{}, false
}

func (s *idRange) size() int { return int(max(0, s.to-s.from)) }
