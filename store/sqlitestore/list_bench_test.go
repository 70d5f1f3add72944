package sqlitestore_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/store/sqlitestore"
)

const million = 1_000_000

// filled returns a store of a million files in transfers of 100: 40 partners, 20 rules, nearly all Done, 100 Running.
func filled(b *testing.B) *sqlitestore.Store {
	b.Helper()
	at := path(b)
	s := open(b, at, sqlitestore.Options{})
	for i := range million / batch {
		files := newFiles(i, batch)
		for k := range files {
			files[k].Partner = fmt.Sprint("partner-", k*i%40)
		}
		create(b, s, store.Transfer{
			ID: fmt.Sprint(i), ConnectorID: "acme", FollowID: fmt.Sprint("follow-", i/2), RuleName: fmt.Sprint("rule-", i%20),
		}, files)
	}
	db, err := sql.Open("sqlite", "file:"+at)
	require.NoError(b, err)
	defer func() { require.NoError(b, db.Close()) }()
	db.SetMaxOpenConns(1)
	for _, text := range []string{
		"PRAGMA cache_size = -500000",
		`UPDATE files SET start = start + id * 7919 % 1000003 * 1000, updated_at = updated_at + id * 104729 % 1000003 * 1000,
			state = CASE id * 31 % 100 WHEN 0 THEN 1 WHEN 2 THEN 3 WHEN 3 THEN 6 WHEN 4 THEN 6 ELSE 8 END`,
		"UPDATE files SET state = 2, lease_until = 9000000000000000 WHERE id % 10000 = 0",
		"PRAGMA wal_checkpoint(TRUNCATE)",
	} {
		_, err := db.ExecContext(b.Context(), text)
		require.NoError(b, err)
	}
	return s
}

// BenchmarkList reads pages of 50 out of a million files, the first and one far behind, and counts.
func BenchmarkList(b *testing.B) {
	s := filled(b)
	one, err := s.ListFiles(b.Context(), store.Query{Offset: million / 2, Limit: 1})
	require.NoError(b, err)
	middle := one[0]
	filters := []struct {
		name string
		q    store.Query
	}{
		{"none", store.Query{}},
		{"partner", store.Query{Partner: "partner-7"}},
		{"rule", store.Query{RuleName: "rule-7"}},
		{"failed", store.Query{States: []store.State{store.Failed}}},
		{"done", store.Query{States: []store.State{store.Done}}},
		{"partner+failed", store.Query{Partner: "partner-7", States: []store.State{store.Failed}}},
		{"partner+done", store.Query{Partner: "partner-7", States: []store.State{store.Done}}},
		{"follow", store.Query{FollowID: middle.FollowID}},
		{"file", store.Query{LocalPath: middle.SourcePath}},
		{"transfer", store.Query{TransferID: middle.TransferID}},
		{"prefix", store.Query{LocalPrefix: middle.SourcePath[:len(middle.SourcePath)-6]}},
	}
	orders := map[string]store.Order{"id": store.ByID, "-id": store.ByIDDesc, "start": store.ByStart, "-start": store.ByStartDesc, "-stop": store.ByStopDesc}
	for _, f := range filters {
		for name, order := range orders {
			q := f.q
			q.Order, q.Limit = order, 50
			b.Run("page/"+f.name+"/"+name, func(b *testing.B) { list50(b, s, q) })
			q.After = q.CursorOf(&middle)
			b.Run("deep/"+f.name+"/"+name, func(b *testing.B) { list50(b, s, q) })
		}
		b.Run("count/"+f.name, func(b *testing.B) {
			for b.Loop() {
				_, err := s.CountFiles(b.Context(), f.q)
				require.NoError(b, err)
			}
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
