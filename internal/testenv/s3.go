package testenv

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
)

// S3Variable names the environment variable that holds the path of the versitygw program, if it is neither in the
// module's bin folder nor in PATH.
const S3Variable = "VERSITYGW"

// s3StartAttempts is how often S3 tries another port: a free one can be taken before the server listens on it.
const s3StartAttempts = 3

// s3Patience bounds the start and the end of the server.
const s3Patience = 10 * time.Second

// S3Server is a running S3 server with an empty store.
type S3Server struct {
	Endpoint  string // such as "http://127.0.0.1:41234"
	AccessKey string
	SecretKey string
	Dir       string // a bucket is a folder in it, an object a file
}

// S3 starts versitygw on a free loopback port over a temporary folder, and stops it when t ends. The program is looked
// up in $VERSITYGW, in bin/ of the module and in PATH; without it t is skipped, or fails under RequireVariable.
func S3(t testing.TB) *S3Server {
	t.Helper()
	program := findVersityGW(t)
	s := &S3Server{AccessKey: "test-" + rand.Text(), SecretKey: rand.Text(), Dir: t.TempDir()}
	var err error
	for attempt := range s3StartAttempts {
		// a filesystem without extended attributes needs the metadata in files of their own
		sidecar := attempt == s3StartAttempts-1
		if err = s.start(t, program, sidecar); err == nil {
			return s
		}
	}
	require.NoError(t, err, "start versitygw")
	return nil
}

// Client returns a path-style client for the server, whose connections are closed when t ends.
func (s *S3Server) Client(t testing.TB, options ...func(*s3.Options)) *s3.Client {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	t.Cleanup(transport.CloseIdleConnections)
	return s3.New(s3.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(s.Endpoint),
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
		HTTPClient:   &http.Client{Transport: transport},
	}, options...)
}

// NewBucket makes a bucket with a name of its own.
func (s *S3Server) NewBucket(t testing.TB) string {
	t.Helper()
	name := "test-" + strings.ToLower(rand.Text())
	_, err := s.Client(t).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name})
	require.NoError(t, err)
	return name
}

// OpenUploads counts the multipart uploads of a bucket that were neither completed nor aborted.
func (s *S3Server) OpenUploads(t testing.TB, bucket string) int {
	t.Helper()
	n := 0
	pages := s3.NewListMultipartUploadsPaginator(s.Client(t), &s3.ListMultipartUploadsInput{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		n += len(page.Uploads)
	}
	return n
}

// start runs the program once and returns when it answers.
func (s *S3Server) start(t testing.TB, program string, sidecar bool) error {
	address, err := freeAddress(t.Context())
	if err != nil {
		return err
	}
	args := []string{"--quiet", "--keep-alive", "--port", address, "posix"}
	if sidecar {
		args = append(args, "--sidecar", t.TempDir())
	}
	output := &bytes.Buffer{} // read only after the process has ended
	cmd := exec.Command(program, append(args, s.Dir)...)
	// not in the arguments, which everybody on the machine can read
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.AccessKey, "ROOT_SECRET_KEY="+s.SecretKey)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", program, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	if err := awaitListener(t.Context(), address, ended); err != nil {
		endProcess(cmd.Process, ended)
		return fmt.Errorf("%s: %w\n%s", program, err, output.String())
	}
	s.Endpoint = "http://" + address
	t.Cleanup(func() { endProcess(cmd.Process, ended) })
	return nil
}

// endProcess asks the process to end, insists after a while, and returns when it is gone.
func endProcess(process *os.Process, ended <-chan struct{}) {
	_ = process.Signal(syscall.SIGTERM)
	insist := time.AfterFunc(s3Patience, func() { _ = process.Kill() })
	defer insist.Stop()
	<-ended
}

// awaitListener returns once somebody listens on address, or fails if the process that should has ended.
func awaitListener(ctx context.Context, address string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, s3Patience)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-poll.C:
		case <-ended:
			return errors.New("ended before it listened")
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", address, err)
		}
	}
}

// freeAddress finds a loopback port that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// findVersityGW returns the path of the program.
func findVersityGW(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(S3Variable); path != "" {
		return path
	}
	if root := s3ModuleRoot(); root != "" {
		path := filepath.Join(root, "bin", "versitygw")
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	path, err := exec.LookPath("versitygw")
	if err != nil {
		missing(t, "versitygw", "run `make tools`")
	}
	return path
}

// s3ModuleRoot is the folder with go.mod at or above the working folder, or empty.
func s3ModuleRoot() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}
