package sftpx

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// growPause is how long no further connection is tried after one failed while others work.
const growPause = 30 * time.Second

// pool lends sessions to files.
type pool struct {
	c     *Connector
	ctx   context.Context // of dials; ends with the pool
	stop  context.CancelCauseFunc
	tasks sync.WaitGroup // dials, and sessions until they are gone

	mu       sync.Mutex // guards all below, and the pool's fields of each session
	closed   bool
	sessions []*session
	waiting  []*waiter     // oldest first
	dialling int           // connections being made
	changed  chan struct{} // closed and replaced when there is one lane more, or one fewer to come
	notYet   time.Time     // when a further connection may be tried
}

// waiter is a file that waits for a session.
type waiter struct{ got chan grant }

type grant struct {
	s   *session
	err error
}

func newPool(c *Connector) *pool {
	ctx, stop := context.WithCancelCause(context.Background())
	return &pool{c: c, ctx: ctx, stop: stop, changed: make(chan struct{})}
}

// get lends a live session.
func (p *pool) get(ctx context.Context) (*session, error) {
	for {
		s, err := p.take(ctx)
		if err != nil {
			return nil, err
		}
		if s.probe(ctx) == nil {
			return s, nil
		}
		p.put(s)
		if ctx.Err() != nil {
			return nil, p.gaveUp(ctx)
		}
		// It was broken, and is not lent again. The next one may be new.
	}
}

func (p *pool) gaveUp(ctx context.Context) error {
	return fmt.Errorf("connect %s: wait for a connection: %w", p.c.cfg.Addr, ctx.Err())
}

// take lends a session, or waits for one.
func (p *pool) take(ctx context.Context) (*session, error) {
	if ctx.Err() != nil {
		return nil, p.gaveUp(ctx)
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, p.c.dialEnded(errClosed)
	}
	if s := p.leastUsed(); s != nil {
		p.lend(s)
		if s.users > 1 {
			p.grow() // one more connection shares the load
		}
		p.mu.Unlock()
		return s, nil
	}
	w := &waiter{make(chan grant, 1)}
	p.waiting = append(p.waiting, w)
	p.grow()
	p.mu.Unlock()

	select {
	case g := <-w.got:
		return g.s, g.err
	case <-ctx.Done():
	}
	p.mu.Lock()
	i := slices.Index(p.waiting, w)
	if i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	p.mu.Unlock()
	if i < 0 { // served at the same moment
		if g := <-w.got; g.s != nil {
			p.put(g.s)
		}
	}
	return nil, p.gaveUp(ctx)
}

// put takes back a session.
func (p *pool) put(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.users--
	p.serve()
	p.rest(s)
}

// users returns how many files the session is lent to.
func (p *pool) users(s *session) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return s.users
}

// leastUsed returns the session with the most room, or nil. p.mu is held, here and in all below that do not take it.
func (p *pool) leastUsed() *session {
	var best *session
	for _, s := range p.sessions {
		lendable := s.users < p.c.cfg.FilesPerConnection && s.broken() == nil
		if lendable && (best == nil || s.users < best.users) {
			best = s
		}
	}
	return best
}

func (p *pool) lend(s *session) {
	s.users++
	if s.eviction != nil {
		s.eviction.Stop()
	}
}

// serve lends what is free to those who wait.
func (p *pool) serve() {
	for len(p.waiting) > 0 {
		s := p.leastUsed()
		if s == nil {
			p.grow()
			return
		}
		p.lend(s)
		p.waiting[0].got <- grant{s: s}
		p.waiting = p.waiting[1:]
	}
}

// rest starts the idle time of a session without files.
func (p *pool) rest(s *session) {
	idle := p.c.cfg.IdleTimeout
	if s.users > 0 || s.guests > 0 || idle <= 0 || p.closed || s.broken() != nil {
		return
	}
	s.idleSince = time.Now()
	s.eviction = time.AfterFunc(idle, func() { p.evict(s, idle) })
}

func (p *pool) evict(s *session, idle time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(s.idleSince) >= idle {
		p.dismiss(s)
	}
}

// closeIdle ends all sessions without files.
func (p *pool) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.sessions {
		p.dismiss(s)
	}
}

// dismiss ends a session, unless it has files.
func (p *pool) dismiss(s *session) {
	if s.users > 0 || s.guests > 0 || p.closed {
		return
	}
	if s.condemn(transfer.ConnectionLost, errIdle) { // it counts as a connection until it is gone
		p.tasks.Go(func() { s.end(true) })
	}
}

// diallingMore is how many connections are made at once, after a first one: servers drop handshakes at random where there
// are many (OpenSSH's MaxStartups, from 10 on).
const diallingMore = 3

// grow dials one more connection, if there may be one.
func (p *pool) grow() {
	atOnce, more := 1, len(p.sessions) > 0
	if more {
		atOnce = diallingMore
	}
	if p.closed || p.dialling >= atOnce || len(p.sessions)+p.dialling >= p.c.cfg.MaxConnections || more && time.Now().Before(p.notYet) {
		return
	}
	p.dialling++
	p.tasks.Go(p.dial)
}

// dial adds a session to the pool. A failure is that of all who wait, unless there are sessions to wait for.
func (p *pool) dial() {
	s, err := p.c.dial(p.ctx, nil)
	p.mu.Lock()
	p.dialling--
	if err == nil {
		p.tasks.Go(func() { s.run(p.remove) })
	}
	switch {
	case err == nil && !p.closed:
		p.sessions = append(p.sessions, s)
		p.serve()
		p.rest(s)
	case err == nil:
		s.condemn(transfer.ConnectionLost, errClosed)
		defer s.end(true)
	case len(p.sessions) > 0:
		p.notYet = time.Now().Add(growPause)
	default:
		p.failWaiting(err)
	}
	p.change()
	p.mu.Unlock()
}

// change tells those who wait for more lanes.
func (p *pool) change() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *pool) failWaiting(err error) {
	for _, w := range p.waiting {
		w.got <- grant{err: err}
	}
	p.waiting = nil
}

// remove forgets a session that has ended.
func (p *pool) remove(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.sessions, s); i >= 0 {
		p.sessions = slices.Delete(p.sessions, i, i+1)
	}
	if s.eviction != nil {
		s.eviction.Stop()
	}
	p.serve()
}

// close ends all sessions, fails all who wait, and returns once nothing runs any more.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.failWaiting(&transfer.Error{Op: "connect", Path: p.c.cfg.Addr, Code: transfer.ConnectionError, Err: errClosed})
	for _, s := range p.sessions {
		if s.eviction != nil {
			s.eviction.Stop()
		}
		polite := s.condemn(transfer.ConnectionLost, errClosed) && s.users == 0
		p.tasks.Go(func() { s.end(polite) })
	}
	p.mu.Unlock()
	p.stop(errClosed)
	p.tasks.Wait()
}
