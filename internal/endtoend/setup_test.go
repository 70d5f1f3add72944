package endtoend

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/s3x"
	"github.com/seed62b9dc43/transfer/sftpx"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// window is the smallest that S3 allows for files of several.
const window = 5 << 20

// bucket is an S3 bucket with our files.
type bucket struct {
	client *s3.Client
	name   string
}

// fakeS3 is a bucket in this process.
func fakeS3(t *testing.T) bucket {
	t.Helper()
	server := httptest.NewServer(gofakes3.New(s3mem.New()).Server())
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""), HTTPClient: &http.Client{Transport: transport},
	})
	_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("ours")})
	require.NoError(t, err)
	return bucket{client, "ours"}
}

func (b bucket) put(t *testing.T, key string, data []byte) {
	t.Helper()
	_, err := b.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &b.name, Key: &key, Body: bytes.NewReader(data)})
	require.NoError(t, err)
}

func (b bucket) get(t *testing.T, key string) []byte {
	t.Helper()
	out, err := b.client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b.name, Key: &key})
	require.NoError(t, err)
	defer func() { _ = out.Body.Close() }()
	data, err := io.ReadAll(out.Body)
	require.NoError(t, err)
	return data
}

// requireNothingOpen fails if an upload was neither completed nor aborted.
func (b bucket) requireNothingOpen(t *testing.T) {
	t.Helper()
	out, err := b.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &b.name})
	if code := smithy.APIError(nil); errors.As(err, &code) && code.ErrorCode() == "NoSuchUpload" {
		return // gofakes3's answer for a bucket that never had one
	}
	require.NoError(t, err)
	require.Empty(t, out.Uploads, "open multipart uploads")
}

// partner makes a connector to an in-process server, with short limits; change may spoil it.
func partner(t *testing.T, server *transfertest.SFTPServer, change func(*sftpx.Config)) *sftpx.Connector {
	t.Helper()
	cfg := sftpx.Config{
		Addr: server.Addr(), User: server.User(), HostKeys: server.HostKeys(), Auth: []sftpx.Auth{sftpx.PublicKey(server.Signer())},
		ConnectTimeout: 2 * time.Second, OperationTimeout: time.Second, StallTimeout: time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	connector, err := sftpx.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, connector.Close()) })
	return connector
}

// start returns a running client between bucket and connector.
func start(t *testing.T, b bucket, connector transfer.Connector) *transfer.Client {
	t.Helper()
	storage, err := s3x.New(b.client, s3x.Options{})
	require.NoError(t, err)
	client, err := transfer.New(transfer.Config{
		Storage: storage, Connectors: map[string]transfer.Connector{"acme": connector}, WindowSize: window, PollInterval: 20 * time.Millisecond,
		Retry: transfer.RetryPolicy{MaxAttempts: 1},
	})
	require.NoError(t, err)
	require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, client.Shutdown(ctx))
	})
	return client
}

// run moves the files and returns their results.
func run(t *testing.T, client *transfer.Client, in transfer.StartFileTransferInput) []transfer.ConnectorFileTransferResult {
	t.Helper()
	in.ConnectorID = "acme"
	out, err := client.StartFileTransfer(t.Context(), &in)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	_, err = client.Wait(ctx, out.TransferID)
	require.NoError(t, err)
	var results []transfer.ConnectorFileTransferResult
	p := transfer.NewListFileTransferResultsPaginator(client, &transfer.ListFileTransferResultsInput{ConnectorID: "acme", TransferID: out.TransferID})
	for r, err := range p.All(t.Context()) {
		require.NoError(t, err)
		results = append(results, r)
	}
	return results
}

func content(seed uint64, n int) []byte {
	data := make([]byte, n)
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = random.Read(data)
	return data
}

// temporary returns the names that only an unfinished delivery has.
func temporary(names []string) (found []string) {
	for _, name := range names {
		if strings.Contains(name, ".part") {
			found = append(found, name)
		}
	}
	return found
}
