package waarpapi_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestContentTypes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	form, text := "application/x-www-form-urlencoded", "application/json"
	body := `{"ruleName":"any","filename":"/a","requested":"acme"}`
	for _, test := range []struct {
		method, path, kind string
		status             int
		takes              string
	}{
		{"GET", "/v2/transfers", form, 200, ""},
		{"GET", "/v2/transfers", form + "; charset=utf-8", 200, ""},
		{"GET", "/v2/transfers", text, 415, form},
		{"HEAD", "/v2/transfers", text, 415, form},
		{"GET", "/v2/transfers", "nonsense/", 415, form},
		{"POST", "/v2/transfers", text, 201, ""},
		{"POST", "/v2/transfers", "Application/JSON;charset=UTF-8", 201, ""},
		{"POST", "/v2/transfers", form, 415, text},
		{"POST", "/v2/transfers", "text/plain", 415, text},
		{"POST", "/v2/transfers", "", 415, text},
		{"GET", "/v2/transfers/1", text, 200, ""},
		{"PUT", "/v2/transfers/1/stop", text, 202, ""},
		{"PUT", "/v2/transfers/1/stop", "", 202, ""},
	} {
		if test.path != "/v2/transfers" && b.query("").TotalResults == 0 {
			b.post(body)
		}
		got := b.do(test.method, test.path, body, "Content-Type: "+test.kind)
		require.Equal(t, test.status, got.status, "%+v", test)
		require.Equal(t, test.takes, got.header.Get("Accept"), "%+v", test)
	}
}

func TestAccept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for accept, want := range map[string]int{
		"": 200, "*/*": 200, "application/json": 200, "Application/*;q=0.1": 200, "text/html, application/xhtml+xml, */*;q=0.8": 200,
		"text/html": 406, "application/json;q=0": 406, "application/xml, text/plain": 406, "?": 406,
	} {
		got := b.do("GET", "/v2/transfers", "", "Accept: "+accept)
		require.Equal(t, want, got.status, accept)
	}
	b.do("POST", "/v2/transfers", `{"ruleName":"any","filename":"/a","requested":"acme"}`, "Accept: text/html").is(http.StatusNotAcceptable)
	require.Zero(t, b.query("").TotalResults)
}

func TestHeadIsGetWithoutItsBody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.send("a", "a")
	srv := newServer(t, b.api)
	for _, path := range []string{"/v2/transfers", "/v2/transfers?countOrder=true", "/v2/transfers/1", "/v2/transfers/9", "/v2/transfers?limit=x"} {
		get, head := srv.do("GET", path, ""), srv.do("HEAD", path, "")
		require.Equal(t, get.status, head.status, path)
		require.Empty(t, head.body)
		require.Equal(t, fmt.Sprint(len(get.body)), head.header.Get("Content-Length"))
		for _, name := range []string{"Content-Length", "Content-Type", "Cache-Control", "X-Content-Type-Options"} {
			require.Equal(t, get.header.Get(name), head.header.Get(name), name)
			require.NotEmpty(t, get.header.Get(name))
		}
	}
}
