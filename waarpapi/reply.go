package waarpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/seed62b9dc43/transfer"
)

// reply is an answer before it is sent.
type reply struct {
	status int
	header http.Header
	body   any // as JSON; nil for none
}

func ok(status int, body any) reply { return reply{status: status, body: body} }

// badRequest is the published answer of status 400.
func badRequest(p problems) reply {
	return reply{status: http.StatusBadRequest, body: &transfer.QueryStringError{Errors: p}}
}

// problemReply is an answer whose status says it all.
func problemReply(status int, format string, args ...any) reply {
	var p problems
	p.add(codeNone, format, args...)
	return reply{status: status, body: &transfer.QueryStringError{Errors: p}}
}

// with adds a header.
func (r reply) with(name, value string) reply {
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header.Set(name, value)
	return r
}

// retryAfter is how many seconds a client is asked to wait.
const retryAfter = "1"

func busy(format string, args ...any) reply {
	return problemReply(http.StatusServiceUnavailable, format, args...).with("Retry-After", retryAfter)
}

// failure answers that something of ours failed. What did is for our log.
func (h *handler) failure(ctx context.Context, doing string, err error) reply {
	var unavailable *transfer.ServiceUnavailableException
	var missing *transfer.ResourceNotFoundException
	switch {
	case errors.As(err, &missing) && missing.ResourceType == "File":
		return problemReply(http.StatusNotFound, "Transfer '%s' : not known.", missing.Resource)
	case errors.As(err, &unavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return h.unavailable(ctx, doing, err)
	}
	h.cfg.Logger.ErrorContext(ctx, "waarpapi: request failed", "doing", doing, "error", err)
	return problemReply(http.StatusInternalServerError, "Server : it failed (see its log).")
}

// unavailable answers that something that is needed cannot be had now.
func (h *handler) unavailable(ctx context.Context, doing string, err error) reply {
	if !errors.Is(err, context.Canceled) { // nobody waits for the answer
		h.cfg.Logger.ErrorContext(ctx, "waarpapi: not available", "doing", doing, "error", err)
	}
	return busy("Server : not available (try again later).")
}

// send writes an answer, for which the client has as long as for the request.
func (h *handler) send(w http.ResponseWriter, a reply) {
	var body []byte
	if a.body != nil {
		body, _ = json.Marshal(a.body) // texts and numbers
	}
	header := w.Header()
	for name, values := range a.header {
		header[name] = values
	}
	if body != nil {
		header.Set("Content-Type", "application/json")
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(h.cfg.Timeout)) // until the request ends, where there is a connection
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // to a client that may be gone
}
