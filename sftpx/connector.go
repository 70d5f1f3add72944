package sftpx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/seed62b9dc43/transfer"
)

// Connector reaches one partner's server. It is safe for concurrent use. Close it when it is no longer needed.
type Connector struct {
	cfg  Config
	keys *hostKeys
	log  *slog.Logger
	url  string
	pool *pool

	temporary *regexp.Regexp // paths of unfinished deliveries; nil: none can be told

	learnedPacket atomic.Int64 // what the server takes at most; 0 until it has shown a limit
	lostLarge     atomic.Int32 // connections that broke under the first large WRITE, one after the other
	noResume      atomic.Bool  // the server does not write into the middle of a file
	noSeek        atomic.Bool  // the server does not read from the middle of a file
	noSetstat     atomic.Bool  // the server does not know SETSTAT
}

var (
	_ transfer.Connector  = (*Connector)(nil)
	_ transfer.IdleCloser = (*Connector)(nil)
)

// New returns a connector. It reads Config.KnownHosts but connects to nothing. Its error names every wrong field.
func New(cfg Config) (*Connector, error) {
	cfg = cfg.withDefaults()
	wrong := cfg.validate()
	keys, err := newHostKeys(cfg)
	if err := errors.Join(wrong, err); err != nil {
		return nil, err
	}
	location := url.URL{Scheme: "sftp", Host: cfg.Addr}
	if cfg.User != "" {
		location.User = url.User(cfg.User)
	}
	c := &Connector{cfg: cfg, keys: keys, log: cfg.Logger, url: location.String(), temporary: cfg.temporaries()}
	c.noResume.Store(cfg.NoResume)
	c.pool = newPool(c)
	return c, nil
}

// Connect returns a session for one file, on a connection that other files may share. It waits for a free place, and for
// the handshake if there is none. Failures carry their cause (transfer.HostKeyMismatch, …) and say the fix.
func (c *Connector) Connect(ctx context.Context) (transfer.Remote, error) {
	s, err := c.pool.get(ctx)
	if err != nil {
		return nil, err
	}
	return &remote{c: c, s: s}, nil
}

// Info describes the connector. MaxFiles is MaxConnections times FilesPerConnection.
func (c *Connector) Info() transfer.ConnectorInfo {
	return transfer.ConnectorInfo{
		URL:      c.url,
		Partner:  c.cfg.Partner,
		MaxFiles: c.cfg.MaxConnections * c.cfg.FilesPerConnection,
		Retry:    c.cfg.Retry,
		Limits:   c.cfg.Limits,
	}
}

// Close ends all connections and returns once nothing of the connector runs any more. Files under way fail with
// transfer.ConnectionLost. It returns nil, and may be called again.
func (c *Connector) Close() error {
	c.pool.close()
	return nil
}

// CloseIdleConnections closes the connections that no file uses. Later files make new ones.
func (c *Connector) CloseIdleConnections() { c.pool.closeIdle() }

// rememberNoResume makes all later deliveries that were interrupted begin anew.
func (c *Connector) rememberNoResume(why string) {
	if !c.noResume.Swap(true) {
		c.log.Debug("sftp server does not resume", "server", c.url, "reason", why)
	}
}

// remote is a place for one file on a session.
type remote struct {
	c *Connector
	s *session
	// refused is the temporary file that the server did not let go on. It may still hold it open for a connection that
	// has broken; if it lets it begin anew, it does not.
	refused string
	closed  atomic.Bool
}

var _ transfer.Remote = (*remote)(nil)

// Features says what the server can do.
func (r *remote) Features() transfer.Features { return r.s.features() }

// Close gives the place back.
func (r *remote) Close() error {
	if !r.closed.Swap(true) {
		r.c.pool.put(r.s)
	}
	return nil
}

// checkPath refuses what no server could mean.
func checkPath(op, path string) error {
	var problem string
	switch {
	case path == "":
		problem = "the path is empty"
	case strings.ContainsRune(path, 0):
		problem = "the path has a NUL character"
	default:
		return nil
	}
	return fmt.Errorf("%s %q: %s", op, path, problem)
}
