package sftpx

import "slices"

// lanes returns the lanes that a file may use whose first one is on own, and has more made if they are fewer than want.
func (p *pool) lanes(own *session, want int) []*lane {
	if want < 2 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.Clone(own.lanes)
	coming := own.widening
	if p.widen(own, min(want, mostLanesEach)) {
		coming++
	}
	for _, s := range p.sessions {
		if s == own || s.broken() != nil {
			continue
		}
		all = append(all, s.lanes...)
		coming += s.widening
		if len(all)+coming < want && p.widen(s, lanesOfOthers) {
			coming++
		}
	}
	for have := len(all) + coming + p.dialling; have < want; have++ {
		p.grow()
	}
	return all
}

// lanesOfOthers is how many lanes a file makes on each connection but its own.
const lanesOfOthers = 2

// widen has one more lane made, unless there are as many as wanted, or as there may be. p.mu is locked.
func (p *pool) widen(s *session, want int) bool {
	have := len(s.lanes) + s.widening
	if p.closed || have >= min(want, s.widest) || s.widening > 0 || !s.spawn(s.widen) {
		return false
	}
	s.widening++
	return true
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
