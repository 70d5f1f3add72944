package waarpapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// many is how many connections are open at once. Tests that have so many run one by one: each takes some hundred MiB.
const many = 10_000

// flood sends the same text over many connections at once, which then stay open, and counts the answers by status.
func (s *server) flood(text string) map[int]int {
	var mu sync.Mutex
	counts := map[int]int{}
	var all sync.WaitGroup
	for range many {
		all.Go(func() {
			conn := s.dial()
			defer conn.Close()
			go func() { _, _ = io.WriteString(conn, text) }() // ends with the connection
			status := 0
			if r, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil); err == nil {
				status = r.StatusCode
			}
			mu.Lock()
			defer mu.Unlock()
			counts[status]++
		})
	}
	all.Wait()
	return counts
}

// TestManySlowBodies has as many requests as nobody should have, whose bodies never end. So many as are worked on at once
// are held until their time is over, the others are turned away at once, and nothing is left of any: the bubble would
// not end.
func TestManySlowBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c *configuration) { c.Timeout = 10 * time.Second })
		s := newServer(t, b.api)
		before := time.Now()
		got := s.flood("POST /v2/transfers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{")
		require.Equal(t, map[int]int{http.StatusRequestTimeout: 64, http.StatusServiceUnavailable: many - 64}, got)
		require.Equal(t, 10*time.Second, time.Since(before))
		require.Zero(t, b.count())
		require.Equal(t, http.StatusOK, s.do("GET", "/v2/transfers", "").status, "it works on")
	})
}

// TestManyOversizedBodies has bodies that go on for ever.
func TestManyOversizedBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, func(c *configuration) { c.MaxBodyBytes = 1000 })
		s := newServer(t, b.api)
		chunk := "400\r\n" + strings.Repeat(" ", 0x400) + "\r\n"
		got := s.flood("POST /v2/transfers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + chunk)
		require.Equal(t, many, got[http.StatusRequestEntityTooLarge]+got[http.StatusServiceUnavailable], "%v", got)
		require.Positive(t, got[http.StatusRequestEntityTooLarge])
		require.Zero(t, b.count())
		require.Equal(t, http.StatusOK, s.do("GET", "/v2/transfers", "").status, "it works on")
	})
}

// TestManyStrangers have nobody's password, and bodies that never end: they hold no place of those who have one.
func TestManyStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, users, func(c *configuration) { c.MaxRequests = 1 })
		s := newServer(t, b.api)
		before := time.Now()
		got := s.flood("POST /v2/transfers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{")
		require.Equal(t, map[int]int{http.StatusUnauthorized: many}, got)
		require.Zero(t, time.Since(before), "without waiting for their bodies")
		require.Zero(t, b.count())
	})
}

func TestMaxRequests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, func(c *configuration) { c.MaxRequests = 2 })
		body, more := io.Pipe()
		var held sync.WaitGroup
		for range 2 {
			held.Go(func() {
				r := httptest.NewRequestWithContext(t.Context(), "GET", "/v2/transfers", body)
				require.Equal(t, http.StatusOK, serve(b.api, r).Code)
			})
		}
		synctest.Wait()
		refused := b.do("GET", "/v2/transfers", "").is(http.StatusServiceUnavailable)
		require.Equal(t, "1", refused.header.Get("Retry-After"))
		b.do("OPTIONS", "/v2/transfers", "").is(http.StatusOK)
		require.NoError(t, more.Close())
		held.Wait()
		b.do("GET", "/v2/transfers", "").is(http.StatusOK)
	})
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *configuration) { c.MaxBodyBytes = 200 })
	body := `{"ruleName":"any","filename":"/a","requested":"acme"}`
	fits := body + strings.Repeat(" ", 200-len(body))
	b.do("POST", "/v2/transfers", fits).is(http.StatusCreated)
	b.do("POST", "/v2/transfers", fits+" ").is(http.StatusRequestEntityTooLarge).says("0 Body : too long (send up to 200 bytes).")
	b.do("PUT", "/v2/transfers/1/stop", fits+" ").is(http.StatusRequestEntityTooLarge)
	b.do("GET", "/v2/transfers", fits+" ").is(http.StatusRequestEntityTooLarge)
	require.EqualValues(t, 1, b.count())

	r := httptest.NewRequestWithContext(t.Context(), "POST", "/v2/transfers", io.MultiReader(strings.NewReader(body), iotest.ErrReader(errors.New("reset"))))
	r.Header.Set("Content-Type", "application/json")
	require.Equal(t, http.StatusBadRequest, serve(b.api, r).Code, "one that broke off is none, whatever came of it")
	require.EqualValues(t, 1, b.count())
}

func TestHeaderLimits(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *configuration) { c.MaxHeaderBytes = 1000 })
	path := "/v2/transfers?filename="
	b.do("GET", path+strings.Repeat("x", 1000-len(path)), "").is(http.StatusOK)
	b.do("GET", path+strings.Repeat("x", 1001-len(path)), "").is(http.StatusRequestURITooLong)
	b.do("GET", "/v2/transfers", "", "X: "+strings.Repeat("x", 1000-5)).is(http.StatusOK)
	b.do("GET", "/v2/transfers", "", "X: "+strings.Repeat("x", 1001-5)).is(http.StatusRequestHeaderFieldsTooLarge)
	b.do("GET", "/v2/transfers", "", "X: "+strings.Repeat("x", 600), "Y: "+strings.Repeat("y", 600)).is(http.StatusRequestHeaderFieldsTooLarge)
}

// TestAnswerThatNobodyReads has a client that asks and does not listen.
func TestAnswerThatNobodyReads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, func(c *configuration) { c.Timeout = 10 * time.Second })
		b.sendMany(30)
		s := newServer(t, b.api)
		conn := s.dial()
		defer conn.Close()
		_, err := io.WriteString(conn, "GET /v2/transfers HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		got, err := io.ReadAll(conn)
		require.NoError(t, err, "the connection was closed")
		require.Empty(t, got)
	})
}

// TestDeadlinesEndWithTheRequest uses a connection after the time of its first request is over, for us and for others.
func TestDeadlinesEndWithTheRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, func(c *configuration) { c.Timeout = 10 * time.Second })
		mux := http.NewServeMux()
		mux.Handle("/v2/", b.api)
		mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Minute)
			_, _ = io.Copy(w, r.Body)
		})
		s := newServer(t, mux)
		var conns []net.Conn
		s.client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
			conns = append(conns, s.dial())
			return conns[len(conns)-1], nil
		}
		require.Equal(t, http.StatusOK, s.do("GET", "/v2/transfers", "").status)
		time.Sleep(time.Minute)
		require.Equal(t, http.StatusOK, s.do("GET", "/v2/transfers", "").status)
		require.Equal(t, "hello", s.do("POST", "/slow", "hello").body)
		require.Len(t, conns, 1, "it was the same connection")
	})
}

// TestBelowAPrefix serves the API elsewhere: signatures are over the URI as it was sent.
func TestBelowAPrefix(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, signing)
		api := http.StripPrefix("/waarp", b.api)
		do(t, api, "GET", "/waarp/v2/transfers", "", hmac()...).is(http.StatusOK)
		do(t, api, "POST", "/waarp/v2/transfers", startBody, hmac("X-Auth-Signature: "+signatureOfStart)...).is(http.StatusUnauthorized)
		do(t, api, "POST", "/waarp/v2/transfers", startBody, hmac("X-Auth-Signature: "+signatureBelowWaarp)...).is(http.StatusCreated)
		require.Equal(t, http.StatusNotFound, do(t, api, "GET", "/v2/transfers", "", hmac()...).status)
	})
}

func TestAnswersAreNotKept(t *testing.T) {
	t.Parallel()
	b := setup(t, users)
	for _, path := range []string{"/v2/transfers", "/v2/transfers/1", "/nowhere"} {
		got := b.do("GET", path, "", basicOfHosta)
		require.Equal(t, "no-store", got.header.Get("Cache-Control"))
		require.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
		require.Equal(t, "application/json", got.header.Get("Content-Type"))
		require.Equal(t, fmt.Sprint(len(got.body)), got.header.Get("Content-Length"))
	}
}
