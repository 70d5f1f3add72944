package transfer

import (
	"context"
	"time"
)

// session is a partner's Remote as a Storage that connects when it is first needed: a file that is missing on our side
// does not bother the partner.
type session struct {
	engine   *engine
	partner  *partner
	watched  *watched  // for who observes the attempt that it is for, or nil
	probe    int       // the number of the probe that it is for, or 0
	rule     schedule  // when it may be made, beside the partner's hours
	throttle *throttle // nil: as quick as can be
	remote   Remote
	failed   bool // to connect
}

func (s *session) Open(ctx context.Context, path string) (Source, error) {
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	return s.throttle.source(s.remote.Open(ctx, path))
}

func (s *session) Create(ctx context.Context, path string, o CreateOptions) (Sink, error) {
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	return s.throttle.sink(s.remote.Create(ctx, path, o))
}

func (s *session) Discard(ctx context.Context, path string, o CreateOptions) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	return s.remote.Discard(ctx, path, o)
}

func (s *session) connect(ctx context.Context) (err error) {
	if s.remote != nil {
		return nil
	}
	if s.partner.conn == nil {
		return s.partner.missing()
	}
	if err := s.door(); err != nil {
		s.failed = true
		return stepError{stepConnect, err}
	}
	ctx, end := s.watched.enter(ctx, PartConnect, "")
	defer func() { end(err) }()
	s.remote, err = s.partner.conn.Connect(ctx)
	s.engine.noteConnection(ctx, s.partner, s.probe, err)
	if err != nil {
		s.remote, s.failed = nil, true
		return stepError{stepConnect, err}
	}
	s.partner.sessions.Add(1)
	return nil
}

func (s *session) features() Features {
	if s.remote == nil {
		return Features{}
	}
	return s.remote.Features()
}

func (s *session) close() error {
	if s.remote == nil {
		return nil
	}
	s.partner.sessions.Add(-1)
	return s.remote.Close()
}

// noteConnection keeps the partner's breaker up to date. A connection that was given up on says nothing.
func (e *engine) noteConnection(ctx context.Context, p *partner, probe int, err error) {
	switch {
	case err == nil:
		if p.breaker.reached() {
			e.cfg.Logger.Info("partner can be reached again", "connector", p.id)
		}
	case ctx.Err() == nil:
		if pause := p.breaker.missed(time.Now(), probe); pause > 0 {
			e.cfg.Logger.Warn("no session with the partner, which is left alone", "connector", p.id, "pause", pause, "error", err)
		}
	}
}
