package waarpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/waarpapi"
)

func TestStartSends(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := started(t)
		b.local.WriteFile("/outbox/sub/a.csv", []byte("a;1\n"))
		made := b.do("POST", "/v2/transfers", `{"ruleName":"out","filename":"sub/a.csv","requested":"acme"}`).is(http.StatusCreated)
		require.Equal(t, "/v2/transfers/1_acme", made.header.Get("transferURI"))
		require.Equal(t, "/v2/transfers/1_acme", made.header.Get("transfer-uri"))
		r := made.record()
		require.Equal(t, "out", r.RuleName)
		require.Equal(t, "/outbox/sub/a.csv", r.Filename)
		require.Equal(t, "acme", r.Requested)
		require.Equal(t, "us", r.Requester)
		b.await(r.ID, transfer.StatusDone)
		got, err := b.remote.ReadFile("/in/a.csv")
		require.NoError(t, err)
		require.Equal(t, "a;1\n", string(got))
	})
}

func TestStartRetrieves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := started(t)
		b.remote.WriteFile("/ready/b.csv", []byte("b;2\n"))
		r := b.post(`{"RULENAME":"in","FileName":"/ready/b.csv","requested":"acme"}`)
		require.Equal(t, "/inbox/b.csv", r.Filename)
		require.Equal(t, "/ready/b.csv", r.OriginalFilename)
		b.await(r.ID, transfer.StatusDone)
		got, err := b.local.ReadFile("/inbox/b.csv")
		require.NoError(t, err)
		require.Equal(t, "b;2\n", string(got))
	})
}

func TestStartWithEverything(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, func(c *configuration) { c.HostID = "hostus" })
		r := b.post(`{"ruleName":"any","filename":"/a","requested":"c-1","blockSize":65536,"fileInfo":"for Bob, {not JSON}",
			"transferInfo":"{\"follow\":1234567890123456789}","start":"2000-01-03T00:00:00+01:00"}`)
		require.JSONEq(t, `{"information":"for Bob, {not JSON}"}`, r.FileInfo)
		require.Equal(t, "2000-01-02T23:00:00.000Z", r.Start)
		require.Equal(t, "INITECH", r.Requested)
		require.Equal(t, "hostus", r.Requester)
		require.Zero(t, r.BlockSize, "the size in use, which is not known yet")
		row, err := b.client.GetFile(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, "1234567890123456789", row.FollowID, "digit by digit")
	})
}

// TestFileInfo holds what becomes of a fileInfo.
func TestFileInfo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for info, want := range map[string]string{
		``:                       `{}`,
		` `:                      `{}`,
		`{}`:                     `{}`,
		`{"a":"b","n":1.50}`:     `{"a":"b","n":"1.50"}`,
		` {"a":true} `:           `{"a":"true"}`,
		`{"a":{"b":1}}`:          `{"information":"{\"a\":{\"b\":1}}"}`,
		`{"a":[1]}`:              `{"information":"{\"a\":[1]}"}`,
		`{"a":null}`:             `{"information":"{\"a\":null}"}`,
		`{"a":1,"a":2}`:          `{"information":"{\"a\":1,\"a\":2}"}`,
		`{"a":1} and more`:       `{"information":"{\"a\":1} and more"}`,
		`[1]`:                    `{"information":"[1]"}`,
		`null`:                   `{"information":"null"}`,
		"two\nlines":             `{"information":"two\nlines"}`,
		strings.Repeat("é", 999): `{"information":"` + strings.Repeat("é", 999) + `"}`,
	} {
		r := b.post(fmt.Sprintf(`{"ruleName":"any","filename":"/a","requested":"acme","fileInfo":%s}`, quoted(info)))
		require.JSONEq(t, want, r.FileInfo, info)
	}
}

func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// TestWrongStarts holds what is refused, each with all that is wrong, and that nothing is started by it.
func TestWrongStarts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	with := func(more string) string { return `{"ruleName":"out","filename":"a","requested":"acme",` + more + `}` }
	named := func(file string) string {
		return fmt.Sprintf(`{"ruleName":"out","filename":%q,"requested":"acme"}`, file)
	}
	for body, want := range map[string][]string{
		"":         {"1 Body : missing (send a JSON object)."},
		" \n\t":    {"1 Body : missing (send a JSON object)."},
		"null":     {"2 Body : not a JSON object (it is another value)."},
		"[]":       {"2 Body : not a JSON object (it is another value)."},
		`"a"`:      {"2 Body : not a JSON object (it is another value)."},
		"{\"a\xff": {"2 Body : not UTF-8 (send a JSON object in UTF-8)."},
		"{\n é":    {"2 Body : not a JSON object (it goes wrong at line 2, column 2)."},
		"{}{}":     {"2 Body : not a JSON object (it goes wrong at line 1, column 3)."},
		`{"a":`:    {"2 Body : not a JSON object (it goes wrong at line 1, column 5)."},
		"{}": {
			"6 Field 'ruleName' : missing or empty (it is required).", "6 Field 'filename' : missing or empty (it is required).",
			"6 Field 'requested' : missing or empty (it is required).",
		},
		`{"ruleName":null,"filename":" ","requested":5}`: {
			"7 Field 'requested' : illegal value '5' (use a text).",
			"6 Field 'ruleName' : missing or empty (it is required).", "6 Field 'filename' : missing or empty (it is required).",
		},
		with(`"ruleName":"out"`):                        {"3 Field 'ruleName' : given twice (give it once)."},
		with(`"RULENAME":"out"`):                        {"3 Field 'RULENAME' : given twice (give it once)."},
		with(`"blocKsize":1,"BlockSize":1`):             {"3 Field 'BlockSize' : given twice (give it once)."},
		with(`"x":1,"X":2`):                             {"3 Field 'X' : given twice (give it once)."},
		with(`"blockSize":0`):                           {"7 Field 'blockSize' : illegal value '0' (use a number of 1 to 2147483647)."},
		with(`"blockSize":2147483648`):                  {"7 Field 'blockSize' : illegal value '2147483648' (use a number of 1 to 2147483647)."},
		with(`"blockSize":"65536"`):                     {`7 Field 'blockSize' : illegal value '"65536"' (use a number of 1 to 2147483647).`},
		with(`"start":"tomorrow"`):                      {"7 Field 'start' : illegal value 'tomorrow' (use a date of ISO 8601, such as 2026-01-31T08:00:00Z)."},
		with(`"start":"2001-01-01"`):                    {"7 Field 'start' : illegal value '2001-01-01' (it is past: use one that is not, or none to begin at once)."},
		with(`"transferInfo":"{\"RESCHEDULE\":\"\"}"`):  {`7 Field 'transferInfo' : illegal value '{"RESCHEDULE":""}' (leave "RESCHEDULE" out: only follow is known; entries of your own belong into fileInfo).`},
		with(`"transferInfo":"hello"`):                  {`7 Field 'transferInfo' : illegal value 'hello' (use a JSON object such as {"follow":12}; text of your own belongs into fileInfo).`},
		with(`"transferInfo":"{\"follow\":\"a\\nb\"}"`): {"7 Field 'transferInfo' : illegal value '{\"follow\":\"a\\nb\"}' (contains a line break or a NUL)."},
		with(`"fileInfo":"` + strings.Repeat("x", 1025) + `"`): {
			"7 Field 'fileInfo' : illegal value '" + strings.Repeat("x", 80) + "…' (is not a value (use up to 1024 characters of UTF-8 without NUL)).",
		},
		`{"ruleName":"none","filename":"a","requested":"acme"}`:     {"10 Field 'ruleName' : there is no rule 'none' (use a rule of this server)."},
		`{"ruleName":"out","filename":"a","requested":"nobody"}`:    {"11 Field 'requested' : there is no host 'nobody' (use a partner of this server)."},
		`{"ruleName":"private","filename":"/a","requested":"acme"}`: {"12 Field 'ruleName' : the rule 'private' is not for 'acme' (use another rule)."},
		`{"ruleName":"none","filename":"a","requested":"acme","start":"x","transferInfo":"x"}`: {
			"10 Field 'ruleName' : there is no rule 'none' (use a rule of this server).",
			`7 Field 'transferInfo' : illegal value 'x' (use a JSON object such as {"follow":12}; text of your own belongs into fileInfo).`,
			"7 Field 'start' : illegal value 'x' (use a date of ISO 8601, such as 2026-01-31T08:00:00Z).",
		},
		named("../etc/passwd"):     {"7 Field 'filename' : illegal value '../etc/passwd' (name the file without ..)."},
		named("a/../b"):            {"7 Field 'filename' : illegal value 'a/../b' (name the file without ..)."},
		named("/outbox/../secret"): {"7 Field 'filename' : illegal value '/outbox/../secret' (name the file without ..)."},
		named("/etc/passwd"):       {"7 Field 'filename' : illegal value '/etc/passwd' (name a file below the rule's directory, best relative to it)."},
		named("/outboxes/a"):       {"7 Field 'filename' : illegal value '/outboxes/a' (name a file below the rule's directory, best relative to it)."},
		named("/outbox"):           {"7 Field 'filename' : illegal value '/outbox' (name a file below the rule's directory, best relative to it)."},
		named("sub/"):              {"7 Field 'filename' : illegal value 'sub/' (name a file, not a directory)."},
		named("."):                 {"7 Field 'filename' : illegal value '.' (name a file, not a directory)."},
		named("a\nb"):              {"7 Field 'filename' : illegal value 'a\nb' (contains a line break or a NUL)."},
		strings.Replace(named("a0b"), "0", `\u0000`, 1): {"7 Field 'filename' : illegal value 'a\u0000b' (contains a line break or a NUL)."},
		named(strings.Repeat("n", 1100)):                {"7 Field 'filename' : illegal value '" + strings.Repeat("n", 80) + "…' (has 1108 characters, more than 1024)."},
	} {
		do(t, b.api, "POST", "/v2/transfers", body).is(http.StatusBadRequest).says(want...)
	}
	require.Zero(t, b.query("").TotalResults)
}

func TestUnknownFields(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := `{"ruleName":"any","filename":"/a","requested":"acme","priority":5,"id":7,"start":null,"blockSize":null}`
	require.EqualValues(t, 1, b.post(body).ID, "ignored, as Waarp does")
	strict := b.handler(func(c *configuration) { c.RejectUnknownFields = true })
	known := "(use ruleName, filename, requested, blockSize, fileInfo, transferInfo, start)."
	do(t, strict, "POST", "/v2/transfers", body).is(http.StatusBadRequest).says("5 Field 'priority' : unknown "+known, "5 Field 'id' : unknown "+known)
}

func TestFilenameIsBelowTheRulesDirectory(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *configuration) {
		c.Rules["root"] = waarpapi.Rule{Direction: waarpapi.Send, LocalDirectory: "/"}
		c.Rules["home"] = waarpapi.Rule{Direction: waarpapi.Retrieve, RemoteDirectory: "ready/", LocalDirectory: "/inbox"}
	})
	for _, test := range []struct{ rule, filename, original string }{
		{"out", "a", "/outbox/a"},
		{"out", "./a", "/outbox/a"},
		{"out", "/outbox/sub//a", "/outbox/sub/a"},
		{"out", "outbox/a", "/outbox/outbox/a"},
		{"out", "a..b", "/outbox/a..b"},
		{"root", "/etc/motd", "/etc/motd"},
		{"root", "etc/motd", "/etc/motd"},
		{"any", "/x/y", "/x/y"},
		{"in", "b", "/ready/b"},
		{"home", "b", "ready/b"},
		{"fetch", "b", "b"},
	} {
		r := b.post(fmt.Sprintf(`{"ruleName":%q,"filename":%q,"requested":"acme"}`, test.rule, test.filename))
		require.Equal(t, test.original, r.OriginalFilename, "%s of %s", test.filename, test.rule)
	}
	b.do("POST", "/v2/transfers", `{"ruleName":"home","filename":"/ready/b","requested":"acme"}`).is(http.StatusBadRequest)
}

func TestStartIsNotPast(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t)
		for start, want := range map[string]int{"1999-12-31T23:55:00Z": http.StatusCreated, "1999-12-31T23:54:59Z": http.StatusBadRequest, "2000-01-01": http.StatusCreated} {
			b.do("POST", "/v2/transfers", fmt.Sprintf(`{"ruleName":"any","filename":"/a","requested":"acme","start":%q}`, start)).is(want)
		}
	})
}

func TestRuleOptionsAreTheTransfers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := started(t, func(c *configuration) {
			c.Rules["once"] = waarpapi.Rule{Direction: waarpapi.Send, LocalDirectory: "/outbox", Overwrite: transfer.OverwriteFail}
		})
		b.local.WriteFile("/outbox/a", []byte("new"))
		b.remote.WriteFile("a", []byte("old"))
		r := b.post(`{"ruleName":"once","filename":"a","requested":"acme"}`)
		require.Contains(t, b.await(r.ID, transfer.StatusInError).TransferInfo, "exists")
	})
}

func TestConnectorOf(t *testing.T) {
	t.Parallel()
	broken := errors.New("the directory of partners is down")
	b := setup(t, func(c *configuration) {
		c.ConnectorOf = func(_ context.Context, requested string) (string, error) {
			if requested == "BROKEN" {
				return "", broken
			}
			return map[string]string{"INITECH": "c-1", "GONE": "c-2"}[requested], nil
		}
	})
	body := func(requested string) string {
		return fmt.Sprintf(`{"ruleName":"any","filename":"/a","requested":%q}`, requested)
	}
	require.Equal(t, "INITECH", b.post(body("INITECH")).Requested)
	for _, unknown := range []string{"acme", "GONE"} {
		b.do("POST", "/v2/transfers", body(unknown)).is(http.StatusBadRequest).says(fmt.Sprintf("11 Field 'requested' : there is no host '%s' (use a partner of this server).", unknown))
	}
	failed := b.do("POST", "/v2/transfers", body("BROKEN")).is(http.StatusServiceUnavailable)
	require.NotContains(t, failed.body, "directory of partners", "what failed is for our log")
}

func TestStoreFailures(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.send("a", "a")
	require.NoError(t, b.store.Close())
	one := fmt.Sprintf("/v2/transfers/%d", r.ID)
	for _, request := range [][2]string{
		{"GET", "/v2/transfers"}, {"GET", "/v2/transfers?countOrder=true"}, {"GET", one}, {"POST", "/v2/transfers"}, {"PUT", one + "/stop"}, {"PUT", one + "/restart"}, {"PUT", one + "/cancel"},
	} {
		got := b.do(request[0], request[1], `{"ruleName":"any","filename":"/a","requested":"acme"}`).is(http.StatusServiceUnavailable)
		require.Equal(t, "1", got.header.Get("Retry-After"))
		got.says("0 Server : not available (try again later).")
	}
}

// TestSlowStoreIsGivenUp has a store that does not answer.
func TestSlowStoreIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t)
		client, err := transfer.New(transfer.Config{Store: stuck{b.store}})
		require.NoError(t, err)
		b.client = client
		b.api = b.handler(func(c *configuration) { c.Timeout = 7 * time.Second })
		before := time.Now()
		b.do("GET", "/v2/transfers", "").is(http.StatusServiceUnavailable)
		require.Equal(t, 7*time.Second, time.Since(before))
	})
}
