package as2x

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// Connector sends files to one partner, made by New. It is safe for concurrent use.
type Connector struct {
	cfg        Config
	client     *http.Client
	indefinite int64 // from this size on, compressed files have indefinite lengths; lower in tests only
}

// indefiniteFrom leaves room in 31 bits for what compression may add: Java reads no longer definite lengths.
const indefiniteFrom = 1<<31 - 16<<20

var (
	_ transfer.Connector = (*Connector)(nil)
	_ transfer.Receipts  = (*remote)(nil)
	_ transfer.Reporter  = (*Connector)(nil)
)

// New returns a Connector, or one error that names every wrong field of cfg. It connects to nobody.
func New(cfg Config) (*Connector, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Connector{cfg: cfg, client: newHTTPClient(cfg), indefinite: indefiniteFrom}, nil
}

// Info describes the connector.
func (c *Connector) Info() transfer.ConnectorInfo {
	return transfer.ConnectorInfo{
		URL: c.cfg.URL, Partner: c.cfg.Name, MaxFiles: c.cfg.MaxFiles, Retry: c.cfg.Retry, Limits: c.cfg.Limits, CustomHeaders: true,
	}
}

// Connect returns a Remote. AS2 has no sessions: whether the partner can be reached shows when a message is sent.
func (c *Connector) Connect(ctx context.Context) (transfer.Remote, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return &remote{c: c}, nil
}

// Close closes idle connections. Files under way are not harmed.
func (c *Connector) Close() error {
	c.client.CloseIdleConnections()
	return nil
}

// remote is the partner, to whom files can be sent, and nothing else.
type remote struct {
	transfer.NoDirectories
	c *Connector
}

// Features says that nothing can be read back.
func (r *remote) Features() transfer.Features {
	return transfer.Features{Server: "AS2", ReadOnce: true, Session: transfer.SessionInfo{
		Protocol: "as2", User: r.c.cfg.Local.AS2ID, Cipher: string(r.c.cfg.EncryptionAlgorithm),
	}}
}

func (r *remote) Close() error { return nil }

func (r *remote) Open(_ context.Context, path string) (transfer.Source, error) {
	return nil, &transfer.Error{Op: "open", Path: path, Code: transfer.UnsupportedOperationError,
		Err: errors.New("AS2 only sends files (the partner sends theirs to an as2x.Receiver)")}
}

// Create begins a message. The partner sees nothing of it before Commit.
func (r *remote) Create(_ context.Context, path string, o transfer.CreateOptions) (transfer.Sink, error) {
	cfg := r.c.cfg
	if limit := cfg.MaxFileSize; limit > 0 && o.Size > limit {
		return nil, failedTo("create", path, transfer.FileSizeTooLarge, "%d bytes, and Config.MaxFileSize is %d", o.Size, limit)
	}
	now := time.Now()
	s := &sink{c: r.c, path: path, o: o}
	if cfg.EncryptionAlgorithm != EncryptionNone {
		var ok bool
		if s.recipient, ok = cfg.Partner.encryption(now); !ok {
			return nil, failedTo("create", path, transfer.EncryptKeyNotFound, "no certificate of Partner.Encryption is current")
		}
	}
	if cfg.SigningAlgorithm != SigningNone {
		var ok bool
		if s.signer, ok = cfg.Local.signer(now); !ok {
			return nil, failedTo("create", path, transfer.SigningKeyNotFound, "no certificate of Local.Signing is current")
		}
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	return s, nil
}

// Discard does nothing: what an attempt leaves has no name and ends with its process.
func (r *remote) Discard(context.Context, string, transfer.CreateOptions) error { return nil }
