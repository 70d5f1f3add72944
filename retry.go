package transfer

import (
	"errors"
	"math"
	"math/rand/v2"
	"time"
)

// RetryPolicy says how a file is tried again that failed for a reason that may pass by itself (Code.Retryable). The delay
// before each attempt is random, between nothing and a bound that grows with each failure ("full jitter"), so that a
// thousand files that failed together do not come back together. Until then the file is Waiting, which the Store keeps:
// a restart neither forgets the wait nor starts it anew. A field that is 0 stands for its default.
type RetryPolicy struct {
	// MaxAttempts is how many attempts in a row may fail before the file does, counted anew whenever one came further
	// than all before. Default 10; 1 for no second attempt, whatever happens; -1 for no limit. Attempts that were
	// interrupted, or that did not reach the partner or found it busy, do not count: those end with MaxTime.
	MaxAttempts int

	// FirstDelay bounds the first delay. Default 1 s.
	FirstDelay time.Duration

	// Factor is what the bound grows by from delay to delay, 1 or more. Default 2.
	Factor float64

	// MaxDelay bounds all delays. Default 5 min.
	MaxDelay time.Duration

	// MaxTime is how long after it failed first a file is still tried again, not counting times in which its partner must
	// not be contacted (Limits.Open). It is counted anew when an attempt came further than all before, and when the file
	// is resumed by a user or after a restart. Default 24 h; -1 for no limit.
	MaxTime time.Duration
}

// Defaults of RetryPolicy.
const (
	defaultMaxAttempts = 10
	defaultFirstDelay  = time.Second
	defaultFactor      = 2
	defaultMaxDelay    = 5 * time.Minute
	defaultMaxTime     = 24 * time.Hour
)

func (p RetryPolicy) withDefaults() RetryPolicy {
	fill(&p.MaxAttempts, defaultMaxAttempts)
	fill(&p.FirstDelay, min(defaultFirstDelay, orNever(p.MaxDelay)))
	fill(&p.Factor, defaultFactor)
	fill(&p.MaxDelay, max(defaultMaxDelay, p.FirstDelay))
	fill(&p.MaxTime, defaultMaxTime)
	return p
}

func orNever(d time.Duration) time.Duration {
	if d <= 0 {
		return math.MaxInt64
	}
	return d
}

// check reports each wrong field as "<where>.<field> is …".
func (p RetryPolicy) check(where string, wrong func(is bool, format string, args ...any)) {
	p = p.withDefaults()
	wrong(p.MaxAttempts < -1, "%s.MaxAttempts is %d (use 1 or more, 0 for %d, -1 for no limit)", where, p.MaxAttempts, defaultMaxAttempts)
	wrong(p.FirstDelay < 0, "%s.FirstDelay is %v (use more than 0, or 0 for %v)", where, p.FirstDelay, defaultFirstDelay)
	wrong(!(p.Factor >= 1) || math.IsInf(p.Factor, 0), "%s.Factor is %v (use 1 or more, or 0 for %d)", where, p.Factor, defaultFactor)
	wrong(p.MaxDelay < p.FirstDelay, "%s.MaxDelay is %v, less than FirstDelay, %v (raise it, or use 0 for %v)", where, p.MaxDelay, p.FirstDelay, defaultMaxDelay)
	wrong(p.MaxTime < -1, "%s.MaxTime is %v (use more than 0, 0 for %v, -1 for no limit)", where, p.MaxTime, defaultMaxTime)
}

// bound is the longest delay before the attempt after n failures.
func (p RetryPolicy) bound(n int) time.Duration {
	d := float64(p.FirstDelay) * math.Pow(p.Factor, float64(max(0, n-1)))
	if d >= float64(p.MaxDelay) { // or infinite
		return p.MaxDelay
	}
	return time.Duration(d)
}

// delay is a random part of the bound.
func (p RetryPolicy) delay(n int) time.Duration {
	bound := p.bound(n)
	if bound < math.MaxInt64 {
		bound++ // itself may come, too
	}
	return rand.N(bound)
}

// retryPolicy is the one of a connector.
func (e *engine) retryPolicy(p *partner) RetryPolicy {
	if own := p.info.Retry; own != nil {
		return own.withDefaults()
	}
	return e.cfg.Retry
}

// verdict is what becomes of a file that failed.
type verdict struct {
	again    bool
	delay    time.Duration // before the next attempt
	failures int           // to the file's account
	first    time.Time     // failure, by the Store's clock
}

// patience is by how much a file may be late for its next attempt without having been resumed by somebody.
const patience = time.Minute

// again decides whether a file that failed with err is tried again.
func (e *engine) again(j *job, err error) verdict {
	f, past, policy := &j.file.File, j.past, e.retryPolicy(j.partner)
	if o, is := outstanding(err); is {
		return verdict{again: true, delay: o.Again, failures: f.Failures, first: time.Unix(past.FirstFailure, 0)}
	}
	cause, now, hours := CodeOf(err), j.now(), e.hours(j)
	if cause == OutsideWindow {
		return verdict{again: true, delay: hours.untilOpen(time.Now()), failures: f.Failures, first: time.Unix(past.FirstFailure, 0)}
	}
	v := verdict{failures: f.Failures + 1, first: time.Unix(past.FirstFailure, 0)}
	further := j.cameFurther()
	if further {
		v.failures = 1
	}
	if further || past.FirstFailure == 0 || f.ReadyAt.After(time.Unix(past.NextAttempt, 0).Add(patience)) {
		v.first = now
	}
	inTime := policy.MaxTime < 0 || hours.openFor(v.first, now) < policy.MaxTime
	if !cause.Retryable() || policy.MaxAttempts == 1 || !inTime || cause == SourceChanged && j.request.FailIfChanged || isFinal(err) {
		return v
	}
	at := stepError{}
	errors.As(err, &at)
	if at.step == stepConnect || cause == PartnerBusy || cause == RuleNotFound || cause == UnableToConnect || cause == UnableToResolveHostname {
		v.failures = f.Failures
		v.again, v.delay = true, policy.delay(f.Attempts)
		return v
	}
	v.again, v.delay = policy.MaxAttempts < 0 || v.failures < policy.MaxAttempts, policy.delay(v.failures)
	return v
}
