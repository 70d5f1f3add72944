package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var connectorPromises = []promise{
	{"what was created is returned and kept", connectorCreated},
	{"an id that is known, or was, is ErrExists", connectorExists},
	{"an update replaces url and definition, and nothing else", connectorUpdated},
	{"an update of another revision is ErrRevision and changes nothing", connectorRevision},
	{"a deleted connector is a mark without definition", connectorDeleted},
	{"unknown and deleted ones are ErrNotFound", connectorUnknown},
	{"lists are in the order of ids, byte by byte, from After on", connectorList},
	{"revisions grow over all connectors", connectorRevisions},
	{"of concurrent updates of one revision one is written", connectorConcurrent},
	{"revisions become visible in their order", connectorVisible},
	{"definitions may be large, and are not shared with the caller", connectorDefinition},
	{"ConnectorsChanged when one is created, updated or deleted", connectorWatch},
}

func createConnector(t tb, s store.Store, id string) store.Connector {
	t.Helper()
	c, err := s.CreateConnector(t.Context(), store.Connector{ID: id, URL: "sftp://" + id, Definition: []byte("of " + id)})
	require.NoError(t, err)
	return c
}

func revision(t tb, s store.Store) int64 {
	t.Helper()
	r, err := s.ConnectorsRevision(t.Context())
	require.NoError(t, err)
	return r
}

func connectorCreated(t *testing.T, s store.Store) {
	require.Zero(t, revision(t, s))
	c := createConnector(t, s, "c-1")
	require.Positive(t, c.Revision)
	require.Equal(t, store.Connector{
		ID: "c-1", URL: "sftp://c-1", Definition: []byte("of c-1"), Revision: c.Revision, CreatedAt: c.CreatedAt, UpdatedAt: c.CreatedAt,
	}, c)
	near := create(t, s, "acme", 1)[0].CreatedAt
	require.WithinDuration(t, near, c.CreatedAt, clockSlack)
	require.Equal(t, c.CreatedAt.UTC().Truncate(1000), c.CreatedAt)
	got, err := s.GetConnector(t.Context(), "c-1")
	require.NoError(t, err)
	require.Equal(t, c, got)
}

func connectorExists(t *testing.T, s store.Store) {
	first := createConnector(t, s, "c-1")
	again := store.Connector{ID: "c-1", URL: "other", Definition: []byte("other")}
	_, err := s.CreateConnector(t.Context(), again)
	require.ErrorIs(t, err, store.ErrExists)
	got, err := s.GetConnector(t.Context(), "c-1")
	require.NoError(t, err)
	require.Equal(t, first, got)
	require.NoError(t, s.DeleteConnector(t.Context(), "c-1"))
	_, err = s.CreateConnector(t.Context(), again)
	require.ErrorIs(t, err, store.ErrExists)
}

func connectorUpdated(t *testing.T, s store.Store) {
	first, other := createConnector(t, s, "c-1"), createConnector(t, s, "c-2")
	change := first
	change.URL, change.Definition = "sftp://new", nil
	updated, err := s.UpdateConnector(t.Context(), change)
	require.NoError(t, err)
	require.Greater(t, updated.Revision, other.Revision)
	require.False(t, updated.UpdatedAt.Before(first.UpdatedAt))
	require.Equal(t, "sftp://new", updated.URL)
	require.Empty(t, updated.Definition)
	require.Equal(t, first.CreatedAt, updated.CreatedAt)
	got, err := s.GetConnector(t.Context(), "c-1")
	require.NoError(t, err)
	require.Equal(t, updated, got)
	got, err = s.GetConnector(t.Context(), "c-2")
	require.NoError(t, err)
	require.Equal(t, other, got)
}

func connectorRevision(t *testing.T, s store.Store) {
	first := createConnector(t, s, "c-1")
	second, err := s.UpdateConnector(t.Context(), first)
	require.NoError(t, err)
	for _, known := range []int64{first.Revision, second.Revision + 1, 0} {
		_, err = s.UpdateConnector(t.Context(), store.Connector{ID: "c-1", Revision: known, URL: "late"})
		require.ErrorIs(t, err, store.ErrRevision)
	}
	got, err := s.GetConnector(t.Context(), "c-1")
	require.NoError(t, err)
	require.Equal(t, second, got)
}

func connectorDeleted(t *testing.T, s store.Store) {
	first := createConnector(t, s, "c-1")
	require.NoError(t, s.DeleteConnector(t.Context(), "c-1"))
	list, err := s.ListConnectors(t.Context(), store.ConnectorQuery{})
	require.NoError(t, err)
	require.Empty(t, list)
	marks, err := s.ListConnectors(t.Context(), store.ConnectorQuery{Deleted: true})
	require.NoError(t, err)
	require.Len(t, marks, 1)
	require.Greater(t, marks[0].Revision, first.Revision)
	require.Equal(t, revision(t, s), marks[0].Revision)
	require.Equal(t, store.Connector{
		ID: "c-1", Deleted: true, Revision: marks[0].Revision, Definition: marks[0].Definition, CreatedAt: first.CreatedAt, UpdatedAt: marks[0].UpdatedAt,
	}, marks[0])
	require.Empty(t, marks[0].Definition)
}

func connectorUnknown(t *testing.T, s store.Store) {
	gone := createConnector(t, s, "c-1")
	require.NoError(t, s.DeleteConnector(t.Context(), "c-1"))
	at := revision(t, s)
	for _, id := range []string{"c-1", "c-2", ""} {
		_, err := s.GetConnector(t.Context(), id)
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = s.UpdateConnector(t.Context(), store.Connector{ID: id, Revision: gone.Revision})
		require.ErrorIs(t, err, store.ErrNotFound)
		_, err = s.UpdateConnector(t.Context(), store.Connector{ID: id, Revision: at})
		require.ErrorIs(t, err, store.ErrNotFound)
		require.ErrorIs(t, s.DeleteConnector(t.Context(), id), store.ErrNotFound)
	}
	createConnector(t, s, "c-3") // works all the same
}

func connectorList(t *testing.T, s store.Store) {
	ids := []string{"c-10", "c-9", "C-1", "ä", "c-1", "c-2"}
	for _, id := range ids {
		createConnector(t, s, id)
	}
	require.NoError(t, s.DeleteConnector(t.Context(), "c-2"))
	list := func(q store.ConnectorQuery) []string {
		t.Helper()
		found, err := s.ListConnectors(t.Context(), q)
		require.NoError(t, err)
		got := []string{}
		for _, c := range found {
			require.Equal(t, "of "+c.ID, string(c.Definition))
			got = append(got, c.ID)
		}
		return got
	}
	want := []string{"C-1", "c-1", "c-10", "c-9", "ä"}
	require.Equal(t, want, list(store.ConnectorQuery{}))
	require.Equal(t, want[2:], list(store.ConnectorQuery{After: "c-1"}))
	require.Equal(t, want[2:4], list(store.ConnectorQuery{After: "c-1", Limit: 2}))
	require.Equal(t, want[2:], list(store.ConnectorQuery{After: "c-0zzz", Limit: 10})[1:])
	require.Empty(t, list(store.ConnectorQuery{After: "ä"}))
}

func connectorRevisions(t *testing.T, s store.Store) {
	last := revision(t, s)
	grows := func() {
		t.Helper()
		now := revision(t, s)
		require.Greater(t, now, last)
		last = now
	}
	c := createConnector(t, s, "c-1")
	grows()
	createConnector(t, s, "c-2")
	grows()
	_, err := s.UpdateConnector(t.Context(), c)
	require.NoError(t, err)
	grows()
	require.NoError(t, s.DeleteConnector(t.Context(), "c-2"))
	grows()
}

func connectorConcurrent(t *testing.T, s store.Store) {
	first := createConnector(t, s, "c-1")
	const writers = 8
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			change := first
			change.URL = fmt.Sprint("from ", i)
			_, errs[i] = s.UpdateConnector(t.Context(), change)
		})
	}
	wg.Wait()
	written := slices.Index(errs, nil)
	require.GreaterOrEqual(t, written, 0)
	for i, err := range errs {
		if i != written {
			require.ErrorIs(t, err, store.ErrRevision)
		}
	}
	got, err := s.GetConnector(t.Context(), "c-1")
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint("from ", written), got.URL)
}

// Whoever reads a revision and then the list misses no change up to that revision.
func connectorVisible(t *testing.T, s store.Store) {
	const writers, each = 4, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				_, err := s.CreateConnector(t.Context(), store.Connector{ID: fmt.Sprint("c-", w, "-", i)})
				assert.NoError(t, err)
			}
		})
	}
	done := make(chan struct{})
	go func() { defer close(done); wg.Wait() }()
	complete := map[int64]int{} // by revision: how many there were when it was read
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		default:
		}
		at := revision(t, s)
		list, err := s.ListConnectors(t.Context(), store.ConnectorQuery{})
		require.NoError(t, err)
		n := 0
		for _, c := range list {
			if c.Revision <= at {
				n++
			}
		}
		if before, ok := complete[at]; ok {
			require.Equal(t, before, n, "a change up to revision %d came later", at)
		}
		complete[at] = n
	}
	list, err := s.ListConnectors(t.Context(), store.ConnectorQuery{})
	require.NoError(t, err)
	require.Len(t, list, writers*each)
	for at, n := range complete {
		final := 0
		for _, c := range list {
			if c.Revision <= at {
				final++
			}
		}
		require.Equal(t, final, n, "a change up to revision %d came later", at)
	}
}

func connectorDefinition(t *testing.T, s store.Store) {
	definition := bytes.Repeat([]byte("0123456789abcdef"), 8<<10)
	given := bytes.Clone(definition)
	c, err := s.CreateConnector(t.Context(), store.Connector{ID: "c-1", Definition: given})
	require.NoError(t, err)
	clear(given)
	clear(c.Definition)
	for range 2 {
		got, err := s.GetConnector(t.Context(), "c-1")
		require.NoError(t, err)
		require.True(t, bytes.Equal(definition, got.Definition))
		clear(got.Definition)
	}
}

func connectorWatch(t *testing.T, s store.Store) {
	hints := s.Watch(t.Context(), store.ConnectorsChanged)
	requireHint(t, hints, func() { createConnector(t, s, newID()) })
	c := createConnector(t, s, "c-1")
	hints = s.Watch(t.Context(), store.ConnectorsChanged)
	requireHint(t, hints, func() {
		var err error
		c, err = s.UpdateConnector(t.Context(), c)
		require.NoError(t, err)
	})
	var ids []string
	for range 50 {
		ids = append(ids, createConnector(t, s, newID()).ID)
	}
	hints = s.Watch(t.Context(), store.ConnectorsChanged)
	requireHint(t, hints, func() {
		if len(ids) > 0 {
			require.NoError(t, s.DeleteConnector(t.Context(), ids[0]))
			ids = ids[1:]
		}
	})
}
