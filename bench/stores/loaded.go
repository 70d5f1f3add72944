package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed62b9dc43/transfer/store"
)

// loaded is a store full of rows.
type loaded struct {
	*subject
	kind   *kind
	sample sample
	bytes  int64 // that the rows take
	plain  plain
}

// loadAll fills a store of each kind that reads in its own way. What it returns is to be closed even with an error.
func (b *bench) loadAll(ctx context.Context) ([]*loaded, error) {
	var stores []*loaded
	for i := range b.kinds {
		if b.kinds[i].lifeOnly {
			continue
		}
		s, err := b.load(ctx, &b.kinds[i], b.openers[i])
		if err != nil {
			return stores, fmt.Errorf("load %s: %w", b.kinds[i].name, err)
		}
		stores = append(stores, s)
	}
	if len(stores) == 0 {
		return nil, errors.New("nothing to read (try -stores with memory, sqlite or postgres, or -sections life)")
	}
	return stores, nil
}

func (b *bench) load(ctx context.Context, k *kind, o opener) (*loaded, error) {
	subject, err := o.open(ctx, "pages")
	if err != nil {
		return nil, err
	}
	s := &loaded{subject: subject, kind: k}
	if err := b.fill(ctx, s); err != nil {
		return nil, errors.Join(err, subject.close())
	}
	return s, nil
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
	if s.plain, err = s.subject.plain(ctx); err != nil {
		return err
	}
	if !b.scan {
		return nil
	}
	if err := copyRows(ctx, s, s.plain); err != nil {
		return errors.Join(err, s.plain.close())
	}
	counts, err := s.CountFiles(ctx, store.Query{})
	b.progress("%s: loaded, %v", s.kind.name, counts)
	return err
}

// sizesTable is how much room the rows take.
func sizesTable(stores []*loaded, rows int) *table {
	t := &table{heads: []string{"store", "rows", "bytes", "per row"}}
	for _, s := range stores {
		t.add(s.kind.title, thousands(int64(rows)), thousands(s.bytes), thousands(s.bytes/int64(rows)))
	}
	return t
}
