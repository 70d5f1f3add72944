package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/seed62b9dc43/transfer/bench/internal/report"
	"github.com/seed62b9dc43/transfer/store"
)

const (
	pageSize = 50
	deepest  = 500_000 // how far behind the first page the deep one is

	// enough is how long one page of one store is read again and again at most; it is read twice at least.
	enough = 500 * time.Millisecond
)

// timing is what one case took in one store.
type timing struct {
	first, deep, scan   time.Duration // medians, but for the scan, which is made once
	firstBest, deepBest time.Duration
}

// slower is the time that counts for a goal.
func (t timing) slower() time.Duration { return max(t.first, t.deep) }

// pageCase is one filter in one order.
type pageCase struct {
	filter  filter
	order   order
	matches int64
	timings []timing // one for each store
}

// measurePages reads the first and a deep page of each filter in each order from all stores in turn.
func (b *bench) measurePages(ctx context.Context, stores []*loaded) ([]pageCase, error) {
	var cases []pageCase
	for _, f := range filters(stores[0].sample) {
		matches, err := countAll(ctx, stores[0], f.query)
		if err != nil {
			return nil, fmt.Errorf("count %s: %w", f.name, err)
		}
		for _, o := range orders {
			c := pageCase{filter: f, order: o, matches: matches}
			if c.timings, err = b.measureCase(ctx, stores, &c); err != nil {
				return nil, fmt.Errorf("page of %s by %s: %w", f.name, o.name, err)
			}
			cases = append(cases, c)
		}
		b.progress("pages of %s", f.name)
	}
	return cases, nil
}

// pageOf is a page of one store, and what reading it took.
type pageOf struct {
	store *loaded
	query store.Query
	took  []time.Duration
	spent time.Duration
}

func (b *bench) measureCase(ctx context.Context, stores []*loaded, c *pageCase) ([]timing, error) {
	var pages []*pageOf // the first and the deep page of each store
	for _, s := range stores {
		first := c.filter.query
		first.Order, first.Limit = c.order.order, pageSize
		deep, err := behind(ctx, s, first, min(deepest, c.matches/2))
		if err != nil {
			return nil, err
		}
		pages = append(pages, &pageOf{store: s, query: first}, &pageOf{store: s, query: deep})
	}
	for range b.repeat + 1 { // the first time is to warm up
		for _, p := range pages {
			if err := p.read(ctx); err != nil {
				return nil, err
			}
		}
	}
	timings := make([]timing, len(stores))
	for i, s := range stores {
		first, deep := pages[2*i], pages[2*i+1]
		timings[i] = timing{first: first.median(), deep: deep.median(), firstBest: first.best(), deepBest: deep.best()}
		// A scan takes as long for either page: one in a descending order checks the deep one.
		checked := first
		if c.order.order%2 == 1 {
			checked = deep
		}
		if !b.scan {
			continue
		}
		got, want, took, err := checked.scan(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.kind.name, err)
		}
		timings[i].scan = took
		if !slices.Equal(got, want) {
			b.differ("%s: page of %s by %s is %v, by a scan %v", s.kind.name, c.filter.name, c.order.name, got, want)
		}
	}
	return timings, nil
}

// behind returns the query for the page that has depth files before it.
func behind(ctx context.Context, s *loaded, q store.Query, depth int64) (store.Query, error) {
	if depth == 0 {
		return q, nil
	}
	last := q
	last.Offset, last.Limit = int(depth-1), 1
	files, err := s.ListFiles(ctx, last)
	if err != nil {
		return q, err
	}
	if len(files) != 1 {
		return q, fmt.Errorf("%s has no file %d", s.kind.name, depth)
	}
	q.After = q.CursorOf(&files[0])
	return q, nil
}

// read reads the page once more, unless it took long enough already.
func (p *pageOf) read(ctx context.Context) error {
	if len(p.took) >= 2 && p.spent > enough {
		return nil
	}
	began := time.Now()
	_, err := p.store.ListFiles(ctx, p.query)
	took := time.Since(began)
	p.took, p.spent = append(p.took, took), p.spent+took
	return err
}

// median leaves the first time out, which read what was not in memory and prepared the statement.
func (p *pageOf) median() time.Duration { return median(p.took[1:]) }

func (p *pageOf) best() time.Duration { return slices.Min(p.took[1:]) }

// scan finds the same page without indexes, and tells what that took.
func (p *pageOf) scan(ctx context.Context) (got, want []int64, took time.Duration, err error) {
	files, err := p.store.ListFiles(ctx, p.query)
	if err != nil {
		return nil, nil, 0, err
	}
	for i := range files {
		got = append(got, files[i].ID)
	}
	began := time.Now()
	want, err = p.store.plain.page(ctx, &p.query)
	return got, want, time.Since(began), err
}

// pagesTable is all cases.
func pagesTable(stores []*loaded, cases []pageCase) *report.Table {
	t := &report.Table{Heads: []string{"filter", "files", "order"}}
	for _, s := range stores {
		t.Heads = append(t.Heads, s.kind.title+": first, ms", "deep, ms", "scan, ms", "ratio")
	}
	for _, c := range cases {
		row := []string{c.filter.name, report.Thousands(c.matches), c.order.name}
		for i, s := range stores {
			row = append(row, s.kind.pageCells(&c, c.timings[i])...)
		}
		t.Add(row...)
	}
	return t
}

func (k *kind) pageCells(c *pageCase, t timing) []string {
	cells := []string{milliseconds(t.first), milliseconds(t.deep), "", ""}
	if c.filter.hasGoal(c.order.order) {
		cells[0], cells[1] = report.Mark(cells[0], t.first <= k.page), report.Mark(cells[1], t.deep <= k.page)
	}
	if t.scan > 0 {
		cells[2], cells[3] = milliseconds(t.scan), ratio(t.scan, t.slower())
	}
	return cells
}

// pagesSummary tells, for each store, how many of the goals are met, by the median and by the best time, and the slowest.
func pagesSummary(stores []*loaded, cases []pageCase) *report.Table {
	t := &report.Table{Heads: []string{"store", "goal, ms", "pages with a goal", "met", "met by the best time", "slowest, ms", "is"}}
	for i, s := range stores {
		sum := summary{goal: s.kind.page}
		for _, c := range cases {
			if c.filter.hasGoal(c.order.order) {
				name := c.filter.name + " by " + c.order.name
				sum.add(name, c.timings[i].first, c.timings[i].firstBest)
				sum.add(name+", deep", c.timings[i].deep, c.timings[i].deepBest)
			}
		}
		t.Add(s.kind.title, milliseconds(sum.goal), fmt.Sprint(sum.all), report.Mark(fmt.Sprint(sum.met), sum.met == sum.all),
			fmt.Sprint(sum.metOnce), milliseconds(sum.worst), sum.slowest)
	}
	return t
}

// summary counts goals that are met.
type summary struct {
	goal              time.Duration
	all, met, metOnce int
	worst             time.Duration
	slowest           string // what took the worst time
}

func (s *summary) add(name string, median, best time.Duration) {
	s.all++
	if median <= s.goal {
		s.met++
	}
	if best <= s.goal {
		s.metOnce++
	}
	if median > s.worst {
		s.worst, s.slowest = median, name
	}
}
