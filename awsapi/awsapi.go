package awsapi

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer"
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
	// of the form c-0123456789abcdef0, 5 connections of a connector. Default: what the
	// Client allows.
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

	// ReadTimeout bounds how long a request's body may take to arrive and, apart from that, the answer to leave.
	// Default 15 s.
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

// handler answers the requests.
type handler struct {
	client   *transfer.Client
	cfg      Config
	open     bool // nobody has to sign
	throttle *throttle
	bodies   gauge // bytes
	requests gauge
}

// NewHandler returns a handler for the operations of client, or one error that names every wrong field of cfg. It
// answers a POST of any path, so that it can be mounted anywhere; a client's BaseEndpoint is the URL that it is mounted
// at. It starts no goroutine and needs no closing.
func NewHandler(client *transfer.Client, cfg Config) (http.Handler, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if client == nil {
		return nil, errors.New("awsapi: the Client is nil (make one with transfer.New)")
	}
	return &handler{
		client:   client,
		cfg:      cfg,
		open:     cfg.AccessKeys == NoSignature,
		throttle: newThrottle(cfg.MaxRequestsPerSecond, cfg.Burst),
		bodies:   gauge{limit: cfg.MaxBodies},
		requests: gauge{limit: int64(cfg.MaxRequests)},
	}, nil
}

// contentType is that of AWS JSON 1.1.
const contentType = "application/x-amz-json-1.1"

// ServeHTTP answers one request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began, id := time.Now(), newRequestID()
	w.Header().Set("X-Amzn-Requestid", id)
	control := http.NewResponseController(w)
	// A ResponseWriter without deadlines, as in tests, is the server's affair.
	_ = control.SetReadDeadline(began.Add(h.cfg.ReadTimeout))
	out, err := h.serve(control, w, r)
	status := http.StatusOK
	if err != nil {
		e := exceptionOf(err)
		h.logFailure(r, id, &e, err)
		e.headers(w.Header())
		status, out = e.status, &e
	}
	_ = control.SetWriteDeadline(time.Now().Add(h.cfg.ReadTimeout))
	h.cfg.Logger.Debug("request answered", "request", id, "target", shorten(r.Header.Get(targetHeader)), "status", status, "after", time.Since(began))
	answer(w, status, out)
}

// serve does what the request asks for, once it is known to be whole and signed.
func (h *handler) serve(control *http.ResponseController, w http.ResponseWriter, r *http.Request) (any, error) {
	name, op, err := route(r)
	if err != nil {
		return nil, err
	}
	var who *claim
	if !h.open {
		if who, err = h.begin(r.Context(), r, time.Now()); err != nil {
			return nil, err
		}
	}
	body, held, err := h.readBody(w, r)
	defer h.bodies.give(held)
	if err != nil {
		return nil, err
	}
	// What the server does from here on, such as noticing that the client is gone, has no deadline of ours.
	_ = control.SetReadDeadline(time.Time{})
	if err := h.admit(r, who, name, body); err != nil {
		return nil, err
	}
	request, err := op.parse(body, h.cfg.Strict)
	if err != nil {
		return nil, err
	}
	if !h.requests.take(1) {
		return nil, tooMany("requests")
	}
	defer h.requests.give(1)
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.Timeout)
	defer cancel()
	return op.do(ctx, h, request)
}

// admit verifies who has sent the request, and whether they may.
func (h *handler) admit(r *http.Request, who *claim, operation string, body []byte) error {
	keyID := ""
	if who != nil {
		if err := who.verify(r, body); err != nil {
			return err
		}
		keyID = who.keyID
	}
	if !h.cfg.Allow(r.Context(), keyID, operation) {
		return failure{http.StatusForbidden, "AccessDeniedException",
			fmt.Sprintf("Access key %s is not authorized to perform: transfer:%s", shorten(keyID), operation)}
	}
	if wait := h.throttle.take(keyID, time.Now()); wait > 0 {
		return &transfer.ThrottlingException{
			Message:    fmt.Sprintf("Rate exceeded: at most %g requests per second", h.cfg.MaxRequestsPerSecond),
			RetryAfter: wait,
		}
	}
	return nil
}

func tooMany(what string) error {
	return &transfer.ThrottlingException{Message: "Exceeded maximum concurrent " + what, RetryAfter: time.Second}
}

const (
	targetHeader = "X-Amz-Target"
	targetPrefix = "TransferService."
)

// route finds the operation. An unknown one is refused before anything is asked about who sends it, as AWS does.
func route(r *http.Request) (string, operation, error) {
	name, ours := strings.CutPrefix(r.Header.Get(targetHeader), targetPrefix)
	op, known := operations[name]
	if !ours || !known || r.Method != http.MethodPost {
		return "", op, failure{http.StatusNotFound, "UnknownOperationException", "The requested operation is not recognized by the service."}
	}
	if given, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || given != contentType {
		return "", op, failure{http.StatusUnsupportedMediaType, "UnsupportedMediaTypeException", "The Content-Type must be " + contentType}
	}
	if r.URL.RawQuery != "" {
		return "", op, failure{http.StatusForbidden, "IncompleteSignatureException", "Requests with a query string, presigned ones among them, are not supported: sign the headers."}
	}
	return name, op, nil
}

// logFailure says what the answer does not say.
func (h *handler) logFailure(r *http.Request, id string, e *exception, err error) {
	attrs := []any{"request", id, "target", shorten(r.Header.Get(targetHeader)), "from", r.RemoteAddr, "code", e.Type}
	switch {
	case r.Context().Err() != nil: // nobody is there to answer
		h.cfg.Logger.Debug("client is gone", append(attrs, "error", err)...)
	case e.status >= http.StatusInternalServerError:
		h.cfg.Logger.Error("request failed", append(attrs, "error", err)...)
	case e.status == http.StatusForbidden:
		h.cfg.Logger.Warn("request refused", append(attrs, "error", e.Message)...)
	}
}

// answer writes what a request gets.
func answer(w http.ResponseWriter, status int, out any) {
	var body []byte
	if out != nil {
		body, _ = json.Marshal(out) // texts, numbers and lists of them
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone is not ours to help
}

// newRequestID is a random UUID, as AWS's request ids are.
func newRequestID() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // never fails since Go 1.24
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return formatUUID(u[:])
}
