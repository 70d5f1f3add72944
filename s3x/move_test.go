package s3x

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/storagetest"
)

// isCopy reports whether r is a CopyObject or an UploadPartCopy.
func isCopy(r *http.Request) bool { return r.Header.Get("X-Amz-Copy-Source") != "" }

// described puts an object that has all that a copy keeps.
func (s *server) described(t testing.TB, key string, data []byte) {
	t.Helper()
	_, err := s.client.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &s.bucket, Key: &key, Body: bytes.NewReader(data), ContentType: aws.String("text/csv"), Metadata: map[string]string{"note": "kept"},
	})
	require.NoError(t, err)
}

func TestMoveKeepsWhatIsKnownOfAnObject(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		for name, o := range map[string]Options{
			"plain": {}, "with checksums": {Compat: CompatAWS}, "without conditions": {NoConditionalWrites: true}, "few parts": {MaxParts: 2},
		} {
			for _, whole := range []bool{true, false} {
				client, spy := spyOn(s.client)
				storage := s.storageOver(t, client, o)
				data := random(int(2*s.window + s.window/2))
				want := 1
				if !whole {
					storage.maxCopy, storage.copyPart = int64(len(data))-1, s.window
					want = min(3, storage.o.MaxParts)
				}
				s.described(t, "a b+c/%20", data)
				require.NoError(t, storage.MovePath(t.Context(), "a b+c/%20", "to/ü"), name)
				got, err := storagetest.Read(t.Context(), storage, "to/ü")
				require.NoError(t, err)
				require.True(t, bytes.Equal(data, got), name)
				require.Equal(t, []string{"to/ü"}, s.keys(t))
				head := s.head(t, "to/ü")
				require.Equal(t, "text/csv", *head.ContentType)
				require.Equal(t, map[string]string{"note": "kept"}, head.Metadata)
				require.Len(t, spy.requests(isCopy), want, name)
				conditional := spy.requests(func(r *http.Request) bool { return r.Header.Get("If-None-Match") == "*" })
				require.Equal(t, o.NoConditionalWrites, len(conditional) == 0)
				require.Zero(t, s.openUploads(t))
				require.NoError(t, storage.RemovePath(t.Context(), "to/ü"))
			}
		}
	})
}

// meanwhile does something before or behind the first copy that a server makes.
func meanwhile(before, behind func()) func(http.Handler) http.Handler {
	var copies atomic.Int32
	return func(handler http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			first := isCopy(r) && copies.Add(1) == 1
			if first && before != nil {
				before()
			}
			handler.ServeHTTP(w, r)
			if first && behind != nil {
				behind()
			}
		})
	}
}

// inBoth runs test with a copy that is made at once and one that is made in parts.
func inBoth(t *testing.T, test func(t *testing.T, adjust func(*Storage))) {
	for name, limit := range map[string]int64{"whole": maxCopy, "parts": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(s *Storage) { s.maxCopy, s.copyPart = limit, tinyWindow })
		})
	}
}

// What takes the place of the object while it is copied is neither copied nor lost.
func TestMoveOfAnObjectThatChanges(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, adjust func(*Storage)) {
		for name, early := range map[string]bool{"before": true, "behind": false} {
			var s *server
			change := func() { s.put(t, "a", "another") }
			wrap := meanwhile(nil, change)
			if early {
				wrap = meanwhile(change, nil)
			}
			s = fake(t, wrap)
			s.put(t, "a", "content")
			storage := s.storage(t, Options{})
			adjust(storage)
			requireCode(t, transfer.SourceChanged, storage.MovePath(t.Context(), "a", "b"), "taken its place")
			got, err := storagetest.Read(t.Context(), storage, "a")
			require.NoError(t, err)
			require.Equal(t, "another", string(got), name)
			require.Zero(t, s.openUploads(t))
			if early {
				require.Equal(t, []string{"a"}, s.keys(t))
			}
		}
	})
}

// keepsConditions refuses copies over an object, as AWS does; the in-memory server does not look at If-None-Match there.
func keepsConditions(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isCopy(r) && r.Header.Get("If-None-Match") == "*" {
			there := httptest.NewRecorder()
			look := r.Clone(r.Context())
			look.Method, look.Header = http.MethodHead, http.Header{}
			if handler.ServeHTTP(there, look); there.Code == http.StatusOK {
				answer(w, http.StatusPreconditionFailed, "PreconditionFailed")
				return
			}
		}
		handler.ServeHTTP(w, r)
	})
}

func TestMoveOverAnObjectThatAppears(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, adjust func(*Storage)) {
		var s *server
		appears := meanwhile(func() { s.put(t, "b", "somebody's") }, nil)
		s = fake(t, func(handler http.Handler) http.Handler { return appears(keepsConditions(handler)) })
		s.put(t, "a", "content")
		storage := s.storage(t, Options{})
		adjust(storage)
		requireCode(t, transfer.FileExists, storage.MovePath(t.Context(), "a", "b"), "appeared meanwhile")
		require.Equal(t, []string{"a", "b"}, s.keys(t))
		got, err := storagetest.Read(t.Context(), storage, "b")
		require.NoError(t, err)
		require.Equal(t, "somebody's", string(got))
		require.Zero(t, s.openUploads(t))
	})
}

// A copy whose answer is lost is made once.
func TestMoveKnowsItsOwnCopy(t *testing.T) {
	t.Parallel()
	var copies atomic.Int32
	s := fake(t, func(handler http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !isCopy(r) || copies.Add(1) > 1 {
				handler.ServeHTTP(w, r)
				return
			}
			handler.ServeHTTP(httptest.NewRecorder(), r)
			answer(w, http.StatusInternalServerError, "InternalError")
		})
	})
	s.put(t, "a", "content")
	require.NoError(t, s.storage(t, Options{}).MovePath(t.Context(), "a", "b"))
	require.Equal(t, []string{"b"}, s.keys(t))
	require.EqualValues(t, 2, copies.Load())
}

// refusing answers requests with a status.
func refusing(is func(*http.Request) bool, status int, code string) func(http.Handler) http.Handler {
	return func(handler http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if is(r) {
				answer(w, status, code)
				return
			}
			handler.ServeHTTP(w, r)
		})
	}
}

func TestMoveFails(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, adjust func(*Storage)) {
		for status, want := range map[int]transfer.Code{
			http.StatusForbidden: transfer.PermissionDenied, http.StatusInternalServerError: transfer.ConnectionError,
			http.StatusNotImplemented: transfer.UnsupportedOperationError, http.StatusServiceUnavailable: transfer.PartnerBusy,
		} {
			s := fake(t, refusing(isCopy, status, "Code"))
			s.put(t, "a", "content")
			storage := s.storage(t, Options{})
			adjust(storage)
			err := storage.MovePath(t.Context(), "a", "b")
			require.Equal(t, want, transfer.CodeOf(err), "%v", err)
			require.Equal(t, []string{"a"}, s.keys(t))
			require.Zero(t, s.openUploads(t))
		}
	})
	s := fake(t, refusing(func(r *http.Request) bool { return r.Method == http.MethodDelete }, http.StatusForbidden, "AccessDenied"))
	s.put(t, "a", "content")
	requireCode(t, transfer.PermissionDenied, s.storage(t, Options{}).MovePath(t.Context(), "a", "b"), "was copied to b, and is still there")
	require.Equal(t, []string{"a", "b"}, s.keys(t))
	requireCode(t, transfer.PermissionDenied, s.storage(t, Options{}).RemovePath(t.Context(), "a"), "AccessDenied")
}

func TestCopySource(t *testing.T) {
	t.Parallel()
	require.Equal(t, "bucket/a%20b/%2B%25%C3%BC", *object{bucket: "bucket", key: "a b/+%ü"}.copySource())
	access := "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine"
	require.Equal(t, "arn%3Aaws%3As3%3Aeu-west-1%3A123456789012%3Aaccesspoint/mine/object/a", *object{bucket: access, key: "a"}.copySource())
}

// What the source says of itself is asked for again for the copy.
func TestMoveKeepsTheStorageClass(t *testing.T) {
	t.Parallel()
	s := fake(t, nil)
	client, spy := spyOn(s.client)
	storage := s.storageOver(t, client, Options{})
	at := object{path: "a", bucket: s.bucket, key: "a"}
	s.put(t, "a", "content")
	head := s.head(t, "a")
	head.StorageClass = types.StorageClassStandardIa
	for _, publish := range []func() error{
		func() error { return storage.copyWhole(t.Context(), at, object{bucket: s.bucket, key: "b"}, head) },
		func() error { return storage.copyParts(t.Context(), at, object{bucket: s.bucket, key: "c"}, head) },
	} {
		require.NoError(t, publish())
	}
	require.Len(t, spy.requests(func(r *http.Request) bool { return r.Header.Get("X-Amz-Storage-Class") == "STANDARD_IA" }), 2)
}
