package store

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// CreateDuty implements [Store].
func (m *Memory) CreateDuty(ctx context.Context, d Duty) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	if m.duties[d.Name] != nil {
		return ErrExists
	}
	now := microsOf(time.Now())
	created := Duty{
		Name: d.Name, Spec: bytes.Clone(d.Spec), State: bytes.Clone(d.State),
		DueAt: now.time(), CreatedAt: now.time(), UpdatedAt: now.time(),
	}
	if !d.DueAt.IsZero() {
		created.DueAt = microsOf(d.DueAt).time()
	}
	m.duties[d.Name] = &created
	m.hint(DutiesChanged)
	return nil
}

// ClaimDuties implements [Store].
func (m *Memory) ClaimDuties(ctx context.Context, r DutyRequest) ([]Duty, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	now := microsOf(time.Now())
	due := m.selectDuties(func(d *Duty) bool { return strings.HasPrefix(d.Name, r.Prefix) && d.claimable(now) })
	slices.SortFunc(due, func(a, b *Duty) int { return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(a.Name, b.Name)) })
	due = due[:max(0, min(len(due), r.Max))]
	for _, d := range due {
		d.Worker, d.LeaseUntil, d.UpdatedAt = r.Worker, now.add(r.Lease).time(), now.time()
		d.Token++
	}
	return cloneDuties(due), nil
}

// claimable reports whether nobody holds the duty and its time has come.
func (d *Duty) claimable(now micros) bool {
	if d.held() {
		return microsOf(d.LeaseUntil) <= now
	}
	return microsOf(d.DueAt) <= now
}

// held reports whether somebody claimed the duty and did not give it up, be the lease expired or not.
func (d *Duty) held() bool { return !d.LeaseUntil.IsZero() }

// UpdateDuty implements [Store].
func (m *Memory) UpdateDuty(ctx context.Context, d Duty, lease time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	known := m.duties[d.Name]
	if known == nil || !known.held() || known.Token != d.Token {
		return ErrLeaseLost
	}
	now := microsOf(time.Now())
	known.State, known.UpdatedAt = bytes.Clone(d.State), now.time()
	if lease > 0 {
		known.LeaseUntil = now.add(lease).time()
		return nil
	}
	known.Worker, known.LeaseUntil = "", time.Time{}
	known.DueAt = now.add(max(0, d.Delay)).time()
	if !d.DueAt.IsZero() {
		known.DueAt = microsOf(d.DueAt).time()
	}
	m.hint(DutiesChanged)
	return nil
}

// DeleteDuty implements [Store].
func (m *Memory) DeleteDuty(ctx context.Context, name string, token int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	known := m.duties[name]
	switch {
	case known == nil:
		return ErrNotFound
	case token != 0 && !(known.held() && known.Token == token):
		return ErrLeaseLost
	}
	delete(m.duties, name)
	return nil
}

// ListDuties implements [Store].
func (m *Memory) ListDuties(ctx context.Context, q DutyQuery) ([]Duty, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	found := m.selectDuties(func(d *Duty) bool { return strings.HasPrefix(d.Name, q.Prefix) && d.Name > q.After })
	slices.SortFunc(found, func(a, b *Duty) int { return cmp.Compare(a.Name, b.Name) })
	return cloneDuties(upTo(found, q.Limit)), nil
}

// selectDuties returns the duties for which is holds, in no order. It is called with mu locked.
func (m *Memory) selectDuties(is func(*Duty) bool) []*Duty {
	var found []*Duty
	for _, d := range m.duties {
		if is(d) {
			found = append(found, d)
		}
	}
	return found
}

func cloneDuties(duties []*Duty) []Duty {
	cloned := make([]Duty, len(duties))
	for i, d := range duties {
		cloned[i] = *d
		cloned[i].Spec, cloned[i].State = bytes.Clone(d.Spec), bytes.Clone(d.State)
	}
	return cloned
}
