package sftpx

// lanes returns the lanes that a file may use whose first one is on own, and has more made if they are fewer than want.
// changed is closed when there may be others.
func (p *pool) lanes(own *session, want int) (all []*lane, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	coming := p.dialling
	for _, s := range p.sessions {
		if s.broken() != nil {
			continue
		}
		most := lanesOfOthers
		if s == own {
			most = mostLanesEach
		}
		p.widen(s, min(want, most))
		all = append(all, s.lanes...)
		coming += s.widening
	}
	for have := len(all) + coming; have < want; have++ {
		p.grow()
	}
	return all, p.changed
}

// lanesOfOthers is how many lanes a file makes on each connection but its own.
const lanesOfOthers = 2

// widen has lanes made until there are as many as wanted, or as there may be. p.mu is locked.
func (p *pool) widen(s *session, want int) {
	for len(s.lanes)+s.widening < min(want, s.widest) && !p.closed && s.spawn(s.widen) {
		s.widening++
	}
}

// enter notes that a file uses a lane of s that has its first one elsewhere. leave has to follow.
func (p *pool) enter(s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.broken() != nil {
		return false
	}
	s.guests++
	if s.eviction != nil {
		s.eviction.Stop()
	}
	return true
}

func (p *pool) leave(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.guests--
	p.rest(s)
}
