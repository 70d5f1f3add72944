package s3x

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// aged is an S3 client whose lists have some uploads a page, begun as long ago as says.
type aged struct {
	*s3.Client
	pageSize int32
	says     func(key string) *time.Time
	pages    int
}

func (c *aged) ListMultipartUploads(ctx context.Context, in *s3.ListMultipartUploadsInput, o ...func(*s3.Options)) (*s3.ListMultipartUploadsOutput, error) {
	c.pages++
	page := *in
	page.MaxUploads = aws.Int32(c.pageSize)
	out, err := c.Client.ListMultipartUploads(ctx, &page, o...)
	if err == nil {
		for i, u := range out.Uploads {
			out.Uploads[i].Initiated = c.says(*u.Key)
		}
	}
	return out, err
}

func before(d time.Duration) *time.Time { return aws.Time(time.Now().Add(-d)) }

func dayOld(string) *time.Time { return before(24 * time.Hour) }

// orphan leaves an upload with a part that nobody knows of.
func (s *server) orphan(t testing.TB, key string) {
	t.Helper()
	d := begin(t, s.storage(t, Options{}), key, random(int(s.window)+1), transfer.CreateOptions{})
	require.NoError(t, d.write(t.Context(), 1))
}

// uploadKeys lists the keys of all uploads.
func (s *server) uploadKeys(t testing.TB) (keys []string) {
	t.Helper()
	out, err := s.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &s.bucket})
	if apiCode(err) == "NoSuchUpload" { // gofakes3, of a bucket that never had one
		return nil
	}
	require.NoError(t, err)
	for _, u := range out.Uploads {
		keys = append(keys, *u.Key)
	}
	return keys
}

func TestAbortUploads(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		for _, key := range []string{"in/a", "in/a", "in/a", "in/b", "in/young", "in/unknown", "inbox/a", "other"} {
			s.orphan(t, key)
		}
		client := &aged{Client: s.client, pageSize: 2, says: func(key string) *time.Time {
			switch key {
			case "in/young":
				return before(time.Minute)
			case "in/unknown":
				return nil
			}
			return dayOld(key)
		}}
		n, err := s.storageOver(t, client, Options{}).AbortUploads(t.Context(), "in/", time.Hour)
		require.NoError(t, err)
		require.Equal(t, 4, n)
		require.Equal(t, []string{"in/unknown", "in/young", "inbox/a", "other"}, s.uploadKeys(t))
		require.Greater(t, client.pages, 2)

		n, err = s.storageOver(t, client, Options{Prefix: "in"}).AbortUploads(t.Context(), "", time.Hour)
		require.NoError(t, err)
		require.Zero(t, n, "the prefix ends in a slash")

		storage, err := New(client, Options{})
		require.NoError(t, err)
		n, err = storage.AbortUploads(t.Context(), "/"+s.bucket, time.Hour)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.Equal(t, []string{"in/unknown", "in/young"}, s.uploadKeys(t))
	})
}

// TestAbortUploadsAge asks servers themselves how old an upload is.
func TestAbortUploadsAge(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		storage := s.storage(t, Options{})
		n, err := storage.AbortUploads(t.Context(), "", time.Hour)
		require.NoError(t, err)
		require.Zero(t, n, "a bucket that never had one")
		s.orphan(t, "a")
		n, err = storage.AbortUploads(t.Context(), "", time.Hour)
		require.NoError(t, err)
		require.Zero(t, n)
		require.Equal(t, 1, s.openUploads(t))
		require.Eventually(t, func() bool { // versitygw rounds to seconds
			n, err = storage.AbortUploads(t.Context(), "", time.Nanosecond)
			return err == nil && n == 1
		}, 20*time.Second, 50*time.Millisecond)
		require.Zero(t, s.openUploads(t))
	})
}

// TestAbortUploadsThenResume is a delivery that comes back after its upload was taken for an orphan.
func TestAbortUploadsThenResume(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		o, _ := interrupted(t, s, "a", random(int(s.window)*2), 0)
		client := &aged{Client: s.client, pageSize: 10, says: dayOld}
		n, err := s.storageOver(t, client, Options{}).AbortUploads(t.Context(), "a", time.Hour)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		_, err = s.storage(t, Options{}).Create(t.Context(), "a", o)
		requireCode(t, transfer.CheckpointLost, err, "")
	})
}

func TestAbortUploadsFailures(t *testing.T) {
	t.Parallel()
	var refuse atomic.Bool
	s := fake(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if refuse.Load() && r.Method == http.MethodDelete && r.URL.Path == "/bucket/locked" {
				answer(w, 403, "AccessDenied")
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	for _, key := range []string{"a", "locked", "locked", "z"} {
		s.orphan(t, key)
	}
	refuse.Store(true)
	client := &aged{Client: s.client, pageSize: 1, says: dayOld}
	storage := s.storageOver(t, client, Options{})
	n, err := storage.AbortUploads(t.Context(), "", time.Hour)
	require.Equal(t, 2, n, "one that stays does not keep the others from going")
	requireCode(t, transfer.PermissionDenied, err, "abort upload of bucket/locked")
	require.Equal(t, []string{"locked", "locked"}, s.uploadKeys(t))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = storage.AbortUploads(ctx, "", time.Hour)
	require.ErrorIs(t, err, context.Canceled)

	for _, c := range []struct {
		prefix string
		age    time.Duration
		hint   string
	}{
		{"", 0, "such as 72h"}, {"", -time.Hour, "such as 72h"}, {"../x", time.Hour, `a segment ".."`},
	} {
		_, err = storage.AbortUploads(t.Context(), c.prefix, c.age)
		require.ErrorContains(t, err, c.hint)
	}
	anywhere, err := New(s.client, Options{})
	require.NoError(t, err)
	_, err = anywhere.AbortUploads(t.Context(), "/", time.Hour)
	requireCode(t, transfer.PathNotFound, err, "names no bucket")
	_, err = anywhere.AbortUploads(t.Context(), "/no-such-bucket/", time.Hour)
	requireCode(t, transfer.PathNotFound, err, "NoSuchBucket")
}

// broken is an S3 client whose lists are not what was asked for.
type broken struct {
	*s3.Client
	page s3.ListMultipartUploadsOutput
}

func (c *broken) ListMultipartUploads(context.Context, *s3.ListMultipartUploadsInput, ...func(*s3.Options)) (*s3.ListMultipartUploadsOutput, error) {
	page := c.page
	return &page, nil
}

func TestAbortUploadsOddLists(t *testing.T) {
	t.Parallel()
	s := fake(t, nil)
	s.orphan(t, "a")
	out, err := s.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &s.bucket})
	require.NoError(t, err)
	upload := out.Uploads[0]
	upload.Initiated = dayOld("")
	for name, c := range map[string]struct {
		page s3.ListMultipartUploadsOutput
		hint string
	}{
		"ignores the prefix": {s3.ListMultipartUploadsOutput{Uploads: []types.MultipartUpload{upload}}, ""},
		"never ends":         {s3.ListMultipartUploadsOutput{IsTruncated: aws.Bool(true), NextKeyMarker: aws.String("x")}, "repeats a page"},
		"no names":           {s3.ListMultipartUploadsOutput{Uploads: []types.MultipartUpload{{Initiated: dayOld("")}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			storage := s.storageOver(t, &broken{s.client, c.page}, Options{})
			n, err := storage.AbortUploads(t.Context(), "b", time.Hour)
			require.Zero(t, n)
			if c.hint == "" {
				require.NoError(t, err)
				return
			}
			requireCode(t, transfer.ListDirectoryError, err, c.hint)
		})
	}
	require.Equal(t, 1, s.openUploads(t))
}

// TestManyOrphans is more than a page of S3's.
func TestManyOrphans(t *testing.T) {
	t.Parallel()
	s := fake(t, nil)
	const many = 1100
	for i := range many {
		key := fmt.Sprint("in/", i%7)
		_, err := s.client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &s.bucket, Key: &key})
		require.NoError(t, err)
	}
	n, err := s.storageOver(t, &aged{Client: s.client, pageSize: 1000, says: dayOld}, Options{}).AbortUploads(t.Context(), "in/", time.Hour)
	require.NoError(t, err)
	require.Equal(t, many, n)
}
