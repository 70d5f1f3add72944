package awsapi

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// TestEarlyAnswers: who is refused before the body came has the answer at once, and then the connection ends, so that
// bodies that come slowly, or never, hold nothing. Time is the bubble's.
func TestEarlyAnswers(t *testing.T) {
	t.Parallel()
	const unsigned, foreign = "Content-Length: 100\r\n\r\n{", "Authorization: AWS4-HMAC-SHA256 nonsense\r\nContent-Length: 100\r\n\r\n{"
	for name, test := range map[string]struct {
		request string
		status  int
	}{
		"no signature":        {floodHeaders + unsigned, http.StatusForbidden},
		"a bad signature":     {floodHeaders + foreign, http.StatusForbidden},
		"endless":             {floodHeaders + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", http.StatusForbidden},
		"unknown operation":   {strings.Replace(floodHeaders, "ListFile", "Steal", 1) + unsigned, http.StatusNotFound},
		"another content":     {strings.Replace(floodHeaders, "x-amz-json-1.1", "xml", 1) + unsigned, http.StatusUnsupportedMediaType},
		"presigned":           {strings.Replace(floodHeaders, "POST /", "POST /?X-Amz-Signature=1", 1) + unsigned, http.StatusForbidden},
		"announced too large": {floodHeaders + "Content-Length: 1000000000000\r\n\r\n{", http.StatusForbidden},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, err := transfer.New(transfer.Config{})
			require.NoError(t, err)
			h, err := NewHandler(client, Config{AccessKeys: StaticKeys{"KEY": {SecretKey: "secret"}}})
			require.NoError(t, err)
			network := newPipes()
			server := &http.Server{Handler: h}
			go func() { _ = server.Serve(network) }()
			defer func() { _ = server.Close() }()
			defer func() { _ = network.Close() }()

			began := time.Now()
			c := network.dial()
			_, err = io.WriteString(c, test.request)
			require.NoError(t, err, name)
			answer, err := http.ReadResponse(bufio.NewReader(c), nil)
			require.NoError(t, err, name)
			require.Zero(t, time.Since(began), name)
			require.Equal(t, test.status, answer.StatusCode, name)
			require.True(t, answer.Close, name)
			_, err = io.Copy(io.Discard, answer.Body)
			require.NoError(t, err, name)
			_, err = c.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF, name)
			require.LessOrEqual(t, time.Since(began), 2*lingering, name)
		})
	}
}
