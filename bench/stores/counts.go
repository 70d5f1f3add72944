package main

import (
	"context"
	"fmt"
	"time"

	"github.com/seed62b9dc43/transfer/bench/internal/report"
	"github.com/seed62b9dc43/transfer/store"
)

// Goals of counts. A filter is selective if it selects at most one file of selectiveShare.
const (
	selectiveGoal  = 5 * time.Millisecond
	countGoal      = 100 * time.Millisecond
	selectiveShare = 100
)

// countCase is the count of one filter.
type countCase struct {
	filter      filter
	matches     int64
	took, scans []time.Duration // one for each store
}

// measureCounts counts what each filter selects in all stores in turn.
func (b *bench) measureCounts(ctx context.Context, stores []*loaded) ([]countCase, error) {
	var cases []countCase
	for _, f := range filters(stores[0].sample) {
		c, err := b.measureCount(ctx, stores, f)
		if err != nil {
			return nil, fmt.Errorf("count %s: %w", f.name, err)
		}
		cases = append(cases, c)
	}
	b.progress("counts")
	return cases, nil
}

func (b *bench) measureCount(ctx context.Context, stores []*loaded, f filter) (countCase, error) {
	c := countCase{filter: f}
	took, spent := make([][]time.Duration, len(stores)), make([]time.Duration, len(stores))
	for range b.repeat + 1 { // the first time is to warm up
		for i, s := range stores {
			if len(took[i]) >= 2 && spent[i] > enough {
				continue
			}
			began := time.Now()
			n, err := countAll(ctx, s, f.query)
			if err != nil {
				return c, err
			}
			took[i] = append(took[i], time.Since(began))
			spent[i] += took[i][len(took[i])-1]
			c.matches = n
		}
	}
	for i, s := range stores {
		c.took = append(c.took, median(took[i][1:]))
		scan, err := b.scanCount(ctx, s, &f)
		if err != nil {
			return c, err
		}
		c.scans = append(c.scans, scan)
	}
	return c, nil
}

// scanCount counts without indexes and compares.
func (b *bench) scanCount(ctx context.Context, s *loaded, f *filter) (time.Duration, error) {
	if !b.scan {
		return 0, nil
	}
	began := time.Now()
	want, err := s.plain.count(ctx, &f.query)
	took := time.Since(began)
	if err != nil {
		return 0, err
	}
	got, err := countAll(ctx, s, f.query)
	if err == nil && got != want {
		b.differ("%s: count of %s is %d, by a scan %d", s.kind.name, f.name, got, want)
	}
	return took, err
}

// countAll counts what q selects, over all states.
func countAll(ctx context.Context, s *loaded, q store.Query) (int64, error) {
	counts, err := s.CountFiles(ctx, q)
	sum := int64(0)
	for _, n := range counts {
		sum += n
	}
	return sum, err
}

// countsTable is all cases. all is how many files there are.
func countsTable(stores []*loaded, cases []countCase, all int64) *report.Table {
	t := &report.Table{Heads: []string{"filter", "files", "goal, ms"}}
	for _, s := range stores {
		t.Heads = append(t.Heads, s.kind.title+", ms", "scan, ms", "ratio")
	}
	for _, c := range cases {
		limit := time.Duration(0)
		if c.filter.goal != noGoal {
			limit = countLimit(c.matches, all)
		}
		row := []string{c.filter.name, report.Thousands(c.matches), ""}
		if limit > 0 {
			row[2] = milliseconds(limit)
		}
		for i := range stores {
			row = append(row, countCells(c.took[i], c.scans[i], limit)...)
		}
		t.Add(row...)
	}
	return t
}

func countLimit(matches, all int64) time.Duration {
	if matches*selectiveShare <= all {
		return selectiveGoal
	}
	return countGoal
}

// countCells are one store's; limit 0 is no goal.
func countCells(took, scan, limit time.Duration) []string {
	cells := []string{milliseconds(took), "", ""}
	if limit > 0 {
		cells[0] = report.Mark(cells[0], took <= limit)
	}
	if scan > 0 {
		cells[1], cells[2] = milliseconds(scan), ratio(scan, took)
	}
	return cells
}

// ratio is how many times longer the scan takes.
func ratio(scan, took time.Duration) string {
	r := float64(scan) / float64(max(took, 1))
	if r < 10 {
		return fmt.Sprintf("%.1f", r)
	}
	return report.Thousands(int64(r + 0.5))
}
