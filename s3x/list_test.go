package s3x

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// put makes an object whose key may be one that no path has.
func (s *server) put(t testing.TB, key, text string) {
	t.Helper()
	_, err := s.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &s.bucket, Key: &key, Body: strings.NewReader(text)})
	require.NoError(t, err)
}

func list(t testing.TB, s *Storage, dir string) map[string]transfer.DirectoryEntry {
	t.Helper()
	all := map[string]transfer.DirectoryEntry{}
	require.NoError(t, s.ListDirectory(t.Context(), dir, func(e transfer.DirectoryEntry) bool {
		if e.Directory {
			e.Name += "/"
		}
		require.NotContains(t, all, e.Name)
		all[e.Name] = e
		return true
	}))
	return all
}

func names(t testing.TB, s *Storage, dir string) []string {
	t.Helper()
	return slices.Sorted(maps.Keys(list(t, s, dir)))
}

func isList(r *http.Request) bool { return r.URL.Query().Get("list-type") == "2" }

func TestListPages(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		var want []string
		for i := range 11 {
			s.put(t, fmt.Sprintf("in/%02d", i), "text")
			s.put(t, fmt.Sprintf("in/%02d.d/file", i), "")
			want = append(want, fmt.Sprintf("%02d", i), fmt.Sprintf("%02d.d/", i))
		}
		client, spy := spyOn(s.client)
		storage := s.storageOver(t, client, Options{})
		require.Equal(t, want, names(t, storage, "in"))
		require.Len(t, spy.requests(isList), 1)
		size := int32(4)
		storage.pageSize = &size
		require.Equal(t, want, names(t, storage, "in"))
		pages := len(spy.requests(isList)) - 1
		require.GreaterOrEqual(t, pages, 6)
		n := 0
		require.NoError(t, storage.ListDirectory(t.Context(), "in", func(transfer.DirectoryEntry) bool { n++; return n < 5 }))
		require.Equal(t, 5, n)
		require.Len(t, spy.requests(isList), 1+pages+2, "no more is asked for than is wanted")
	})
}

// An object whose key ends in a slash is a directory that may be empty, and no file.
func TestListMarkers(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		s.put(t, "dir/", "")
		s.put(t, "dir/sub/", "")
		s.put(t, "dir/file", "12345")
		s.put(t, "empty/", "")
		storage := s.storage(t, Options{})
		require.Equal(t, []string{"dir/", "empty/"}, names(t, storage, "/"))
		all := list(t, storage, "dir")
		require.Equal(t, []string{"file", "sub/"}, slices.Sorted(maps.Keys(all)))
		require.EqualValues(t, 5, all["file"].Size)
		require.False(t, all["file"].ModTime.IsZero())
		require.Equal(t, transfer.DirectoryEntry{Name: "sub/", Directory: true, Size: -1}, all["sub/"])
		for _, empty := range []string{"empty", "empty/", "/dir/sub"} {
			require.Empty(t, names(t, storage, empty), empty)
		}
		below := s.storage(t, Options{Prefix: "dir"})
		require.Equal(t, []string{"file", "sub/"}, names(t, below, ""))
		require.ErrorIs(t, below.RemovePath(t.Context(), "sub"), transfer.FileNotFound)
		require.Equal(t, []string{"dir/", "dir/file", "dir/sub/", "empty/"}, s.keys(t))
	})
}

// Keys may hold what XML cannot.
func TestListKeysOfAllKinds(t *testing.T) {
	t.Parallel()
	s := fake(t, nil)
	keys := []string{"a\x01b", "tab\there", "100%", "a+b", "a%2Fb", "line\nbreak", "//x"}
	for _, key := range keys {
		s.put(t, "in/"+key, "")
	}
	require.Equal(t, []string{"100%", "a\x01b", "a%2Fb", "a+b", "line\nbreak", "tab\there"}, names(t, s.storage(t, Options{}), "in"))
}

func TestListPlaces(t *testing.T) {
	t.Parallel()
	s := fake(t, nil)
	s.put(t, "file", "")
	anywhere, err := New(s.client, Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"file"}, names(t, anywhere, "/bucket"))
	require.Equal(t, []string{"file"}, names(t, anywhere, "bucket/"))
	require.Empty(t, names(t, s.storage(t, Options{Prefix: "none"}), "/"), "the storage itself is there always")
	found := func(transfer.DirectoryEntry) bool { return true }
	ctx := t.Context()
	requireCode(t, transfer.PathNotFound, anywhere.ListDirectory(ctx, "/", found), "no bucket")
	requireCode(t, transfer.PathNotFound, anywhere.ListDirectory(ctx, "/none/", found), "NoSuchBucket")
	requireCode(t, transfer.DirectoryNotFound, anywhere.ListDirectory(ctx, "/bucket/file", found), "no objects")
	for call, err := range map[string]error{
		"list": anywhere.ListDirectory(ctx, "/bucket/../other", found), "remove": anywhere.RemovePath(ctx, "/bucket/../other/a"),
		"move": anywhere.MovePath(ctx, "/bucket/a/..", "/bucket/b"), "move to": anywhere.MovePath(ctx, "/bucket/a", "/bucket/../b"),
		"make": anywhere.MakeDirectory(ctx, "/bucket/.."),
	} {
		require.ErrorIs(t, err, transfer.PathEscapes, call)
	}
	requireCode(t, transfer.IsDirectory, anywhere.RemovePath(ctx, "/bucket/dir/"), "slash")
	requireCode(t, transfer.IsDirectory, anywhere.MovePath(ctx, "/bucket/file", "/bucket/"), "slash")
	requireCode(t, transfer.PathNotFound, anywhere.MakeDirectory(ctx, "/"), "no bucket")
}

// listing is what a server answers to ListObjectsV2.
func listing(inside string) httpFunc {
	return func(*http.Request) (*http.Response, error) {
		body := `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + inside + `</ListBucketResult>`
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewBufferString(body))}, nil
	}
}

// What a server makes up is not taken for a name, and does not keep us busy for ever.
func TestListOfAHostileServer(t *testing.T) {
	t.Parallel()
	contents := ""
	for _, key := range []string{"in/good", "in/", "in", "out/other", "in/a/b", "in/..", "in/.", "in/%zz"} {
		contents += "<Contents><Key>" + key + "</Key></Contents>"
	}
	for _, folder := range []string{"in/dir/", "in/../", "in/a/b/", "in//", "etc/"} {
		contents += "<CommonPrefixes><Prefix>" + folder + "</Prefix></CommonPrefixes>"
	}
	for _, encoding := range []string{"", "<EncodingType>url</EncodingType>"} {
		all := list(t, storageOnWire(t, listing(encoding+contents), Options{}), "in")
		require.Equal(t, []string{"%zz", "dir/", "good"}, slices.Sorted(maps.Keys(all)))
		require.Equal(t, transfer.DirectoryEntry{Name: "good", Size: -1}, all["good"])
	}
	for _, token := range []string{"", "<NextContinuationToken>again</NextContinuationToken>"} {
		s := storageOnWire(t, listing("<IsTruncated>true</IsTruncated>"+token), Options{})
		err := s.ListDirectory(t.Context(), "in", func(transfer.DirectoryEntry) bool { return true })
		requireCode(t, transfer.ListDirectoryError, err, "not how to ask for it")
	}
}
