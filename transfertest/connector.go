package transfertest

import (
	"context"
	"sync"

	"github.com/seed62b9dc43/transfer"
)

// ConnectorOptions configure a [Connector]; the zero value will do.
type ConnectorOptions struct {
	URL      string // empty means "test://partner"
	Partner  string // the remote side's name; empty means the connector's id
	MaxFiles int    // files in flight at once; 0 means 4
	Limits   *transfer.Limits
	// Features is what its Remotes can do. The zero value means everything; to take something away, name Server.
	Features transfer.Features
}

// Connector is a partner without a network: its Remotes are a Storage. Rules strike its calls, OpConnect first of all,
// and those of its Remotes, their Sources and Sinks.
type Connector struct {
	*script
	storage *Storage
	options ConnectorOptions
}

var _ transfer.Connector = (*Connector)(nil)

// NewConnector returns a partner that has the files of storage; nil means a new transfer.Memory.
func NewConnector(storage transfer.Storage, o ConnectorOptions) *Connector {
	if o.URL == "" {
		o.URL = "test://partner"
	}
	if o.MaxFiles == 0 {
		o.MaxFiles = 4
	}
	if o.Features == (transfer.Features{}) {
		o.Features = transfer.Features{Server: "transfertest", AtomicReplace: true, Resume: true}
	}
	s := NewStorage(storage)
	return &Connector{script: s.script, storage: s, options: o}
}

// Info returns the URL, the partner and the limit of the options.
func (c *Connector) Info() transfer.ConnectorInfo {
	return transfer.ConnectorInfo{URL: c.options.URL, Partner: c.options.Partner, MaxFiles: c.options.MaxFiles, Limits: c.options.Limits}
}

// Connect returns a new Remote, if the rules let it.
func (c *Connector) Connect(ctx context.Context) (transfer.Remote, error) {
	if err := c.run(ctx, Call{Op: OpConnect}, ctx.Err); err != nil {
		return nil, err
	}
	c.track(OpConnect, 1)
	return &remote{connector: c}, nil
}

// OpenRemotes returns how many Remotes were connected and not closed.
func (c *Connector) OpenRemotes() int { return c.opened(OpConnect) }

// PeakRemotes returns how many Remotes there were at once, at most.
func (c *Connector) PeakRemotes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peak
}

// remote is a session with a Connector.
type remote struct {
	connector *Connector

	mu     sync.Mutex // guards all below
	closed bool
	files  int // open Sources and Sinks
}

func (r *remote) Features() transfer.Features { return r.connector.options.Features }

func (r *remote) Open(ctx context.Context, path string) (transfer.Source, error) {
	if err := r.begin("Open", path); err != nil {
		return nil, err
	}
	s, err := r.connector.storage.Open(ctx, path)
	if err != nil {
		r.end()
		return nil, err
	}
	return &remoteSource{s, r}, nil
}

func (r *remote) Create(ctx context.Context, path string, o transfer.CreateOptions) (transfer.Sink, error) {
	if err := r.begin("Create", path); err != nil {
		return nil, err
	}
	s, err := r.connector.storage.Create(ctx, path, o)
	if err != nil {
		r.end()
		return nil, err
	}
	return &remoteSink{s, r}, nil
}

func (r *remote) Discard(ctx context.Context, path string, o transfer.CreateOptions) error {
	if err := r.begin("Discard", path); err != nil {
		return err
	}
	defer r.end()
	return r.connector.storage.Discard(ctx, path, o)
}

func (r *remote) begin(call, path string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		r.connector.violation("remote: %s %s after Close", call, path)
		return &transfer.Error{Op: call, Path: path, Code: transfer.ConnectionLost}
	}
	if r.files++; r.files > 1 {
		r.connector.violation("remote: %s %s while it serves another file", call, path)
	}
	return nil
}

func (r *remote) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files--
}

func (r *remote) Close() error {
	return r.connector.run(context.Background(), Call{Op: OpCloseRemote}, func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		switch {
		case r.closed:
			r.connector.violation("remote: closed twice")
			return nil
		case r.files > 0:
			r.connector.violation("remote: closed with %d open files", r.files)
		}
		r.closed = true
		r.connector.track(OpConnect, -1)
		return nil
	})
}

type remoteSource struct {
	transfer.Source
	remote *remote
}

func (s *remoteSource) Close() error {
	defer s.remote.end()
	return s.Source.Close()
}

type remoteSink struct {
	transfer.Sink
	remote *remote
}

func (s *remoteSink) Close() error {
	defer s.remote.end()
	return s.Sink.Close()
}
