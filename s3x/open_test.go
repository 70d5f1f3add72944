package s3x

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/storagetest"
)

func TestOpenInfo(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		s.write(t, "a", random(10))
		source := open(t, s.storage(t, Options{PartConcurrency: 7}), "a")
		head := s.head(t, "a")
		require.Equal(t, transfer.FileInfo{
			Size: 10, ModTime: *head.LastModified, ETag: strings.Trim(*head.ETag, `"`),
			ContentType: *head.ContentType,
		}, source.Info())
		require.NotEmpty(t, source.Info().ETag)
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

// TestOpenByHead is on a server that does not say the size with the beginning of an object. What is wrong with HeadObject
// is explained by what GetObject says, if it says something.
func TestOpenByHead(t *testing.T) {
	t.Parallel()
	var refuse atomic.Bool
	s := fake(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch first := r.Header.Get("Range") == *rangeOf(0, firstLength); {
			case refuse.Load() && r.Method == http.MethodHead:
				answer(w, 403, "")
			case first && r.URL.Path == "/bucket/a":
				w.Header().Set("Content-Range", "bytes 0-9/*")
				w.Header().Set("Content-Length", "10")
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write(make([]byte, 10))
			default:
				next.ServeHTTP(w, r)
			}
		})
	})
	data := random(10)
	s.write(t, "a", data)
	s.write(t, "empty", nil)
	for path, want := range map[string][]byte{"a": data, "empty": {}} {
		got, err := storagetest.Read(t.Context(), s.storage(t, Options{}), path)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	refuse.Store(true)
	for _, path := range []string{"a", "empty"} {
		_, err := s.storage(t, Options{}).Open(t.Context(), path)
		requireCode(t, transfer.PermissionDenied, err, "HeadObject")
	}
}
