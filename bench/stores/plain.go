package main

import (
	"context"
	"slices"

	"github.com/seed62b9dc43/transfer/store"
)

// plain holds the same rows as a store without any index, so that each answer takes a full scan. It knows the filters
// that are measured, not all.
type plain interface {
	// add appends rows.
	add(ctx context.Context, files []store.File) error
	// page returns the ids of the files that q selects.
	page(ctx context.Context, q *store.Query) ([]int64, error)
	// count returns how many files q selects.
	count(ctx context.Context, q *store.Query) (int64, error)
	close() error
}

// copyRows fills p with what s has.
func copyRows(ctx context.Context, s store.Store, p plain) error {
	q := store.Query{Limit: 10_000}
	for {
		files, err := s.ListFiles(ctx, q)
		if err != nil || len(files) == 0 {
			return err
		}
		q.After = q.CursorOf(&files[len(files)-1])
		if err := p.add(ctx, files); err != nil {
			return err
		}
	}
}

// plainMemory is a slice of rows.
type plainMemory struct {
	files    []store.File
	metadata map[string]map[string]string // one for each transfer, not for each file
}

func (p *plainMemory) add(_ context.Context, files []store.File) error {
	if p.metadata == nil {
		p.metadata = make(map[string]map[string]string)
	}
	for i := range files {
		f := &files[i]
		if len(f.Metadata) > 0 {
			if p.metadata[f.TransferID] == nil {
				p.metadata[f.TransferID] = f.Metadata
			}
			f.Metadata = p.metadata[f.TransferID]
		}
	}
	p.files = append(p.files, files...)
	return nil
}

// page keeps the best q.Limit files of those that match, as a database does.
func (p *plainMemory) page(_ context.Context, q *store.Query) ([]int64, error) {
	best := make([]*store.File, 0, q.Limit+1)
	for i := range p.files {
		f := &p.files[i]
		if !q.Matches(f) || !q.Behind(f) {
			continue
		}
		if len(best) == q.Limit && q.Compare(f, best[len(best)-1]) > 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, f, q.Compare)
		best = slices.Insert(best, at, f)
		best = best[:min(len(best), q.Limit)]
	}
	ids := make([]int64, len(best))
	for i, f := range best {
		ids[i] = f.ID
	}
	return ids, nil
}

func (p *plainMemory) count(_ context.Context, q *store.Query) (int64, error) {
	n := int64(0)
	for i := range p.files {
		if q.Matches(&p.files[i]) {
			n++
		}
	}
	return n, nil
}

func (p *plainMemory) close() error { return nil }
