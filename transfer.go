package transfer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
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

	// Logger receives what happens. Default: silence. Secrets and file contents are never logged.
	Logger *slog.Logger

	// Name tells this node from others in leases and logs. Default: host name, process id and a random part, which
	// no two Clients share; a name of your own must be unique too.
	Name string

	// MaxPaths is how many paths one StartFileTransfer may name. Default 10,000 (AWS: 10); -1 for no limit.
	MaxPaths int

	// MaxFiles is how many files this node moves at once, over all connectors. Default 64. Each connector has a
	// limit of its own (ConnectorInfo.MaxFiles), which holds over all nodes.
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
	// half of it at most, so that a partner that does not move leaves some for the others. On Linux, buffers of 1 MiB and
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
		missing := conn == nil || reflect.ValueOf(conn).Kind() == reflect.Pointer && reflect.ValueOf(conn).IsNil()
		wrong(missing, "Connectors[%q] is nil (make one with sftpx.New)", id)
		if !missing {
			wrong(conn.Info().MaxFiles < 1, "Connectors[%q] allows %d files at once (its Info must say 1 or more)", id, conn.Info().MaxFiles)
			if own := conn.Info().Retry; own != nil {
				own.check(fmt.Sprintf("Connectors[%q].Retry", id), wrong)
			}
		}
	}
	for _, scheme := range slices.Sorted(maps.Keys(c.Protocols)) {
		wrong(c.Protocols[scheme] == nil, "Protocols[%q] is nil (try sftpx.Protocol)", scheme)
		wrong(!validScheme(scheme), "Protocols has the scheme %q (use lower case letters and digits, such as sftp)", scheme)
	}
	wrong(c.MaxPaths < -1, "MaxPaths is %d (use 1 or more, 0 for %d, -1 for no limit)", c.MaxPaths, defaultMaxPaths)
	wrong(c.MaxFiles < 0, "MaxFiles is %d (use 1 or more, or 0 for %d)", c.MaxFiles, defaultMaxFiles)
	wrong(c.WindowSize < 0 || c.WindowSize > maxWindowSize, "WindowSize is %d (use 1 to %d bytes, or 0 for %d)", c.WindowSize, maxWindowSize, defaultWindowSize)
	wrong(c.WindowsPerFile < 0, "WindowsPerFile is %d (use 1 or more, or 0 for %d)", c.WindowsPerFile, defaultWindowsPerFile)
	wrong(c.MemoryBudget < c.WindowSize, "MemoryBudget is %d, less than one window of %d bytes (raise it, or lower WindowSize)", c.MemoryBudget, c.WindowSize)
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

// validScheme reports whether url.Parse may find s to be the scheme of a URL.
func validScheme(s string) bool {
	return s != "" && s[0] >= 'a' && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789+-.") == ""
}

func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	random := make([]byte, 4)
	_, _ = rand.Read(random)
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), hex.EncodeToString(random))
}

// Client starts transfers and tells how they go. Between Start and Shutdown it moves files as well; a Client that only
// submits and lists is never started. All methods are safe for concurrent use.
type Client struct {
	cfg    Config
	engine *engine

	mu      sync.Mutex // guards started
	started bool       // or shut down: it does not start again
}

// New returns a Client, or one error that names every wrong field of cfg. It starts no goroutine.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, engine: newEngine(cfg)}, nil
}

// Start begins to move files and returns at once. When ctx ends, the Client stops as Shutdown does, and running files
// reach the end of their window; call Shutdown all the same, to wait for that and to bound it. A Client starts once.
func (c *Client) Start(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started {
		return errors.New("transfer: Client was started or shut down before (make another with New)")
	}
	c.started = true
	c.engine.start(ctx)
	return nil
}

// Shutdown takes no more files, lets those that are moving finish the windows that they have read (WindowsPerFile at most),
// and gives them back to the Store, where another Client over the same Store goes on from there. Files of one window are
// finished; those that wait for their partner are given back at once.
// When ctx ends first, running files are cut off; they go on from their last acknowledged window all the same. It
// returns when every goroutine of the Client has ended, with ctx's error if files were cut off. Listing and waiting
// still work afterwards.
func (c *Client) Shutdown(ctx context.Context) error {
	c.mu.Lock()
	started := c.engine.cut != nil
	c.started = true
	c.mu.Unlock()
	if !started {
		c.engine.stop()
		return nil
	}
	return c.engine.shutdown(ctx)
}

// StartFileTransferInput asks for a transfer. Give either SendFilePaths or RetrieveFilePaths.
type StartFileTransferInput struct {
	// ConnectorID names the partner. Required.
	ConnectorID string

	// SendFilePaths are files in our storage to send, such as "/bucket/key" (1 to 1,024 characters each). The file
	// keeps its base name.
	SendFilePaths []string

	// RemoteDirectoryPath is where sent files go. Default: the home directory of the SFTP user. Relative paths are
	// relative to it too; "~" is a name like any other.
	RemoteDirectoryPath string

	// RetrieveFilePaths are files on the partner's server to retrieve, absolute or relative to the home directory
	// (1 to 1,024 characters each).
	RetrieveFilePaths []string

	// LocalDirectoryPath is where retrieved files go in our storage. Required with RetrieveFilePaths.
	LocalDirectoryPath string

	// CustomHTTPHeaders go with the message of each file, over AS2 only: at most 50 (AWS: CustomHttpHeader).
	CustomHTTPHeaders []CustomHTTPHeader `json:",omitempty"`

	// The fields below are not AWS's.

	// ClientToken makes the call repeatable: the same token with the same request returns the same TransferID, the
	// same token with another request is refused. Up to 128 characters, kept as long as the transfer.
	ClientToken string

	// FollowID is your id for this flow of files, carried across hops (Waarp followId). Default: the TransferID.
	// Up to 255 characters.
	FollowID string

	// RuleName labels the transfer (Waarp ruleName). Up to 255 characters.
	RuleName string

	// Metadata is kept with the transfer: at most 50 entries, keys up to 128 and values up to 1,024 characters.
	Metadata map[string]string

	// Overwrite says what happens if a target is there already. Default: OverwriteReplace.
	Overwrite Overwrite

	// Verify says how sure each file must be before it is COMPLETED. Default: VerifySize.
	Verify Verify `json:",omitempty"`

	// FailIfChanged fails a file with READ_FILE_ERROR, detail SOURCE_CHANGED, whose source has changed since part of it
	// was delivered. By default the new version is delivered, from its beginning.
	FailIfChanged bool `json:",omitempty"`

	// StartAt is the earliest time to begin. Default, and for times past: at once.
	StartAt time.Time
}

// StartFileTransferOutput answers a StartFileTransfer.
type StartFileTransferOutput struct {
	// TransferID is the id of the transfer, a UUIDv7.
	TransferID string
}

// StartFileTransfer stores a transfer of one or more files and returns its id at once; a started Client, here or on
// another node, moves the files. What goes wrong with a file later is in its result (ListFileTransferResults).
//
// Errors: InvalidRequestException with every wrong field, ResourceNotFoundException for an unknown connector; nothing is
// stored then. ServiceUnavailableException when the Store failed: the outcome may be unknown, as after an ended ctx;
// repeat with the same ClientToken.
func (c *Client) StartFileTransfer(ctx context.Context, in *StartFileTransferInput) (*StartFileTransferOutput, error) {
	if in == nil {
		in = &StartFileTransferInput{}
	}
	if err := c.validateStart(in); err != nil {
		return nil, err
	}
	info, err := c.connectorInfo(ctx, in.ConnectorID)
	if err != nil {
		return nil, err
	}
	if len(in.CustomHTTPHeaders) > 0 {
		if err := c.takesHeaders(ctx, in.ConnectorID, info); err != nil {
			return nil, err
		}
	}
	if c.engine.stopped() {
		return nil, &ServiceUnavailableException{Message: "the client was shut down"}
	}
	t, err := newTransfer(in)
	if err != nil {
		return nil, &InternalServiceError{Message: err.Error(), Err: err}
	}
	stored, err := c.cfg.Store.CreateTransfer(ctx, t, newFiles(in, info))
	if errors.Is(err, store.ErrTokenReused) {
		return nil, invalid(InvalidField{"ClientToken", in.ClientToken, "was used before with another request (use a new token for a new request)"})
	}
	if err != nil {
		return nil, storeFailure("start file transfer", err)
	}
	c.cfg.Logger.Info("transfer started", "transfer", stored.ID, "connector", stored.ConnectorID, "files", stored.Files, "follow", stored.FollowID)
	return &StartFileTransferOutput{TransferID: stored.ID}, nil
}

func quotedKeys[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	keys := slices.Sorted(maps.Keys(m))
	more := ""
	if len(keys) > 10 {
		keys, more = keys[:10], ", …"
	}
	return fmt.Sprintf("%q", keys[0]) + quoteRest(keys[1:]) + more
}

func quoteRest(keys []string) string {
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, ", %q", k)
	}
	return b.String()
}

// storeFailure turns a Store's error into the API's. An ended context stays what it is.
func storeFailure(op string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", op, err)
	}
	return &ServiceUnavailableException{Message: op + ": " + err.Error(), Err: err}
}
