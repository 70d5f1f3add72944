package awsapi

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer"
)

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
	_, open := cfg.AccessKeys.(noSignature)
	return &handler{
		client:   client,
		cfg:      cfg,
		open:     open,
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
	q, err := h.receive(w, r)
	defer h.bodies.give(q.held)
	if err != nil {
		leaveBody(control, w, r)
		return nil, err
	}
	// What the server does from here on, such as noticing that the client is gone, has no deadline of ours.
	_ = control.SetReadDeadline(time.Time{})
	if err := h.admit(r, q.who, q.name, q.body); err != nil {
		return nil, err
	}
	request, err := q.op.parse(q.body, h.cfg.Strict)
	if err != nil {
		return nil, err
	}
	if !h.requests.take(1) {
		return nil, tooMany("requests")
	}
	defer h.requests.give(1)
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.Timeout)
	defer cancel()
	if q.who != nil {
		ctx = transfer.WithActor(ctx, "access key "+q.who.keyID)
	}
	return q.op.do(withInvocation(ctx, r, q.who), h, request)
}

// lingering is how long a body that nobody wants may still come: closing a connection with bytes unread may take the answer
// away from a client that is sending.
const lingering = 500 * time.Millisecond

// leaveBody has the server answer before the rest of the body came, and then end the connection.
func leaveBody(control *http.ResponseController, w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 1 || r.ContentLength == 0 {
		return
	}
	w.Header().Set("Connection", "close") // or the server would read first, and answer then
	_ = control.SetReadDeadline(time.Now().Add(lingering))
}

// received is a request whose body was read.
type received struct {
	name string
	op   operation
	who  *claim // nil: nobody has to sign
	body []byte
	held int64 // of handler.bodies, to be given back
}

// receive reads a request, unless its header says already that it is to be refused.
func (h *handler) receive(w http.ResponseWriter, r *http.Request) (q received, err error) {
	if q.name, q.op, err = route(r); err != nil {
		return q, err
	}
	if !h.open {
		if q.who, err = h.begin(r.Context(), r, time.Now()); err != nil {
			return q, err
		}
	}
	q.body, q.held, err = h.readBody(w, r)
	return q, err
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
