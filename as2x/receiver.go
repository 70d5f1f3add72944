package as2x

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// ReceiverConfig says what a Receiver takes. Agreements, Storage and Records are required.
type ReceiverConfig struct {
	// Agreements are who may send to whom, at most one for each pair of AS2 names. Asynchronous MDNs are taken from the
	// partners of these agreements too.
	Agreements []Agreement
	// Storage is where received files and their result files go.
	Storage transfer.Storage
	// Records remember which messages were received, and are shared with the connectors that await asynchronous MDNs.
	Records *Records
	// Client records received files as rows, which ListTransfers reports, and lets a file go on as soon as its MDN has
	// come. It need not be started. Nil: neither.
	Client *transfer.Client

	// SpoolDir is the folder for temporary files. Default: the system's.
	SpoolDir string
	// MaxMessages is how many messages are taken at once; others get 503, which partners repeat. Default 64.
	MaxMessages int
	// StallTimeout limits how long the partner sends nothing of a message. Default 60 s.
	StallTimeout time.Duration
	// MDNDelay is how long after a failed attempt an asynchronous MDN is sent again; it grows fourfold, up to five times.
	// Default 10 s. After a restart, the partner's repeated message is what has it sent again.
	MDNDelay time.Duration
	// Dial makes the connections for asynchronous MDNs. It MUST return once ctx has ended. Nil means a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Logger gets each message and MDN. Nil is silent. Contents are never logged.
	Logger *slog.Logger
}

// Receiver is an http.Handler for AS2 messages and asynchronous MDNs, made by NewReceiver. Give the server that it runs in
// a ReadHeaderTimeout; TLS, and limits of connections, are that server's.
//
// It answers 200 with an MDN (or without, if none was asked for, or an asynchronous one), 400 to what is no AS2 message, 403
// to partners without an agreement, and 503 where it could not store a message, which the partner shall repeat.
type Receiver struct {
	cfg        ReceiverConfig
	agreements map[[2]string]*Agreement // by AS2 names: of the partner, and ours
	slots      chan struct{}

	mu       sync.Mutex // guards inFlight and closed
	inFlight map[string]chan struct{}
	closed   bool

	sending sync.WaitGroup // asynchronous MDNs
	life    context.Context
	end     context.CancelFunc
}

// NewReceiver returns a Receiver, or one error that names every wrong field of cfg.
func NewReceiver(cfg ReceiverConfig) (*Receiver, error) {
	setDefault(&cfg.MaxMessages, 64)
	setDefault(&cfg.StallTimeout, time.Minute)
	setDefault(&cfg.MDNDelay, 10*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	r := &Receiver{
		cfg: cfg, agreements: make(map[[2]string]*Agreement, len(cfg.Agreements)), slots: make(chan struct{}, cfg.MaxMessages),
		inFlight: make(map[string]chan struct{}),
	}
	r.life, r.end = context.WithCancel(context.Background())
	for _, a := range cfg.Agreements {
		a = a.withDefaults()
		r.agreements[[2]string{a.Partner.AS2ID, a.Local.AS2ID}] = &a
	}
	return r, nil
}

func (c ReceiverConfig) validate() error {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("as2x: ReceiverConfig."+field+" "+format, args...))
	}
	if len(c.Agreements) == 0 {
		wrong("Agreements", "is empty (name who may send)")
	}
	pairs := make(map[[2]string]int)
	ids := make(map[string]int)
	for i, a := range c.Agreements {
		field := fmt.Sprintf("Agreements[%d]", i)
		a.check(wrong, field)
		pair := [2]string{a.Partner.AS2ID, a.Local.AS2ID}
		if j, ok := pairs[pair]; ok {
			wrong(field, "has the same AS2 names as Agreements[%d] (leave one out)", j)
		}
		if j, ok := ids[a.ID]; ok {
			wrong(field+".ID", "is that of Agreements[%d] (use another one)", j)
		}
		pairs[pair], ids[a.ID] = i, i
	}
	if c.Storage == nil {
		wrong("Storage", "is nil (try transfer.Dir(path))")
	}
	if c.Records == nil || c.Records.Storage == nil {
		wrong("Records", "is nil or has no Storage (try &as2x.Records{Storage: storage, Directory: \"as2\"})")
	}
	if c.MaxMessages < 0 {
		wrong("MaxMessages", "is %d (use 1 or more, or 0 for 64)", c.MaxMessages)
	}
	for name, d := range map[string]time.Duration{"StallTimeout": c.StallTimeout, "MDNDelay": c.MDNDelay} {
		if d < time.Millisecond {
			wrong(name, "is %v (use 1ms or more, or 0 for the default)", d)
		}
	}
	return errors.Join(errs...)
}

// Close waits until the asynchronous MDNs that are being sent have arrived, and gives them up when ctx ends first; it
// returns ctx's error then. Messages that come later get 503. Shut the HTTP server down before.
func (r *Receiver) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		r.sending.Wait()
	}()
	select {
	case <-sent:
		r.end()
		return nil
	case <-ctx.Done():
		r.end()
		<-sent
		return ctx.Err()
	}
}

// ServeHTTP takes a message or an asynchronous MDN.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "AS2 messages come by POST", http.StatusMethodNotAllowed)
		return
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	default:
		tellBusy(w)
		return
	}
	in, status := r.newInbound(req)
	if in == nil {
		http.Error(w, http.StatusText(status), status)
		return
	}
	in.body = r.bounded(w, req, in.agreement)
	out, err := in.handle(req.Context())
	if err != nil {
		r.cfg.Logger.Error("cannot take an AS2 message", in.attrs("error", err)...)
		tellBusy(w)
		return
	}
	out.write(w)
}

// tellBusy asks the partner to send the message again.
func tellBusy(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "60")
	http.Error(w, "try again later", http.StatusServiceUnavailable)
}

// bounded limits how much is read of a request, and how long it may stand still.
func (r *Receiver) bounded(w http.ResponseWriter, req *http.Request, a *Agreement) *stallingReader {
	body := req.Body
	if a.MaxSize >= 0 { // base64 adds a third
		body = http.MaxBytesReader(w, body, a.MaxSize/2*3+2*overhead)
	}
	return &stallingReader{r: body, control: http.NewResponseController(w), limit: r.cfg.StallTimeout}
}

type stallingReader struct {
	r       io.Reader
	control *http.ResponseController
	limit   time.Duration
	err     error // the first one, but for the end
}

func (s *stallingReader) Read(p []byte) (int, error) {
	_ = s.control.SetReadDeadline(time.Now().Add(s.limit)) // a server that cannot has limits of its own
	n, err := s.r.Read(p)
	if err != nil {
		_ = s.control.SetReadDeadline(time.Time{})
		if s.err == nil && !errors.Is(err, io.EOF) {
			s.err = err
		}
	}
	return n, err
}

// broken returns why the request broke off. That it is too large is another matter.
func (s *stallingReader) broken() error {
	var large *http.MaxBytesError
	if errors.As(s.err, &large) {
		return nil
	}
	return s.err
}

// enter waits until no other request deals with the same message, and returns what to call at the end.
func (r *Receiver) enter(ctx context.Context, key string) (leave func(), err error) {
	for {
		r.mu.Lock()
		other := r.inFlight[key]
		if other == nil {
			mine := make(chan struct{})
			r.inFlight[key] = mine
			r.mu.Unlock()
			return func() {
				r.mu.Lock()
				delete(r.inFlight, key)
				r.mu.Unlock()
				close(mine)
			}, nil
		}
		r.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
