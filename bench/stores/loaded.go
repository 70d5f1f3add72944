package main

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/seed62b9dc43/transfer/bench/internal/report"
	"github.com/seed62b9dc43/transfer/store"
)

// loaded is a store full of rows.
type loaded struct {
	*subject
	kind   *kind
	sample sample
	bytes  int64 // that the rows take
	plain  plain // nil without -scan
}

// free closes both.
func (s *loaded) free() error {
	err := s.subject.close()
	if s.plain != nil {
		err = errors.Join(err, s.plain.close())
	}
	return err
}

// loadAll fills a store of each kind that reads in its own way. What it returns is to be freed even with an error.
func (b *bench) loadAll(ctx context.Context) ([]*loaded, error) {
	var stores []*loaded
	for i := range b.kinds {
		if b.kinds[i].lifeOnly {
			continue
		}
		subject, err := b.openers[i].open(ctx, "pages")
		if err != nil {
			return stores, fmt.Errorf("open %s: %w", b.kinds[i].name, err)
		}
		stores = append(stores, &loaded{subject: subject, kind: &b.kinds[i]})
	}
	if len(stores) == 0 {
		return nil, errors.New("nothing to read (try -stores with memory, sqlite or postgres, or -sections life)")
	}
	return stores, b.fillAll(ctx, stores)
}

// fillAll fills the databases together, and before them, alone, what is weighed by the heap's growth.
func (b *bench) fillAll(ctx context.Context, stores []*loaded) error {
	group, groupCtx := errgroup.WithContext(ctx)
	for _, s := range stores {
		fill := func() error {
			if err := b.fill(groupCtx, s); err != nil {
				return fmt.Errorf("load %s: %w", s.kind.name, err)
			}
			return nil
		}
		if s.kind.name != "memory" {
			group.Go(fill)
		} else if err := fill(); err != nil {
			return errors.Join(err, group.Wait())
		}
	}
	return group.Wait()
}

func (b *bench) fill(ctx context.Context, s *loaded) error {
	g := newGenerator(b.rows, b.began)
	err := load(ctx, s, g, func(files int) { b.progress("%s: %d of %d rows", s.kind.name, files, b.rows) })
	if err != nil {
		return err
	}
	s.sample = g.sample
	if err := s.rest(ctx); err != nil {
		return fmt.Errorf("let it rest: %w", err)
	}
	if s.bytes, err = s.size(ctx); err != nil {
		return fmt.Errorf("measure its size: %w", err)
	}
	if b.scan {
		if err := b.copyPlain(ctx, s); err != nil {
			return err
		}
	}
	counts, err := s.CountFiles(ctx, store.Query{})
	b.progress("%s: loaded, %v", s.kind.name, counts)
	return err
}

// copyPlain makes the copy of s that is scanned.
func (b *bench) copyPlain(ctx context.Context, s *loaded) error {
	p, err := s.subject.plain(ctx)
	if err != nil {
		return err
	}
	s.plain = p
	return copyRows(ctx, s, p)
}

// sizesTable is how much room the rows take.
func sizesTable(stores []*loaded, rows int) *report.Table {
	t := &report.Table{Heads: []string{"store", "rows", "bytes", "per row"}}
	for _, s := range stores {
		t.Add(s.kind.title, report.Thousands(int64(rows)), report.Thousands(s.bytes), report.Thousands(s.bytes/int64(rows)))
	}
	return t
}
