package transfer

import (
	"sync"
	"time"
)

// credit is for how long what was not used may be used later: it makes up for the time that a request takes.
const credit = 250 * time.Millisecond

// rate is a number of something in a second. What is taken has a price in time, and is paid for by waiting, one after the
// other in the order of taking.
type rate struct {
	mu        sync.Mutex // guards the fields below
	perSecond float64
	paid      time.Time // until when time was spent on what was taken
}

// newRate returns nil, which is no limit, for 0.
func newRate(perSecond float64) *rate {
	if perSecond == 0 {
		return nil
	}
	return &rate{perSecond: perSecond}
}

// becomes returns a rate of perSecond: r itself, changed, where both are limits, so that what was taken before counts.
func (r *rate) becomes(perSecond float64) *rate {
	if r == nil || perSecond == 0 {
		return newRate(perSecond)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.perSecond = perSecond
	return r
}

// now is how many there are in a second.
func (r *rate) now() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.perSecond
}

// price is what n cost. mu is locked.
func (r *rate) price(n int) time.Duration {
	return time.Duration(float64(n) / r.perSecond * float64(time.Second))
}

// settle forgets what could have been used longer than keep ago. mu is locked.
func (r *rate) settle(now time.Time, keep time.Duration) {
	if earliest := now.Add(-keep); r.paid.Before(earliest) {
		r.paid = earliest
	}
}

// take takes n and returns when they are paid for.
func (r *rate) take(now time.Time, n int) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settle(now, credit)
	r.paid = r.paid.Add(r.price(n))
	return r.paid
}

// giveBack is for what was taken and not waited for.
func (r *rate) giveBack(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paid = r.paid.Add(-r.price(n))
}

// ready returns how many are paid for already, or else when the first one is. More than one is worth waiting for half the
// credit.
func (r *rate) ready(now time.Time) (n int, first time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settle(now, max(credit, r.price(1)))
	if n = int(now.Sub(r.paid).Seconds()*r.perSecond + 1e-6); n > 0 {
		return n, time.Time{}
	}
	return 0, r.paid.Add(max(credit/2, r.price(1)))
}

// spend takes one that ready has told of.
func (r *rate) spend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paid = r.paid.Add(r.price(1))
}
