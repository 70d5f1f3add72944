package storetest

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer/store"
)

const (
	long       = time.Hour             // a lease or delay that does not end while a test runs
	short      = 50 * time.Millisecond // one that does
	patience   = 30 * time.Second      // how long a store may take until something is seen
	tick       = 10 * time.Millisecond
	clockSlack = 10 * time.Second // between a store's clock and itself, from one statement to the next
)

// tb is what the steps need of a test; a property's test has it too.
type tb interface {
	require.TestingT
	Helper()
	Context() context.Context
}

// newTransfer returns a transfer with an id of its own.
func newTransfer(connectorID string) store.Transfer {
	return store.Transfer{
		ID:          newID(),
		ConnectorID: connectorID,
		RequestHash: []byte{1, 2, 3},
		FollowID:    "follow-" + connectorID,
		RuleName:    "rule",
		Metadata:    map[string]string{"k": "v"},
		Spec:        []byte(`{"spec":1}`),
	}
}

// newID returns a UUIDv7 (RFC 9562, section 5.7).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(time.Now().UnixMilli()))
	copy(b[:6], ms[2:])
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// newFiles returns n files that are ready at once.
func newFiles(n int) []store.NewFile {
	files := make([]store.NewFile, n)
	for i := range files {
		files[i] = store.NewFile{
			Direction:  store.Send,
			Partner:    "partner",
			SourcePath: fmt.Sprintf("/out/%d", i),
			TargetPath: fmt.Sprintf("/in/%d", i),
		}
	}
	return files
}

// create stores a transfer of n files and returns them.
func create(t tb, s store.Store, connectorID string, n int) []store.File {
	t.Helper()
	tr, err := s.CreateTransfer(t.Context(), newTransfer(connectorID), newFiles(n))
	require.NoError(t, err)
	return filesOf(t, s, tr.ID)
}

func filesOf(t tb, s store.Store, transferID string) []store.File {
	t.Helper()
	files, err := s.ListFiles(t.Context(), store.Query{TransferID: transferID})
	require.NoError(t, err)
	return files
}

// row returns the file as it is stored now.
func row(t tb, s store.Store, id int64) store.File {
	t.Helper()
	files, err := s.ListFiles(t.Context(), store.Query{After: store.Cursor{ID: id - 1}, Limit: 1})
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.Equal(t, id, files[0].ID)
	return files[0]
}

// claim claims up to maximum files of one connector under a limit that does not matter.
func claim(t tb, s store.Store, worker, connectorID string, maximum int, lease time.Duration) []store.Claimed {
	t.Helper()
	return claimLimited(t, s, worker, maximum, lease, map[string]int{connectorID: 1000})
}

func claimLimited(
	t tb, s store.Store, worker string, maximum int, lease time.Duration, limits map[string]int,
) []store.Claimed {
	t.Helper()
	claimed, err := s.Claim(t.Context(), store.ClaimRequest{Worker: worker, Max: maximum, Lease: lease, Limits: limits})
	require.NoError(t, err)
	return claimed
}

// claimOne creates one file and claims it.
func claimOne(t tb, s store.Store, connectorID string, lease time.Duration) store.File {
	t.Helper()
	create(t, s, connectorID, 1)
	claimed := claim(t, s, "w", connectorID, 1, lease)
	require.Len(t, claimed, 1)
	return claimed[0].File
}

// eventuallyClaim claims once there is something to claim.
func eventuallyClaim(t tb, s store.Store, worker, connectorID string, lease time.Duration) []store.Claimed {
	t.Helper()
	var claimed []store.Claimed
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		got, err := s.Claim(t.Context(), store.ClaimRequest{
			Worker: worker, Max: 1000, Lease: lease, Limits: map[string]int{connectorID: 1000},
		})
		require.NoError(c, err)
		require.NotEmpty(c, got)
		claimed = got
	}, patience, tick)
	return claimed
}

// clockConnector has the files by which letPass tells the time.
const clockConnector = "clock"

// letPass returns after d has passed on the store's clock, counted from now. It leaves a file behind that runs.
func letPass(t tb, s store.Store, d time.Duration) {
	t.Helper()
	f := claimOne(t, s, clockConnector, long)
	c := change(f, store.Running)
	c.Lease = long
	ctx, until := t.Context(), f.UpdatedAt.Add(d)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		_, err := s.Update(ctx, []store.Change{c})
		require.NoError(t, err)
		now, err := s.ListFiles(ctx, store.Query{After: store.Cursor{ID: f.ID - 1}, Limit: 1})
		require.NoError(t, err)
		require.Len(t, now, 1)
		require.False(t, now[0].UpdatedAt.Before(until))
	}, patience, tick)
}

// change returns a change of a file that was claimed, which leaves its progress as it is.
func change(f store.File, to store.State) store.Change {
	return store.Change{ID: f.ID, Token: f.Token, State: to, Progress: f.Progress}
}

// update writes the changes and returns what became of each.
func update(t tb, s store.Store, changes ...store.Change) []error {
	t.Helper()
	verdicts, err := s.Update(t.Context(), changes)
	require.NoError(t, err)
	require.Len(t, verdicts, len(changes))
	return verdicts
}

// write writes a change that must not be lost and returns the file as it is then.
func write(t tb, s store.Store, c store.Change) store.File {
	t.Helper()
	require.NoError(t, update(t, s, c)[0])
	return row(t, s, c.ID)
}

// control asks for a change of state and returns what became of each file.
func control(t tb, s store.Store, to store.State, ids ...int64) []error {
	t.Helper()
	verdicts, err := s.Control(t.Context(), store.ControlRequest{IDs: ids, To: to})
	require.NoError(t, err)
	require.Len(t, verdicts, len(ids))
	return verdicts
}

// bring asks for a change of state that must be possible and returns the file as it is then.
func bring(t tb, s store.Store, id int64, to store.State) store.File {
	t.Helper()
	require.NoError(t, control(t, s, to, id)[0])
	return row(t, s, id)
}

// claimOnly claims what is ready of f's connector, which must be f alone.
func claimOnly(t tb, s store.Store, f store.File, lease time.Duration) store.File {
	t.Helper()
	claimed := claim(t, s, "again", f.ConnectorID, 10, lease)
	require.Equal(t, []int64{f.ID}, claimedIDs(claimed))
	return claimed[0].File
}

// fileIn returns a new file in this state, the only one of its connector. It never ran if the state allows that; else it
// ran once, and has a checkpoint unless it is Done. It is not ready unless it is Queued.
func fileIn(t tb, s store.Store, state store.State) store.File {
	t.Helper()
	connector := newID()
	switch state {
	case store.Queued:
		return create(t, s, connector, 1)[0]
	case store.Paused, store.Cancelled:
		return bring(t, s, create(t, s, connector, 1)[0].ID, state)
	}
	f := claimOne(t, s, connector, long)
	c := change(f, state)
	c.Lease, c.Delay = long, long
	c.Phase, c.Size, c.Offset, c.Checkpoint = store.PhaseData, 9, 5, []byte("checkpoint")
	return write(t, s, c)
}

// pausedAfterRun returns a Paused file that ran once and has a checkpoint.
func pausedAfterRun(t tb, s store.Store) store.File {
	t.Helper()
	return bring(t, s, fileIn(t, s, store.Interrupted).ID, store.Paused)
}

func finish(t tb, s store.Store, f store.File) store.File {
	t.Helper()
	return write(t, s, change(f, store.Done))
}

// requireSame requires that two reads of a file say the same; no bytes and empty bytes are the same.
func requireSame(t tb, want, got store.File) {
	t.Helper()
	require.Equal(t, normal(want), normal(got))
}

func normal(f store.File) store.File {
	f.Progress = normalProgress(f.Progress)
	return f
}

func normalProgress(p store.Progress) store.Progress {
	if len(p.Checkpoint) == 0 {
		p.Checkpoint = nil
	}
	if len(p.SHA256) == 0 {
		p.SHA256 = nil
	}
	return p
}

// requireLegal requires what holds for each file at any time.
func requireLegal(t tb, f store.File) {
	t.Helper()
	held := f.State == store.Running
	require.Contains(t, store.States(), f.State)
	require.Equal(t, held, f.Worker != "", "%v file %d has the worker %q", f.State, f.ID, f.Worker)
	require.Equal(t, held, !f.LeaseUntil.IsZero(), "%v file %d has a lease until %v", f.State, f.ID, f.LeaseUntil)
	require.True(t, f.Wanted == 0 || held && (f.Wanted == store.Paused || f.Wanted == store.Cancelled), "%v file %d is Wanted %v", f.State, f.ID, f.Wanted)
	require.Equal(t, f.Attempts > 0, !f.StartedAt.IsZero(), "file %d has %d attempts and started at %v", f.ID, f.Attempts, f.StartedAt)
	require.False(t, f.State == store.Queued && f.Attempts > 0, "Queued file %d ran", f.ID)
	require.Equal(t, f.State.Final(), !f.FinishedAt.IsZero(), "%v file %d finished at %v", f.State, f.ID, f.FinishedAt)
	require.False(t, f.State == store.Done && len(f.Checkpoint) > 0, "Done file %d has a checkpoint", f.ID)
	if f.State.Final() {
		require.WithinDuration(t, f.UpdatedAt, f.FinishedAt, clockSlack)
	}
	if f.State == store.Cancelled {
		require.Equal(t, store.CancelledFailure, f.Failure)
	}
}

// requireStoreTime requires UTC and whole microseconds.
func requireStoreTime(t tb, name string, at time.Time) {
	t.Helper()
	require.Equal(t, time.UTC, at.Location(), name)
	require.Zero(t, at.Nanosecond()%1000, "%s has more than microseconds: %v", name, at)
}

func ids[F any](files []F, id func(F) int64) []int64 {
	out := make([]int64, len(files))
	for i, f := range files {
		out[i] = id(f)
	}
	return out
}

func fileIDs(files []store.File) []int64 {
	return ids(files, func(f store.File) int64 { return f.ID })
}

func claimedIDs(files []store.Claimed) []int64 {
	return ids(files, func(c store.Claimed) int64 { return c.ID })
}
