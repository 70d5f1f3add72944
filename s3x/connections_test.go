package s3x

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// gate is a server that takes n requests at once and answers when all have come.
type gate struct {
	n           int
	connections atomic.Int32

	mu      sync.Mutex // guards the fields below
	waiting int
	open    chan struct{}
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	open := g.open
	if g.waiting++; g.waiting == g.n {
		g.waiting, g.open = 0, make(chan struct{})
		close(open)
	}
	g.mu.Unlock()
	select {
	case <-open:
	case <-r.Context().Done():
	}
	w.Header().Set("Etag", `"e"`)
}

// dials is how many connections a client makes for several times as many requests as come at once.
func dials(t *testing.T, options ...func(*s3.Options)) int32 {
	const atOnce = 32
	g := &gate{n: atOnce, open: make(chan struct{})}
	server := httptest.NewUnstartedServer(g)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			g.connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client := s3.New(s3.Options{
		Region: "us-east-1", UsePathStyle: true, BaseEndpoint: &server.URL,
		Credentials: credentials.NewStaticCredentialsProvider("KEY", "SECRET", ""),
	}, options...)
	storage, err := New(client, Options{Bucket: "b"})
	require.NoError(t, err)
	for range 4 {
		var all sync.WaitGroup
		for range atOnce {
			all.Go(func() { require.NoError(t, putEmpty(t.Context(), storage)) })
		}
		all.Wait()
	}
	return g.connections.Load()
}

func putEmpty(ctx context.Context, s *Storage) error {
	k, err := s.Create(ctx, "a", transfer.CreateOptions{WindowSize: 1})
	if err != nil {
		return err
	}
	return k.Commit(ctx, [32]byte{})
}

func TestWithConnections(t *testing.T) {
	t.Parallel()
	require.LessOrEqual(t, dials(t, WithConnections(32)), int32(32+1)) // the transport may dial one more than it needs
	require.Greater(t, dials(t), int32(32+20), "the SDK keeps too few, so the option is of use")

	own := &http.Client{}
	client := s3.New(s3.Options{HTTPClient: own}, WithConnections(32))
	require.Same(t, own, client.Options().HTTPClient)
}
