package transfer

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// RetryPolicy says how a file is tried again that failed for a reason that may pass by itself (Code.Retryable). The delay
// before each attempt is random, between nothing and a bound that grows with each failure ("full jitter"), so that a
// thousand files that failed together do not come back together. Until then the file is Waiting, which the Store keeps:
// a restart neither forgets the wait nor starts it anew. A field that is 0 stands for its default.
type RetryPolicy struct {
	// MaxAttempts is how many attempts may fail before the file does. Default 10; 1 for no second attempt; -1 for no
	// limit. Attempts that were interrupted, or refused by a busy partner (PartnerBusy), do not count.
	MaxAttempts int

	// FirstDelay bounds the first delay. Default 1 s.
	FirstDelay time.Duration

	// Factor is what the bound grows by from delay to delay, 1 or more. Default 2.
	Factor float64

	// MaxDelay bounds all delays. Default 5 min.
	MaxDelay time.Duration

	// MaxTime is how long after it was first taken up a file is still tried again. Default 24 h; -1 for no limit.
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
	wrong(p.MaxAttempts < -1, where+".MaxAttempts is %d (use 1 or more, 0 for %d, -1 for no limit)", p.MaxAttempts, defaultMaxAttempts)
	wrong(p.FirstDelay < 0, where+".FirstDelay is %v (use more than 0, or 0 for %v)", p.FirstDelay, defaultFirstDelay)
	wrong(!(p.Factor >= 1) || math.IsInf(p.Factor, 0), where+".Factor is %v (use 1 or more, or 0 for %d)", p.Factor, defaultFactor)
	wrong(p.MaxDelay < p.FirstDelay, where+".MaxDelay is %v, less than FirstDelay, %v (raise it, or use 0 for %v)", p.MaxDelay, p.FirstDelay, defaultMaxDelay)
	wrong(p.MaxTime < -1, where+".MaxTime is %v (use more than 0, 0 for %v, -1 for no limit)", p.MaxTime, defaultMaxTime)
}

// allows reports whether a file that failed failures times may be tried again.
func (p RetryPolicy) allows(f *store.File, failures int, now time.Time) bool {
	return (p.MaxAttempts < 0 || failures < p.MaxAttempts) && (p.MaxTime < 0 || now.Sub(f.StartedAt) < p.MaxTime)
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
	return time.Duration(rand.Int64N(int64(p.bound(n)) + 1))
}

// retryPolicy is the one of a connector.
func (c Config) retryPolicy(connectorID string) RetryPolicy {
	if own := c.Connectors[connectorID].Info().Retry; own != nil {
		return own.withDefaults()
	}
	return c.Retry
}

// again decides whether a file that failed with err is tried again: after which delay, and with how many failures to its
// account.
func (e *engine) again(j *job, err error) (delay time.Duration, failures int, ok bool) {
	f := &j.file.File
	cause := CodeOf(err)
	failures = f.Failures + 1
	if !cause.Retryable() {
		return 0, failures, false
	}
	policy := e.cfg.retryPolicy(f.ConnectorID)
	if cause == PartnerBusy {
		return policy.delay(f.Attempts), f.Failures, policy.allows(f, 0, time.Now())
	}
	return policy.delay(failures), failures, policy.allows(f, failures, time.Now())
}
