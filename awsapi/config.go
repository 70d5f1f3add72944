package awsapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"
)

// Config says how a handler answers. The zero value of every field but AccessKeys stands for its default.
type Config struct {
	// AccessKeys finds the keys that requests are signed with. Required: requests are only answered without a signature
	// if this is NoSignature.
	AccessKeys AccessKeys

	// Allow says whether the holder of an access key may call an operation, such as "StartFileTransfer"; if not, the
	// answer is AccessDeniedException. It is called concurrently, after the signature was verified. Default: every
	// key may call all operations.
	Allow func(ctx context.Context, accessKeyID, operation string) bool

	// Strict asks for AWS's own limits where this module has wider ones: 10 paths in a StartFileTransfer, connector ids
	// of the form c-0123456789abcdef0, 5 connections of a connector. Default: what the Client allows.
	Strict bool

	// Region is the only one that signatures may be for, and part of ARNs. Default: signatures may be for any, and ARNs
	// say us-east-1.
	Region string

	// AccountID is the account in ARNs: 12 digits. Default: "000000000000".
	AccountID string

	// ClockSkew is how much the clocks of signer and handler may differ. Default 5 minutes, as with AWS; at most 15.
	ClockSkew time.Duration

	// MaxRequestsPerSecond is how many requests each access key may make, on average; what is above gets a
	// ThrottlingException with the time to wait. All requests count as one key under NoSignature. 0.001 or more.
	// Default: no limit.
	MaxRequestsPerSecond float64

	// Burst is how many requests a key may make at once after a pause. Default: MaxRequestsPerSecond, at least 1.
	Burst int

	// MaxBody bounds the body of a request, in bytes; a larger one is answered with status 413. Default 4 MiB.
	MaxBody int64

	// MaxBodies bounds the bodies of all requests that are under way, in bytes, more than MaxBody. Those of up to 4 KiB
	// do not count. What is above gets a ThrottlingException. Default: 64 MiB, or twice MaxBody if that is more.
	MaxBodies int64

	// MaxRequests is how many requests are worked on at once, not counting those that still arrive. What is above gets
	// a ThrottlingException. Default 256.
	MaxRequests int

	// ReadTimeout bounds how long it may take to look up a request's key and to receive its body and, apart from that,
	// how long the answer may take to leave. Default 15 s.
	ReadTimeout time.Duration

	// Timeout bounds the work on a request. Default 1 minute: TestConnection answers once the partner has.
	Timeout time.Duration

	// Logger receives what goes wrong inside (level Error), who was refused (Warn) and every request (Debug). Bodies,
	// signatures and secrets are never logged. Default: silence.
	Logger *slog.Logger
}

// Defaults of Config.
const (
	defaultRegion      = "us-east-1"
	defaultAccountID   = "000000000000"
	defaultClockSkew   = 5 * time.Minute
	maxClockSkew       = 15 * time.Minute
	defaultMaxBody     = 4 << 20
	defaultMaxBodies   = 64 << 20
	defaultMaxRequests = 256
	defaultReadTimeout = 15 * time.Second
	defaultTimeout     = time.Minute
	slowestRate        = 0.001
)

func (c Config) withDefaults() Config {
	fill(&c.AccountID, defaultAccountID)
	fill(&c.ClockSkew, defaultClockSkew)
	fill(&c.Burst, max(1, int(c.MaxRequestsPerSecond)))
	fill(&c.MaxBody, defaultMaxBody)
	fill(&c.MaxBodies, max(defaultMaxBodies, 2*c.MaxBody))
	fill(&c.MaxRequests, defaultMaxRequests)
	fill(&c.ReadTimeout, defaultReadTimeout)
	fill(&c.Timeout, defaultTimeout)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Allow == nil {
		c.Allow = func(context.Context, string, string) bool { return true }
	}
	return c
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// validate returns one error that names every wrong field.
func (c Config) validate() error {
	var errs []error
	wrong := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf("awsapi: Config."+format, args...))
		}
	}
	wrong(c.AccessKeys == nil, "AccessKeys is nil (give StaticKeys or keys of your own; NoSignature answers everybody)")
	wrong(strings.ContainsAny(c.Region, "/ ,"), "Region is %q (use a name such as %q)", c.Region, defaultRegion)
	wrong(!accountID.MatchString(c.AccountID), "AccountID is %q (use 12 digits)", c.AccountID)
	wrong(c.ClockSkew < 0 || c.ClockSkew > maxClockSkew, "ClockSkew is %v (use up to %v, or 0 for %v)", c.ClockSkew, maxClockSkew, defaultClockSkew)
	rate := c.MaxRequestsPerSecond
	wrong(rate != 0 && !(rate >= slowestRate && rate <= 1e9), "MaxRequestsPerSecond is %v (use %v to 1e9, or 0 for no limit)", rate, slowestRate)
	wrong(c.Burst < 0, "Burst is %d (use 1 or more, or 0 for MaxRequestsPerSecond)", c.Burst)
	wrong(c.MaxBody < 0, "MaxBody is %d (use 1 or more bytes, or 0 for 4 MiB)", c.MaxBody)
	wrong(c.MaxBodies <= c.MaxBody, "MaxBodies is %d, not more than one body of %d bytes (raise it, or lower MaxBody)", c.MaxBodies, c.MaxBody)
	wrong(c.MaxRequests < 0, "MaxRequests is %d (use 1 or more, or 0 for %d)", c.MaxRequests, defaultMaxRequests)
	wrong(c.ReadTimeout < 0, "ReadTimeout is %v (use more than 0, or 0 for %v)", c.ReadTimeout, defaultReadTimeout)
	wrong(c.Timeout < 0, "Timeout is %v (use more than 0, or 0 for %v)", c.Timeout, defaultTimeout)
	return errors.Join(errs...)
}
