package waarpapi_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
	"github.com/seed62b9dc43/transfer/waarpapi"
)

// fuzzed returns an API for a fuzz target, and its client.
func fuzzed(f *testing.F, cfg configuration) (http.Handler, *transfer.Client) {
	f.Helper()
	client, err := transfer.New(transfer.Config{Connectors: map[string]transfer.Connector{"acme": transfertest.NewConnector(nil, transfertest.ConnectorOptions{})}})
	require.NoError(f, err)
	cfg.Rules = rules()
	api, err := waarpapi.NewHandler(client, cfg)
	require.NoError(f, err)
	return api, client
}

// wellFormed requires errors in the published form, with one of these codes each.
func wellFormed(t *testing.T, body []byte, codes ...int) {
	t.Helper()
	var got transfer.QueryStringError
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&got))
	require.NotEmpty(t, got.Errors)
	for _, e := range got.Errors {
		require.True(t, slices.Contains(codes, e.ErrorCode), "%+v", e)
		require.NotEmpty(t, e.Message)
		require.True(t, utf8.ValidString(e.Message))
	}
}

func FuzzQuery(f *testing.F) {
	f.Add("limit=5&offset=1&order=descStop&status=DONE&startTrans=2023-09-08&countOrder=true")
	f.Add("startTrans=not_a_date&status=not_a_status")
	f.Add("filename=%00&partner=%ff&followId=%25;&ruleID=x")
	f.Add("%zz")
	api, client := fuzzed(f, configuration{NoAuthentication: true, AcceptRuleID: true})
	for range 3 {
		_, err := client.StartFileTransfer(f.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"/a"}})
		require.NoError(f, err)
	}
	f.Fuzz(func(t *testing.T, query string) {
		if len(query) > 10_000 {
			return
		}
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/v2/transfers", nil)
		r.URL.RawQuery = query
		w := serve(api, r)
		if w.Code == http.StatusBadRequest {
			wellFormed(t, w.Body.Bytes(), 4)
			return
		}
		require.Equal(t, http.StatusOK, w.Code)
		var got page
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
		require.LessOrEqual(t, int64(len(got.Results)), got.TotalResults)
		require.LessOrEqual(t, got.TotalResults, int64(3))
	})
}

func FuzzBody(f *testing.F) {
	f.Add([]byte(startBody))
	f.Add([]byte(`{"RuleName":"in","filename":"/ready/b","requested":"acme","blockSize":1,"fileInfo":"{\"a\":1.5}","transferInfo":"{\"follow\":12}","start":"2100-01-01"}`))
	f.Add([]byte(`{"ruleName":"out","filename":"../x","requested":"acme","x":[{}],"X":null}`))
	f.Add([]byte("{\n \"ruleName\": tru"))
	post := posting(f)
	f.Fuzz(func(t *testing.T, body []byte) { post(t, body) })
}

// FuzzFields has well-formed bodies with fields of all kinds.
func FuzzFields(f *testing.F) {
	f.Add("out", "a", "acme", `{"a":"b"}`, `{"follow":12}`, "2100-01-01T00:00:00.5+01:00", int64(65536))
	f.Add("in", "/ready//./b", "acme", "text", "{}", "", int64(1))
	f.Add("private", "..", "initech", `{"a":1,"a":2}`, `{"RESCHEDULE":true}`, "2000", int64(-1))
	post := posting(f)
	f.Fuzz(func(t *testing.T, rule, file, requested, fileInfo, transferInfo, start string, blockSize int64) {
		body, err := json.Marshal(map[string]any{
			"ruleName": rule, "filename": file, "requested": requested, "fileInfo": fileInfo, "transferInfo": transferInfo, "start": start, "blockSize": blockSize,
		})
		require.NoError(t, err)
		post(t, body)
	})
}

// posting returns what posts a body and requires that a transfer is started as it should be, or none, and why.
func posting(f *testing.F) func(*testing.T, []byte) {
	f.Helper()
	api, client := fuzzed(f, configuration{NoAuthentication: true})
	return func(t *testing.T, body []byte) {
		t.Helper()
		before, err := client.ListTransfers().Count(t.Context())
		require.NoError(t, err)
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v2/transfers", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := serve(api, r)
		after, err := client.ListTransfers().Count(t.Context())
		require.NoError(t, err)
		switch w.Code {
		case http.StatusCreated:
			require.Equal(t, before+1, after)
			requireConfined(t, w.Body.Bytes())
			again := serve(api, httptest.NewRequestWithContext(t.Context(), "GET", w.Header().Get("transferURI"), nil))
			require.Equal(t, w.Body.String(), again.Body.String())
		case http.StatusBadRequest:
			require.Equal(t, before, after)
			wellFormed(t, w.Body.Bytes(), 1, 2, 3, 6, 7, 10, 11, 12)
		default:
			require.Equal(t, http.StatusRequestEntityTooLarge, w.Code, w.Body.String())
			require.Equal(t, before, after)
		}
	}
}

// requireConfined requires that a file is where its rule has it.
func requireConfined(t *testing.T, body []byte) {
	t.Helper()
	var r transfer.TransferRecord
	require.NoError(t, json.Unmarshal(body, &r))
	require.False(t, slices.Contains(strings.Split(r.OriginalFilename, "/"), ".."), r.OriginalFilename)
	within := map[string]string{"out": "/outbox/", "in": "/ready/"}[r.RuleName]
	require.True(t, strings.HasPrefix(r.OriginalFilename, within), r.OriginalFilename)
	require.Equal(t, r.OriginalFilename, strings.TrimSuffix(r.OriginalFilename, "/"))
	require.NotContains(t, []string{".", "/"}, path.Base(r.OriginalFilename))
}

// FuzzPath has no transfer but number 1: no other path and method finds or changes one.
func FuzzPath(f *testing.F) {
	f.Add("GET", "/v2/transfers/1_acme")
	f.Add("PUT", "/v2/transfers/1/stop")
	f.Add("PUT", "/v2/transfers/%31_acme/cancel")
	f.Add("DELETE", "/v2/transfers/../transfers/1%2F")
	api, client := fuzzed(f, configuration{NoAuthentication: true})
	_, err := client.StartFileTransfer(f.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"/a"}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, method, target string) {
		at, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.Method, r.URL, r.RequestURI = method, at, target
		w := serve(api, r)
		id, decoded := strings.CutPrefix(at.Path, "/v2/transfers/")
		id, _, _ = strings.Cut(id, "/")
		first := decoded && slices.Contains([]string{"1", "1_acme"}, id)
		switch w.Code {
		case http.StatusOK, http.StatusAccepted:
			require.True(t, first || at.Path == "/v2/transfers" || method == "OPTIONS", "%s %s", method, target)
		case http.StatusBadRequest:
			require.True(t, first || at.Path == "/v2/transfers", "%s %s", method, target)
		case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusRequestURITooLong:
			wellFormed(t, w.Body.Bytes(), 0)
		default:
			require.Fail(t, "status", "%d", w.Code)
		}
	})
}

// FuzzAuthorization knows neither password nor key: nobody is let in.
func FuzzAuthorization(f *testing.F) {
	f.Add("Basic aG9zdGE6c2VzYW1l", "", "", "")
	f.Add("HMAC "+authorization, "hosta", timestamp, signatureOfList)
	f.Add("HMAC "+authorizationOfNobody, "nobody", timestamp, "")
	f.Add("Negotiate", "\x00", "2000-01-01T00", "zz")
	api, client := fuzzed(f, configuration{
		Users: waarpapi.StaticUsers{"hosta": {Password: "an unguessable one", Roles: waarpapi.RoleTransfer}}, Key: []byte("an unguessable key, too"), ClockSkew: 1 << 62,
	})
	f.Fuzz(func(t *testing.T, authorization, user, timestamp, signature string) {
		if len(authorization)+len(user)+len(timestamp)+len(signature) > 10_000 {
			return
		}
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v2/transfers", strings.NewReader(startBody))
		r.Header = http.Header{
			"Content-Type": {"application/json"}, "Authorization": {authorization}, "X-Auth-User": {user}, "X-Auth-Timestamp": {timestamp}, "X-Auth-Signature": {signature},
		}
		w := serve(api, r)
		require.Equal(t, http.StatusUnauthorized, w.Code)
		wellFormed(t, w.Body.Bytes(), 0)
		n, err := client.ListTransfers().Count(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
	})
}
