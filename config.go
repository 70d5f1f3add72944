package transfer

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

// Config says what a Client works with. The zero value of every field stands for its default.
type Config struct {
	// Storage is our side: what is sent is read from it, what is retrieved is delivered to it. Default: NewMemory().
	Storage Storage

	// Store keeps the state of all transfers. Default: store.NewMemory(), which forgets everything when the
	// process ends (see packages sqlitestore and pgstore). Clients over one Store that move files must have the same
	// Connectors, by id, and the same Storage.
	Store store.Store

	// Connectors are the partners, by connector id (1 to 255 characters). The Client never closes them. Those that
	// Client.CreateConnector makes come beside them.
	Connectors map[string]Connector

	// Protocols make connectors out of definitions in the Store, by URL scheme, such as {"sftp": sftpx.Protocol(…)}.
	// Without any a Client moves files of Connectors only, and can neither create nor update others.
	Protocols map[string]Protocol

	// Secrets fetches the credentials that those connectors log in with, such as SecretsDir(path).
	Secrets Secrets

	// Rules say how the files of transfers that name one (StartFileTransferInput.RuleName) are moved, and what is done
	// before and after. By name, 1 to 255 characters. Clients over one Store that move files must have the same.
	Rules map[string]Rule

	// Limits bound what this node moves, over all connectors. A connector may have its own (ConnectorInfo.Limits).
	Limits Limits

	// Sinks are told of every file that has come to its end, and every transfer, at least once, by name (1 to 100
	// letters, digits, dots, dashes and underscores). Clients over one Store must have the same ones; one of them that is
	// started delivers. From Start or EnsureSinks on the Store keeps events for a sink, until RemoveSink.
	Sinks map[string]EventSink

	// Audit keeps an append-only trail in the Store of who asked for what and what was delivered (Client.AuditTrail).
	// What cannot be noted is not done: the call is a ServiceUnavailableException. Clients over one Store should agree;
	// once a trail was begun, the Store goes on to note what becomes of files, whatever later Clients say.
	Audit bool

	// Observer is told of what this node does while it does it, for metrics and traces (package otelx). Default: nobody.
	Observer Observer

	// Logger receives what happens. Default: silence. Secrets and file contents are never logged.
	Logger *slog.Logger

	// Name tells this node from others in leases and logs. Default: host name, process id and a random part, which
	// no two Clients share; a name of your own must be unique too.
	Name string

	// MaxPaths is how many paths one StartFileTransfer may name. Default 10,000 (AWS: 10); -1 for no limit.
	MaxPaths int

	// MaxFiles is how many files this node moves at once, over all connectors. Default 64. Each connector has a
	// limit of its own (ConnectorInfo.MaxFiles), which holds over all nodes. Where there are several connectors, one alone
	// gets half of the places at most, two that are busy a third each, and so on, and the last eighth is for connectors that
	// have no file moving here: a flood of slow files for one partner does not hold up the others.
	MaxFiles int

	// WindowSize is how many bytes move as one piece: the unit of acknowledgement, progress and resuming, and on S3
	// one part, which is why S3 needs 5 MiB at least. Default 5 MiB, at most 1 GiB. Files of more than 9,000 windows get larger
	// ones, in steps of 1 MiB, because an S3 upload has 10,000 parts at most.
	WindowSize int64

	// WindowsPerFile is how many windows of one file are in memory at once, at most. There are no more than source and
	// sink take at once together (Source.Concurrency, Sink.Concurrency). Default 5. At a distance
	// WindowSize times the windows that one side takes is what one file has under way in a round trip.
	WindowsPerFile int

	// MemoryBudget bounds the windows of all files of this node together, in bytes, at least one WindowSize.
	// Default 64 MiB. Buffers are kept for reuse up to this bound. Where there are several connectors, or may be (Protocols), one alone gets
	// half of it at most, and one with a rate (Limits.BytesPerSecond) two seconds' worth, two windows at least, so that a partner that does not move leaves some for the others. On Linux, buffers of 1 MiB and
	// more are outside of Go's heap: GOMEMLIMIT does not count them, and the collector does not let garbage grow as large.
	// Elsewhere it does, and the process takes up to twice as much.
	MemoryBudget int64

	// Retry says how files are tried again after a failure that may pass. A connector may have its own
	// (ConnectorInfo.Retry).
	Retry RetryPolicy

	// QueueTimeout is how long a file may wait to be taken up the first time, from the moment on when it could be. Then
	// it fails with TIMEOUT_ERROR, detail QUEUE_EXPIRED, when its turn comes. Default: no limit.
	QueueTimeout time.Duration

	// FileTimeout is how long one attempt at a file may take; the next one goes on from there. Default 24 h; -1 for no
	// limit.
	FileTimeout time.Duration

	// Retention is how long finished files stay in the Store. Default: for ever.
	Retention Retention

	// Lease is how long a file stays with a node that no longer answers before another takes it over. Default 30 s,
	// at least 1 s.
	Lease time.Duration

	// ProgressInterval is how often the progress of running files is written to the Store, which extends their
	// leases too. Default 1 s, at most a third of Lease.
	ProgressInterval time.Duration

	// PollInterval is how often the Store is asked for work when no hint comes. Default 1 s.
	PollInterval time.Duration
}

// Defaults of Config.
const (
	defaultMaxPaths       = 10_000
	defaultMaxFiles       = 64
	defaultWindowSize     = 5 << 20
	maxWindowSize         = 1 << 30
	defaultWindowsPerFile = 5
	defaultMemoryBudget   = 64 << 20
	defaultLease          = 30 * time.Second
	defaultInterval       = time.Second
	defaultFileTimeout    = 24 * time.Hour
)

func (c Config) withDefaults() Config {
	if c.Storage == nil {
		c.Storage = NewMemory()
	}
	if c.Store == nil {
		c.Store = store.NewMemory()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Name == "" {
		c.Name = nodeName()
	}
	c.Connectors, c.Protocols = maps.Clone(c.Connectors), maps.Clone(c.Protocols)
	c.Rules = maps.Clone(c.Rules)
	c.Sinks = maps.Clone(c.Sinks)
	if c.Secrets == nil {
		c.Secrets = noSecrets{}
	}
	fill(&c.MaxPaths, defaultMaxPaths)
	fill(&c.MaxFiles, defaultMaxFiles)
	fill(&c.WindowSize, defaultWindowSize)
	fill(&c.WindowsPerFile, defaultWindowsPerFile)
	fill(&c.MemoryBudget, max(defaultMemoryBudget, c.WindowSize))
	c.Retry = c.Retry.withDefaults()
	fill(&c.FileTimeout, defaultFileTimeout)
	fill(&c.Lease, defaultLease)
	fill(&c.ProgressInterval, min(defaultInterval, c.Lease/3))
	fill(&c.PollInterval, defaultInterval)
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
			errs = append(errs, fmt.Errorf("transfer: Config."+format, args...))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.Connectors)) {
		conn := c.Connectors[id]
		wrong(!validText(id, 1, 255), "Connectors has the id %q (use 1 to 255 characters of one line)", id)
		missing := isNil(conn)
		wrong(missing, "Connectors[%q] is nil (make one with sftpx.New)", id)
		if !missing {
			wrong(conn.Info().MaxFiles < 1, "Connectors[%q] allows %d files at once (its Info must say 1 or more)", id, conn.Info().MaxFiles)
			if own := conn.Info().Retry; own != nil {
				own.check(fmt.Sprintf("Connectors[%q].Retry", id), wrong)
			}
			if own := conn.Info().Limits; own != nil {
				own.check(fmt.Sprintf("Connectors[%q].Limits", id), wrong)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sinks)) {
		wrong(!validSinkName(name), "Sinks has the name %q (use 1 to %d letters, digits, dots, dashes and underscores)", name, maxSinkName)
		wrong(isNil(c.Sinks[name]), "Sinks[%q] is nil (try transfer.EventSinkFunc, or webhook.New)", name)
	}
	for _, scheme := range slices.Sorted(maps.Keys(c.Protocols)) {
		wrong(c.Protocols[scheme] == nil, "Protocols[%q] is nil (try sftpx.Protocol)", scheme)
		wrong(!validScheme(scheme), "Protocols has the scheme %q (use lower case letters and digits, such as sftp)", scheme)
	}
	c.checkRules(wrong)
	wrong(c.MaxPaths < -1, "MaxPaths is %d (use 1 or more, 0 for %d, -1 for no limit)", c.MaxPaths, defaultMaxPaths)
	wrong(c.MaxFiles < 0, "MaxFiles is %d (use 1 or more, or 0 for %d)", c.MaxFiles, defaultMaxFiles)
	wrong(c.WindowSize < 0 || c.WindowSize > maxWindowSize, "WindowSize is %d (use 1 to %d bytes, or 0 for %d)", c.WindowSize, maxWindowSize, defaultWindowSize)
	wrong(c.WindowsPerFile < 0, "WindowsPerFile is %d (use 1 or more, or 0 for %d)", c.WindowsPerFile, defaultWindowsPerFile)
	wrong(c.MemoryBudget < c.WindowSize, "MemoryBudget is %d, less than one window of %d bytes (raise it, or lower WindowSize)", c.MemoryBudget, c.WindowSize)
	c.Limits.check("Limits", wrong)
	c.Retry.check("Retry", wrong)
	wrong(c.QueueTimeout < 0, "QueueTimeout is %v (use more than 0, or 0 for no limit)", c.QueueTimeout)
	wrong(c.FileTimeout < -1, "FileTimeout is %v (use more than 0, 0 for %v, -1 for no limit)", c.FileTimeout, defaultFileTimeout)
	if problem := c.Retention.check("Retention"); problem != "" {
		wrong(true, "%s", problem)
	}
	wrong(c.Lease < time.Second, "Lease is %v (use 1s or more, or 0 for %v)", c.Lease, defaultLease)
	wrong(c.ProgressInterval < 0 || c.Lease >= time.Second && c.ProgressInterval > c.Lease/3, "ProgressInterval is %v (use more than 0 and at most a third of Lease, %v)", c.ProgressInterval, c.Lease/3)
	wrong(c.PollInterval < 0, "PollInterval is %v (use more than 0, or 0 for %v)", c.PollInterval, defaultInterval)
	return errors.Join(errs...)
}

// isNil reports whether there is nothing behind an interface: no value, or a nil pointer or function.
func isNil(x any) bool {
	v := reflect.ValueOf(x)
	return !v.IsValid() || (v.Kind() == reflect.Pointer || v.Kind() == reflect.Func) && v.IsNil()
}

// validScheme reports whether url.Parse may find s to be the scheme of a URL.
func validScheme(s string) bool {
	return s != "" && s[0] >= 'a' && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789+-.") == ""
}
