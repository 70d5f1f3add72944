package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

var createPromises = []promise{
	{"returns what GetTransfer returns then", createReturnsStored},
	{"files start queued with nothing known", createDefaults},
	{"ids grow in the order of files and from transfer to transfer", createIDs},
	{"a start ahead is when the file becomes ready, a past one is at once", createStartAt},
	{"times are UTC in microseconds", createTimes},
	{"text and bytes come back as they were", createKeepsText},
	{"keeps nothing that it was given", createKeepsNothing},
	{"returns copies", createReturnsCopies},
	{"a known id is refused and leaves nothing behind", createKnownID},
	{"GetTransfer of an unknown id is ErrNotFound", getUnknown},
}

func createReturnsStored(t *testing.T, s store.Store) {
	given := newTransfer("acme")
	given.ClientToken = "token"
	created, err := s.CreateTransfer(t.Context(), given, newFiles(3))
	require.NoError(t, err)
	require.False(t, created.CreatedAt.IsZero())

	want := given
	want.Files, want.CreatedAt = 3, created.CreatedAt
	require.Equal(t, want, created)

	got, err := s.GetTransfer(t.Context(), given.ID)
	require.NoError(t, err)
	require.Equal(t, created, got)
}

func createDefaults(t *testing.T, s store.Store) {
	given := newTransfer("acme")
	files := newFiles(2)
	files[1].Direction = store.Retrieve
	files[1].Parent = 1<<53 - 1
	files[1].Priority = store.High
	created, err := s.CreateTransfer(t.Context(), given, files)
	require.NoError(t, err)

	rows := filesOf(t, s, created.ID)
	require.Len(t, rows, 2)
	for i, f := range rows {
		requireSame(t, store.File{
			ID:          f.ID,
			TransferID:  given.ID,
			ConnectorID: given.ConnectorID,
			FollowID:    given.FollowID,
			RuleName:    given.RuleName,
			Metadata:    given.Metadata,
			NewFile:     files[i],
			State:       store.Queued,
			Progress:    store.Progress{Size: -1},
			ReadyAt:     created.CreatedAt,
			CreatedAt:   created.CreatedAt,
			UpdatedAt:   created.CreatedAt,
			Token:       f.Token,
		}, f)
	}
}

func createIDs(t *testing.T, s store.Store) {
	last := int64(0)
	for range 3 {
		files := create(t, s, "acme", 20)
		require.Len(t, files, 20)
		for i, f := range files {
			require.Greater(t, f.ID, last)
			require.Less(t, f.ID, int64(1)<<53)
			require.Equal(t, newFiles(20)[i].SourcePath, f.SourcePath)
			last = f.ID
		}
	}
}

func createStartAt(t *testing.T, s store.Store) {
	files := newFiles(3)
	ahead := time.Now().Add(long).In(time.FixedZone("far", 7*3600)).Truncate(time.Microsecond).Add(999)
	past := time.Now().Add(-long)
	files[1].StartAt, files[2].StartAt = ahead, past
	created, err := s.CreateTransfer(t.Context(), newTransfer("acme"), files)
	require.NoError(t, err)

	rows := filesOf(t, s, created.ID)
	require.True(t, rows[0].StartAt.IsZero())
	require.Equal(t, created.CreatedAt, rows[0].ReadyAt)
	require.Equal(t, ahead.UTC().Truncate(time.Microsecond), rows[1].StartAt)
	require.Equal(t, rows[1].StartAt, rows[1].ReadyAt)
	require.Equal(t, past.UTC().Truncate(time.Microsecond), rows[2].StartAt)
	require.Equal(t, created.CreatedAt, rows[2].ReadyAt)
}

func createTimes(t *testing.T, s store.Store) {
	files := newFiles(1)
	files[0].StartAt = time.Now().Add(-long)
	created, err := s.CreateTransfer(t.Context(), newTransfer("acme"), files)
	require.NoError(t, err)
	requireStoreTime(t, "Transfer.CreatedAt", created.CreatedAt)

	claimed := claim(t, s, "w", "acme", 1, long)
	require.Len(t, claimed, 1)
	renewed := change(claimed[0].File, store.Running)
	renewed.Lease = long + 1234567
	for _, f := range []store.File{claimed[0].File, write(t, s, renewed), finish(t, s, claimed[0].File)} {
		requireStoreTime(t, "StartAt", f.StartAt)
		requireStoreTime(t, "ReadyAt", f.ReadyAt)
		requireStoreTime(t, "CreatedAt", f.CreatedAt)
		requireStoreTime(t, "StartedAt", f.StartedAt)
		requireStoreTime(t, "UpdatedAt", f.UpdatedAt)
		requireStoreTime(t, "FinishedAt", f.FinishedAt)
		requireStoreTime(t, "LeaseUntil", f.LeaseUntil)
	}
}

func createKeepsText(t *testing.T, s store.Store) {
	const text = "Grüße 🚚 'quoted' \"twice\" %s \\ \t\r\n; DROP TABLE files;-- "
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	given := newTransfer(text)
	given.FollowID, given.RuleName = text, text
	given.ClientToken, given.Metadata = text, map[string]string{text: text, "": ""}
	given.RequestHash, given.Spec = every, every
	files := []store.NewFile{{Direction: store.Send, Partner: text, SourcePath: text, TargetPath: text}}
	created, err := s.CreateTransfer(t.Context(), given, files)
	require.NoError(t, err)
	want := given
	want.Files, want.CreatedAt = 1, created.CreatedAt
	require.Equal(t, want, created)

	claimed := claim(t, s, text, text, 1, long)
	require.Len(t, claimed, 1)
	require.Equal(t, files[0], claimed[0].NewFile)
	require.Equal(t, text, claimed[0].Worker)

	c := change(claimed[0].File, store.Running)
	c.Lease, c.Checkpoint, c.SHA256 = long, every, every
	c.Failure = store.Failure{Code: text, Detail: text, Message: text}
	f := write(t, s, c)
	require.Equal(t, c.Progress, f.Progress)
	require.Equal(t, c.Failure, f.Failure)
}

func createKeepsNothing(t *testing.T, s store.Store) {
	given := newTransfer("acme")
	want := newTransfer("acme")
	want.ID = given.ID
	files := newFiles(1)
	created, err := s.CreateTransfer(t.Context(), given, files)
	require.NoError(t, err)
	given.RequestHash[0], given.Spec[0], given.Metadata["k"], files[0].SourcePath = 9, 9, "changed", "changed"

	want.Files, want.CreatedAt = 1, created.CreatedAt
	got, err := s.GetTransfer(t.Context(), given.ID)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, newFiles(1)[0], filesOf(t, s, given.ID)[0].NewFile)
}

func createReturnsCopies(t *testing.T, s store.Store) {
	spoil := func(tr store.Transfer) { tr.RequestHash[0], tr.Spec[0], tr.Metadata["k"] = 9, 9, "changed" }
	given := newTransfer("acme")
	given.ClientToken = "token"
	created, err := s.CreateTransfer(t.Context(), given, newFiles(1))
	require.NoError(t, err)
	spoil(created)
	for range 2 {
		got, err := s.GetTransfer(t.Context(), given.ID)
		require.NoError(t, err)
		want := newTransfer("acme")
		want.ID, want.ClientToken, want.Files, want.CreatedAt = given.ID, "token", 1, created.CreatedAt
		require.Equal(t, want, got)
		spoil(got)
	}
	given.RequestHash = newTransfer("acme").RequestHash
	again, err := s.CreateTransfer(t.Context(), given, newFiles(1))
	require.NoError(t, err)
	spoil(again)
	claimed := claim(t, s, "w", "acme", 1, long)
	require.Len(t, claimed, 1)
	require.Equal(t, newTransfer("acme").Spec, claimed[0].Spec)
	require.Equal(t, newTransfer("acme").Metadata, claimed[0].Metadata)
}

func createKnownID(t *testing.T, s store.Store) {
	first, err := s.CreateTransfer(t.Context(), newTransfer("acme"), newFiles(2))
	require.NoError(t, err)
	again := newTransfer("other")
	again.ID, again.ClientToken = first.ID, "token"
	_, err = s.CreateTransfer(t.Context(), again, newFiles(3))
	require.Error(t, err)

	got, err := s.GetTransfer(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, first, got)
	counts, err := s.CountFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Equal(t, map[store.State]int64{store.Queued: 2}, counts)
	require.Empty(t, claim(t, s, "w", "other", 10, long))

	again.ID = newID()
	got, err = s.CreateTransfer(t.Context(), again, newFiles(1))
	require.NoError(t, err)
	require.Equal(t, again.ID, got.ID, "the refused call has used up its client token")
}

func getUnknown(t *testing.T, s store.Store) {
	create(t, s, "acme", 1)
	_, err := s.GetTransfer(t.Context(), newID())
	require.ErrorIs(t, err, store.ErrNotFound)
}

var tokenPromises = []promise{
	{"the same request again returns the earlier transfer and stores nothing", tokenSame},
	{"another request is ErrTokenReused and stores nothing", tokenOther},
	{"without a token every call is a new transfer", tokenEmpty},
	{"concurrent calls with one token make one transfer", tokenConcurrent},
}

func tokenSame(t *testing.T, s store.Store) {
	first := newTransfer("acme")
	first.ClientToken = "token"
	created, err := s.CreateTransfer(t.Context(), first, newFiles(2))
	require.NoError(t, err)

	again := newTransfer("acme")
	again.ClientToken = "token"
	got, err := s.CreateTransfer(t.Context(), again, newFiles(2))
	require.NoError(t, err)
	require.Equal(t, created, got)
	requireNotStored(t, s, again.ID, 2)
}

func tokenOther(t *testing.T, s store.Store) {
	first := newTransfer("acme")
	first.ClientToken = "token"
	created, err := s.CreateTransfer(t.Context(), first, newFiles(2))
	require.NoError(t, err)

	other := newTransfer("acme")
	other.ClientToken, other.RequestHash = "token", []byte{1, 2, 4}
	_, err = s.CreateTransfer(t.Context(), other, newFiles(5))
	require.ErrorIs(t, err, store.ErrTokenReused)
	requireNotStored(t, s, other.ID, 2)

	got, err := s.GetTransfer(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, created, got)
}

// requireNotStored requires that there is no such transfer, and n files of others.
func requireNotStored(t *testing.T, s store.Store, transferID string, n int) {
	t.Helper()
	_, err := s.GetTransfer(t.Context(), transferID)
	require.ErrorIs(t, err, store.ErrNotFound)
	files, err := s.ListFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Len(t, files, n)
	require.Empty(t, filesOf(t, s, transferID))
}

func tokenEmpty(t *testing.T, s store.Store) {
	for n := range 3 {
		require.Len(t, create(t, s, "acme", n+1), n+1)
	}
}

func tokenConcurrent(t *testing.T, s store.Store) {
	const callers = 8
	var wg sync.WaitGroup
	got := make([]store.Transfer, callers)
	for i := range callers {
		wg.Go(func() {
			given := newTransfer("acme")
			given.ClientToken = "token"
			var err error
			got[i], err = s.CreateTransfer(t.Context(), given, newFiles(3))
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	for _, tr := range got {
		require.Equal(t, got[0], tr)
	}
	files, err := s.ListFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Len(t, files, 3)
	require.Equal(t, fileIDs(files), fileIDs(filesOf(t, s, got[0].ID)))
}
