package store

import "context"

// watcher is what stands behind one Watch.
type watcher struct {
	topic Topic
	hints chan struct{} // capacity 1: hints that nobody took yet are merged
	stop  func() bool   // undoes context.AfterFunc
}

// Watch implements [Store]. After Close the channel receives once, so that who waits sees ErrClosed at the next call.
func (m *Memory) Watch(ctx context.Context, topic Topic) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := &watcher{topic: topic, hints: make(chan struct{}, 1)}
	if m.closed {
		w.hints <- struct{}{}
		return w.hints
	}
	m.watchers[w] = struct{}{}
	w.stop = context.AfterFunc(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.watchers, w)
	})
	return w.hints
}

// topics are those of which something happened. Topic 0 is nobody's.
type topics [DutiesChanged + 1]bool

// hintAll tells the watchers of all topics of which something happened.
func (m *Memory) hintAll(happened topics) {
	for topic := FilesReady; topic <= DutiesChanged; topic++ {
		if happened[topic] {
			m.hint(topic)
		}
	}
}

// hint tells the watchers of topic.
func (m *Memory) hint(topic Topic) {
	for w := range m.watchers {
		if w.topic == topic {
			w.hint()
		}
	}
}

func (w *watcher) hint() {
	select {
	case w.hints <- struct{}{}:
	default:
	}
}
