package s3x

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, c := range []struct {
		err  error
		code transfer.Code
	}{
		{&net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}, transfer.HostNotFound},
		{dial(syscall.ECONNREFUSED), transfer.ConnectionRefused},
		{dial(syscall.EHOSTUNREACH), transfer.ConnectionRefused},
		{dial(syscall.ETIMEDOUT), transfer.ConnectTimeout},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, transfer.ConnectionLost},
		{io.ErrUnexpectedEOF, transfer.ConnectionLost},
		{io.EOF, transfer.ConnectionLost},
		{&tls.CertificateVerificationError{Err: errors.New("x")}, transfer.HostKeyMismatch},
		{tls.RecordHeaderError{Msg: "x"}, transfer.KeyExchangeFailed},
		{context.DeadlineExceeded, transfer.OperationTimeout},
		{context.Canceled, transfer.Cancelled},
		{&smithy.CanceledError{Err: context.Canceled}, transfer.Cancelled},
		{&smithy.GenericAPIError{Code: "RequestTimeout"}, transfer.OperationTimeout},
		{&smithy.GenericAPIError{Code: "Strange"}, transfer.UnknownError},
		{errors.New("something else"), transfer.UnknownError},
	} {
		err := fail("read", "a", fmt.Errorf("outer: %w", c.err))
		require.Equal(t, c.code, transfer.CodeOf(err), "%v", c.err)
		require.ErrorIs(t, err, c.err)
		require.ErrorContains(t, err, "read a")
	}
	require.NoError(t, fail("read", "a", nil))
	once := fail("read", "a", io.EOF)
	require.Equal(t, once, fail("again", "b", once))
}

// TestNetwork meets the failures that TestClassify imitates.
func TestNetwork(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := "http://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	stranger := httptest.NewUnstartedServer(http.NotFoundHandler())
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0)
	stranger.StartTLS()
	t.Cleanup(stranger.Close)
	hang := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hang.Close)

	for _, c := range []struct {
		name, endpoint string
		code           transfer.Code
	}{
		{"nobody listens", nobody, transfer.ConnectionRefused},
		{"no such name", "http://nobody.invalid", transfer.HostNotFound},
		{"unknown certificate", stranger.URL, transfer.HostKeyMismatch},
		{"no answer", hang.URL, transfer.OperationTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			transport := http.DefaultTransport.(*http.Transport).Clone()
			t.Cleanup(transport.CloseIdleConnections)
			storage, err := New(s3.New(s3.Options{
				Region: "us-east-1", BaseEndpoint: &c.endpoint, UsePathStyle: true, HTTPClient: &http.Client{Transport: transport},
				Credentials: credentials.NewStaticCredentialsProvider("KEY", "SECRET", ""), Retryer: aws.NopRetryer{},
			}), Options{})
			require.NoError(t, err)
			ctx := t.Context()
			if c.code == transfer.OperationTimeout {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
			}
			_, err = storage.Open(ctx, "bucket/key")
			require.Error(t, err)
			require.Equal(t, c.code, transfer.CodeOf(err), "%v", err)
		})
	}
}
