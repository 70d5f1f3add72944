package s3x

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// httpFunc is an HTTP client.
type httpFunc func(*http.Request) (*http.Response, error)

func (f httpFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

// silent takes a request and never answers.
func silent(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// storageOnWire returns a Storage in bucket b whose requests go to wire, with the SDK's own retries.
func storageOnWire(t testing.TB, wire httpFunc, o Options) *Storage {
	t.Helper()
	o.Bucket = "b"
	s, err := New(s3.New(s3.Options{
		Region: "us-east-1", UsePathStyle: true, BaseEndpoint: aws.String("http://s3.test"), HTTPClient: wire,
		Credentials: credentials.NewStaticCredentialsProvider("KEY", "SECRET", ""),
	}), o)
	require.NoError(t, err)
	s.minPart = tinyWindow
	return s
}

// uploadOn is an upload that a server has begun.
func uploadOn(s *Storage, windows int64) *uploadSink {
	o := transfer.CreateOptions{Size: tinyWindow * windows, WindowSize: tinyWindow}
	return s.sink(object{path: "a", bucket: "b", key: "a"}, o, upload{ID: "u", Delivery: "d"})
}

// allRequests are all that a Storage sends.
var allRequests = map[string]func(ctx context.Context, s *Storage) error{
	"open": func(ctx context.Context, s *Storage) error {
		_, err := s.Open(ctx, "a")
		return err
	},
	"read": func(ctx context.Context, s *Storage) error {
		f := &source{storage: s, at: object{path: "a", bucket: "b", key: "a"}, info: transfer.FileInfo{Size: 10}, etag: aws.String(`"e"`)}
		return f.ReadWindow(ctx, make([]byte, 10), 0)
	},
	"look before": func(ctx context.Context, s *Storage) error {
		_, err := s.Create(ctx, "a", transfer.CreateOptions{Size: 1, WindowSize: 1, Overwrite: transfer.OverwriteFail})
		return err
	},
	"create": func(ctx context.Context, s *Storage) error {
		_, err := s.Create(ctx, "a", transfer.CreateOptions{Size: tinyWindow * 2, WindowSize: tinyWindow})
		return err
	},
	"resume": func(ctx context.Context, s *Storage) error {
		_, err := s.Create(ctx, "a", transfer.CreateOptions{
			Size: tinyWindow * 2, WindowSize: tinyWindow, Checkpoint: uploadOn(s, 2).Checkpoint(),
		})
		return err
	},
	"list": func(ctx context.Context, s *Storage) error {
		return s.ListDirectory(ctx, "a", func(transfer.DirectoryEntry) bool { return true })
	},
	"remove": func(ctx context.Context, s *Storage) error {
		return s.remove(ctx, "remove", object{path: "a", bucket: "b", key: "a"})
	},
	"move": func(ctx context.Context, s *Storage) error {
		at := object{path: "a", bucket: "b", key: "a"}
		return s.copyFailed(at, 0, s.copyWhole(ctx, at, at, &s3.HeadObjectOutput{}))
	},
	"put": func(ctx context.Context, s *Storage) error {
		sink, err := s.Create(ctx, "a", transfer.CreateOptions{Size: 1, WindowSize: 1})
		if err != nil {
			return err
		}
		return errors.Join(sink.WriteWindow(ctx, []byte("x"), 0), sink.Commit(ctx, [32]byte{}))
	},
	"part": func(ctx context.Context, s *Storage) error {
		return uploadOn(s, 2).WriteWindow(ctx, make([]byte, tinyWindow), 0)
	},
	"complete": func(ctx context.Context, s *Storage) error {
		k := uploadOn(s, 1)
		k.acknowledge(0, part{etag: aws.String(`"e"`)})
		return k.Commit(ctx, [32]byte{})
	},
	"abort": func(ctx context.Context, s *Storage) error {
		return uploadOn(s, 1).Abort(ctx)
	},
	"abort uploads": func(ctx context.Context, s *Storage) error {
		_, err := s.AbortUploads(ctx, "", time.Hour)
		return err
	},
}

// TestSilentServer meets a server that takes every request and answers none.
func TestSilentServer(t *testing.T) {
	for name, request := range allRequests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int32
				s := storageOnWire(t, func(r *http.Request) (*http.Response, error) {
					asked.Add(1)
					return silent(r)
				}, Options{})
				start := time.Now()
				err := request(t.Context(), s)
				requireCode(t, transfer.Stalled, err, "nothing came or went for")
				require.True(t, transfer.CodeOf(err).Retryable())
				limit := 3 * s.o.StallTimeout // and the pauses between the attempts, up to 20 s each
				if name == "complete" || name == "put" {
					limit *= 2 // did it happen all the same?
				}
				if name == "complete" || name == "move" {
					limit += 3 * (completePatience - 1) * s.o.StallTimeout
				}
				require.LessOrEqual(t, time.Since(start), limit+4*20*time.Second)
				require.LessOrEqual(t, asked.Load(), int32(6))
			})
		})
	}
}

// TestStallCancelled ends the wait before its limit.
func TestStallCancelled(t *testing.T) {
	for name, request := range allRequests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := storageOnWire(t, silent, Options{})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				err := request(ctx, s)
				requireCode(t, transfer.OperationTimeout, err, "")
				require.Equal(t, time.Second, time.Since(start))
			})
		})
	}
}

// slowBody gives a byte each time that pause has passed, and after n of them nothing more.
type slowBody struct {
	ctx   context.Context
	pause time.Duration
	n     int
}

func (b *slowBody) Read(p []byte) (int, error) {
	pause := time.NewTimer(b.pause)
	if b.n == 0 {
		pause.Stop()
		<-b.ctx.Done()
		return 0, b.ctx.Err()
	}
	select {
	case <-pause.C:
		b.n--
		p[0] = 'x'
		return 1, nil
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	}
}

func (b *slowBody) Close() error { return nil }

// TestStalledBody reads a body that comes slowly, and then not at all.
func TestStalledBody(t *testing.T) {
	for _, c := range []struct {
		name  string
		first int // bytes of the first body; every other has one
		asked int32
		code  transfer.Code
	}{
		{"slow", 10, 1, ""},
		{"stops once", 9, 2, ""},
		{"stops again and again", 1, 1 + bodyRetries, transfer.Stalled},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int32
				s := storageOnWire(t, func(r *http.Request) (*http.Response, error) {
					var from, to int
					_, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to)
					require.NoError(t, err)
					body := &slowBody{r.Context(), time.Minute - time.Second, 1}
					if asked.Add(1) == 1 {
						body.n = c.first
					}
					whole := io.Reader(body)
					if from+body.n == 10 {
						whole = io.LimitReader(body, int64(body.n))
					}
					return &http.Response{StatusCode: 206, ContentLength: int64(10 - from), Body: struct {
						io.Reader
						io.Closer
					}{whole, body}, Header: http.Header{
						"Content-Range":  {fmt.Sprintf("bytes %d-%d/10", from, to)},
						"Content-Length": {fmt.Sprint(10 - from)},
					}}, nil
				}, Options{})
				err := allRequests["read"](t.Context(), s)
				require.Equal(t, c.asked, asked.Load())
				if c.code == "" {
					require.NoError(t, err)
					return
				}
				requireCode(t, c.code, err, "body of 10 bytes at 0")
			})
		})
	}
}

// TestSlowUpload sends a part to a server that takes a byte now and then.
func TestSlowUpload(t *testing.T) {
	for _, c := range []struct {
		name  string
		pause time.Duration
		code  transfer.Code
	}{
		{"slow", time.Minute - time.Second, ""}, {"too slow", time.Minute + time.Second, transfer.Stalled},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := storageOnWire(t, func(r *http.Request) (*http.Response, error) {
					var p [1 << 10]byte
					for {
						if _, err := r.Body.Read(p[:]); err != nil {
							break
						}
						pause := time.NewTimer(c.pause)
						select {
						case <-pause.C:
						case <-r.Context().Done():
							return nil, r.Context().Err()
						}
					}
					return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{"Etag": {`"e"`}}}, nil
				}, Options{Payload: PayloadUnsigned})
				const window = smallBody + 1
				k := s.sink(object{path: "a", bucket: "b", key: "a"}, transfer.CreateOptions{Size: 2 * window, WindowSize: window}, upload{ID: "u"})
				err := k.WriteWindow(t.Context(), make([]byte, window), 0)
				require.Equal(t, c.code, transfer.CodeOf(err), "%v", err)
			})
		})
	}
}

// TestSmallBody sees that a small body is one that net/http sends together with the head of its request, and whole.
func TestSmallBody(t *testing.T) {
	data := random(smallBody)
	client := bounded{httpFunc(func(r *http.Request) (*http.Response, error) {
		require.Equal(t, io.NopCloser(bytes.NewReader(data)), r.Body)
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	}), time.Minute}
	do := func(body io.Reader) error {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://s3.test", io.MultiReader(body))
		require.NoError(t, err)
		r.ContentLength = smallBody
		answer, err := client.Do(r)
		if err == nil {
			err = answer.Body.Close()
		}
		return err
	}
	require.NoError(t, do(bytes.NewReader(data)))
	require.ErrorIs(t, do(bytes.NewReader(data[1:])), io.ErrUnexpectedEOF)
}

// TestSlowComplete waits for a server that puts an object together for minutes.
func TestSlowComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storageOnWire(t, func(r *http.Request) (*http.Response, error) {
			<-time.After(9 * time.Minute)
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("<CompleteMultipartUploadResult/>"))}, r.Context().Err()
		}, Options{})
		require.NoError(t, allRequests["complete"](t.Context(), s))
	})
}

// TestNoStallTimeout waits for hours.
func TestNoStallTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storageOnWire(t, func(r *http.Request) (*http.Response, error) {
			<-time.After(5 * time.Hour)
			return &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{"Etag": {`"e"`}}}, r.Context().Err()
		}, Options{StallTimeout: -1})
		require.NoError(t, allRequests["part"](t.Context(), s))
	})
}

// TestStallOnTheWire is on real connections: the server takes the head of a request, or
// sends the head of an answer, and then nothing more.
func TestStallOnTheWire(t *testing.T) {
	t.Parallel()
	var stall atomic.Bool
	enough := make(chan struct{}) // a server does not notice that a client has gone whose body it does not read
	s := fake(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case stall.Load() && isPart(r):
				_, _ = io.CopyN(io.Discard, r.Body, 100)
				<-enough
			case stall.Load() && isWindow(r):
				w.Header().Set("Content-Length", "1000")
				w.Header().Set("Content-Range", "bytes 0-999/1000")
				w.WriteHeader(http.StatusPartialContent)
				_ = http.NewResponseController(w).Flush()
				<-enough
			default:
				next.ServeHTTP(w, r)
			}
		})
	})
	t.Cleanup(func() { close(enough) })
	s.window = 32 << 20 // more than the buffers in between hold
	storage := s.storage(t, Options{StallTimeout: 300 * time.Millisecond})
	s.write(t, "a", random(1000))
	d := begin(t, storage, "b", bytes.Repeat([]byte("x"), int(s.window)+1), transfer.CreateOptions{})
	source := openBare(t, storage, "a")
	stall.Store(true)
	requireCode(t, transfer.Stalled, d.write(t.Context(), 0), "")
	requireCode(t, transfer.Stalled, source.ReadWindow(t.Context(), make([]byte, 1000), 0), "")
	stall.Store(false)
	require.NoError(t, d.Abort(t.Context()))
}
