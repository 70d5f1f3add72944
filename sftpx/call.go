package sftpx

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed62b9dc43/transfer"
)

const (
	// silenceAfterEnd is how long a server may be silent once the caller's context has ended, before the connection
	// is closed to free the call.
	silenceAfterEnd = time.Second
	// patienceAfterEnd limits how long a call may go on then in any case.
	patienceAfterEnd = 5 * time.Second
	// silenceForOthers and patienceForOthers are these limits while other files use the connection, which would all be
	// lost with it: on a slow one that many share, what is under way may take longer.
	silenceForOthers  = 2 * time.Second
	patienceForOthers = 15 * time.Second
)

// call is one or more requests that wait for the server together.
type call struct {
	op, path string
	limit    time.Duration // of silence; not positive means none
	patience time.Duration // with a server that answers others, if more than limit
	code     transfer.Code // what it is if limit passes
	bytes    int           // of content
	file     *file         // whose content; nil for other requests
}

// do runs f, which waits for the server in pkg/sftp, under the limits of call. f has no deadline of its own: if a limit
// passes, the connection is closed and f fails with all others on it.
//
// Answers come in the order of the requests, so that one may have to wait for content of other files. Silence is
// counted from the last byte that came, for whomever. That a server answers all but this call is noticed when so many
// bytes have passed that its turn must have come.
func (s *session) do(ctx context.Context, c call, f func() error) error {
	if ctx.Err() != nil {
		return ended(ctx, c.op, c.path)
	}
	if s.broken() != nil {
		return s.closedDuring(c.op, c.path)
	}
	w := s.watch(ctx, c)
	err := f()
	took := w.stop()
	switch {
	case err == nil:
		if c.bytes == 0 {
			s.tookTrip(took)
		}
		return nil
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return ended(ctx, c.op, c.path)
	case isBroken(err):
		_ = s.raw.Close()
		<-s.down
		if ctx.Err() != nil {
			return ended(ctx, c.op, c.path)
		}
		return s.closedDuring(c.op, c.path)
	}
	return s.answered(c, err)
}

// answered is the failure of a call that the server has answered.
func (s *session) answered(c call, err error) error {
	var known *transfer.Error
	if errors.As(err, &known) {
		return err
	}
	if code := statusCode(err); code != "" {
		return &transfer.Error{Op: c.op, Path: c.path, Code: code, Err: saidBy(s.c.cfg.Addr, err)}
	}
	return fmt.Errorf("%s %s: %w", c.op, c.path, saidBy(s.c.cfg.Addr, err))
}

// request is do for requests that move no content.
func (s *session) request(ctx context.Context, op, path string, f func() error) error {
	return s.do(ctx, call{op: op, path: path, limit: s.c.cfg.OperationTimeout, code: transfer.OperationTimeout}, f)
}

// watch ends a call that takes too long.
type watch struct {
	s       *session
	c       call
	started time.Duration
	before  int64 // bytes moved on the connection at the start
	share   int64 // bytes that may pass before it is this call's turn

	mu       sync.Mutex // guards below
	over     bool
	endedAt  time.Duration // when the caller's context ended; 0 before
	timer    *time.Timer
	forgetIt func() bool
}

func (s *session) watch(ctx context.Context, c call) *watch {
	m := s.meter
	w := &watch{s: s, c: c, started: m.now(), before: m.moved.Load()}
	ahead := m.asked.Add(int64(c.bytes))
	w.share = 4 * (ahead + int64(s.c.cfg.FilesPerConnection)*int64(max(c.bytes, 1<<20)))
	m.working.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.limit > 0 {
		w.timer = time.AfterFunc(c.limit, w.check)
	}
	w.forgetIt = context.AfterFunc(ctx, w.contextEnded)
	return w
}

func (w *watch) stop() (took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.forgetIt()
	if w.timer != nil {
		w.timer.Stop()
	}
	w.s.meter.working.Add(-1)
	if w.endedAt > 0 {
		w.s.meter.leaving.Add(-1)
	}
	w.s.meter.asked.Add(-int64(w.c.bytes))
	return w.s.meter.now() - w.started
}

func (w *watch) contextEnded() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	w.endedAt = max(w.s.meter.now(), 1)
	w.s.meter.leaving.Add(1)
	if w.timer == nil {
		w.timer = time.AfterFunc(0, w.check)
	} else {
		w.timer.Reset(0)
	}
}

// check closes the connection, or says when to look again.
func (w *watch) check() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	m := w.s.meter
	now := m.now()
	silence := now - max(w.started, w.heard())
	if w.endedAt > 0 {
		quiet, patience := silenceAfterEnd, patienceAfterEnd
		if w.s.shared() {
			quiet, patience = silenceForOthers, patienceForOthers
		}
		left := min(quiet-silence, patience-(now-w.endedAt))
		if left <= 0 {
			w.fail(transfer.ConnectionLost, errAbandoned)
			return
		}
		w.timer.Reset(left)
		return
	}
	passedOver := now-w.started >= max(w.c.limit, w.c.patience) && m.moved.Load()-w.before > w.share
	if silence >= w.c.limit || passedOver {
		w.fail(w.c.code, fmt.Errorf("no answer to %s for %v", w.c.op, w.c.limit))
		return
	}
	w.timer.Reset(w.c.limit - silence)
}

// sessions returns those that the call waits for.
func (w *watch) sessions() []*session {
	if w.c.file == nil {
		return []*session{w.s}
	}
	return w.c.file.sessions()
}

// heard is when one of them was heard of last, on the clock of w.s.
func (w *watch) heard() (last time.Duration) {
	for _, s := range w.sessions() {
		last = max(last, s.meter.start.Sub(w.s.meter.start)+s.meter.lastHeard())
	}
	return last
}

func (w *watch) fail(code transfer.Code, why error) {
	for _, s := range w.sessions() {
		s.fail(code, why)
	}
}

// shared reports whether files use the session that have not been given up.
func (s *session) shared() bool { return s.c.pool.users(s) > int(s.meter.leaving.Load()) }
