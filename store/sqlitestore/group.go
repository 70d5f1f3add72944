package sqlitestore

import (
	"context"
	"slices"
	"sync"
	"time"
)

// groupRows is about how many rows a transaction of several calls writes at most, so that none waits long for others.
const groupRows = 1000

// writing is what a call does within a transaction. now is when the transaction began, read once the database was locked,
// so that times grow in the order of transactions.
type writing func(ctx context.Context, w *writer, now micros) error

// call is one caller's part of a transaction.
type call struct {
	ctx  context.Context
	rows int // about how many it writes
	do   writing
	done chan struct{} // closed once err is what became of it
	err  error
}

func (c *call) write(w *writer, now micros) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if err := c.do(c.ctx, w, now); err != nil {
		return err
	}
	return c.ctx.Err()
}

// waiting is the calls that wait for the writer, in the order of their coming. Whoever gets its turn writes for others
// too, so that they share what a COMMIT costs.
type waiting struct {
	mu    sync.Mutex // guards calls
	calls []*call
}

func (q *waiting) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.calls)
}

func (q *waiting) add(c *call) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calls = append(q.calls, c)
}

// withdraw removes c and tells whether it was still waiting.
func (q *waiting) withdraw(c *call) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.calls, c)
	if i >= 0 {
		q.calls = slices.Delete(q.calls, i, i+1)
	}
	return i >= 0
}

// take removes the calls of one transaction: the first, and those behind it that groupRows has room for.
func (q *waiting) take() []*call {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, rows := 0, 0
	for n < len(q.calls) && (n == 0 || rows+q.calls[n].rows <= groupRows) {
		rows += q.calls[n].rows
		n++
	}
	taken := slices.Clone(q.calls[:n])
	q.calls = slices.Delete(q.calls, 0, n)
	return taken
}

// transact calls do in a transaction that other calls may share; what becomes of one is no matter of the others.
func (w *writer) transact(ctx context.Context, rows int, do writing) error {
	c := &call{ctx: ctx, rows: rows, do: do, done: make(chan struct{})}
	w.waiting.add(c)
	for {
		select {
		case <-c.done:
			return c.err
		case <-w.turn:
			if err := w.lead(ctx); err != nil && w.waiting.withdraw(c) {
				return err
			}
		case <-ctx.Done():
			if w.waiting.withdraw(c) {
				return ctx.Err()
			}
			<-c.done // it is being written; that looks at ctx too
			return c.err
		}
	}
}

// lead writes calls that wait, and gives the writer's turn back. Its error is that of the wait for other processes; then
// no call was taken.
func (w *writer) lead(ctx context.Context) error {
	defer func() { w.turn <- struct{}{} }()
	if w.waiting.length() == 0 {
		return nil
	}
	if err := w.begin(ctx); err != nil {
		return err
	}
	calls := w.waiting.take()
	if len(calls) == 1 {
		calls[0].err = w.alone(calls[0])
	} else if err := w.together(calls); err != nil {
		w.oneByOne(calls)
	}
	for _, c := range calls {
		close(c.done)
	}
	return nil
}

// alone writes one call in the transaction that has begun, and ends that.
func (w *writer) alone(c *call) error {
	w.effects = effects{}
	err := c.write(w, microsOf(time.Now()))
	if err == nil {
		err = w.commit()
	}
	if err != nil {
		w.rollback()
	}
	return err
}

// together writes calls in the transaction that has begun, each in a savepoint, and ends that. If it fails, nothing is
// written.
func (w *writer) together(calls []*call) (err error) {
	defer func() {
		if err != nil {
			w.rollback()
		}
	}()
	w.effects = effects{}
	now := microsOf(time.Now())
	for _, c := range calls {
		before := w.effects
		if _, err := w.exec("SAVEPOINT call"); err != nil {
			return err
		}
		if c.err = c.write(w, now); c.err != nil {
			w.effects = before
			if _, err := w.exec("ROLLBACK TO call"); err != nil {
				return err // SQLite has rolled back everything, as it may when the disk is full
			}
		}
		if _, err := w.exec("RELEASE call"); err != nil {
			return err
		}
	}
	return w.commit()
}

// oneByOne writes each call in a transaction of its own.
func (w *writer) oneByOne(calls []*call) {
	for _, c := range calls {
		if c.err = w.begin(c.ctx); c.err == nil {
			c.err = w.alone(c)
		}
	}
}
