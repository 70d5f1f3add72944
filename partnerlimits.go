package transfer

import (
	"context"
	"time"
)

// IdleCloser is a Connector that keeps connections for later files, and lets go of them when asked to.
type IdleCloser interface {
	// CloseIdleConnections closes the connections that nobody uses, and returns soon. The Client calls it when no file of
	// the partner runs and its time window (Limits.Open) has closed.
	CloseIdleConnections()
}

// limit gives the partner the limits of its connector. Those of an earlier revision go on, so that a change lets nothing
// through twice: its files keep the new rate, too, if they had one.
func (p *partner) limit(node *Limits, before *partner) {
	var own Limits
	if p.info.Limits != nil {
		own = *p.info.Limits
	}
	p.hours = scheduleOf(&own, node)
	if before == nil {
		before = &partner{}
	}
	p.bytes = before.bytes.becomes(float64(own.BytesPerSecond))
	p.files = before.files.becomes(own.FilesPerSecond)
}

// newShare returns what one connector may use of the buffers: all, if it stays the only one. One with a rate gets what
// comes in two seconds, or two windows if that is more, so that many slow partners leave most to the others.
func (ps *partners) newShare(l *Limits) *buffers { return ps.buffers.share(ps.shareOf(l)) }

func (ps *partners) shareOf(l *Limits) int64 {
	if len(ps.cfg.Connectors) <= 1 && !ps.follows() {
		return ps.cfg.MemoryBudget
	}
	most := ps.cfg.MemoryBudget / 2
	if l != nil && l.BytesPerSecond > 0 {
		most = min(most, 2*max(l.BytesPerSecond, ps.cfg.WindowSize))
	}
	return max(ps.cfg.WindowSize, most)
}

// metered returns the partners that have a limit of files in a second.
func (ps *partners) metered() []*partner { return ps.now.Load().metered }

// open reports whether a connector may be contacted.
func (ps *partners) open(id string, now time.Time) bool {
	p := ps.now.Load().partners[id]
	return p == nil || p.hours.open(now)
}

// note keeps in mind what follows from the partners of a new roster.
func (r *roster) note() {
	for id, p := range r.partners {
		if p.conn != nil {
			r.limits[id] = p.info.MaxFiles
		}
		if p.files != nil {
			r.metered = append(r.metered, p)
		}
	}
}

// atClosing calls f when the schedule, which is open, closes, unless the returned function is called before.
func (s schedule) atClosing(f func()) (forget func()) {
	now := time.Now()
	closing, ok := s.closing(now)
	if !ok {
		return func() {}
	}
	timer := time.AfterFunc(closing.Sub(now), f)
	return func() { timer.Stop() }
}

// rest lets go of the partner's connections once its window has closed. It is called with mu locked, when the last user has
// left.
func (p *partner) rest() {
	c, ok := p.conn.(IdleCloser)
	if !ok || len(p.hours) == 0 || p.retired {
		return
	}
	now := time.Now()
	closing, ok := p.hours.closing(now)
	switch {
	case !p.hours.open(now):
		closing = now
	case !ok:
		return
	}
	p.resting = time.AfterFunc(closing.Sub(now), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.users == 0 && !p.retired {
			_ = guarded(func() error { c.CloseIdleConnections(); return nil })
		}
	})
}

// wake is called with mu locked, when there is a user again or will be none.
func (p *partner) wake() {
	if p.resting != nil {
		p.resting.Stop()
	}
}

// ruleLimits are those of the rule of a file.
func (e *engine) ruleLimits(j *job) ruleLimits {
	if j.rule == nil {
		return ruleLimits{}
	}
	return e.rules[j.file.RuleName]
}

// hours is when a file may be moved: when its partner, its rule and the node are open.
func (e *engine) hours(j *job) schedule { return j.partner.hours.with(e.ruleLimits(j).hours) }

// sessionOf returns the session of a file, under all limits that it has.
func (e *engine) sessionOf(j *job) *session {
	rule := e.ruleLimits(j)
	return &session{
		engine: e, partner: j.partner, watched: &j.watched, probe: j.probe, rule: rule.hours,
		throttle: newThrottle(e.cfg.WindowSize, j.stop, j.partner.bytes, rule.bytes, e.bytes),
	}
}

// hours is when the session may be made.
func (s *session) hours() schedule { return s.partner.hours.with(s.rule) }

// door returns nil, or why the partner is not contacted now.
func (s *session) door() error {
	if now, hours := time.Now(), s.hours(); !hours.open(now) {
		return outsideWindow(s.partner.id, hours, now)
	}
	return nil
}

// untilClosing ends an operation when the partner's window closes. explain says so in its error.
func (s *session) untilClosing(ctx context.Context) (until context.Context, cancel func(), explain func(error) error) {
	ctx, cancelCause := context.WithCancelCause(ctx)
	forget := s.hours().atClosing(func() {
		cancelCause(outsideWindow(s.partner.id, s.hours(), time.Now()))
	})
	cancel = func() {
		forget()
		cancelCause(nil)
	}
	return ctx, cancel, func(err error) error {
		if cause := context.Cause(ctx); err != nil && CodeOf(cause) == OutsideWindow {
			return cause
		}
		return err
	}
}
