package sqlitestore

import (
	"context"
	"sync"

	"github.com/seed62b9dc43/transfer/store"
)

// topics bounds the values of store.Topic.
const topics = store.DutiesChanged + 1

// watchers hints to who watches, within this process. Its zero value has none.
type watchers struct {
	mu     sync.Mutex // guards all
	closed bool
	all    map[*watcher]struct{}
}

// watcher is what stands behind one Watch.
type watcher struct {
	topic store.Topic
	hints chan struct{} // capacity 1: hints that nobody took yet are merged
	stop  func() bool   // undoes context.AfterFunc
}

func (ws *watchers) add(ctx context.Context, topic store.Topic) <-chan struct{} {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := &watcher{topic: topic, hints: make(chan struct{}, 1)}
	if ws.closed {
		w.hint()
		return w.hints
	}
	if ws.all == nil {
		ws.all = make(map[*watcher]struct{})
	}
	ws.all[w] = struct{}{}
	w.stop = context.AfterFunc(ctx, func() {
		ws.mu.Lock()
		defer ws.mu.Unlock()
		delete(ws.all, w)
	})
	return w.hints
}

// hint tells the watchers of the topics that are true.
func (ws *watchers) hint(happened [topics]bool) {
	if happened == ([topics]bool{}) {
		return
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.all {
		if w.topic < topics && happened[w.topic] {
			w.hint()
		}
	}
}

func (ws *watchers) close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	for w := range ws.all {
		w.stop()
		w.hint()
	}
	ws.all = nil
}

func (w *watcher) hint() {
	select {
	case w.hints <- struct{}{}:
	default:
	}
}
