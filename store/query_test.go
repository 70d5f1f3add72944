package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

func TestQueryBoundsAreInclusive(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f := &store.File{StartedAt: at, UpdatedAt: at}
	for _, q := range []store.Query{{From: at}, {To: at}, {From: at, To: at}, {Updated: at}} {
		require.True(t, q.Matches(f), "%+v", q)
	}
	for _, q := range []store.Query{{From: at.Add(1)}, {To: at.Add(-1)}, {Updated: at.Add(1)}} {
		require.False(t, q.Matches(f), "%+v", q)
	}
}

func TestQueryStartIsTheRealOneOrElseTheEarliest(t *testing.T) {
	t.Parallel()
	created := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	scheduled, started := created.Add(time.Hour), created.Add(2*time.Hour)
	require.Equal(t, created, (&store.File{CreatedAt: created}).Start())
	require.Equal(t, created, (&store.File{CreatedAt: created, NewFile: store.NewFile{StartAt: created.Add(-time.Hour)}}).Start())
	require.Equal(t, scheduled, (&store.File{CreatedAt: created, NewFile: store.NewFile{StartAt: scheduled}}).Start())
	require.Equal(t, started, (&store.File{CreatedAt: created, StartedAt: started, NewFile: store.NewFile{StartAt: scheduled}}).Start())
}

func TestQueryTiesAreInTheOrderOfIDs(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	file := func(id int64) *store.File {
		return &store.File{ID: id, NewFile: store.NewFile{SourcePath: "same"}, CreatedAt: at, UpdatedAt: at}
	}
	for _, o := range []store.Order{store.ByID, store.BySource, store.ByStart, store.ByStop} {
		up, down := store.Query{Order: o}, store.Query{Order: o + 1}
		require.Negative(t, up.Compare(file(1), file(2)))
		require.Positive(t, down.Compare(file(1), file(2)), "in the same direction")
		require.Zero(t, up.Compare(file(1), file(1)))
		up.After, down.After = up.CursorOf(file(2)), down.CursorOf(file(2))
		for id, want := range map[int64][2]bool{1: {false, true}, 2: {false, false}, 3: {true, false}} {
			require.Equal(t, want, [2]bool{up.Behind(file(id)), down.Behind(file(id))}, "cursors do not repeat")
		}
	}
}

func TestQueryTextsAreExact(t *testing.T) {
	t.Parallel()
	f := &store.File{FollowID: "123", NewFile: store.NewFile{Direction: store.Retrieve, SourcePath: "a", TargetPath: "/in/a"}, Metadata: map[string]string{"k": ""}}
	for _, q := range []store.Query{{FollowID: "12"}, {FollowID: "%"}, {LocalPath: "a"}, {LocalPath: "/in"}, {Metadata: map[string]string{"x": ""}}, {States: []store.State{}}} {
		require.False(t, q.Matches(f), "%+v", q)
	}
	for _, q := range []store.Query{{}, {FollowID: "123"}, {LocalPath: "/in/a"}, {LocalPrefix: "/in"}, {SourcePath: "a"}, {Metadata: map[string]string{"k": ""}}} {
		require.True(t, q.Matches(f), "%+v", q)
	}
}
