package waarpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// query asks for a list in a decision's test.
func (b *bench) query(format string, args ...any) page {
	b.t.Helper()
	return b.do("GET", "/v2/transfers?"+fmt.Sprintf(format, args...), "").page()
}

// TestDecisions has a test for each point in which Waarp's published text and its server differ.
func TestDecisions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T, *bench){
		"01 the rule is ruleName":                             ruleNameDecision,
		"02 a wrong parameter has the published message":      messageDecision,
		"03 wrong dates have their published names":           dateNamesDecision,
		"04 one error for each wrong date":                    oneErrorDecision,
		"05 errors come in a fixed order":                     errorOrderDecision,
		"06 totalResults counts before paging":                totalDecision,
		"07 offset is honoured":                               offsetDecision,
		"08 limit 0 is no rows":                               limitZeroDecision,
		"09 negative limits and offsets are wrong":            negativeDecision,
		"10 an offset has 64 bits":                            offsetWidthDecision,
		"11 the default limit is 20":                          defaultLimitDecision,
		"12 a countOrder that is no boolean is wrong":         countOrderDecision,
		"13 a count has no results":                           countBodyDecision,
		"14 unknown parameters are ignored":                   unknownParameterDecision,
		"15 of a parameter given twice the first counts":      duplicateDecision,
		"16 empty filters are none":                           emptyDecision,
		"17 startTrans is inclusive":                          startTransDecision,
		"18 stopTrans is inclusive and about the start":       stopTransDecision,
		"19 partner is the remote side":                       partnerDecision,
		"20 filename is the path in our storage, exactly":     filenameDecision,
		"21 followId is compared exactly":                     followDecision,
		"22 ties are put in the order of ids":                 tiesDecision,
		"23 ascFile is byte order of the original name":       fileOrderDecision,
		"24 ascStop is the order of last events":              stopOrderDecision,
		"25 dates are UTC with milliseconds":                  datesDecision,
		"26 stop is the last event and always there":          stopDecision,
		"27 fileInfo is metadata and transferInfo is text":    infoDecision,
		"28 stepStatus is a name":                             stepStatusDecision,
		"29 a record has the seventeen published fields":      fieldsDecision,
		"30 globalLastStep is the last step that was entered": lastStepDecision,
		"31 ids are positive, unique and below 2^53":          idsDecision,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) { test(t, started(t)) })
		})
	}
}

func ruleNameDecision(t *testing.T, b *bench) {
	b.send("a", "a")
	require.Zero(t, b.query("ruleName=other").TotalResults)
	require.EqualValues(t, 1, b.query("ruleName=out").TotalResults)
	require.EqualValues(t, 1, b.query("ruleID=other").TotalResults, "Waarp's server's name is not known")
	asked := b.handler(func(c *configuration) { c.AcceptRuleID = true })
	for query, want := range map[string]int64{"ruleID=other": 0, "ruleID=out": 1, "ruleID=other&ruleName=out": 1, "ruleID=other&ruleName=": 1} {
		require.Equal(t, want, do(t, asked, "GET", "/v2/transfers?"+query, "").page().TotalResults, query)
	}
}

func messageDecision(_ *testing.T, b *bench) {
	b.do("GET", "/v2/transfers?order=up", "").is(http.StatusBadRequest).says("4 Query parameter 'order' : illegal value 'up'.")
}

func dateNamesDecision(_ *testing.T, b *bench) {
	b.do("GET", "/v2/transfers?startTrans=x&stopTrans=y", "").is(http.StatusBadRequest).says(
		"4 Query parameter 'startTrans' : illegal value 'x'.", "4 Query parameter 'stopTrans' : illegal value 'y'.")
}

func oneErrorDecision(_ *testing.T, b *bench) {
	b.do("GET", "/v2/transfers?startTrans=2026-01-01&stopTrans=y", "").is(http.StatusBadRequest).says("4 Query parameter 'stopTrans' : illegal value 'y'.")
}

func errorOrderDecision(t *testing.T, b *bench) {
	got := b.do("GET", "/v2/transfers?countOrder=%3F&status=%3F&stopTrans=%3F&startTrans=%3F&order=%3F&offset=%3F&limit=%3F", "").is(http.StatusBadRequest)
	var names []string
	for _, e := range got.errors() {
		names = append(names, strings.Split(e, "'")[1])
	}
	require.Equal(t, []string{"limit", "offset", "order", "startTrans", "stopTrans", "status", "countOrder"}, names)
}

func totalDecision(t *testing.T, b *bench) {
	b.sendMany(5)
	got := b.query("limit=2&offset=1")
	require.Len(t, got.Results, 2)
	require.EqualValues(t, 5, got.TotalResults)
}

func offsetDecision(t *testing.T, b *bench) {
	b.sendMany(7)
	var seen []int64
	for offset := 0; offset < 7; offset += 2 {
		seen = append(seen, b.query("limit=2&offset=%d", offset).ids()...)
	}
	require.Equal(t, []int64{1, 2, 3, 4, 5, 6, 7}, seen, "the third page is not the second")
}

func limitZeroDecision(t *testing.T, b *bench) {
	b.sendMany(2)
	require.Equal(t, page{2, []transfer.TransferRecord{}}, b.query("limit=0"))
}

func negativeDecision(_ *testing.T, b *bench) {
	b.do("GET", "/v2/transfers?limit=-1&offset=-1", "").is(http.StatusBadRequest).says(
		"4 Query parameter 'limit' : illegal value '-1'.", "4 Query parameter 'offset' : illegal value '-1'.")
}

func offsetWidthDecision(t *testing.T, b *bench) {
	b.sendMany(1)
	require.Equal(t, page{1, []transfer.TransferRecord{}}, b.query("offset=2147483648"))
}

func defaultLimitDecision(t *testing.T, b *bench) {
	b.sendMany(21)
	require.Len(t, b.query("").Results, 20)
}

func countOrderDecision(t *testing.T, b *bench) {
	b.do("GET", "/v2/transfers?countOrder=abc", "").is(http.StatusBadRequest).says("4 Query parameter 'countOrder' : illegal value 'abc'.")
	require.NotNil(t, b.query("countOrder=False").Results)
	require.Nil(t, b.query("countOrder=TRUE").Results)
}

func countBodyDecision(t *testing.T, b *bench) {
	b.sendMany(3)
	got := b.do("GET", "/v2/transfers?countOrder=true&limit=1&offset=1", "").is(http.StatusOK)
	require.Equal(t, `{"totalResults":3}`, got.body)
}

func unknownParameterDecision(t *testing.T, b *bench) {
	b.sendMany(1)
	require.EqualValues(t, 1, b.query("owner=x&Limit=x&STATUS=x").TotalResults)
}

func duplicateDecision(t *testing.T, b *bench) {
	b.sendMany(3)
	require.Len(t, b.query("limit=1&limit=x").Results, 1)
}

func emptyDecision(t *testing.T, b *bench) {
	b.sendMany(1)
	require.EqualValues(t, 1, b.query("ruleName=&partner=+&status=&filename=&startTrans=&stopTrans=&followId=&countOrder=").TotalResults)
	require.Len(t, b.do("GET", "/v2/transfers?limit=&offset=&order=", "").is(http.StatusBadRequest).errors(), 3)
}

// startedAt sends a file that begins at a moment, and lets that pass.
func (b *bench) startedAt(name string, at time.Time) transfer.TransferRecord {
	b.t.Helper()
	time.Sleep(time.Until(at))
	r := b.send(name, name)
	return b.await(r.ID, transfer.StatusDone)
}

func startTransDecision(t *testing.T, b *bench) {
	noon := time.Date(2000, 1, 1, 12, 0, 0, 0, time.UTC)
	b.startedAt("a", noon)
	for from, want := range map[string]int64{"2000-01-01T12:00:00Z": 1, "2000-01-01T14:00%2B02:00": 1, "2000-01-01": 1, "2000-01-01T12:00:00.001": 0} {
		require.Equal(t, want, b.query("startTrans=%s", from).TotalResults, from)
	}
}

func stopTransDecision(t *testing.T, b *bench) {
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpCreate, Delay: 30 * time.Second})
	noon := time.Date(2000, 1, 1, 12, 0, 0, 0, time.UTC)
	r := b.startedAt("a", noon)
	require.Equal(t, "2000-01-01T12:00:00.000Z", r.Start)
	require.GreaterOrEqual(t, r.Stop, "2000-01-01T12:00:30.000Z")
	for to, want := range map[string]int64{"2000-01-01T12:00": 1, "2000-01-01T11:59:59.999": 0} {
		require.Equal(t, want, b.query("stopTrans=%s", to).TotalResults, to)
	}
}

func partnerDecision(t *testing.T, b *bench) {
	sent := b.send("a", "a")
	b.remote.WriteFile("/ready/b", []byte("b"))
	retrieved := b.post(`{"ruleName":"in","filename":"b","requested":"acme"}`)
	named := b.post(`{"ruleName":"any","filename":"/a","requested":"c-1"}`)
	require.Equal(t, []int64{sent.ID, retrieved.ID}, b.query("partner=acme").ids(), "whichever way it goes")
	require.Equal(t, []int64{named.ID}, b.query("partner=INITECH").ids(), "the partner's name, not the connector's id")
	require.Empty(t, b.query("partner=us").ids())
	require.Empty(t, b.query("partner=ACME").ids())
}

func filenameDecision(t *testing.T, b *bench) {
	sent := b.send("a", "a")
	retrieved := b.post(`{"ruleName":"in","filename":"b","requested":"acme"}`)
	require.Equal(t, []int64{sent.ID}, b.query("filename=/outbox/a").ids())
	require.Equal(t, []int64{retrieved.ID}, b.query("filename=/inbox/b").ids(), "where it is here, not there")
	for _, none := range []string{"a", "/outbox/", "/outbox/A", "/outbox/%25", "/outbox/*", "/ready/b"} {
		require.Empty(t, b.query("filename=%s", none).ids(), none)
	}
}

func followDecision(t *testing.T, b *bench) {
	for _, follow := range []string{"12", "123", `"12x"`} {
		b.post(fmt.Sprintf(`{"ruleName":"any","filename":"/a","requested":"acme","transferInfo":%q}`, `{"follow":`+follow+`}`))
	}
	require.Equal(t, []int64{1}, b.query("followId=12").ids())
	require.Equal(t, []int64{3}, b.query("followId=12x").ids())
	for _, none := range []string{"1", "%25", "12_", "12%25"} {
		require.Empty(t, b.query("followId=%s", none).ids(), none)
	}
}

func tiesDecision(t *testing.T, b *bench) {
	at := `,"start":"2000-01-02T00:00:00Z"}`
	for range 6 {
		b.post(`{"ruleName":"any","filename":"/a","requested":"acme"` + at)
	}
	for order, want := range map[string][]int64{"ascStart": {1, 2, 3, 4, 5, 6}, "descStart": {6, 5, 4, 3, 2, 1}, "ascFile": {1, 2, 3, 4, 5, 6}, "descFile": {6, 5, 4, 3, 2, 1}} {
		var seen []int64
		for offset := range 6 {
			seen = append(seen, b.query("order=%s&limit=1&offset=%d", order, offset).ids()...)
		}
		require.Equal(t, want, seen, order)
	}
}

func fileOrderDecision(t *testing.T, b *bench) {
	for _, name := range []string{"b", "é", "A", "a"} {
		b.send(name, name)
	}
	require.Equal(t, []int64{3, 4, 1, 2}, b.query("order=ascFile").ids())
	require.Equal(t, []int64{2, 1, 4, 3}, b.query("order=descFile").ids())
}

func stopOrderDecision(t *testing.T, b *bench) {
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpCreate, Path: "slow", Delay: 30 * time.Second})
	slow := b.send("slow", "slow")
	time.Sleep(time.Second)
	quick := b.send("quick", "quick")
	b.await(quick.ID, transfer.StatusDone)
	b.await(slow.ID, transfer.StatusDone)
	require.Equal(t, []int64{quick.ID, slow.ID}, b.query("order=ascStop").ids(), "it began later and ended before")
	require.Equal(t, []int64{slow.ID, quick.ID}, b.query("order=descStop").ids())
	require.Equal(t, []int64{slow.ID, quick.ID}, b.query("order=ascStart").ids())
}

func datesDecision(t *testing.T, b *bench) {
	r := b.post(`{"ruleName":"any","filename":"/a","requested":"acme","start":"2000-01-02T10:00:00.1234+02:00"}`)
	require.Equal(t, "2000-01-02T08:00:00.123Z", r.Start)
	require.Equal(t, "2000-01-01T00:00:00.000Z", r.Stop)
	require.Equal(t, []int64{1}, b.query("startTrans=2000-01-02T08:00").ids(), "without an offset it is UTC")
}

func stopDecision(t *testing.T, b *bench) {
	hold := make(chan struct{})
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpConnect, Hold: hold})
	r := b.send("a", "a")
	require.Equal(t, r.Start, r.Stop, "at first")
	time.Sleep(10*time.Second + time.Millisecond)
	running := b.get(r.ID)
	require.Equal(t, transfer.StatusRunning, running.Status)
	require.GreaterOrEqual(t, running.Stop, running.Start)
	close(hold)
	done := b.await(r.ID, transfer.StatusDone)
	require.GreaterOrEqual(t, done.Stop, "2000-01-01T00:00:10.000Z")
}

func infoDecision(t *testing.T, b *bench) {
	r := b.post(`{"ruleName":"any","filename":"/none","requested":"acme","fileInfo":"{\"order\":\"A-1\",\"pieces\":3}"}`)
	require.JSONEq(t, `{"order":"A-1","pieces":"3"}`, r.FileInfo)
	require.Empty(t, r.TransferInfo)
	failed := b.await(r.ID, transfer.StatusInError)
	require.JSONEq(t, `{"order":"A-1","pieces":"3"}`, failed.FileInfo)
	require.Contains(t, failed.TransferInfo, "/none", "why it failed")
}

func stepStatusDecision(t *testing.T, b *bench) {
	done := b.send("a", "a")
	failed := b.post(`{"ruleName":"out","filename":"none","requested":"acme"}`)
	scheduled := b.post(`{"ruleName":"out","filename":"a","requested":"acme","start":"2000-02-01"}`)
	require.Equal(t, "CompleteOk", b.await(done.ID, transfer.StatusDone).StepStatus)
	require.Equal(t, "FileNotFound", b.await(failed.ID, transfer.StatusInError).StepStatus)
	require.Equal(t, "Unknown", scheduled.StepStatus)
	b.do("PUT", fmt.Sprintf("/v2/transfers/%d/stop", scheduled.ID), "").is(http.StatusAccepted)
	require.Equal(t, "StoppedTransfer", b.get(scheduled.ID).StepStatus)
	b.do("PUT", fmt.Sprintf("/v2/transfers/%d/cancel", scheduled.ID), "").is(http.StatusAccepted)
	require.Equal(t, "CanceledTransfer", b.get(scheduled.ID).StepStatus)
}

func fieldsDecision(t *testing.T, b *bench) {
	r := b.send("a", "a")
	b.await(r.ID, transfer.StatusDone)
	var fields map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(b.do("GET", "/v2/transfers/1", "").body), &fields))
	var names []string
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	require.Equal(t, []string{
		"blockSize", "fileInfo", "filename", "globalLastStep", "globalStep", "id", "originalFilename", "rank", "requested", "requester", "ruleName",
		"start", "status", "step", "stepStatus", "stop", "transferInfo",
	}, names)
}

func lastStepDecision(t *testing.T, b *bench) {
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Path: "broken", Err: transfer.PermissionDenied})
	broken, done := b.send("broken", "x"), b.send("a", "a")
	failed := b.await(broken.ID, transfer.StatusInError)
	require.Equal(t, []transfer.GlobalStep{transfer.StepErrorTask, transfer.StepTransferTask}, []transfer.GlobalStep{failed.GlobalStep, failed.GlobalLastStep})
	good := b.await(done.ID, transfer.StatusDone)
	require.Equal(t, []transfer.GlobalStep{transfer.StepAllDoneTask, transfer.StepAllDoneTask}, []transfer.GlobalStep{good.GlobalStep, good.GlobalLastStep})
}

func idsDecision(t *testing.T, b *bench) {
	b.sendMany(3)
	for i, id := range b.query("").ids() {
		require.EqualValues(t, i+1, id)
		require.Less(t, id, int64(1)<<53)
	}
}

// sendMany starts n transfers that wait for tomorrow.
func (b *bench) sendMany(n int) {
	b.t.Helper()
	for i := range n {
		b.post(fmt.Sprintf(`{"ruleName":"any","filename":"/%d","requested":"acme","start":%q}`, i, time.Now().Add(24*time.Hour).Format(time.RFC3339)))
	}
}

func TestCountsOverAllStatusesAddUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := started(t)
		b.sendMany(4)
		b.send("a", "a")
		b.post(`{"ruleName":"any","filename":"/none","requested":"acme"}`)
		b.do("PUT", "/v2/transfers/1/stop", "").is(http.StatusAccepted)
		b.do("PUT", "/v2/transfers/2/cancel", "").is(http.StatusAccepted)
		b.await(5, transfer.StatusDone)
		b.await(6, transfer.StatusInError)
		sum, found := int64(0), map[transfer.Status]int64{}
		for _, s := range []transfer.Status{"TOSUBMIT", "NOTUPDATED", "RUNNING", "INTERRUPTED", "DONE", "INERROR", "UNKNOWN"} {
			got := b.query("status=%s", s)
			for _, r := range got.Results {
				require.Equal(t, s, r.Status)
			}
			found[s] = got.TotalResults
			sum += got.TotalResults
		}
		require.Equal(t, map[transfer.Status]int64{"TOSUBMIT": 2, "NOTUPDATED": 0, "RUNNING": 0, "INTERRUPTED": 1, "DONE": 1, "INERROR": 2, "UNKNOWN": 0}, found)
		require.Equal(t, b.query("countOrder=true").TotalResults, sum)
	})
}

// TestRowOfAnotherVersionIsShown has its row in a state that this version does not know.
func TestRowOfAnotherVersionIsShown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.send("a", "a")
	client, err := transfer.New(transfer.Config{Store: future{b.store}})
	require.NoError(t, err)
	b.client = client
	b.api = b.handler()
	require.Equal(t, transfer.StatusUnknown, b.get(1).Status)
}

type future struct{ store.Store }

func (f future) ListFiles(ctx context.Context, q store.Query) ([]store.File, error) {
	files, err := f.Store.ListFiles(ctx, q)
	for i := range files {
		files[i].State = 99
	}
	return files, err
}
