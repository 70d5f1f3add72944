package s3x

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// completePatience is how many times Options.StallTimeout a server may take to complete an upload: some put all parts
// together before they answer. (S3 sends a blank now and then, which counts as a sign of life.)
const completePatience = 10

// stalledError says that a request was given up. The SDK sends it again, like any that got no answer.
type stalledError struct{ limit time.Duration }

func (e *stalledError) Error() string {
	return "nothing came or went for " + e.limit.String() + " (s3x.Options.StallTimeout)"
}

func (*stalledError) Timeout() bool { return true }

// boundedBy sends a request through a client that gives it up once nothing has come or gone for limit.
func boundedBy(limit time.Duration) func(*s3.Options) {
	return func(o *s3.Options) {
		if limit > 0 {
			o.HTTPClient = bounded{o.HTTPClient, limit}
		}
	}
}

// bounded is an HTTP client that gives a request up if for so long neither a byte of its body goes nor an answer comes,
// nor a byte of the answer's body for which somebody waits.
type bounded struct {
	client s3.HTTPClient
	limit  time.Duration
}

func (c bounded) Do(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	w := &watch{ctx: ctx, cancel: cancel, limit: c.limit}
	w.timer = time.AfterFunc(c.limit, func() { cancel(&stalledError{c.limit}) })
	r = r.WithContext(ctx)
	if err := w.takeBody(r); err != nil {
		cancel(nil)
		return nil, err
	}
	answer, err := c.client.Do(r)
	w.answered.Store(true)
	w.timer.Stop()
	if err != nil || answer == nil || answer.Body == nil {
		err = w.explain(err)
		cancel(nil)
		return answer, err
	}
	answer.Body = receiving{answer.Body, w}
	return answer, nil
}

// watch ends a request whose timer runs out.
type watch struct {
	ctx      context.Context
	cancel   context.CancelCauseFunc
	limit    time.Duration
	timer    *time.Timer
	answered atomic.Bool
}

// takeBody watches the body of a request. A small one is held as bytes: net/http sends those in one piece with the head of
// the request, if its buffer is large enough (see WithConnections).
func (w *watch) takeBody(r *http.Request) error {
	switch {
	case r.Body == nil || r.Body == http.NoBody:
	case r.ContentLength > 0 && r.ContentLength <= smallBody:
		data := make([]byte, r.ContentLength)
		_, err := io.ReadFull(r.Body, data)
		if err = errors.Join(err, r.Body.Close()); err != nil {
			w.timer.Stop()
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(data))
	default:
		r.Body = sending{r.Body, w}
	}
	return nil
}

// explain returns the reason for which the request ended, if that was the watch.
func (w *watch) explain(err error) error {
	var stalled *stalledError
	if errors.As(context.Cause(w.ctx), &stalled) {
		return stalled
	}
	return err
}

// sending is the body of a request: that a byte is asked for means that those before it went.
type sending struct {
	io.ReadCloser
	watch *watch
}

func (s sending) Read(p []byte) (int, error) {
	if !s.watch.answered.Load() {
		s.watch.timer.Reset(s.watch.limit)
	}
	return s.ReadCloser.Read(p)
}

// receiving is the body of an answer. Time counts only while somebody waits for it.
type receiving struct {
	io.ReadCloser
	watch *watch
}

func (r receiving) Read(p []byte) (int, error) {
	r.watch.timer.Reset(r.watch.limit)
	n, err := r.ReadCloser.Read(p)
	r.watch.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.watch.explain(err)
	}
	return n, err
}

func (r receiving) Close() error {
	r.watch.timer.Stop()
	r.watch.cancel(nil)
	return r.ReadCloser.Close()
}
