package transfer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed62b9dc43/transfer/store"
)

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
	cfg.Logger = cfg.Logger.With("node", cfg.Name)
	if cfg.Observer != nil {
		cfg.Store = observedStore{cfg.Store, cfg.Observer}
	}
	c := &Client{cfg: cfg, engine: newEngine(cfg)}
	c.engine.startTransfer = c.StartFileTransfer
	return c, nil
}

// Start begins to move files and returns at once; with Config.Sinks or Config.Audit it first does what EnsureSinks does, and
// where that fails the Client was not started. When ctx ends, the Client stops as Shutdown does, and running files
// reach the end of their window; call Shutdown all the same, to wait for that and to bound it. A Client starts once.
func (c *Client) Start(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started {
		return errors.New("transfer: Client was started or shut down before (make another with New)")
	}
	if c.cfg.keepsJournal() {
		call, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		if err := c.EnsureSinks(call); err != nil {
			return err
		}
	}
	c.started = true
	if o := c.cfg.Observer; o != nil {
		c.engine.unobserve = o.Started(c)
	}
	c.engine.start(ctx)
	return nil
}

// Shutdown takes no more files, lets those that are moving finish the windows that they have read (WindowsPerFile at most),
// and gives them back to the Store, where another Client over the same Store goes on from there. Files of one window are
// finished; those that wait for their partner are given back at once. What can be delivered of events within five seconds is;
// the others stay in the Store.
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
		c.engine.hub.close()
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

	// BundleName makes one file of all SendFilePaths: a ZIP file of this base name, such as "reports.zip", packed while it is
	// sent. It has one row, with BundleName as its FilePath, and one result. Its entries have the base names of the paths, all
	// different, and no directories. It does not go on in mid-file after an interruption, but begins anew. A rule's
	// Transforms change the ZIP file; a rule with tasks about the source, Forward among them, is refused. Default: each path
	// is a file of its own.
	BundleName string `json:",omitempty"` // not AWS's

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

	// RuleName names one of Config.Rules, which says how the files are moved and what is done before and after: what is
	// empty here comes from it, and what contradicts it is refused. A name that is none of them labels the transfer
	// (Waarp ruleName). Up to 255 characters.
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

	// Ledger says what becomes of a file that was transferred before. Default: it is, again, and the ledger is left alone.
	Ledger LedgerPolicy `json:",omitempty"`

	// Priority says which of a connector's files are taken up first. Default: that of the rule, or store.Normal. Those
	// that are under way stay so.
	Priority store.Priority `json:",omitempty"`

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
	under, err := c.validateStart(in)
	if err != nil {
		return nil, err
	}
	ctx, end := c.cfg.observe(ctx, submission(in))
	out, err := c.submit(ctx, in, under)
	end(err)
	return out, err
}

// submit stores a transfer whose request is in order.
func (c *Client) submit(ctx context.Context, in *StartFileTransferInput, under *ruled) (*StartFileTransferOutput, error) {
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
	t, err := newTransfer(in, under, c.cfg.carried(ctx))
	if err != nil {
		return nil, &InternalServiceError{Message: err.Error(), Err: err}
	}
	if err := c.auditStart(ctx, in, t.ID); err != nil {
		return nil, err
	}
	stored, err := c.cfg.Store.CreateTransfer(ctx, t, newFiles(under, info))
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
