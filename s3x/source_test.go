package s3x

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/rclone/gofakes3"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/storagetest"
)

// open opens path and closes it when t ends.
func open(t *testing.T, s *Storage, path string) transfer.Source {
	t.Helper()
	source, err := s.Open(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, source.Close()) })
	return source
}

// isWindow reports whether r is the GET of a window.
func isWindow(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("If-Match") != ""
}

func TestOpenInfo(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		s.write(t, "a", random(10))
		source := open(t, s.storage(t, Options{PartConcurrency: 7}), "a")
		head := s.head(t, "a")
		require.Equal(t, transfer.FileInfo{
			Size: 10, ModTime: *head.LastModified, ETag: strings.Trim(*head.ETag, `"`), ContentType: *head.ContentType,
		}, source.Info())
		require.NotEmpty(t, source.Info().ETag)
		require.NotEmpty(t, source.Info().ContentType)
		require.Equal(t, 7, source.Concurrency())
	})
}

func TestOpenFailures(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		s.write(t, "a", random(10))
		wrong := func(key, secret string) *s3.Client {
			return s3.New(s.client.Options(), func(o *s3.Options) {
				o.Credentials = credentials.NewStaticCredentialsProvider(key, secret, "")
			})
		}
		good, err := s.client.Options().Credentials.Retrieve(t.Context())
		require.NoError(t, err)
		for _, c := range []struct {
			name string
			s    *Storage
			path string
			code transfer.Code
			hint string
		}{
			{"missing key", s.storage(t, Options{}), "b", transfer.FileNotFound, "NoSuchKey"},
			{"missing bucket", s.storage(t, Options{Bucket: "no-such-bucket"}), "a", transfer.PathNotFound, "NoSuchBucket"},
			{"no key", s.storage(t, Options{}), "/", transfer.IsDirectory, "names no object"},
			{"folder", s.storage(t, Options{}), "a/", transfer.IsDirectory, "names no object"},
			{"wrong key id", s.storageOver(t, wrong("nobody", "x"), Options{}), "a", transfer.AuthenticationFailed, ""},
			{"wrong secret", s.storageOver(t, wrong(good.AccessKeyID, "x"), Options{}), "a", transfer.AuthenticationFailed, "SignatureDoesNotMatch"},
		} {
			t.Run(c.name, func(t *testing.T) {
				_, err := c.s.Open(t.Context(), c.path)
				requireCode(t, c.code, err, c.hint)
				require.ErrorContains(t, err, "open "+c.path)
			})
		}
	})
}

// TestReadAnswers sees the codes that a server's refusals become.
func TestReadAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		answer string
		code   transfer.Code
		asked  int32
	}{
		{403, "AccessDenied", transfer.PermissionDenied, 2}, // again without version id
		{403, "InvalidObjectState", transfer.ReadFileError, 1},
		{403, "ExpiredToken", transfer.AuthenticationFailed, 1},
		{404, "NoSuchKey", transfer.SourceChanged, 1},
		{412, "PreconditionFailed", transfer.SourceChanged, 1},
		{416, "InvalidRange", transfer.SourceChanged, 1},
		{503, "SlowDown", transfer.PartnerBusy, 3},
		{429, "TooManyRequests", transfer.PartnerBusy, 3},
		{500, "InternalError", transfer.ConnectionError, 3},
		{501, "NotImplemented", transfer.UnsupportedOperationError, 2},
	} {
		t.Run(c.answer, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			s := fake(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if !isWindow(r) {
						next.ServeHTTP(w, r)
						return
					}
					asked.Add(1)
					answer(w, c.status, c.answer)
				})
			}, gofakes3.WithoutVersioning())
			s.write(t, "a", random(10))
			err := open(t, s.storage(t, Options{}), "a").ReadWindow(t.Context(), make([]byte, 10), 0)
			requireCode(t, c.code, err, c.answer)
			require.LessOrEqual(t, asked.Load(), c.asked)
		})
	}
}

func TestReplacedWhileRead(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		data := random(1000)
		s.write(t, "a", data)
		source, p := open(t, s.storage(t, Options{}), "a"), make([]byte, 500)
		require.NoError(t, source.ReadWindow(t.Context(), p, 0))
		require.Equal(t, data[:500], p)
		s.write(t, "a", random(1000))
		requireCode(t, transfer.SourceChanged, source.ReadWindow(t.Context(), p, 500), "replaced or deleted")

		source = open(t, s.storage(t, Options{}), "a")
		_, err := s.client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &s.bucket, Key: aws.String("a")})
		require.NoError(t, err)
		requireCode(t, transfer.SourceChanged, source.ReadWindow(t.Context(), p, 0), "replaced or deleted")
	})
}

// TestReplacedWhileReadUnnoticed is on a server that does not know If-Match.
func TestReplacedWhileReadUnnoticed(t *testing.T) {
	t.Parallel()
	s := fake(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("If-Match")
			next.ServeHTTP(w, r)
		})
	}, gofakes3.WithoutVersioning())
	for _, size := range []int{1000, 1001, 999, 600, 0} {
		s.write(t, "a", random(1000))
		source := open(t, s.storage(t, Options{}), "a")
		s.write(t, "a", random(size))
		requireCode(t, transfer.SourceChanged, source.ReadWindow(t.Context(), make([]byte, 500), 500), "replaced")
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	var deny atomic.Bool
	var denied atomic.Int32
	s := fake(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if deny.Load() && r.URL.Query().Has("versionId") {
				denied.Add(1)
				answer(w, 403, "AccessDenied")
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	_, err := s.client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: &s.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	require.NoError(t, err)
	data := random(100)
	s.write(t, "a", data)
	source, p := open(t, s.storage(t, Options{}), "a"), make([]byte, 100)

	s.write(t, "a", random(100))
	require.NoError(t, source.ReadWindow(t.Context(), p, 0), "the pinned version is still there")
	require.Equal(t, data, p)

	deny.Store(true)
	requireCode(t, transfer.SourceChanged, source.ReadWindow(t.Context(), p, 0), "")
	require.EqualValues(t, 1, denied.Load())
	source = open(t, s.storage(t, Options{}), "a")
	require.NoError(t, source.ReadWindow(t.Context(), p, 0), "without the permission the ETag alone pins")
	require.NoError(t, source.ReadWindow(t.Context(), p, 0))
	require.EqualValues(t, 2, denied.Load(), "and the server is asked once only")
}

// cutter passes n bytes of a body on, and then cuts the connection.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) <= c.left {
		c.left -= len(p)
		return c.ResponseWriter.Write(p)
	}
	_, _ = c.ResponseWriter.Write(p[:c.left])
	_ = http.NewResponseController(c.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

// cutBodies cuts the body of the first windows, after as many bytes as each number says.
func cutBodies(ranges *[]string, after ...int) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isWindow(r) {
				n := len(*ranges)
				*ranges = append(*ranges, r.Header.Get("Range"))
				if n < len(after) {
					w = &cutter{w, after[n]}
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

func TestBodyBreaksOff(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	for _, c := range []struct {
		name   string
		after  []int
		ranges []string
		fails  bool
	}{
		{"once", []int{1000}, []string{"bytes=100-1048575", "bytes=1100-1048575"}, false},
		{"at once", []int{0}, []string{"bytes=100-1048575", "bytes=100-1048575"}, false},
		{"twice", []int{1000, 10}, []string{"bytes=100-1048575", "bytes=1100-1048575", "bytes=1110-1048575"}, false},
		{"too often", []int{1, 1, 1, 1}, []string{"bytes=100-1048575", "bytes=101-1048575", "bytes=102-1048575", "bytes=103-1048575"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var ranges []string
			s := fake(t, cutBodies(&ranges, c.after...))
			data, p := random(size), make([]byte, size-100)
			s.window = size
			s.write(t, "a", data)
			err := open(t, s.storage(t, Options{}), "a").ReadWindow(t.Context(), p, 100)
			require.Equal(t, c.ranges, ranges)
			if c.fails {
				requireCode(t, transfer.ConnectionLost, err, "body of 1048476 bytes at 100")
				return
			}
			require.NoError(t, err)
			require.True(t, bytes.Equal(data[100:], p))
		})
	}
}

// endsWhileRead is an HTTP client whose answers end a context as soon as they are read.
type endsWhileRead struct {
	s3.HTTPClient
	end context.CancelFunc
}

func (c endsWhileRead) Do(r *http.Request) (*http.Response, error) {
	answer, err := c.HTTPClient.Do(r)
	if err == nil && isWindow(r) {
		answer.Body = endsBody{answer.Body, c.end}
	}
	return answer, err
}

type endsBody struct {
	io.ReadCloser
	end context.CancelFunc
}

func (b endsBody) Read(p []byte) (int, error) {
	b.end()
	return b.ReadCloser.Read(p)
}

func TestReadEnds(t *testing.T) {
	t.Parallel()
	s := fake(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !isWindow(r) {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Length", "1000")
			w.Header().Set("Content-Range", "bytes 0-999/1000")
			w.WriteHeader(http.StatusPartialContent)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done() // the client has gone
		})
	})
	s.write(t, "a", random(1000))
	ctx, cancel := context.WithCancel(t.Context())
	client := s3.New(s.client.Options(), func(o *s3.Options) { o.HTTPClient = endsWhileRead{o.HTTPClient, cancel} })
	err := open(t, s.storageOver(t, client, Options{}), "a").ReadWindow(ctx, make([]byte, 1000), 0)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, transfer.Cancelled, transfer.CodeOf(err))
	require.NotContains(t, err.Error(), "GetObject", "it was the body that was cut")
}

// TestHeadRefused is on a server that answers GetObject, but not HeadObject, so that there is nothing to explain.
func TestHeadRefused(t *testing.T) {
	t.Parallel()
	var refuse atomic.Bool
	s := fake(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if refuse.Load() && r.Method == http.MethodHead {
				answer(w, 403, "")
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	s.write(t, "a", random(10))
	s.write(t, "empty", nil)
	refuse.Store(true)
	for _, path := range []string{"a", "empty"} {
		_, err := s.storage(t, Options{}).Open(t.Context(), path)
		requireCode(t, transfer.PermissionDenied, err, "HeadObject")
	}
}

// TestOddAnswers is on servers that answer with something else than they were asked for.
func TestOddAnswers(t *testing.T) {
	t.Parallel()
	const size, off, n = 100, 20, 50
	full := strings.Repeat("x", size)
	for _, c := range []struct {
		name         string
		status       int
		contentRange string
		body         string
		chunked      bool
		code         transfer.Code
	}{
		{"right", 206, "bytes 20-69/100", full[:n], false, ""},
		{"right, total not known", 206, "bytes 20-69/*", full[:n], false, ""},
		{"right, chunked", 206, "bytes 20-69/100", full[:n], true, ""},
		{"Range ignored", 200, "", full, false, transfer.UnsupportedOperationError},
		{"Range ignored, other size", 200, "", full[1:], false, transfer.SourceChanged},
		{"other range", 206, "bytes 0-49/100", full[:n], false, transfer.UnsupportedOperationError},
		{"other total", 206, "bytes 20-69/101", full[:n], false, transfer.SourceChanged},
		{"short", 206, "bytes 20-59/100", full[:n-10], false, transfer.SizeMismatch},
		{"long, chunked", 206, "bytes 20-69/100", full[:n+1], true, transfer.UnknownError},
		{"no range at all", 206, "everything", full[:n], false, transfer.ReadFileError},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := fake(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if !isWindow(r) {
						next.ServeHTTP(w, r)
						return
					}
					if c.contentRange != "" {
						w.Header().Set("Content-Range", c.contentRange)
					}
					if !c.chunked {
						w.Header().Set("Content-Length", fmt.Sprint(len(c.body)))
					}
					w.WriteHeader(c.status)
					_ = http.NewResponseController(w).Flush()
					_, _ = io.WriteString(w, c.body)
				})
			})
			s.write(t, "a", []byte(full))
			err := open(t, s.storage(t, Options{}), "a").ReadWindow(t.Context(), make([]byte, n), off)
			if c.code == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, c.code, transfer.CodeOf(err), "%v", err)
		})
	}
	t.Run("Range ignored for the whole object", func(t *testing.T) {
		t.Parallel()
		s := fake(t, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del("Range")
				next.ServeHTTP(w, r)
			})
		})
		s.write(t, "a", []byte(full))
		got, err := storagetest.Read(t.Context(), s.storage(t, Options{}), "a")
		require.NoError(t, err)
		require.Equal(t, full, string(got))
	})
}

func FuzzContentRange(f *testing.F) {
	for _, seed := range []string{"bytes 0-9/100", "bytes 0-9/*", "bytes */100", "bytes -1-2/3", "items 0-1/2", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if first, total, ok := parseContentRange(s); ok {
			require.GreaterOrEqual(t, first, int64(0))
			require.GreaterOrEqual(t, total, int64(-1))
		}
	})
}
