package sqlitestore_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/sqlitestore"
)

const million = 1_000_000

// filling makes a million files in transfers of 100: 40 partners, 20 rules, nearly all Done, 1,003 Running, a few of
// each other state. Partners, rules, states and times are strewn over all.
var filling = []string{
	"PRAGMA cache_size = -500000",
	"PRAGMA synchronous = OFF",
	`WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
		INSERT INTO transfers (seq, id, connector, follow_id, rule, first_file, files, created_at)
		SELECT i + 1, printf('%036d', i), 'acme', 'follow-' || (i / 2), 'rule-' || (i % 20), i * 100 + 1, 100, 1700000000000000 FROM n`,
	`WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 1000000)
		INSERT INTO files (id, transfer, connector, direction, state, phase, attempts, token, size, acked, block_size, rank, start,
			ready_at, updated_at, started_at, finished_at, partner, source_path, target_path, sha256, rule)
		SELECT id, (id - 1) / 100 + 1, 'acme', 1, CASE id * 31 % 100 WHEN 0 THEN 1 WHEN 2 THEN 3 WHEN 3 THEN 6 WHEN 4 THEN 6
				WHEN 5 THEN 7 WHEN 6 THEN 4 WHEN 7 THEN 5 ELSE 8 END, 4, 1, 1, 1073741824, 1073741824, 8388608, 128,
			1700000000000000 + id * 7919 % 1000003 * 1000, 1700000000000000, 1700000000000000 + id * 104729 % 1000003 * 1000,
			1700000000000000 + id * 7919 % 1000003 * 1000, 1700000000000000 + id * 104729 % 1000003 * 1000,
			'partner-' || (id * 13 / 7 % 40), printf('/outbox/2024/file-%07d-%05d.csv', id / 100, id % 100),
			printf('/in/file-%07d-%05d.csv', id / 100, id % 100), zeroblob(32), 'rule-' || ((id - 1) / 100 % 20) FROM n`,
	"UPDATE files SET state = 2, lease_until = 9000000000000000 + id, finished_at = NULL WHERE id % 997 = 0",
	"UPDATE counts SET files = (SELECT count(*) FROM files f WHERE f.state = counts.state)",
	"PRAGMA wal_checkpoint(TRUNCATE)",
}

// filled returns a store of a million files.
func filled(b *testing.B) *sqlitestore.Store {
	b.Helper()
	at := path(b)
	s := open(b, at, sqlitestore.Options{})
	db, err := sql.Open("sqlite", "file:"+at)
	require.NoError(b, err)
	defer func() { require.NoError(b, db.Close()) }()
	db.SetMaxOpenConns(1)
	for _, text := range filling {
		_, err := db.ExecContext(b.Context(), text)
		require.NoError(b, err)
	}
	info, err := os.Stat(at)
	require.NoError(b, err)
	b.Logf("%d bytes per file", info.Size()/million)
	return s
}

type filter struct {
	name string
	q    store.Query
}

// filters are those whose pages are meant to be fast, and one like middle for each of those that select few files.
func filters(middle store.File) []filter {
	failed, done := []store.State{store.Failed, store.Cancelled}, []store.State{store.Done}
	return []filter{
		{"none", store.Query{}},
		{"partner", store.Query{Partner: "partner-7"}},
		{"rule", store.Query{RuleName: "rule-7"}},
		{"TOSUBMIT", store.Query{States: []store.State{store.Queued, store.Waiting}}},
		{"RUNNING", store.Query{States: []store.State{store.Running}}},
		{"INTERRUPTED", store.Query{States: []store.State{store.Paused, store.Interrupted}}},
		{"INERROR", store.Query{States: failed}},
		{"DONE", store.Query{States: done}},
		{"partner+RUNNING", store.Query{Partner: "partner-7", States: []store.State{store.Running}}},
		{"partner+INERROR", store.Query{Partner: "partner-7", States: failed}},
		{"partner+DONE", store.Query{Partner: "partner-7", States: done}},
		{"rule+INERROR", store.Query{RuleName: "rule-7", States: failed}},
		{"follow", store.Query{FollowID: middle.FollowID}},
		{"file", store.Query{LocalPath: middle.SourcePath}},
		{"transfer", store.Query{TransferID: middle.TransferID}},
		{"prefix", store.Query{LocalPrefix: middle.SourcePath[:len(middle.SourcePath)-6]}},
		{"litter", store.Query{Litter: true}},
	}
}

// BenchmarkList reads pages of 50 out of a million files, the first and one half a million behind, and counts.
func BenchmarkList(b *testing.B) {
	s := filled(b)
	orders := []struct {
		name  string
		order store.Order
	}{
		{"id", store.ByID}, {"-id", store.ByIDDesc}, {"start", store.ByStart}, {"-start", store.ByStartDesc},
		{"stop", store.ByStop}, {"-stop", store.ByStopDesc},
	}
	for _, o := range orders {
		one, err := s.ListFiles(b.Context(), store.Query{Order: o.order, Offset: million / 2, Limit: 1})
		require.NoError(b, err)
		for _, f := range filters(one[0]) {
			q := f.q
			q.Order, q.Limit = o.order, 50
			b.Run("page/"+f.name+"/"+o.name, func(b *testing.B) { list50(b, s, q) })
			q.After = q.CursorOf(&one[0])
			b.Run("deep/"+f.name+"/"+o.name, func(b *testing.B) { list50(b, s, q) })
		}
	}
	one, err := s.ListFiles(b.Context(), store.Query{Limit: 1})
	require.NoError(b, err)
	for _, f := range filters(one[0]) {
		b.Run("count/"+f.name, func(b *testing.B) {
			for b.Loop() {
				_, err := s.CountFiles(b.Context(), f.q)
				require.NoError(b, err)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/count")
		})
	}
}

func list50(b *testing.B, s *sqlitestore.Store, q store.Query) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	for b.Loop() {
		_, err := s.ListFiles(ctx, q)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/page")
}

// BenchmarkClaimNothing asks for work of many connectors that have none but what lies ahead.
func BenchmarkClaimNothing(b *testing.B) {
	for _, connectors := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint("connectors=", connectors), func(b *testing.B) {
			s := open(b, path(b), sqlitestore.Options{})
			r := store.ClaimRequest{Worker: "worker", Max: 100, Lease: time.Minute, Limits: make(map[string]int)}
			for i := range connectors {
				name := fmt.Sprint("partner-", i, ".example.com")
				r.Limits[name] = 10
				files := newFiles(i, 2)
				for k := range files {
					files[k].StartAt = time.Now().Add(24 * time.Hour)
				}
				create(b, s, store.Transfer{ID: fmt.Sprint(i), ConnectorID: name}, files)
			}
			for b.Loop() {
				claimed, err := s.Claim(b.Context(), r)
				require.NoError(b, err)
				require.Empty(b, claimed)
			}
		})
	}
}
