package awsapi

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// serveBubble serves a handler with short limits in the bubble of t, and returns its network and its store.
func serveBubble(t *testing.T) (*pipes, *transfertest.Store) {
	t.Helper()
	store := transfertest.NewStore(nil)
	client, err := transfer.New(transfer.Config{Store: store})
	require.NoError(t, err)
	handler, err := NewHandler(client, Config{AccessKeys: NoSignature, ReadTimeout: time.Second, Timeout: time.Minute})
	require.NoError(t, err)
	network := newPipes()
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(network) }()
	t.Cleanup(func() { _ = server.Close() })
	return network, store
}

var listHeaders = strings.Replace(floodHeaders, "ListFileTransferResults", "ListConnectors", 1)

// TestWorkLongerThanReading: ReadTimeout is for the request alone, and no reason to stop working on it.
func TestWorkLongerThanReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, body := range []string{"", "{}"} {
			network, store := serveBubble(t)
			hold := make(chan struct{})
			store.Inject(transfertest.StoreRule{Op: transfertest.OpConnectors, Hold: hold})
			conn := network.dial()
			_, err := io.WriteString(conn, listHeaders+"Content-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body)
			require.NoError(t, err)
			time.AfterFunc(30*time.Second, func() { close(hold) })
			require.Equal(t, "200", readStatus(conn))
		}
	})
}

// TestAnswerThatNobodyReads: who does not take the answer does not keep the connection.
func TestAnswerThatNobodyReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network, _ := serveBubble(t)
		conn := network.dial()
		_, err := io.WriteString(conn, listHeaders+"Content-Length: 2\r\n\r\n{}")
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		n, err := conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		require.Zero(t, n)
		require.NoError(t, conn.Close())
	})
}
