package s3x

import (
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const (
	smallBuffer = 16 << 10            // holds the head of a request or an answer and a small object
	smallBody   = smallBuffer - 4<<10 // beside its head
)

// WithConnections is an option of s3.New and s3.NewFromConfig: the client keeps up to n idle connections to a server, where
// the SDK keeps 10 and closes the others after each request, which costs a handshake for the next one. n should be the
// number of files that are in flight, and for large ones three times that. Each connection gets buffers of 16 KiB, so
// that a small object goes in one piece. A client with an HTTPClient that is not the SDK's own stays as it is.
func WithConnections(n int) func(*s3.Options) {
	return func(o *s3.Options) {
		client, ok := o.HTTPClient.(*awshttp.BuildableClient)
		if !ok {
			return
		}
		o.HTTPClient = client.WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConnsPerHost = n
			t.MaxIdleConns = max(t.MaxIdleConns, n)
			t.ReadBufferSize, t.WriteBufferSize = smallBuffer, smallBuffer
		})
	}
}
