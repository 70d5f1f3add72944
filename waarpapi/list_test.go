package waarpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
)

// indented is the published form of a body: it is printed there with four spaces.
func indented(t *testing.T, body string) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, json.Indent(&b, []byte(body), "", "    "))
	return b.String()
}

// publishedList is the example response of the published text, with what a client of ours has in place of "string", 1
// and the times.
const publishedList = `{
    "totalResults": 1,
    "results": [
        {
            "id": 1,
            "globalStep": "NOTASK",
            "globalLastStep": "NOTASK",
            "step": 0,
            "rank": 0,
            "status": "TOSUBMIT",
            "stepStatus": "Unknown",
            "originalFilename": "/outbox/a.csv",
            "filename": "/outbox/a.csv",
            "ruleName": "out",
            "blockSize": 0,
            "fileInfo": "{}",
            "transferInfo": "",
            "start": "2000-01-01T00:00:00.000Z",
            "stop": "2000-01-01T00:00:00.000Z",
            "requester": "us",
            "requested": "acme"
        }
    ]
}`

func TestPublishedRequestAndResponse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t)
		b.send("a.csv", "a")
		got := b.do("GET", "/v2/transfers", "", "Host: example.com").is(http.StatusOK)
		require.Equal(t, "application/json", got.header.Get("Content-Type"))
		require.Equal(t, publishedList, indented(t, got.body))
	})
}

// publishedError is the example of status 400 in the published text.
const publishedError = `{
    "errors": [
        {
            "message": "Query parameter 'startTrans' : illegal value 'not_a_date'.",
            "errorCode": 4
        },
        {
            "message": "Query parameter 'status' : illegal value 'not_a_status'.",
            "errorCode": 4
        }
    ]
}`

func TestPublishedError(t *testing.T) {
	t.Parallel()
	got := setup(t).do("GET", "/v2/transfers?startTrans=not_a_date&status=not_a_status", "").is(http.StatusBadRequest)
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
	require.Equal(t, publishedError, indented(t, got.body))
}

// TestQueryVectors sends the vectors of the parser over HTTP: what is wrong in its order, or how many of three transfers
// are found.
func TestQueryVectors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, name := range []string{"a", "b", "c"} {
		b.send(name, name)
	}
	illegal := func(pairs ...string) (errors []string) {
		for i := 0; i < len(pairs); i += 2 {
			errors = append(errors, fmt.Sprintf("4 Query parameter '%s' : illegal value '%s'.", pairs[i], pairs[i+1]))
		}
		return errors
	}
	for query, test := range map[string]struct {
		found  int
		errors []string
	}{
		"":                                       {found: 3},
		"limit=&offset=&order=":                  {errors: illegal("limit", "", "offset", "", "order", "")},
		"limit=2&limit=x":                        {found: 2},
		"limit=x&limit=2":                        {errors: illegal("limit", "x")},
		"limit=0":                                {found: 0},
		"limit=+5":                               {errors: illegal("limit", " 5")},
		"limit=2147483648":                       {errors: illegal("limit", "2147483648")},
		"limit=-1&offset=-1":                     {errors: illegal("limit", "-1", "offset", "-1")},
		"offset=2":                               {found: 1},
		"offset=9223372036854775807":             {found: 0},
		"offset=9223372036854775808":             {errors: illegal("offset", "9223372036854775808")},
		"order=ASCID":                            {errors: illegal("order", "ASCID")},
		"status=TOSUBMIT":                        {found: 3},
		"status=NOTUPDATED":                      {found: 0},
		"status=UNKNOWN":                         {found: 0},
		"status=done":                            {errors: illegal("status", "done")},
		"status=":                                {found: 3},
		"ruleName=out&partner=acme":              {found: 3},
		"ruleName=OUT":                           {found: 0},
		"partner=us":                             {found: 0},
		"filename=/outbox/a":                     {found: 1},
		"filename=a":                             {found: 0},
		"filename=%00":                           {found: 0},
		"filename=%ff":                           {found: 0},
		"followId=%25":                           {found: 0},
		"startTrans=2000-01-01":                  {found: 3},
		"startTrans=2000-01-02&stopTrans=2000":   {found: 0},
		"startTrans=2023-09-08T10:45:40+02:00":   {errors: illegal("startTrans", "2023-09-08T10:45:40 02:00")},
		"startTrans=2000-01-01T10:45:40%2B02:00": {found: 3},
		"countOrder=abc":                         {errors: illegal("countOrder", "abc")},
		"countOrder=true&limit=x":                {errors: illegal("limit", "x")},
		"status=%3Cscript%3E'":                   {errors: illegal("status", "<script>'")},
		"countOrder=?&status=?&stopTrans=?&startTrans=?&order=?&offset=?&limit=?": {errors: illegal(
			"limit", "?", "offset", "?", "order", "?", "startTrans", "?", "stopTrans", "?", "status", "?", "countOrder", "?")},
		"limit=%zz":     {errors: []string{`4 Query string : not readable (invalid URL escape "%zz").`}},
		"filename=a;b=": {errors: []string{"4 Query string : not readable (invalid semicolon separator in query)."}},
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			got := do(t, b.api, "GET", "/v2/transfers?"+query, "")
			if test.errors != nil {
				got.is(http.StatusBadRequest).says(test.errors...)
				return
			}
			require.Len(t, got.page().Results, test.found)
		})
	}
}

func TestEmptyListIsAnArray(t *testing.T) {
	t.Parallel()
	require.Equal(t, `{"totalResults":0,"results":[]}`, setup(t).do("GET", "/v2/transfers", "").is(http.StatusOK).body)
}

func TestMaxResultsBoundsAPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 5 {
		b.send(fmt.Sprint(i), "")
	}
	for max, want := range map[int]int{3: 3, 5: 5, -1: 5, 0: 5} {
		api := b.handler(func(c *configuration) { c.MaxResults = max })
		got := do(t, api, "GET", "/v2/transfers?limit=2147483647", "").page()
		require.Len(t, got.Results, want, "MaxResults %d", max)
		require.EqualValues(t, 5, got.TotalResults)
	}
	three := b.handler(func(c *configuration) { c.MaxResults = 3 })
	for limit, want := range map[int]int{0: 0, 2: 2, 3: 3, 4: 3} {
		require.Len(t, do(t, three, "GET", fmt.Sprintf("/v2/transfers?limit=%d", limit), "").page().Results, want, "limit %d", limit)
	}
}

func TestGetOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.send("a", "a")
	want := b.do("GET", "/v2/transfers", "").page().Results[0]
	for _, id := range []string{"%d", "%d_acme", "%d%%5Facme"} {
		require.Equal(t, want, b.do("GET", "/v2/transfers/"+fmt.Sprintf(id, r.ID), "").is(http.StatusOK).record())
	}
	head := b.do("HEAD", fmt.Sprintf("/v2/transfers/%d", r.ID), "").is(http.StatusOK)
	require.Equal(t, "application/json", head.header.Get("Content-Type"))
	for _, id := range []string{
		"2", "1_other", "1_", "1_acme_", "-1", "0", "+1", "01", "1.0", "x", "_", "_acme", "9223372036854775808", "-9223372036854775808_acme", "%00", "1%2Facme", strings.Repeat("9", 300),
	} {
		b.do("GET", "/v2/transfers/"+id, "").is(http.StatusNotFound)
		b.do("PUT", "/v2/transfers/"+id+"/cancel", "").is(http.StatusNotFound)
	}
	require.Equal(t, transfer.StatusToSubmit, b.get(r.ID).Status, "nothing was cancelled")
}

func TestPartnersNamesInPaths(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := newPartner("a_b/c d%")
	client, err := transfer.New(transfer.Config{Store: b.store, Connectors: map[string]transfer.Connector{"odd": conn}})
	require.NoError(t, err)
	b.client = client
	b.api = b.handler()
	made := b.do("POST", "/v2/transfers", `{"ruleName":"any","filename":"/x","requested":"odd"}`).is(http.StatusCreated)
	uri := made.header.Get("transferURI")
	require.Equal(t, "/v2/transfers/1_a_b%2Fc%20d%25", uri)
	require.Equal(t, made.record(), b.do("GET", uri, "").is(http.StatusOK).record())
}
