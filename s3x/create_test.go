package s3x

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/rclone/gofakes3"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/storagetest"
)

// delivery is a file that a test delivers step by step.
type delivery struct {
	transfer.Sink
	data []byte
	o    transfer.CreateOptions
}

// begin begins to deliver data to path, and closes the sink when t ends.
func begin(t testing.TB, s *Storage, path string, data []byte, o transfer.CreateOptions) *delivery {
	t.Helper()
	o.Size, o.WindowSize, o.Key = int64(len(data)), s.minPart, storagetest.NewKey()
	sink, err := s.Create(t.Context(), path, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = sink.Close() })
	return &delivery{sink, data, o}
}

// write writes window i.
func (d *delivery) write(ctx context.Context, i int) error {
	off := int64(i) * d.o.WindowSize
	return d.WriteWindow(ctx, d.data[off:min(off+d.o.WindowSize, d.o.Size)], off)
}

// writeAll writes all windows, and fails the test if that fails.
func (d *delivery) writeAll(t testing.TB) {
	t.Helper()
	for i := range windows(d.o) {
		require.NoError(t, d.write(t.Context(), int(i)))
	}
}

func (d *delivery) commit(ctx context.Context) error {
	return d.Commit(ctx, sha256.Sum256(d.data))
}

// sizes are a file of one window and one of several, for a server.
func (s *server) sizes() map[string]int {
	return map[string]int{"put": int(s.window), "multipart": int(s.window)*2 + 100}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		for _, size := range []int{0, 1, int(s.window)} {
			data := random(size)
			s.write(t, "single", data)
			head, sum := s.head(t, "single"), sha256.Sum256(data)
			require.EqualValues(t, size, aws.ToInt64(head.ContentLength))
			require.Equal(t, hex.EncodeToString(sum[:]), head.Metadata["sha256"])
			require.Len(t, head.Metadata["transfer-delivery"], 32)
		}
		s.write(t, "multi", random(int(s.window)+1))
		head := s.head(t, "multi")
		require.NotContains(t, head.Metadata, "sha256")
		require.Len(t, head.Metadata["transfer-delivery"], 32)
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := fake(t, nil)
	storage, err := New(s.client, Options{Bucket: s.bucket})
	require.NoError(t, err)
	few, err := New(s.client, Options{Bucket: s.bucket, MaxParts: 1000})
	require.NoError(t, err)
	for _, c := range []struct {
		s      *Storage
		size   int64
		window int64
		hint   string
	}{
		{storage, 5<<20 + 1, 5 << 20, ""},
		{storage, 5<<20 - 1, 5<<20 - 1, ""},
		{storage, 5 << 20, 5<<20 - 1, "set transfer.Config.WindowSize to 5242880 or more"},
		{storage, 10_000 * 8 << 20, 8 << 20, ""},
		{storage, 10_000*8<<20 + 1, 8 << 20, "set transfer.Config.WindowSize to 8388609 or more"},
		{few, 1000 * 8 << 20, 8 << 20, ""},
		{few, 1000*8<<20 + 1, 8 << 20, "s3x.Options.MaxParts"},
	} {
		sink, err := c.s.Create(t.Context(), "a", transfer.CreateOptions{Size: c.size, WindowSize: c.window})
		if c.hint == "" {
			require.NoError(t, err)
			require.NoError(t, errors.Join(sink.Abort(t.Context()), sink.Close()))
			continue
		}
		requireCode(t, transfer.UnsupportedOperationError, err, c.hint)
	}
	require.Zero(t, s.openUploads(t))
	_, err = storage.Create(t.Context(), "a", transfer.CreateOptions{Size: -2, WindowSize: 1})
	requireCode(t, transfer.InternalError, err, "-2 bytes")
}

func TestCreateFailures(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		_, err := s.storage(t, Options{}).Create(t.Context(), "dir/", transfer.CreateOptions{WindowSize: 1})
		requireCode(t, transfer.IsDirectory, err, "create dir/")

		missing := s.storage(t, Options{Bucket: "no-such-bucket"})
		_, err = missing.Create(t.Context(), "a", transfer.CreateOptions{Size: s.window + 1, WindowSize: s.window})
		requireCode(t, transfer.PathNotFound, err, "NoSuchBucket")
		d := begin(t, missing, "a", random(10), transfer.CreateOptions{Overwrite: transfer.OverwriteFail})
		d.writeAll(t)
		requireCode(t, transfer.PathNotFound, d.commit(t.Context()), "NoSuchBucket")
	})
}

func TestAbortLeavesNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		for name, size := range s.sizes() {
			d := begin(t, s.storage(t, Options{}), name, random(size), transfer.CreateOptions{})
			require.NoError(t, d.write(t.Context(), 0))
			require.NoError(t, d.Abort(t.Context()))
			require.Zero(t, s.openUploads(t))
			require.NoError(t, d.Abort(t.Context()), "a second time")
			require.Nil(t, d.Checkpoint())
			require.Error(t, d.commit(t.Context()))
		}
		require.Empty(t, s.keys(t))
	})
}

// TestAbortAgain is on a server where parts that are on their way survive that the upload is aborted.
func TestAbortAgain(t *testing.T) {
	t.Parallel()
	var ignore atomic.Int32
	s := fake(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodDelete && ignore.Add(-1) >= 0 {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	d := begin(t, s.storage(t, Options{}), "a", random(int(s.window)*2), transfer.CreateOptions{})
	require.NoError(t, d.write(t.Context(), 0))
	ignore.Store(100)
	requireCode(t, transfer.DeleteError, d.Abort(t.Context()), "still there")
	ignore.Store(2)
	require.NoError(t, d.Abort(t.Context()))
	require.Zero(t, s.openUploads(t))
}

// TestUploadGone is what happens if a lifecycle rule or somebody else aborts the upload.
func TestUploadGone(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *server) {
		storage := s.storage(t, Options{})
		d := begin(t, storage, "a", random(int(s.window)*2), transfer.CreateOptions{})
		require.NoError(t, d.write(t.Context(), 0))
		require.NoError(t, storage.abort(t.Context(), object{bucket: s.bucket, key: "a"}, d.Sink.(*uploadSink).upload.ID))
		err := d.write(t.Context(), 1)
		require.Error(t, err)
		require.True(t, transfer.CodeOf(err).Retryable(), "%v", err) // versitygw may cut the connection
		d.Sink.(*uploadSink).acknowledge(1, part{etag: aws.String(`"x"`)})
		requireCode(t, transfer.SizeMismatch, d.commit(t.Context()), "")
		require.NoError(t, d.Abort(t.Context()))
	})
}

func TestOnlyOneWins(t *testing.T) {
	t.Parallel()
	// gofakes3 looks whether an object is there, and then stores it: here nothing comes in between.
	var committing sync.Mutex
	inTurn := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isCommit(r) {
				committing.Lock()
				defer committing.Unlock()
			}
			next.ServeHTTP(w, r)
		})
	}
	t.Run("gofakes3", func(t *testing.T) {
		t.Parallel()
		onlyOneWins(t, fake(t, inTurn, gofakes3.WithV4Auth(map[string]string{"KEY": "SECRET"})))
	})
	t.Run("versitygw", func(t *testing.T) {
		t.Parallel()
		onlyOneWins(t, real(t))
	})
}

func onlyOneWins(t *testing.T, s *server) {
	t.Helper()
	const racers = 6
	for name, size := range s.sizes() {
		data, errs := make([][]byte, racers), make([]error, racers)
		deliveries := make([]*delivery, racers)
		for i := range racers {
			data[i] = random(size)
			deliveries[i] = begin(t, s.storage(t, Options{}), name, data[i], transfer.CreateOptions{Overwrite: transfer.OverwriteFail})
			deliveries[i].writeAll(t)
		}
		var race sync.WaitGroup
		for i := range racers {
			race.Go(func() { errs[i] = deliveries[i].commit(t.Context()) })
		}
		race.Wait()
		winner := -1
		for i, err := range errs {
			if err == nil {
				require.Equal(t, -1, winner, "two have won")
				winner = i
				continue
			}
			requireCode(t, transfer.FileExists, err, "an object has appeared meanwhile")
			require.NoError(t, deliveries[i].Abort(t.Context()))
		}
		require.NotEqual(t, -1, winner, "nobody has won: %v", errs)
		got, err := storagetest.Read(t.Context(), s.storage(t, Options{}), name)
		require.NoError(t, err)
		require.Equal(t, sha256.Sum256(data[winner]), sha256.Sum256(got))
	}
	require.Zero(t, s.openUploads(t))
}

// isCommit reports whether r publishes an object.
func isCommit(r *http.Request) bool {
	put := r.Method == http.MethodPut && r.Header.Get("X-Amz-Meta-Sha256") != ""
	return put || r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

// TestLostAnswer is on a connection that breaks after the server has published the object.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(next http.Handler, w http.ResponseWriter, r *http.Request){
		"no answer": func(next http.Handler, _ http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		},
		"no more than its head": func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&cutter{w, 0}, r)
		},
	} {
		for _, times := range []int32{1, 100} {
			var left atomic.Int32
			s := fake(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if isCommit(r) && left.Add(-1) >= 0 {
						lose(next, w, r)
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			for kind, size := range s.sizes() {
				for _, policy := range []transfer.Overwrite{transfer.OverwriteFail, transfer.OverwriteReplace} {
					t.Run(fmt.Sprint(name, ", ", times, " times, ", kind, ", ", policy), func(t *testing.T) {
						path := kind + string(policy)
						d := begin(t, s.storage(t, Options{}), path, random(size), transfer.CreateOptions{Overwrite: policy})
						d.writeAll(t)
						left.Store(times)
						require.NoError(t, d.commit(t.Context()))
						require.Less(t, left.Load(), times)
						require.NoError(t, d.Abort(t.Context()))
						require.EqualValues(t, size, aws.ToInt64(s.head(t, path).ContentLength))
					})
				}
			}
		}
	}
}

// TestCommitRefused is on a server that refuses to publish.
func TestCommitRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		answer string
		code   transfer.Code
		hint   string
	}{
		{501, "NotImplemented", transfer.UnsupportedOperationError, "set s3x.Options.NoConditionalWrites"},
		{409, "ConditionalRequestConflict", transfer.PartnerBusy, ""},
		{403, "AccessDenied", transfer.PermissionDenied, ""},
		{507, "InsufficientStorage", transfer.NoSpace, ""},
		{400, "EntityTooLarge", transfer.NoSpace, ""},
		{400, "BadDigest", transfer.IntegrityError, ""},
	} {
		t.Run(c.answer, func(t *testing.T) {
			t.Parallel()
			s := fake(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if isCommit(r) {
						answer(w, c.status, c.answer)
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			for name, size := range s.sizes() {
				d := begin(t, s.storage(t, Options{}), name, random(size), transfer.CreateOptions{Overwrite: transfer.OverwriteFail})
				d.writeAll(t)
				requireCode(t, c.code, d.commit(t.Context()), c.hint)
				require.NoError(t, d.Abort(t.Context()))
			}
			require.Empty(t, s.keys(t))
		})
	}
}

// TestRefusalUnheard is on a server that refuses a body before it has read it, and cuts the connection: the client is
// still writing and does not hear why. versitygw does so.
func TestRefusalUnheard(t *testing.T) {
	t.Parallel()
	s := fake(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isCommit(r) && r.Header.Get("If-None-Match") != "" {
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		})
	})
	for name, size := range s.sizes() {
		d := begin(t, s.storage(t, Options{}), name, random(size), transfer.CreateOptions{Overwrite: transfer.OverwriteFail})
		d.writeAll(t)
		requireCode(t, transfer.ConnectionLost, d.commit(t.Context()), "")
		s.write(t, name, random(10))
		requireCode(t, transfer.FileExists, d.commit(t.Context()), "an object has appeared meanwhile")
		require.NoError(t, d.Abort(t.Context()))
	}
}

// TestNoConditionalWrites is on a server that refuses If-None-Match.
func TestNoConditionalWrites(t *testing.T) {
	t.Parallel()
	s := fake(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("If-None-Match") != "" {
				answer(w, 501, "NotImplemented")
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	storage := s.storage(t, Options{NoConditionalWrites: true})
	for name, size := range s.sizes() {
		first := begin(t, storage, name, random(size), transfer.CreateOptions{Overwrite: transfer.OverwriteFail})
		second := begin(t, storage, name, random(size), transfer.CreateOptions{Overwrite: transfer.OverwriteSkip})
		first.writeAll(t)
		second.writeAll(t)
		require.NoError(t, first.commit(t.Context()))
		requireCode(t, transfer.FileExists, second.commit(t.Context()), "there is an object already")
		require.NoError(t, second.Abort(t.Context()))
	}
	require.Zero(t, s.openUploads(t))
}

// TestWriteOnly delivers with credentials that may write but not look.
func TestWriteOnly(t *testing.T) {
	t.Parallel()
	s := fake(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				answer(w, 403, "AccessDenied")
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	for name, size := range s.sizes() {
		for i, code := range []transfer.Code{"", transfer.FileExists} {
			d := begin(t, s.storage(t, Options{}), name, random(size), transfer.CreateOptions{Overwrite: transfer.OverwriteFail})
			d.writeAll(t)
			err := d.commit(t.Context())
			require.Equal(t, code, transfer.CodeOf(err), "%d: %v", i, err)
		}
	}
	_, err := s.storage(t, Options{NoConditionalWrites: true}).Create(t.Context(), "put", transfer.CreateOptions{WindowSize: 1, Overwrite: transfer.OverwriteFail})
	requireCode(t, transfer.PermissionDenied, err, "")
}

func TestBusyServer(t *testing.T) {
	t.Parallel()
	var busy atomic.Int32
	busy.Store(2)
	s := fake(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isPart(r) && busy.Add(-1) >= 0 {
				answer(w, 503, "SlowDown")
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	data := random(int(s.window)*2 + 1)
	d := begin(t, s.storage(t, Options{}), "a", data, transfer.CreateOptions{})
	d.writeAll(t)
	require.NoError(t, d.commit(t.Context()))
	got, err := storagetest.Read(t.Context(), s.storage(t, Options{}), "a")
	require.NoError(t, err)
	require.Equal(t, data, got)

	busy.Store(100)
	d = begin(t, s.storage(t, Options{}), "a", data, transfer.CreateOptions{})
	requireCode(t, transfer.PartnerBusy, d.write(t.Context(), 0), "SlowDown")
	require.NoError(t, d.Abort(t.Context()))
}

// TestOddWindows writes what the engine never would.
func TestOddWindows(t *testing.T) {
	t.Parallel()
	s := fake(t, nil)
	d := begin(t, s.storage(t, Options{PartConcurrency: 3}), "a", random(int(s.window)*2), transfer.CreateOptions{})
	require.Equal(t, 3, d.Concurrency())
	for _, c := range []struct{ length, off int64 }{
		{s.window, 1}, {s.window - 1, 0}, {s.window, -s.window}, {s.window, s.window * 2}, {0, 0},
	} {
		requireCode(t, transfer.SizeMismatch, d.WriteWindow(t.Context(), make([]byte, c.length), c.off), fmt.Sprint("at ", c.off))
	}
	require.NoError(t, d.Abort(t.Context()))
}

// tidy is an S3 client that sets what a bucket demands, as API proposes.
type tidy struct{ *s3.Client }

func (c tidy) PutObject(ctx context.Context, in *s3.PutObjectInput, o ...func(*s3.Options)) (*s3.PutObjectOutput, error) {
	in.ContentType = aws.String("text/csv")
	return c.Client.PutObject(ctx, in, o...)
}

func TestEmbeddedClient(t *testing.T) {
	t.Parallel()
	s := fake(t, nil)
	storage := s.storageOver(t, tidy{s.client}, Options{})
	require.NoError(t, storagetest.Write(t.Context(), storage, "a.csv", random(10), transfer.CreateOptions{}))
	require.True(t, strings.HasPrefix(aws.ToString(s.head(t, "a.csv").ContentType), "text/csv"))
}
