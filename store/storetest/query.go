package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var queryPromises = []promise{
	{"each filter selects what Matches says", queryFilters},
	{"each order is the one that Compare says", queryOrders},
	{"filters, orders, offsets and limits combine", queryCombinations},
	{"pages by cursor lose and repeat nothing, in each order", queryCursors},
	{"bounds of time are inclusive", queryBounds},
	{"counts are of what Matches says", queryCounts},
	{"texts are compared byte by byte, without wildcards", queryTexts},
}

// mixed fills s with files of all shapes and returns them in the order of ids.
func mixed(t *testing.T, s store.Store) []store.File {
	t.Helper()
	random := rand.New(rand.NewPCG(7, 7))
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	for i := range 12 {
		given := newTransfer(pick("acme", "other", "third"))
		given.FollowID, given.RuleName = pick("1", "12", "123", "%"), pick("", "rule", "Rule", "payroll")
		given.Metadata = map[string]string{"order": pick("17", "18"), pick("day", "Day"): pick("mon", "tue")}
		files := newFiles(10)
		for j := range files {
			f := &files[j]
			f.Direction = store.Direction(1 + random.IntN(2))
			f.Partner = pick("partner", "Partner", "b")
			f.SourcePath = fmt.Sprintf("%s/%d.csv", pick("/out", "/Out", "/o%t", "ö"), random.IntN(6))
			f.TargetPath = fmt.Sprintf("/in/%d/%d", i, random.IntN(4))
			if random.IntN(6) == 0 {
				f.StartAt = time.Now().Add(time.Duration(random.IntN(4)) * time.Hour)
			}
		}
		_, err := s.CreateTransfer(t.Context(), given, files)
		require.NoError(t, err)
	}
	for i, f := range claim(t, s, "w", "acme", 30, long) {
		c := change(f.File, []store.State{store.Running, store.Waiting, store.Interrupted, store.Failed, store.Done}[i%5])
		c.Lease, c.Delay, c.Checkpoint = long, long, []byte(pick("", "checkpoint"))
		if c.State == store.Failed {
			c.Failure = store.Failure{Code: pick("READ_FILE_ERROR", "TIMEOUT_ERROR"), Message: "why"}
		}
		write(t, s, c)
	}
	steer(t, s, random)
	return everything(t, s)
}

// steer asks for a pause or a cancellation of some of the files that are not finished.
func steer(t *testing.T, s store.Store, random *rand.Rand) {
	t.Helper()
	for _, f := range everything(t, s) {
		if to := random.IntN(6); to < 2 && !f.State.Final() {
			bring(t, s, f.ID, []store.State{store.Paused, store.Cancelled}[to])
		}
	}
}

func everything(t tb, s store.Store) []store.File {
	t.Helper()
	files, err := s.ListFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	return files
}

// expected is what the definition of a query selects out of all files.
func expected(all []store.File, q store.Query) []int64 {
	var files []store.File
	for i := range all {
		if q.Matches(&all[i]) && q.Behind(&all[i]) {
			files = append(files, all[i])
		}
	}
	slices.SortFunc(files, func(a, b store.File) int { return q.Compare(&a, &b) })
	files = files[min(q.Offset, len(files)):]
	if q.Limit > 0 {
		files = files[:min(q.Limit, len(files))]
	}
	return fileIDs(files)
}

func requireQuery(t *testing.T, s store.Store, all []store.File, q store.Query) {
	t.Helper()
	got, err := s.ListFiles(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, expected(all, q), fileIDs(got), "%+v", q)
	for i := range got {
		at := slices.IndexFunc(all, func(f store.File) bool { return f.ID == got[i].ID })
		requireSame(t, all[at], got[i])
	}
}

// filtersLike returns one query for each filter, each of which selects f.
func filtersLike(f *store.File) []store.Query {
	queries := []store.Query{
		{TransferID: f.TransferID}, {ConnectorID: f.ConnectorID}, {FollowID: f.FollowID}, {RuleName: f.RuleName}, {Partner: f.Partner},
		{SourcePath: f.SourcePath}, {LocalPath: f.LocalPath()}, {LocalPrefix: f.LocalPath()[:3]}, {Direction: f.Direction},
		{States: []store.State{f.State}}, {States: []store.State{store.Done, f.State, f.State}}, {Code: f.Code}, {Metadata: f.Metadata},
		{From: f.Start()}, {To: f.Start()}, {From: f.Start(), To: f.Start()}, {Updated: f.UpdatedAt},
	}
	if litter := (store.Query{Litter: true}); litter.Matches(f) {
		queries = append(queries, litter, store.Query{Litter: true, ConnectorID: f.ConnectorID, States: []store.State{f.State}})
	}
	return queries
}

func queryFilters(t *testing.T, s store.Store) {
	all := mixed(t, s)
	for i := 0; i < len(all); i += 7 {
		for _, q := range filtersLike(&all[i]) {
			require.Contains(t, expected(all, q), all[i].ID)
			requireQuery(t, s, all, q)
		}
	}
	requireQuery(t, s, all, store.Query{States: []store.State{}})
	for _, state := range append(store.States(), 0) {
		requireQuery(t, s, all, store.Query{States: []store.State{state}})
		requireQuery(t, s, all, store.Query{States: []store.State{state}, Litter: true})
	}
	requireQuery(t, s, all, store.Query{ConnectorID: "none"})
}

func orders() []store.Order {
	return []store.Order{store.ByID, store.ByIDDesc, store.BySource, store.BySourceDesc, store.ByStart, store.ByStartDesc, store.ByStop, store.ByStopDesc}
}

func queryOrders(t *testing.T, s store.Store) {
	all := mixed(t, s)
	for _, o := range orders() {
		requireQuery(t, s, all, store.Query{Order: o})
	}
}

func queryCombinations(t *testing.T, s store.Store) {
	all := mixed(t, s)
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		filters := filtersLike(&all[random.IntN(len(all))])
		q := filters[random.IntN(len(filters))]
		more := filters[random.IntN(len(filters))]
		q.Partner, q.Direction, q.From = more.Partner, more.Direction, more.From
		q.Order = orders()[random.IntN(8)]
		q.Litter = q.Litter || random.IntN(8) == 0
		q.Offset, q.Limit = random.IntN(4)*random.IntN(20), random.IntN(20)
		if random.IntN(2) == 0 {
			q.After = q.CursorOf(&all[random.IntN(len(all))])
		}
		requireQuery(t, s, all, q)
	}
}

func queryCursors(t *testing.T, s store.Store) {
	all := mixed(t, s)
	for _, o := range orders() {
		for _, limit := range []int{1, 7, 119, 120, 121} {
			requirePages(t, s, all, store.Query{Order: o, Limit: limit})
		}
		requirePages(t, s, all, store.Query{Order: o, Limit: 3, Litter: true})
	}
}

// requirePages requires that the pages of q together are what q selects out of all files.
func requirePages(t tb, s store.Store, all []store.File, q store.Query) {
	t.Helper()
	whole := q
	whole.Limit = 0
	got := []int64{}
	for {
		page, err := s.ListFiles(t.Context(), q)
		require.NoError(t, err)
		if len(page) == 0 {
			break
		}
		require.LessOrEqual(t, len(page), q.Limit)
		got = append(got, fileIDs(page)...)
		require.LessOrEqual(t, len(got), len(all), "the cursor goes on")
		q.After = q.CursorOf(&page[len(page)-1])
	}
	require.Equal(t, expected(all, whole), got, "%+v", whole)
}

func queryBounds(t *testing.T, s store.Store) {
	all := mixed(t, s)
	for i := 0; i < len(all); i += 5 {
		at := all[i].Start()
		for _, d := range []time.Duration{-time.Microsecond, 0, time.Microsecond} {
			requireQuery(t, s, all, store.Query{From: at.Add(d)})
			requireQuery(t, s, all, store.Query{To: at.Add(d)})
			requireQuery(t, s, all, store.Query{Updated: all[i].UpdatedAt.Add(d)})
		}
	}
}

func queryCounts(t *testing.T, s store.Store) {
	all := mixed(t, s)
	for i := range all {
		for k, q := range filtersLike(&all[i]) {
			if (i+k)%5 != 0 {
				continue
			}
			want := countsOf(all, q)
			q.Limit, q.Offset, q.After = 1, 1, q.CursorOf(&all[i])
			requireCounts(t, s, q, want)
		}
	}
}

// countsOf counts by state what q selects out of all files.
func countsOf(all []store.File, q store.Query) map[store.State]int64 {
	counts := map[store.State]int64{}
	for i := range all {
		if q.Matches(&all[i]) {
			counts[all[i].State]++
		}
	}
	return counts
}

func queryTexts(t *testing.T, s store.Store) {
	all := mixed(t, s)
	for _, text := range []string{"%", "_", "*", "rule", "RULE", "/o%", "/o_t", "1", "", "ö", "'", `\`, strings.Repeat("x", 300)} {
		requireQuery(t, s, all, store.Query{FollowID: text})
		requireQuery(t, s, all, store.Query{RuleName: text})
		requireQuery(t, s, all, store.Query{LocalPrefix: text})
		requireQuery(t, s, all, store.Query{Metadata: map[string]string{text: "mon"}})
		requireQuery(t, s, all, store.Query{Metadata: map[string]string{"day": text}})
	}
}
