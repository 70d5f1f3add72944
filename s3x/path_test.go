package s3x

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/storagetest"
)

func TestLocate(t *testing.T) {
	t.Parallel()
	client := s3.New(s3.Options{Region: "us-east-1"})
	any, err := New(client, Options{})
	require.NoError(t, err)
	one, err := New(client, Options{Bucket: "b"})
	require.NoError(t, err)
	folder, err := New(client, Options{Bucket: "b", Prefix: "/in/box"})
	require.NoError(t, err)

	for _, c := range []struct {
		s           *Storage
		path        string
		bucket, key string
		code        transfer.Code
	}{
		{any, "/bucket/key", "bucket", "key", ""},
		{any, "bucket/key", "bucket", "key", ""},
		{any, "bucket/a/b.c", "bucket", "a/b.c", ""},
		{any, "bucket//key", "bucket", "/key", ""},
		{any, "bucket/a b+%2e%2e#ü..x", "bucket", "a b+%2e%2e#ü..x", ""},
		{any, "", "", "", transfer.PathNotFound},
		{any, "/", "", "", transfer.PathNotFound},
		{any, "//key", "", "", transfer.PathNotFound},
		{any, "/bucket", "", "", transfer.IsDirectory},
		{any, "/bucket/", "", "", transfer.IsDirectory},
		{any, "/bucket/dir/", "", "", transfer.IsDirectory},
		{any, "/bucket/../other/key", "", "", transfer.PathEscapes},
		{any, "..", "", "", transfer.PathEscapes},
		{one, "/bucket/key", "b", "bucket/key", ""},
		{one, "key", "b", "key", ""},
		{one, "/", "", "", transfer.IsDirectory},
		{one, "", "", "", transfer.IsDirectory},
		{folder, "/key", "b", "in/box/key", ""},
		{folder, "a/key", "b", "in/box/a/key", ""},
		{folder, "../key", "", "", transfer.PathEscapes},
		{folder, "a/../../key", "", "", transfer.PathEscapes},
		{folder, "a/..", "", "", transfer.PathEscapes},
	} {
		at, err := c.s.locate("open", c.path)
		if c.code != "" {
			requireCode(t, c.code, err, "path")
			continue
		}
		require.NoError(t, err, c.path)
		require.Equal(t, object{path: c.path, bucket: c.bucket, key: c.key}, at)
	}
}

func FuzzLocate(f *testing.F) {
	client := s3.New(s3.Options{Region: "us-east-1"})
	folder, err := New(client, Options{Bucket: "b", Prefix: "in"})
	require.NoError(f, err)
	free, err := New(client, Options{})
	require.NoError(f, err)
	for _, seed := range []string{"/b/k", "../x", "a/..", "a//b/", "\x00", "a/…/..b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		for _, s := range []*Storage{folder, free} {
			if under, err := s.locatePrefix(path); err == nil {
				require.True(t, strings.HasPrefix(under.key, s.o.Prefix))
				require.NotContains(t, strings.Split(under.key, "/"), "..")
				require.NotEmpty(t, under.bucket)
				require.NotContains(t, under.bucket, "/")
			}
			at, err := s.locate("open", path)
			if err != nil {
				require.NotEqual(t, transfer.UnknownError, transfer.CodeOf(err))
				continue
			}
			require.True(t, strings.HasPrefix(at.key, s.o.Prefix))
			require.NotContains(t, strings.Split(at.key, "/"), "..")
			require.False(t, strings.HasSuffix(at.key, "/"))
			require.NotEmpty(t, at.key)
			require.NotEmpty(t, at.bucket)
			require.NotContains(t, at.bucket, "/")
		}
	})
}

// TestKeys delivers under names that need care on the wire, and looks for the object with the bare client.
func TestKeys(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		storage := s.storage(t, Options{Prefix: "pre fix"})
		for _, name := range []string{"sp ace", "ünï/cödé", "a+b", "100%", "%2e%2e", "a#b?c=d&e", "~!@$^*()_-=[]{};',"} {
			data := random(100)
			require.NoError(t, storagetest.Write(t.Context(), storage, "/"+name, data, transfer.CreateOptions{}))
			require.EqualValues(t, 100, aws.ToInt64(s.head(t, "pre fix/"+name).ContentLength), name)
			got, err := storagetest.Read(t.Context(), storage, name)
			require.NoError(t, err)
			require.Equal(t, data, got)
		}
	})
}
