package waarpapi

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed62b9dc43/transfer"
)

const transfersPath = "/v2/transfers"

// The verbs of PUT /v2/transfers/{id}/….
const (
	verbStop    = "stop"
	verbRestart = "restart"
	verbCancel  = "cancel"
)

// handler is the API. It starts no goroutine.
type handler struct {
	client    *transfer.Client
	cfg       Config
	passwords *passwords
	working   chan struct{} // holds one for each request that is worked on
}

// NewHandler returns the API of client, or one error that names every wrong field of cfg. It is safe for concurrent use.
// To serve it below a prefix use http.StripPrefix; signatures are over the URI as the client sent it, so that a proxy
// must not change it.
func NewHandler(client *transfer.Client, cfg Config) (http.Handler, error) {
	err := cfg.validate()
	if client == nil {
		err = errors.Join(errors.New("waarpapi: client is nil (make one with transfer.New)"), err)
	}
	if err != nil {
		return nil, err
	}
	h := &handler{client: client, cfg: cfg.withDefaults(), passwords: newPasswords()}
	h.working = make(chan struct{}, h.cfg.MaxRequests)
	if users, ok := h.cfg.Users.(StaticUsers); ok {
		for _, u := range users {
			h.passwords.learn(u)
		}
	}
	return h, nil
}

// request is a request whose sender is known and whose body is read.
type request struct {
	caller caller
	header http.Header
	query  string
	id     string // of the path
	verb   string // of the path
	body   []byte
	signed bool
}

// action is what a method does at a route.
type action struct {
	role  Role
	takes string // the Content-Type; empty for any
	do    func(*handler, context.Context, request) reply
}

// route is a path with what can be done there.
type route struct {
	id, verb string
	allow    string
	actions  map[string]action
}

var (
	listActions = map[string]action{
		http.MethodGet:  {RoleRead, "application/x-www-form-urlencoded", (*handler).list},
		http.MethodPost: {RoleTransfer, "application/json", (*handler).start},
	}
	fileActions = map[string]action{http.MethodGet: {RoleRead, "", (*handler).get}}
	verbActions = map[string]action{http.MethodPut: {RoleControl, "", (*handler).control}}
)

// findRoute returns the route of an escaped path.
func findRoute(escaped string) (route, bool) {
	rest, ok := strings.CutPrefix(escaped, transfersPath)
	if !ok {
		return route{}, false
	}
	parts := strings.Split(rest, "/") // the first is what follows "transfers": nothing
	for i, part := range parts {
		text, err := url.PathUnescape(part)
		if err != nil || (text == "") != (i == 0) {
			return route{}, false
		}
		parts[i] = text
	}
	switch len(parts) {
	case 1:
		return route{allow: "GET, HEAD, POST, OPTIONS", actions: listActions}, true
	case 2:
		return route{id: parts[1], allow: "GET, HEAD, OPTIONS", actions: fileActions}, true
	case 3:
		known := slices.Contains([]string{verbStop, verbRestart, verbCancel}, parts[2])
		return route{id: parts[1], verb: parts[2], allow: "PUT, OPTIONS", actions: verbActions}, known
	}
	return route{}, false
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.cfg.Timeout)) // where there is a connection
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.Timeout)
	defer cancel()
	content := r.Body
	if content == nil { // by a caller in the process
		content = http.NoBody
	}
	in := &body{Reader: http.MaxBytesReader(w, content, h.cfg.MaxBodyBytes)}
	a := h.answer(ctx, r, in)
	if r.ProtoMajor == 1 && r.ContentLength != 0 && !in.ended {
		a = a.with("Connection", "close") // else the server would read the rest before it sends the answer
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingering))
	}
	h.send(w, a)
}

// lingering is how long a body that nobody wants may still come: closing a connection with bytes unread may take the answer
// away from a client that is sending.
const lingering = 500 * time.Millisecond

// body is a request's, which knows whether it was read to its end.
type body struct {
	io.Reader
	ended bool
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.ended = b.ended || errors.Is(err, io.EOF)
	return n, err
}

// answer does what a request asks for, once it is clear that its sender may ask for it.
func (h *handler) answer(ctx context.Context, r *http.Request, in io.Reader) reply {
	if refusal := h.tooLong(r); refusal != nil {
		return *refusal
	}
	at, known := findRoute(r.URL.EscapedPath())
	if !known {
		return problemReply(http.StatusNotFound, "Path : nothing is here.")
	}
	if r.Method == http.MethodOptions {
		return reply{status: http.StatusOK}.with("Allow", at.allow)
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	do, allowed := at.actions[method]
	if !allowed {
		return problemReply(http.StatusMethodNotAllowed, "Method '%s' : not allowed here (use %s).", shorten(r.Method), at.allow).with("Allow", at.allow)
	}
	who, err := h.authenticate(ctx, r)
	if err != nil {
		return h.turnAway(ctx, who, err)
	}
	if who.roles&do.role == 0 {
		h.cfg.Logger.WarnContext(ctx, "waarpapi: request refused", "user", who.name, "reason", "needs the role "+do.role.String())
		return problemReply(http.StatusForbidden, "User : not allowed to do this (it needs the role %s).", do.role)
	}
	if refusal := negotiate(r, do.takes); refusal != nil {
		return *refusal
	}
	return h.work(ctx, r, in, do, request{caller: who, header: r.Header, query: r.URL.RawQuery, id: at.id, verb: at.verb})
}

// work reads the body and does what is asked, for so many requests at once as Config says.
func (h *handler) work(ctx context.Context, r *http.Request, in io.Reader, do action, q request) reply {
	select {
	case h.working <- struct{}{}:
	default:
		return busy("Server : too many requests at once (try again later).")
	}
	defer func() { <-h.working }()
	text, refusal := h.read(in)
	if refusal != nil {
		return *refusal
	}
	q.body = text
	var err error
	if q.signed, err = h.signed(r, text); err != nil {
		return h.turnAway(ctx, q.caller, err)
	}
	return do.do(h, transfer.WithActor(ctx, q.caller.name), q)
}

// turnAway answers a request whose sender is not known.
func (h *handler) turnAway(ctx context.Context, who caller, err error) reply {
	var why refused
	if !errors.As(err, &why) {
		return h.unavailable(ctx, "authenticate", err)
	}
	h.cfg.Logger.WarnContext(ctx, "waarpapi: request refused", "user", shorten(who.name), "reason", err)
	schemes := "Basic, HMAC"
	if len(h.cfg.Key) == 0 {
		schemes = "Basic"
	}
	return problemReply(http.StatusUnauthorized, "User : not known, or not proven (authenticate, and sign what changes something if that is asked for).").with("WWW-Authenticate", schemes)
}

// tooLong answers a request whose URI or headers are longer than Config allows.
func (h *handler) tooLong(r *http.Request) *reply {
	if len(r.RequestURI) > h.cfg.MaxHeaderBytes {
		refusal := problemReply(http.StatusRequestURITooLong, "URI : too long (use up to %d bytes).", h.cfg.MaxHeaderBytes)
		return &refusal
	}
	size := 0
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v) + 4
		}
	}
	if size > h.cfg.MaxHeaderBytes {
		refusal := problemReply(http.StatusRequestHeaderFieldsTooLarge, "Headers : too long (use up to %d bytes).", h.cfg.MaxHeaderBytes)
		return &refusal
	}
	return nil
}

// negotiate answers a request that sends another type than an action takes, or wants another than JSON. A GET may come
// without a type; a POST may not, so that no page of another site can make a browser send one.
func negotiate(r *http.Request, takes string) *reply {
	given := r.Header.Get("Content-Type")
	if kind, _, err := mime.ParseMediaType(given); takes != "" && (given != "" || r.Method == http.MethodPost) && (err != nil || kind != takes) {
		refusal := problemReply(http.StatusUnsupportedMediaType, "Content-Type '%s' : not supported (use %s).", shorten(given), takes).with("Accept", takes)
		return &refusal
	}
	if accept := r.Header.Values("Accept"); len(accept) > 0 && !acceptsJSON(strings.Join(accept, ",")) {
		refusal := problemReply(http.StatusNotAcceptable, "Accept '%s' : cannot be met (use application/json).", shorten(strings.Join(accept, ",")))
		return &refusal
	}
	return nil
}

func acceptsJSON(accept string) bool {
	for one := range strings.SplitSeq(accept, ",") {
		kind, params, err := mime.ParseMediaType(one)
		if err != nil || !slices.Contains([]string{"*/*", "application/*", "application/json"}, kind) {
			continue
		}
		if q, err := strconv.ParseFloat(params["q"], 64); err != nil || q > 0 {
			return true
		}
	}
	return strings.TrimSpace(accept) == ""
}

// read reads a body within the limits of Config.
func (h *handler) read(in io.Reader) ([]byte, *reply) {
	body, err := io.ReadAll(in)
	if err == nil {
		return body, nil
	}
	var long *http.MaxBytesError
	refusal := problemReply(http.StatusBadRequest, "Body : it broke off (send it again).")
	switch {
	case errors.As(err, &long):
		refusal = problemReply(http.StatusRequestEntityTooLarge, "Body : too long (send up to %d bytes).", h.cfg.MaxBodyBytes)
	case errors.Is(err, os.ErrDeadlineExceeded):
		refusal = problemReply(http.StatusRequestTimeout, "Body : it took too long (send it within %v).", h.cfg.Timeout)
	}
	return nil, &refusal
}
