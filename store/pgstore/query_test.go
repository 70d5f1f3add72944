package pgstore_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

// Paths may be longer than what an index holds, and end where characters do.
func TestPathsAtTheEdgeOfTheIndex(t *testing.T) {
	t.Parallel()
	s := open(t, database(t), "s")
	long := strings.Repeat("ö/", 4000)
	paths := []string{
		long, long + "a", long[:999], "\U0010FFFF", "\U0010FFFF\U0010FFFFx", "a\U0010FFFF", "a\U0010FFFFb", "\uD7FFx",
		"\uE000", strings.Repeat("\U0010FFFF", 300), "b",
	}
	files := make([]store.NewFile, 2*len(paths))
	for i, path := range paths {
		files[2*i] = store.NewFile{Direction: store.Send, SourcePath: path, TargetPath: "other"}
		files[2*i+1] = store.NewFile{Direction: store.Retrieve, SourcePath: "other", TargetPath: path}
	}
	_, err := s.CreateTransfer(t.Context(), store.Transfer{ID: "id"}, files)
	require.NoError(t, err)
	all, err := s.ListFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	for _, path := range append(paths, "\x00", "\xff", "a", "\uD7FF") {
		for _, q := range []store.Query{{LocalPath: path}, {LocalPrefix: path}} {
			var want []int64
			for _, f := range all {
				if q.Matches(&f) {
					want = append(want, f.ID)
				}
			}
			got, err := s.ListFiles(t.Context(), q)
			require.NoError(t, err)
			var ids []int64
			for _, f := range got {
				ids = append(ids, f.ID)
			}
			require.Equal(t, want, ids, "%q", path)
		}
	}
}
