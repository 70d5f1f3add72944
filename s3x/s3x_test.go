package s3x

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/s3mem"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/internal/testenv"
	"github.com/seed62b9dc43/transfer/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tinyWindow is the window of tests on the in-memory server, which takes parts of any length.
const tinyWindow = 1 << 10

// server is an S3 server with one bucket.
type server struct {
	client *s3.Client
	bucket string
	window int64 // the smallest that it takes
	real   *testenv.S3Server
}

// fake starts the in-memory server. Requests pass wrap, if there is one, before they reach it.
func fake(t testing.TB, wrap func(http.Handler) http.Handler, options ...gofakes3.Option) *server {
	t.Helper()
	handler := gofakes3.New(s3mem.New(), options...).Server()
	if wrap != nil {
		handler = wrap(handler)
	}
	return serve(t, httptest.NewServer(handler))
}

// serve makes the in-memory server at listener a server with a bucket.
func serve(t testing.TB, listener *httptest.Server) *server {
	t.Helper()
	t.Cleanup(listener.Close)
	transport := listener.Client().Transport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	client := s3.New(s3.Options{
		Region:       "us-east-1",
		BaseEndpoint: &listener.URL,
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider("KEY", "SECRET", ""),
		HTTPClient:   &http.Client{Transport: transport},
		Retryer:      retry.AddWithMaxBackoffDelay(retry.NewStandard(), time.Millisecond),
		// what a client has that is made by s3.NewFromConfig
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	})
	s := &server{client: client, bucket: "bucket", window: tinyWindow}
	_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &s.bucket})
	require.NoError(t, err)
	return s
}

// real starts versitygw.
func real(t testing.TB) *server {
	t.Helper()
	s := testenv.S3(t)
	return &server{client: s.Client(t), bucket: s.NewBucket(t), window: minPartSize, real: s}
}

// onBoth runs test on the in-memory server and on versitygw.
func onBoth(t *testing.T, test func(t *testing.T, s *server)) {
	t.Helper()
	t.Run("gofakes3", func(t *testing.T) {
		t.Parallel()
		test(t, fake(t, nil, gofakes3.WithV4Auth(map[string]string{"KEY": "SECRET"})))
	})
	t.Run("versitygw", func(t *testing.T) {
		t.Parallel()
		test(t, real(t))
	})
}

// storage returns a Storage whose paths are keys in the server's bucket, unless o says otherwise.
func (s *server) storage(t testing.TB, o Options) *Storage {
	t.Helper()
	return s.storageOver(t, s.client, o)
}

func (s *server) storageOver(t testing.TB, client API, o Options) *Storage {
	t.Helper()
	if o.Bucket == "" {
		o.Bucket = s.bucket
	}
	storage, err := New(client, o)
	require.NoError(t, err)
	storage.minPart = s.window
	return storage
}

// write delivers data to path.
func (s *server) write(t testing.TB, path string, data []byte) {
	t.Helper()
	o := transfer.CreateOptions{WindowSize: s.window}
	require.NoError(t, storagetest.Write(t.Context(), s.storage(t, Options{}), path, data, o))
}

func (s *server) head(t testing.TB, key string) *s3.HeadObjectOutput {
	t.Helper()
	head, err := s.client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &s.bucket, Key: &key})
	require.NoError(t, err)
	return head
}

func (s *server) openUploads(t testing.TB) int {
	t.Helper()
	if s.real != nil {
		return s.real.OpenUploads(t, s.bucket)
	}
	out, err := s.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &s.bucket})
	if apiCode(err) == "NoSuchUpload" { // gofakes3, of a bucket that never had one
		return 0
	}
	require.NoError(t, err)
	require.False(t, aws.ToBool(out.IsTruncated))
	return len(out.Uploads)
}

// keys lists all objects.
func (s *server) keys(t testing.TB) (keys []string) {
	t.Helper()
	pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		for _, object := range page.Contents {
			keys = append(keys, *object.Key)
		}
	}
	return keys
}

// requireCode fails the test unless err carries code and mentions hint.
func requireCode(t testing.TB, code transfer.Code, err error, hint string) {
	t.Helper()
	require.Error(t, err)
	require.ErrorIs(t, err, code)
	require.Equal(t, code, transfer.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, hint)
}

func random(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.Read(p)
	return p
}

// spy is an HTTP client that keeps the requests it sends.
type spy struct {
	s3.HTTPClient
	mu   sync.Mutex
	seen []*http.Request // guarded by mu
}

// spyOn puts a spy between a client and its server.
func spyOn(client *s3.Client) (*s3.Client, *spy) {
	p := &spy{HTTPClient: client.Options().HTTPClient}
	return s3.New(client.Options(), func(o *s3.Options) { o.HTTPClient = p }), p
}

func (p *spy) Do(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.seen = append(p.seen, r.Clone(r.Context()))
	p.mu.Unlock()
	return p.HTTPClient.Do(r)
}

// requests returns the requests that are as is says.
func (p *spy) requests(is func(*http.Request) bool) (found []*http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.seen {
		if is(r) {
			found = append(found, r)
		}
	}
	return found
}

// isPart reports whether r is an UploadPart.
func isPart(r *http.Request) bool {
	return r.Method == http.MethodPut && r.URL.Query().Has("partNumber")
}

// answer writes an S3 error.
func answer(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(strings.ReplaceAll("<Error><Code>$</Code><Message>test</Message></Error>", "$", code)))
}
