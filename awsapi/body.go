package awsapi

import (
	"errors"
	"io"
	"net/http"
	"os"
)

// firstPiece is what every body gets. Most requests are smaller, and so come through while large ones take up all of
// MaxBodies.
const firstPiece = 4 << 10

// readBody reads the body within MaxBody and MaxBodies. A buffer grows with what has come, not with what was promised,
// so that a slow client holds little. The caller gives back what is held, also with an error.
func (h *handler) readBody(w http.ResponseWriter, r *http.Request) (body []byte, held int64, err error) {
	if r.ContentLength > h.cfg.MaxBody {
		return nil, 0, tooLarge()
	}
	in := http.MaxBytesReader(w, r.Body, h.cfg.MaxBody)
	body = make([]byte, 0, min(firstPiece, h.cfg.MaxBody+1))
	for {
		n, err := in.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return body, held, nil
		}
		if err != nil {
			return nil, held, readFailure(err)
		}
		if len(body) < cap(body) {
			continue
		}
		larger := min(2*int64(cap(body)), h.cfg.MaxBody+1) // one more tells what is too large
		if !h.bodies.take(larger - held) {
			return nil, held, tooMany("bytes of requests")
		}
		held = larger
		body = append(make([]byte, 0, larger), body...)
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
