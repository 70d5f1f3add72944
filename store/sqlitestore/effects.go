package sqlitestore

import "github.com/seed62b9dc43/transfer/store"

// effects are what a transaction does beside the rows that it writes, which comes with its COMMIT.
type effects struct {
	files    [store.Done + 1]int64 // by state: how many more there are
	hints    [topics]bool          // by topic
	received *kinds                // what its streams receive; nil if it did not need to know
}

// add is for files that are new in this state.
func (e *effects) add(state store.State, n int) {
	if n == 0 {
		return
	}
	e.files[state] += int64(n)
	e.hint(state)
}

// move is for a file that changed its state.
func (e *effects) move(from, to store.State) {
	if from == to {
		return
	}
	e.files[from]--
	e.add(to, 1)
}

// hint is for files that came into this state.
func (e *effects) hint(state store.State) {
	switch state {
	case store.Failed, store.Cancelled, store.Done:
		e.hints[store.FilesFinished] = true
	case store.Queued, store.Waiting, store.Interrupted:
		e.hints[store.FilesReady] = true
	}
}

// count writes how many files there are in each state.
func (w *writer) count() error {
	for state, more := range w.effects.files {
		if more == 0 {
			continue
		}
		if _, err := w.exec("UPDATE counts SET files = files + ? WHERE state = ?", more, int64(state)); err != nil {
			return err
		}
	}
	return nil
}
