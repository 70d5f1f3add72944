package pgstore

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

// BenchmarkLists reads pages of 50 out of a million files, the first one and one 500,000 deep, and counts, as a client sees
// them once PostgreSQL has its plan. To make the files takes a minute or more.
func BenchmarkLists(b *testing.B) {
	s := filled(b, 1_000_000)
	for _, filter := range slices.Sorted(maps.Keys(filters())) {
		q := filters()[filter]
		b.Run("count/"+filter, func(b *testing.B) {
			for b.Loop() {
				_, err := s.CountFiles(b.Context(), q)
				require.NoError(b, err)
			}
		})
		for _, order := range slices.Sorted(maps.Keys(pageOrders)) {
			q := q
			q.Order, q.Limit = pageOrders[order], 50
			b.Run("page/"+filter+" by "+order, func(b *testing.B) { s.benchmarkPage(b, q) })
			q.After = store.Cursor{ID: 500_000, Time: time.Date(2024, 1, 1, 0, 0, 50_000, 0, time.UTC)}
			b.Run("deep/"+filter+" by "+order, func(b *testing.B) { s.benchmarkPage(b, q) })
		}
	}
}

func (s *Store) benchmarkPage(b *testing.B, q store.Query) {
	for range 6 {
		_, err := s.ListFiles(b.Context(), q)
		require.NoError(b, err)
	}
	for b.Loop() {
		_, err := s.ListFiles(b.Context(), q)
		require.NoError(b, err)
	}
}
