package store_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

const million = 1_000_000

// mixedMillion returns a store of a million files, the same for all benchmarks: 60 of 100 with the partner "big" and 60
// of 100 under the rule "daily", 85 of 100 done, 1,000 running, the others in all other states.
var mixedMillion = sync.OnceValue(func() *store.Memory {
	m, ctx := store.NewMemory(), context.Background()
	for i := range million / 100 {
		t := store.Transfer{ID: fmt.Sprint("t-", i), ConnectorID: fmt.Sprint("c-", i%5), FollowID: fmt.Sprint("f-", i)}
		t.RuleName = fewOr("daily", "rule-", i/3)
		files := newFiles(100)
		for j := range files {
			files[j].Partner = fewOr("big", "partner-", i/7)
			files[j].SourcePath = fmt.Sprintf("/outbox/%d/file-%d.csv", i, j)
		}
		must(m.CreateTransfer(ctx, t, files))
		if i < million/100*9/10 {
			end(ctx, m, t.ConnectorID, i)
		}
	}
	must(m.Claim(ctx, store.ClaimRequest{Worker: "w", Max: 1000, Lease: time.Hour, Limits: map[string]int{"c-0": 1 << 30}}))
	return m
})

// fewOr returns common for 60 of 100 i, and one of 100 other names for each of the others.
func fewOr(common, other string, i int) string {
	if i%5 < 3 {
		return common
	}
	return fmt.Sprint(other, i%100)
}

// end claims the last transfer's files and gives them the states that they keep.
func end(ctx context.Context, m *store.Memory, connectorID string, i int) {
	limits := map[string]int{connectorID: 1 << 30}
	var changes []store.Change
	var paused []int64
	for j, c := range must(m.Claim(ctx, store.ClaimRequest{Worker: "w", Max: 100, Lease: time.Hour, Limits: limits})) {
		change := store.Change{ID: c.ID, Token: c.Token, State: store.Done, Delay: time.Hour}
		switch (i + j) % 100 {
		case 0:
			change.State = store.Waiting
		case 1:
			change.State = store.Interrupted
		case 2:
			change.State = store.Interrupted
			paused = append(paused, c.ID)
		case 3, 4:
			change.State, change.Code = store.Failed, "TIMEOUT_ERROR"
		}
		changes = append(changes, change)
	}
	must(m.Update(ctx, changes))
	must(m.Control(ctx, store.ControlRequest{IDs: paused, To: store.State(store.Paused + store.State(i%2)*3)}))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// statuses are those of Waarp, as sets of states.
var statuses = map[string][]store.State{
	"TOSUBMIT": {store.Queued, store.Waiting}, "RUNNING": {store.Running}, "INTERRUPTED": {store.Paused, store.Interrupted},
	"INERROR": {store.Failed, store.Cancelled}, "DONE": {store.Done},
}

// indexed returns the queries that pages and counts are made for.
func indexed() map[string]store.Query {
	qs := map[string]store.Query{"all": {}, "partner": {Partner: "big"}, "rule": {RuleName: "daily"}}
	for name, states := range statuses {
		qs[name] = store.Query{States: states}
		qs["partner+"+name] = store.Query{Partner: "big", States: states}
	}
	return qs
}

// orderNames are what the benchmarks call the orders, with a minus for descending ones.
var orderNames = [...]string{
	store.ByID: "id", store.ByIDDesc: "-id", store.BySource: "source", store.BySourceDesc: "-source",
	store.ByStart: "start", store.ByStartDesc: "-start", store.ByStop: "stop", store.ByStopDesc: "-stop",
}

// BenchmarkMemoryPages reads pages of 50 out of a million files, the first ones and those 500,000 deep where so many match.
func BenchmarkMemoryPages(b *testing.B) {
	m := mixedMillion()
	qs := indexed()
	for _, name := range slices.Sorted(maps.Keys(qs)) {
		for order, by := range orderNames {
			q := qs[name]
			if o := store.Order(order); o == store.BySource || o == store.BySourceDesc {
				continue
			}
			q.Order, q.Limit = store.Order(order), 50
			benchmarkPage(b, m, name+"/by="+by+"/first", q)
			q.Offset, q.Limit = million/2, 1
			deep, err := m.ListFiles(b.Context(), q)
			require.NoError(b, err)
			q.Offset, q.Limit = 0, 50
			if len(deep) > 0 {
				q.After = q.CursorOf(&deep[0])
				benchmarkPage(b, m, name+"/by="+by+"/deep", q)
			}
		}
	}
}

func benchmarkPage(b *testing.B, m *store.Memory, name string, q store.Query) {
	b.Run(name, func(b *testing.B) {
		for b.Loop() {
			_, err := m.ListFiles(b.Context(), q)
			require.NoError(b, err)
		}
	})
}

// BenchmarkMemoryOtherPages reads pages that need more than one step in an index.
func BenchmarkMemoryOtherPages(b *testing.B) {
	m := mixedMillion()
	some := must(m.ListFiles(b.Context(), store.Query{Offset: million / 2, Limit: 1}))[0]
	last := must(m.ListFiles(b.Context(), store.Query{Order: store.ByStartDesc, Limit: 1}))[0]
	qs := map[string]store.Query{
		"transfer":           {TransferID: some.TransferID},
		"follow":             {FollowID: some.FollowID},
		"filename":           {LocalPath: some.LocalPath()},
		"filename+partner":   {LocalPath: some.LocalPath(), Partner: some.Partner},
		"connector":          {ConnectorID: "c-3"},
		"partner+rule":       {Partner: "big", RuleName: "daily"},
		"small partner+rule": {Partner: "partner-3", RuleName: "daily"},
		"code":               {Code: "TIMEOUT_ERROR"},
		"unknown code":       {Code: "NONE"},
		"prefix":             {LocalPrefix: "/outbox/5000/"},
		"litter":             {Litter: true},
		"100 ms":             {From: some.Start(), To: some.Start().Add(100 * time.Millisecond)},
		"last second":        {From: last.Start().Add(-time.Second)},
		"offset":             {Offset: million / 2},
	}
	for _, name := range slices.Sorted(maps.Keys(qs)) {
		for order, by := range orderNames {
			q := qs[name]
			q.Order, q.Limit = store.Order(order), 50
			benchmarkPage(b, m, name+"/by="+by, q)
		}
	}
}

func BenchmarkMemoryCounts(b *testing.B) {
	m := mixedMillion()
	some := must(m.ListFiles(b.Context(), store.Query{Offset: million / 2, Limit: 1}))[0]
	qs := indexed()
	qs["follow"] = store.Query{FollowID: some.FollowID}
	qs["filename"] = store.Query{LocalPath: some.LocalPath()}
	qs["partner+rule"] = store.Query{Partner: "big", RuleName: "daily"}
	qs["first half"] = store.Query{To: some.Start()}
	qs["partner+first half"] = store.Query{To: some.Start(), Partner: "big"}
	qs["connector"] = store.Query{ConnectorID: "c-3"}
	for _, name := range slices.Sorted(maps.Keys(qs)) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, err := m.CountFiles(b.Context(), qs[name])
				require.NoError(b, err)
			}
		})
	}
}

// BenchmarkMemoryPurge removes 1,000 files that are done among a million that are not.
func BenchmarkMemoryPurge(b *testing.B) {
	const each = 1000
	m := store.NewMemory()
	fill(b, m, million)
	n := 0
	for b.Loop() {
		b.StopTimer()
		n++
		update(b, m, claim(b, m, acme, each, time.Minute), store.Change{State: store.Done})
		create(b, m, fmt.Sprint("purge-", n), newFiles(each)...)
		b.StartTimer()
		purged, err := m.Purge(b.Context(), store.PurgeRequest{States: []store.State{store.Done}, Max: each})
		require.NoError(b, err)
		require.Equal(b, each, purged)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*each), "ns/file")
}
