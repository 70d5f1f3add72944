package store

// axis is an order that rows are kept in.
type axis int

// Axes.
const (
	byID axis = iota
	byStart
	byStop
	axes // how many there are
)

// axisOf returns the axis of an order; false if rows are not kept in that order.
func axisOf(o Order) (axis, bool) {
	switch o {
	case ByID, ByIDDesc:
		return byID, true
	case ByStart, ByStartDesc:
		return byStart, true
	case ByStop, ByStopDesc:
		return byStop, true
	}
	return 0, false
}

// entry returns the row's place on an axis.
func (r *row) entry(a axis) entry {
	switch a {
	case byStart:
		return entry{int64(r.start()), r.id}
	case byStop:
		return entry{int64(r.updatedAt), r.id}
	}
	return entry{r.id, r.id}
}

// axes returns the first axis on which lists do not keep the row in its state.
func (r *row) axes() axis {
	if r.state == Running {
		return byStop
	}
	return axes
}

// start is File.Start.
func (r *row) start() micros {
	if r.startedAt != never {
		return r.startedAt
	}
	return max(r.startAt, r.transfer.createdAt)
}

// group is the files that have something in common, or all, by state and then on each axis. Running files are not kept
// by stop: each progress would move them there. The limits see to it that they are few, so that stops puts them in order
// when asked.
type group struct {
	name   string
	counts counts
	lists  [Done + 1]*[axes]list // nil: none yet
}

// value returns what the files have in common; no group is the empty text.
func (g *group) value() string {
	if g == nil {
		return ""
	}
	return g.name
}

func (g *group) add(r *row) {
	g.counts[r.state]++
	if g.lists[r.state] == nil {
		g.lists[r.state] = new([axes]list)
	}
	for a := range r.axes() {
		g.lists[r.state][a].add(r.entry(a))
	}
}

func (g *group) remove(r *row) {
	g.counts[r.state]--
	for a := range r.axes() {
		g.lists[r.state][a].remove(r.entry(a))
	}
}

// groups are those of one kind, by what their files have in common. There is none for the empty text, which no query
// selects.
type groups map[string]*group

func (gs groups) get(name string) *group {
	g := gs[name]
	if g == nil && name != "" {
		g = &group{name: name}
		gs[name] = g
	}
	return g
}

func (gs groups) dropEmpty(g *group) {
	if g != nil && g.counts == (counts{}) {
		delete(gs, g.name)
	}
}

// enlist puts a row where its state and its times say. None of them may change before delist, but for updatedAt of a
// running file.
func (m *Memory) enlist(r *row) {
	r.transfer.counts[r.state]++
	for _, g := range [...]*group{&m.all, r.partner, r.transfer.rule} {
		if g != nil {
			g.add(r)
		}
	}
	if r.litter() {
		m.litter.add(r.entry(byID))
	}
}

// delist undoes enlist.
func (m *Memory) delist(r *row) {
	r.transfer.counts[r.state]--
	for _, g := range [...]*group{&m.all, r.partner, r.transfer.rule} {
		if g != nil {
			g.remove(r)
		}
	}
	if r.litter() {
		m.litter.remove(r.entry(byID))
	}
}

// litter reports whether a finished file's checkpoint names something that may be left.
func (r *row) litter() bool { return r.state.Final() && r.checkpoint != "" }
