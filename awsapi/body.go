package awsapi

import (
	"errors"
	"io"
	"net/http"
	"os"
)

// firstPiece is what is held for a body before any of it has come.
const firstPiece = 4 << 10

// readBody reads the body within MaxBody and MaxBodies. A buffer grows with what has come, not with what was promised,
// so that a slow client holds little. The caller gives back the capacity of what is returned, also with an error.
func (h *handler) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > h.cfg.MaxBody {
		w.Header().Set("Connection", "close") // or the server would read on
		return nil, tooLarge()
	}
	in := http.MaxBytesReader(w, r.Body, h.cfg.MaxBody)
	var body []byte
	for {
		if len(body) == cap(body) {
			larger := int(min(max(firstPiece, 2*int64(cap(body))), h.cfg.MaxBody+1)) // one more tells what is too large
			if !h.bodies.take(int64(larger - cap(body))) {
				w.Header().Set("Connection", "close")
				return body, tooMany("bytes of requests")
			}
			body = append(make([]byte, 0, larger), body...)
		}
		n, err := in.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			w.Header().Set("Connection", "close")
			return body, readFailure(err)
		}
	}
}

func readFailure(err error) error {
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return failure{http.StatusRequestTimeout, "RequestTimeoutException", "The body of the request did not arrive in time."}
	}
	return failure{http.StatusBadRequest, "IncompleteBodyException", "The body of the request did not arrive whole."}
}

func tooLarge() error {
	return failure{http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "The request is larger than this service accepts."}
}
