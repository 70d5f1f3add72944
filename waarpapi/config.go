package waarpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// Config says who may do what. The zero value of every field stands for its default; Users or NoAuthentication must be
// given.
type Config struct {
	// Users are those who may use the API.
	Users Users

	// NoAuthentication lets everybody do everything. It excludes Users, Key and RequireSignature.
	NoAuthentication bool

	// Key is the key of HMAC authentication and of signatures, shared with all clients, at least 16 bytes. Without it
	// only Basic authentication is offered, and a signed request is refused, because nobody could check it.
	Key []byte

	// RequireSignature refuses POST and PUT without the header X-Auth-Signature. Without it a signature is checked
	// only where there is one. HMAC authentication alone covers neither method, nor path, nor body: who sees one
	// request can make others until ClockSkew is over.
	RequireSignature bool

	// ClockSkew is how far a client's clock may be from ours, either way: for the timestamp of HMAC authentication, and
	// for how long ago the start of a new transfer may be. Default 5 minutes; -1 for none.
	ClockSkew time.Duration

	// HostID is our side's name in records, "requester". Default: the Client's Config.Name.
	HostID string

	// Rules are what a new transfer may name as ruleName, by name. Default: none, and nothing can be started.
	Rules map[string]Rule

	// ConnectorOf finds the connector of the partner that a new transfer names as requested, which is hostile. An empty
	// id means that there is none; an error, that it cannot be found out now, and is answered with 503. Default: the
	// partner's name is the connector's id.
	ConnectorOf func(ctx context.Context, requested string) (connectorID string, err error)

	// AcceptRuleID reads the query parameter ruleID, which Waarp's server has in place of the published ruleName,
	// where ruleName is not given.
	AcceptRuleID bool

	// RejectUnknownFields refuses a new transfer that has fields which are not known (code 5). By default they are
	// ignored, as Waarp does.
	RejectUnknownFields bool

	// MaxResults is how many records one answer has at most, whatever limit asks for. Default 1,000; -1 for no limit.
	MaxResults int

	// MaxBodyBytes is how long a request's body may be. Default 64 KiB.
	MaxBodyBytes int64

	// MaxHeaderBytes is how long a request's URI, and all of its headers, may be. Default 16 KiB.
	MaxHeaderBytes int

	// MaxRequests is how many requests of users are worked on at once; more are answered with 503. Default 64.
	MaxRequests int

	// Timeout bounds a request, its body's arrival included, and once more the delivery of the answer. It takes the
	// place of the server's own timeouts from then on. Default 30 s.
	Timeout time.Duration

	// Logger receives what was started and changed and by whom, who was refused, and what failed. Default: silence.
	// Passwords, keys and signatures are never logged.
	Logger *slog.Logger
}

// Direction is which way the files of a rule go.
type Direction uint8

// Directions of a Rule.
const (
	Send     Direction = iota + 1 // from our storage to the partner
	Retrieve                      // from the partner to our storage
)

// Rule says what a new transfer's filename means: Waarp's rule, which has direction and directories.
type Rule struct {
	// Direction is required.
	Direction Direction

	// LocalDirectory is ours. With Send, the filename is below it, relative or absolute; empty means that any file of
	// the storage may be sent. With Retrieve, files arrive in it, and it is required.
	LocalDirectory string

	// RemoteDirectory is the partner's. With Send, files arrive in it. With Retrieve, the filename is below it, relative
	// or absolute; empty means that any file may be retrieved. Relative paths begin at the user's home directory.
	RemoteDirectory string

	// Partners are those it may be used with, by the name that requests have (requested). Default: all.
	Partners []string

	// Overwrite and Verify are those of the transfer.
	Overwrite transfer.Overwrite
	Verify    transfer.Verify
}

// Defaults of Config.
const (
	defaultClockSkew   = 5 * time.Minute
	defaultMaxResults  = 1000
	defaultMaxBody     = 64 << 10
	defaultMaxHeader   = 16 << 10
	defaultMaxRequests = 64
	defaultTimeout     = 30 * time.Second
	minKey             = 16 // bytes
)

func (c Config) withDefaults() Config {
	fill(&c.ClockSkew, defaultClockSkew)
	c.ClockSkew = max(c.ClockSkew, 0)
	fill(&c.MaxResults, defaultMaxResults)
	fill(&c.MaxBodyBytes, defaultMaxBody)
	fill(&c.MaxHeaderBytes, defaultMaxHeader)
	fill(&c.MaxRequests, defaultMaxRequests)
	fill(&c.Timeout, defaultTimeout)
	if c.ConnectorOf == nil {
		c.ConnectorOf = func(_ context.Context, requested string) (string, error) { return requested, nil }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Key = slices.Clone(c.Key)
	c.Rules = maps.Clone(c.Rules)
	if users, ok := c.Users.(StaticUsers); ok {
		c.Users = maps.Clone(users)
	}
	return c
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate returns one error that names every wrong field.
func (c Config) validate() error {
	var errs []error
	wrong := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf("waarpapi: Config."+format, args...))
		}
	}
	c.checkAuthentication(wrong)
	for _, name := range slices.Sorted(maps.Keys(c.Rules)) {
		c.Rules[name].check(fmt.Sprintf("Rules[%q]", name), wrong)
		wrong(name == "" || len(name) > 255, "Rules has the name %q (use 1 to 255 bytes)", name)
	}
	wrong(c.ClockSkew < -1, "ClockSkew is %v (use more than 0, 0 for %v, -1 for none)", c.ClockSkew, defaultClockSkew)
	wrong(c.MaxResults < -1, "MaxResults is %d (use 1 or more, 0 for %d, -1 for no limit)", c.MaxResults, defaultMaxResults)
	wrong(c.MaxBodyBytes < 0, "MaxBodyBytes is %d (use 1 or more, or 0 for %d)", c.MaxBodyBytes, defaultMaxBody)
	wrong(c.MaxHeaderBytes < 0, "MaxHeaderBytes is %d (use 1 or more, or 0 for %d)", c.MaxHeaderBytes, defaultMaxHeader)
	wrong(c.MaxRequests < 0, "MaxRequests is %d (use 1 or more, or 0 for %d)", c.MaxRequests, defaultMaxRequests)
	wrong(c.Timeout < 0, "Timeout is %v (use more than 0, or 0 for %v)", c.Timeout, defaultTimeout)
	return errors.Join(errs...)
}

func (c Config) checkAuthentication(wrong func(is bool, format string, args ...any)) {
	wrong(c.Users == nil && !c.NoAuthentication, "Users is nil (give StaticUsers, or set NoAuthentication to let everybody in)")
	wrong(c.Users != nil && c.NoAuthentication, "NoAuthentication is set beside Users (give one of them)")
	wrong(c.NoAuthentication && (len(c.Key) > 0 || c.RequireSignature), "NoAuthentication is set beside Key or RequireSignature (nothing would be checked: leave them out)")
	wrong(len(c.Key) > 0 && len(c.Key) < minKey, "Key has %d bytes (use %d or more, at random)", len(c.Key), minKey)
	wrong(c.RequireSignature && len(c.Key) == 0, "RequireSignature is set without Key (give the key that clients sign with)")
	users, ok := c.Users.(StaticUsers)
	if !ok {
		return
	}
	wrong(len(users) == 0, "Users has no user (give one)")
	for _, name := range slices.Sorted(maps.Keys(users)) {
		wrong(name == "", "Users has an empty name (give it one)")
		if problem := users[name].problem(); problem != "" {
			wrong(true, "Users[%q] %s", name, problem)
		}
	}
}

func (r Rule) check(name string, wrong func(is bool, format string, args ...any)) {
	wrong(r.Direction != Send && r.Direction != Retrieve, "%s.Direction is %d (use Send or Retrieve)", name, r.Direction)
	wrong(r.Direction == Retrieve && r.LocalDirectory == "", "%s.LocalDirectory is empty (say where retrieved files go)", name)
	for _, dir := range []string{r.LocalDirectory, r.RemoteDirectory} {
		wrong(dir != "" && climbs(dir), "%s has the directory %q (use one without ..)", name, dir)
	}
	overwrites := []transfer.Overwrite{"", transfer.OverwriteReplace, transfer.OverwriteFail, transfer.OverwriteSkip}
	wrong(!slices.Contains(overwrites, r.Overwrite), "%s.Overwrite is %q (use REPLACE, FAIL or SKIP)", name, r.Overwrite)
	verifies := []transfer.Verify{"", transfer.VerifySize, transfer.VerifyReadBack}
	wrong(!slices.Contains(verifies, r.Verify), "%s.Verify is %q (use SIZE or READ_BACK)", name, r.Verify)
}

// directory is the one that filenames are below.
func (r Rule) directory() string {
	dir := r.RemoteDirectory
	if r.Direction == Send {
		dir = r.LocalDirectory
	}
	if dir == "" {
		return ""
	}
	return path.Clean(dir)
}
