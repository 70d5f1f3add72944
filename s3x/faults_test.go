package s3x

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/storagetest"
)

// says is a server's answer: a status with an S3 error, or with any other body.
func says(status int, code, body string) httpFunc {
	return func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		switch {
		case code != "" && r.Method != http.MethodHead:
			answer(w, status, code)
		case r.Method != http.MethodHead:
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		default:
			w.WriteHeader(status)
		}
		if r.Body != nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		return w.Result(), nil
	}
}

// breaks is a wire that fails.
func breaks(err error) httpFunc {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// TestFaults sees what becomes of each fault in each request: the code, and how often the request is sent. Nothing is
// sent for ever, and nothing that cannot succeed is sent again.
func TestFaults(t *testing.T) {
	const thrice = 3 // the SDK's attempts
	for _, c := range []struct {
		name      string
		wire      httpFunc
		code      transfer.Code
		retryable bool
		sent      int32 // at most, of one request
	}{
		{"500", says(500, "InternalError", ""), transfer.ConnectionError, true, thrice},
		{"500 of a proxy", says(500, "", "<html>oops</html>"), transfer.ConnectionError, true, thrice},
		{"502 of a proxy", says(502, "", "<html>bad gateway</html>"), transfer.ConnectionError, true, thrice},
		{"503 SlowDown", says(503, "SlowDown", ""), transfer.PartnerBusy, true, thrice},
		{"503 without a body", says(503, "", ""), transfer.PartnerBusy, true, thrice},
		{"504 of a proxy", says(504, "", "<html>gateway timeout</html>"), transfer.OperationTimeout, true, thrice},
		{"429", says(429, "TooManyRequests", ""), transfer.PartnerBusy, true, thrice},
		{"429 without a body", says(429, "", ""), transfer.PartnerBusy, true, thrice},
		{"507", says(507, "InsufficientStorage", ""), transfer.NoSpace, true, thrice},
		{"reset", breaks(&net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}), transfer.ConnectionLost, true, thrice},
		{"closed", breaks(io.EOF), transfer.ConnectionLost, true, thrice},
		{"broken pipe", breaks(&net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}), transfer.ConnectionLost, true, thrice},
		{"refused", breaks(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}), transfer.ConnectionRefused, true, thrice},
		{"no route", breaks(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.EHOSTUNREACH}), transfer.ConnectionRefused, true, thrice},
		{"dial timeout", breaks(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ETIMEDOUT}), transfer.ConnectTimeout, true, thrice},
		{"no such host", breaks(&net.DNSError{Err: "no such host", Name: "s3.test", IsNotFound: true}), transfer.HostNotFound, true, 1},
		{"400 RequestTimeout", says(400, "RequestTimeout", ""), transfer.OperationTimeout, true, thrice},
		{"403 AccessDenied", says(403, "AccessDenied", ""), transfer.PermissionDenied, false, 1},
		{"403 without a body", says(403, "", ""), transfer.PermissionDenied, false, 1},
		{"401", says(401, "", ""), transfer.AuthenticationFailed, false, 1},
		{"403 InvalidAccessKeyId", says(403, "InvalidAccessKeyId", ""), transfer.AuthenticationFailed, false, 1},
		{"403 QuotaExceeded", says(403, "QuotaExceeded", ""), transfer.NoSpace, true, 1},
		{"404 NoSuchBucket", says(404, "NoSuchBucket", ""), transfer.PathNotFound, false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, request := range allRequests {
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						sent := map[string]int32{} // requests come one after the other
						s := storageOnWire(t, func(r *http.Request) (*http.Response, error) {
							sent[r.Method]++
							return c.wire(r)
						}, Options{})
						err := request(t.Context(), s)
						code := transfer.CodeOf(err)
						if !meansNothing(name, c.name) {
							require.Error(t, err)
							require.Equal(t, c.code, code, "%v", err)
							require.Equal(t, c.retryable, code.Retryable())
						}
						for method, n := range sent {
							require.LessOrEqual(t, n, c.sent, method)
						}
					})
				})
			}
		})
	}
}

// meansNothing reports whether a fault is none for a request, or another one.
func meansNothing(request, fault string) bool {
	// Of a bucket that is gone there is nothing to abort, nor an object in the way. A HEAD answer says no more than 404,
	// and who may not look learns at Commit whether there is an object.
	bucket := fault == "404 NoSuchBucket" && (request == "abort" || request == "look before")
	forbidden := strings.HasPrefix(fault, "403") && request == "look before"
	return bucket || forbidden
}

// TestErrorInGoodAnswer is S3's way to say that completing an upload failed after it has begun to answer: status 200
// and an error in the body. The SDK takes it for a 500.
func TestErrorInGoodAnswer(t *testing.T) {
	for code, want := range map[string]transfer.Code{
		"InternalError": transfer.ConnectionError, "SlowDown": transfer.PartnerBusy, "ServiceUnavailable": transfer.PartnerBusy,
		"InvalidPart": transfer.SizeMismatch, "BadDigest": transfer.IntegrityError, "Strange": transfer.ConnectionError,
	} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := storageOnWire(t, says(200, code, ""), Options{})
				err := allRequests["complete"](t.Context(), s)
				requireCode(t, want, err, code)
			})
		})
	}
}

// TestRecovers sees that each request outlives two faults of every kind that may pass.
func TestRecovers(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(w http.ResponseWriter){
		"reset":    func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"SlowDown": func(w http.ResponseWriter) { answer(w, 503, "SlowDown") },
		"500":      func(w http.ResponseWriter) { answer(w, 500, "InternalError") },
		"502":      func(w http.ResponseWriter) { http.Error(w, "bad gateway", http.StatusBadGateway) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			s := fake(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if requests.Add(1)%3 != 0 && r.URL.Path != "/bucket" { // every third gets through
						_, _ = io.Copy(io.Discard, r.Body)
						fault(w)
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			requests.Store(0)
			storage := s.storage(t, Options{PartConcurrency: 1})
			for path, size := range s.sizes() {
				data := random(size)
				o := transfer.CreateOptions{WindowSize: s.window, Overwrite: transfer.OverwriteFail}
				require.NoError(t, storagetest.Write(t.Context(), storage, path, data, o))
				got, err := storagetest.Read(t.Context(), storage, path)
				require.NoError(t, err)
				require.Equal(t, data, got)
			}
			require.Zero(t, s.openUploads(t))
		})
	}
}

// TestCutOften reads an object whose every second body breaks off: each window has its own attempts.
func TestCutOften(t *testing.T) {
	t.Parallel()
	var ranges []string
	s := fake(t, cutBodies(&ranges, 1, 1<<20, 2, 1<<20, 3, 1<<20, 4, 1<<20, 5))
	data := random(int(s.window) * 6)
	require.NoError(t, storagetest.Write(t.Context(), s.storage(t, Options{}), "a", data, transfer.CreateOptions{WindowSize: s.window}))
	source, got := openBare(t, s.storage(t, Options{}), "a"), make([]byte, len(data))
	for off := int64(0); off < int64(len(data)); off += s.window {
		require.NoError(t, source.ReadWindow(t.Context(), got[off:off+s.window], off))
	}
	require.Equal(t, data, got)
	require.Len(t, ranges, 6+5)
}

// TestReadWaits sees that a body which breaks off is asked for a few times only, with pauses that a context ends.
func TestReadWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storageOnWire(t, func(*http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: 206, Header: http.Header{"Content-Range": {"bytes 0-9/10"}}, ContentLength: 10,
				Body: io.NopCloser(strings.NewReader("")),
			}, nil
		}, Options{})
		start := time.Now()
		requireCode(t, transfer.ConnectionLost, allRequests["read"](t.Context(), s), "body of 10 bytes at 0")
		require.Less(t, time.Since(start), 2*time.Second)
	})
}
