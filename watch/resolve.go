package watch

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// File is one file that a Selection means.
type File struct {
	Path    string    // as it would be listed and asked for
	Size    int64     // bytes; -1 if the other side does not say
	ModTime time.Time // zero if the other side does not say
}

// Resolve looks into a directory and goes through the files that a Selection means just now, in its order, at most MaxFiles.
// It starts nothing, asks no ledger and knows of no watch. No rule is applied: Directory is the whole path. It ends after the first
// error.
//
// Errors: InvalidRequestException with every wrong field, and those of Client.ListDirectory.
func (w *Watcher) Resolve(ctx context.Context, selection Selection) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		files, err := w.resolve(ctx, selection)
		for _, f := range files {
			if !yield(f, nil) {
				return
			}
		}
		if err != nil {
			yield(File{}, err)
		}
	}
}

func (w *Watcher) resolve(ctx context.Context, selection Selection) ([]File, error) {
	p := &problems{}
	noRule := func(string) (r transfer.Rule, ok bool) { return r, false }
	f := newFlow(selection, Delivery{TargetDirectory: "."}, noRule, p.wrong)
	if err := p.err(); err != nil {
		return nil, &transfer.InvalidRequestException{Message: err.Error()}
	}
	s := &survey{flow: &f, guard: Guard{}.withDefaults(), log: slog.New(slog.DiscardHandler)}
	if err := s.run(ctx, w.lister); err != nil {
		return nil, err
	}
	ready := s.ready(f.MaxFiles)
	files := make([]File, len(ready))
	for i, c := range ready {
		files[i] = File{Path: f.path(c.rel), Size: c.size, ModTime: c.modTime}
	}
	return files, nil
}
