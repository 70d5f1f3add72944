package transfer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

// recorder is a Store that remembers the last query and has no files.
type recorder struct {
	store.Store
	q store.Query
}

func (r *recorder) ListFiles(_ context.Context, q store.Query) ([]store.File, error) {
	r.q = q
	return nil, nil
}

func parse(t *testing.T, text string) (q store.Query, countOnly bool, err error) {
	t.Helper()
	r := &recorder{Store: store.NewMemory()}
	client, err := transfer.New(transfer.Config{Store: r})
	require.NoError(t, err)
	values, err := url.ParseQuery(text)
	require.NoError(t, err)
	l, countOnly, err := client.ListTransfersQuery(values)
	if err != nil {
		return q, countOnly, err
	}
	_, err = l.All(t.Context())
	require.NoError(t, err)
	return r.q, countOnly, nil
}

func TestQueryStringVectors(t *testing.T) {
	t.Parallel()
	day := time.Date(2023, 9, 8, 0, 0, 0, 0, time.UTC)
	illegal := func(pairs ...string) (messages []string) {
		for i := 0; i < len(pairs); i += 2 {
			messages = append(messages, fmt.Sprintf("Query parameter '%s' : illegal value '%s'.", pairs[i], pairs[i+1]))
		}
		return messages
	}
	for text, test := range map[string]struct {
		want   store.Query
		count  bool
		errors []string
	}{
		"":                      {want: store.Query{Limit: 20}},
		"limit=&offset=&order=": {errors: illegal("limit", "", "offset", "", "order", "")},
		"limit=5&limit=x":       {want: store.Query{Limit: 5}},
		"limit=x&limit=5":       {errors: illegal("limit", "x")},
		"limit=%2B5":            {want: store.Query{Limit: 5}},
		"limit=+5":              {errors: illegal("limit", " 5")},
		"limit=2147483648":      {errors: illegal("limit", "2147483648")},
		"limit=-1&offset=-1":    {errors: illegal("limit", "-1", "offset", "-1")},
		"offset=2147483647":     {want: store.Query{Limit: 20, Offset: 2147483647}},
		"order=descStop":        {want: store.Query{Limit: 20, Order: store.ByStopDesc}},
		"order=ASCID":           {errors: illegal("order", "ASCID")},
		"status=DONE":           {want: store.Query{Limit: 20, States: []store.State{store.Done}}},
		"status=done":           {errors: illegal("status", "done")},
		"status=":               {want: store.Query{Limit: 20}},
		"status=NOTUPDATED":     {want: store.Query{Limit: 20, States: []store.State{}}},
		"ruleName=r&partner=p&filename=/f&followId=12": {want: store.Query{Limit: 20, RuleName: "r", Partner: "p", LocalPath: "/f", FollowID: "12"}},
		"ruleName=+&partner=&filename=&followId=":      {want: store.Query{Limit: 20}},
		"ruleName=+r+":       {want: store.Query{Limit: 20, RuleName: " r "}},
		"ruleID=r&unknown=x": {want: store.Query{Limit: 20}},
		"followId=%25":       {want: store.Query{Limit: 20, FollowID: "%"}},
		"startTrans=not_a_date&status=not_a_status":  {errors: illegal("startTrans", "not_a_date", "status", "not_a_status")},
		"startTrans=2023-09-08T10:45:40+02:00":       {errors: illegal("startTrans", "2023-09-08T10:45:40 02:00")},
		"startTrans=2023-09-08T10:45:40%2B02:00":     {want: store.Query{Limit: 20, From: day.Add(8*time.Hour + 45*time.Minute + 40*time.Second)}},
		"startTrans=2023-09-08T10:45:40.806481Z":     {want: store.Query{Limit: 20, From: day.Add(10*time.Hour + 45*time.Minute + 40*time.Second + 806481*time.Microsecond)}},
		"startTrans=2023-09-08&stopTrans=2023-09-07": {want: store.Query{Limit: 20, From: day, To: day.AddDate(0, 0, -1)}},
		"startTrans=2023-09-08T10:45":                {want: store.Query{Limit: 20, From: day.Add(10*time.Hour + 45*time.Minute)}},
		"startTrans=x&stopTrans=2023-09-08":          {errors: illegal("startTrans", "x")},
		"countOrder=true":                            {want: store.Query{Limit: 20}, count: true},
		"countOrder=TRUE":                            {want: store.Query{Limit: 20}, count: true},
		"countOrder=":                                {want: store.Query{Limit: 20}},
		"countOrder=abc":                             {errors: illegal("countOrder", "abc")},
		"countOrder=true&limit=x":                    {errors: illegal("limit", "x")},
		"countOrder=?&status=?&stopTrans=?&startTrans=?&order=?&offset=?&limit=?": {errors: illegal(
			"limit", "?", "offset", "?", "order", "?", "startTrans", "?", "stopTrans", "?", "status", "?", "countOrder", "?")},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			got, count, err := parse(t, text)
			if test.errors != nil {
				var wrong *transfer.QueryStringError
				require.ErrorAs(t, err, &wrong)
				var messages []string
				for _, p := range wrong.Errors {
					messages = append(messages, p.Message)
					require.Equal(t, 4, p.ErrorCode)
				}
				require.Equal(t, test.errors, messages)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
			require.Equal(t, test.count, count)
		})
	}
}

func TestQueryStringErrorIsThePublishedBody(t *testing.T) {
	t.Parallel()
	_, _, err := parse(t, "startTrans=not_a_date&status=not_a_status")
	var wrong *transfer.QueryStringError
	require.ErrorAs(t, err, &wrong)
	body, err := json.MarshalIndent(wrong, "", "    ")
	require.NoError(t, err)
	require.Equal(t, `{
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
}`, string(body))
}

func FuzzQueryString(f *testing.F) {
	f.Add("limit=5&offset=1&order=ascId&status=DONE&startTrans=2023-09-08&countOrder=true")
	f.Add("startTrans=2023-09-08T10:45:40+02:00&limit=x")
	client, err := transfer.New(transfer.Config{})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string) {
		values, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		l, _, err := client.ListTransfersQuery(values)
		if err != nil {
			var wrong *transfer.QueryStringError
			require.ErrorAs(t, err, &wrong)
			require.NotEmpty(t, wrong.Errors)
			return
		}
		_, err = l.Page(t.Context())
		require.NoError(t, err, "what was parsed can be run")
	})
}
