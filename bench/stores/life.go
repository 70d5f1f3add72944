package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed62b9dc43/transfer/bench/internal/report"
	"github.com/seed62b9dc43/transfer/store"
)

const (
	lifeRounds = 5   // the files of a line of the table are moved in so many parts, the stores taking turns
	lifeBatch  = 100 // files of one call
	singly     = 20  // with one file in each call there are so many times fewer
	lifePoll   = time.Millisecond
)

// lifeCase is one line of the table.
type lifeCase struct {
	workers, batch, files int
	rates                 [][]float64 // files per second, for each store and round
}

// lifeCases are those for a number of files.
func lifeCases(files int) []lifeCase {
	var cases []lifeCase
	for _, batch := range []int{lifeBatch, 1} {
		n := files
		if batch == 1 {
			n /= singly
		}
		for _, workers := range []int{1, 4} {
			cases = append(cases, lifeCase{workers: workers, batch: batch, files: n})
		}
	}
	return cases
}

// measureLife moves files through their whole life in empty stores of all kinds in turn.
func (b *bench) measureLife(ctx context.Context) ([]lifeCase, error) {
	cases := lifeCases(b.files)
	for i := range cases {
		if err := b.measureLives(ctx, &cases[i], i); err != nil {
			return nil, err
		}
		b.progress("life of %d files, %d in a call, %d workers", cases[i].files, cases[i].batch, cases[i].workers)
	}
	return cases, nil
}

func (b *bench) measureLives(ctx context.Context, c *lifeCase, number int) (err error) {
	stores := make([]*subject, len(b.openers))
	for i, o := range b.openers {
		if stores[i], err = o.open(ctx, fmt.Sprint("life", number)); err != nil {
			return fmt.Errorf("%s: %w", b.kinds[i].name, err)
		}
		defer func() { err = errors.Join(err, stores[i].close()) }()
	}
	c.rates = make([][]float64, len(stores))
	for round := range lifeRounds {
		for i, s := range stores {
			files := max(c.files/lifeRounds, c.batch)
			began := time.Now()
			done, err := live(ctx, s, files, c.workers, c.batch, round)
			if err != nil {
				return fmt.Errorf("%s: %w", b.kinds[i].name, err)
			}
			c.rates[i] = append(c.rates[i], float64(done)/time.Since(began).Seconds())
		}
	}
	return nil
}

// crew is workers that share files.
type crew struct {
	store.Store
	files, batch   int
	round          int
	created, ended atomic.Int64
}

// live has workers create at least as many files and move them to their end, batch of them in a call. A worker moves
// whatever files it is given. It returns how many there were.
func live(ctx context.Context, s store.Store, files, workers, batch, round int) (int64, error) {
	c := &crew{Store: s, files: files, batch: batch, round: round}
	group, ctx := errgroup.WithContext(ctx)
	for range workers {
		group.Go(func() error { return c.work(ctx) })
	}
	err := group.Wait()
	return c.ended.Load(), err
}

func (c *crew) work(ctx context.Context) error {
	for {
		last := c.created.Add(int64(c.batch))
		if last >= int64(c.files+c.batch) {
			break
		}
		if err := c.create(ctx, last); err != nil {
			return fmt.Errorf("create: %w", err)
		}
		if _, err := c.move(ctx); err != nil {
			return err
		}
	}
	return c.finish(ctx)
}

// finish moves what the others left.
func (c *crew) finish(ctx context.Context) error {
	total := (int64(c.files) + int64(c.batch) - 1) / int64(c.batch) * int64(c.batch)
	for c.ended.Load() < total {
		moved, err := c.move(ctx)
		if err != nil {
			return err
		}
		if moved > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lifePoll): // the rest is held, or created just now, by others
		}
	}
	return nil
}

func (c *crew) create(ctx context.Context, last int64) error {
	id := fmt.Sprintf("0192f1c2-%04d-7000-8000-%012d", c.round, last)
	files := make([]store.NewFile, c.batch)
	for i := range files {
		name := fmt.Sprintf("invoices_20260105T000000_%d_%07d.xml.gz", c.round, last+int64(i))
		files[i] = store.NewFile{
			Direction: store.Send, Partner: partnerName(1 + int(last)/c.batch%partners),
			SourcePath: "/data/partner-01/invoices/2026/01/05/" + name, TargetPath: "/in/invoices/" + name,
		}
	}
	t := store.Transfer{ID: id, FollowID: id, ConnectorID: connectorName(0), RuleName: ruleName(7), Spec: []byte(`{}`)}
	_, err := c.CreateTransfer(ctx, t, files)
	return err
}

// move claims files, reports progress of them once, and ends them.
func (c *crew) move(ctx context.Context) (int, error) {
	claimed, err := c.Claim(ctx, store.ClaimRequest{
		Worker: "node-1/worker-1", Max: c.batch, Lease: time.Minute, Limits: map[string]int{connectorName(0): 1 << 30},
	})
	if err != nil || len(claimed) == 0 {
		return 0, err
	}
	const size = 20 << 20
	changes := make([]store.Change, len(claimed))
	for i, f := range claimed {
		changes[i] = store.Change{ID: f.ID, Token: f.Token, State: store.Running, Lease: time.Minute, Progress: halfWay(size)}
	}
	if err := update(ctx, c, changes); err != nil {
		return 0, err
	}
	for i, f := range claimed {
		changes[i] = store.Change{ID: f.ID, Token: f.Token, State: store.Done, Progress: whole(size)}
	}
	if err := update(ctx, c, changes); err != nil {
		return 0, err
	}
	c.ended.Add(int64(len(claimed)))
	return len(claimed), nil
}

// lifeTable is all cases: the middle of the rounds, and the best one.
func lifeTable(kinds []kind, cases []lifeCase) *report.Table {
	t := &report.Table{Heads: []string{"files", "in a call", "workers"}}
	for i := range kinds {
		t.Heads = append(t.Heads, kinds[i].title, "best")
	}
	for _, c := range cases {
		row := []string{report.Thousands(int64(c.files)), fmt.Sprint(c.batch), fmt.Sprint(c.workers)}
		for i := range kinds {
			rates := slices.Sorted(slices.Values(c.rates[i]))
			middle := report.Thousands(int64(rates[len(rates)/2]))
			if c.batch == lifeBatch {
				middle = report.Mark(middle, rates[len(rates)/2] >= kinds[i].life)
			}
			row = append(row, middle, report.Thousands(int64(rates[len(rates)-1])))
		}
		t.Add(row...)
	}
	return t
}
