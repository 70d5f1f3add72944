package transfer_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// The clock of a bubble starts on Saturday 2000-01-01 at midnight UTC.

// contacts notes every connection that is made.
func (b *bench) contacts() func() []time.Time {
	var mu sync.Mutex
	var at []time.Time
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpConnect, Times: -1, Do: func(transfertest.Call) {
		mu.Lock()
		defer mu.Unlock()
		at = append(at, time.Now())
	}})
	return func() []time.Time {
		mu.Lock()
		defer mu.Unlock()
		return append([]time.Time(nil), at...)
	}
}

// forDays makes days pass quickly.
func forDays(c *transfer.Config) {
	c.Lease, c.PollInterval, c.ProgressInterval = time.Hour, time.Minute, 10*time.Minute
}

// await looks at a file every minute until it has come to its end. It gives up after sixty days.
func (b *bench) await(id string) {
	b.t.Helper()
	for range 60 * 24 * 60 {
		if b.row(id).State.Final() {
			return
		}
		time.Sleep(time.Minute)
	}
	require.Fail(b.t, "the file has not come to an end", "%v", b.row(id).State)
}

// isOpen is what TimeWindow promises, minute by minute, in UTC.
func isOpen(windows []transfer.TimeWindow, t time.Time) bool {
	t = t.UTC()
	if len(windows) == 0 {
		return true
	}
	for _, w := range windows {
		begins := func(day time.Weekday) bool {
			for _, d := range w.Days {
				if d == day {
					return true
				}
			}
			return len(w.Days) == 0
		}
		clock := t.Format("15:04")
		switch {
		case w.From < w.To && begins(t.Weekday()) && w.From <= clock && clock < w.To,
			w.From >= w.To && begins(t.Weekday()) && w.From <= clock,
			w.From >= w.To && begins((t.Weekday()+6)%7) && clock < w.To:
			return true
		}
	}
	return false
}

func randomWindows(random *rand.Rand) []transfer.TimeWindow {
	windows := make([]transfer.TimeWindow, 1+random.IntN(2))
	for i := range windows {
		from := random.IntN(24 * 60)
		to := (from + 60 + random.IntN(10*60)) % (24 * 60)
		windows[i].From, windows[i].To = fmt.Sprintf("%02d:%02d", from/60, from%60), fmt.Sprintf("%02d:%02d", to/60, to%60)
		for range random.IntN(6) {
			windows[i].Days = append(windows[i].Days, time.Weekday(random.IntN(7)))
		}
	}
	return windows
}

// Over ten days, with random windows of connector and rule, and files, failures, listings and tests at random times, the
// partner is never contacted outside of a window, and everything is delivered in the end.
func TestAClosedTimeWindowIsNeverEntered(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) { neverEnters(t, rand.New(rand.NewPCG(seed, 7))) })
		})
	}
}

func neverEnters(t *testing.T, random *rand.Rand) {
	ofConnector, ofRule := randomWindows(random), []transfer.TimeWindow(nil)
	if random.IntN(2) == 0 {
		ofRule = ofConnector[:1]
	}
	b := setupLimited(t, 1000, transfer.Limits{Open: ofConnector}, func(c *transfer.Config) {
		c.Rules = map[string]transfer.Rule{"day": {Limits: transfer.Limits{Open: ofRule}}}
		forDays(c)
	})
	contacts := b.contacts()
	for n := 3; n < 100; n += 1 + random.IntN(20) {
		b.partner.Inject(transfertest.FailNth(transfertest.OpWriteWindow|transfertest.OpConnect, n, transfer.ConnectionLost))
	}
	b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Times: -1, Delay: 10 * time.Minute})
	var ids []string
	for i := range 40 {
		name := fmt.Sprint("f", i)
		b.local.WriteFile(name, content(uint64(i), 1+random.IntN(5000)))
		in := transfer.StartFileTransferInput{SendFilePaths: []string{name}}
		if i%2 == 1 {
			in.RuleName = "day"
		}
		if i%10 == 0 {
			_, err := b.client.StartDirectoryListing(t.Context(), &transfer.StartDirectoryListingInput{ConnectorID: "acme", RemoteDirectoryPath: "/", OutputDirectoryPath: "lists"})
			require.NoError(t, err)
			out, err := b.client.TestConnection(t.Context(), &transfer.TestConnectionInput{ConnectorID: "acme"})
			require.NoError(t, err)
			require.Equal(t, !isOpen(ofConnector, time.Now()), out.FailureDetail == transfer.OutsideWindow, out.StatusMessage) // other failures are made
		}
		ids = append(ids, b.start(in))
		time.Sleep(time.Duration(random.Int64N(int64(12 * time.Hour))))
	}
	for _, id := range ids {
		b.await(id)
		require.Equal(t, transfer.TransferTableStatusCompleted, b.row(id).StatusCode, b.row(id).FailureMessage)
	}
	at := contacts()
	require.NotEmpty(t, at)
	for _, at := range at {
		require.True(t, isOpen(ofConnector, at), "contacted at %v, open in %v", at, ofConnector)
	}
}

// A file that waits says why, and goes on when the window opens; waiting counts for nothing.
func TestAFileWaitsForItsWindow(t *testing.T) {
	t.Parallel()
	hours := []transfer.TimeWindow{{From: "08:00", To: "09:00"}}
	t.Run("of the connector", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b := setupLimited(t, 1000, transfer.Limits{Open: hours}, func(c *transfer.Config) {
				forDays(c)
				c.QueueTimeout = time.Hour
			})
			b.local.WriteFile("a.bin", content(1, 500))
			id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
			time.Sleep(time.Hour)
			require.Equal(t, store.Queued, b.row(id).State)
			requireDoneAt(b, id, 8*time.Hour)
			require.Equal(t, 1, b.row(id).Attempts)
		})
	})
	t.Run("of the node", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b := setup(t, func(c *transfer.Config) {
				forDays(c)
				c.Limits.Open = hours
			})
			b.local.WriteFile("a.bin", content(1, 500))
			requireDoneAt(b, b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}}), 8*time.Hour)
		})
	})
	t.Run("of the rule", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b := setup(t, func(c *transfer.Config) {
				forDays(c)
				c.Rules = map[string]transfer.Rule{"morning": {Limits: transfer.Limits{Open: hours}}}
			})
			b.local.WriteFile("a.bin", content(1, 500))
			id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}, RuleName: "morning"})
			time.Sleep(time.Minute)
			r := b.row(id)
			require.Equal(t, store.Waiting, r.State)
			require.Equal(t, transfer.ConnectionError, r.FailureCode)
			require.Equal(t, transfer.OutsideWindow, r.FailureDetail)
			require.Contains(t, r.FailureMessage, "opens at 2000-01-01T08:00:00Z")
			require.Zero(t, r.Failures)
			require.True(t, r.FailureDetail.Retryable())
			require.WithinDuration(t, time.Date(2000, 1, 1, 8, 0, 0, 0, time.UTC), r.NextAttemptAt, time.Second)
			require.Zero(t, b.partner.Calls(transfertest.OpConnect))
			requireDoneAt(b, id, 8*time.Hour)
			require.Zero(t, b.row(id).Failures)
		})
	})
}

// requireDoneAt waits for a file that is done so long after the bubble's beginning, or a little later.
func requireDoneAt(b *bench, id string, at time.Duration) {
	b.t.Helper()
	b.await(id)
	r := b.row(id)
	require.Equal(b.t, transfer.TransferTableStatusCompleted, r.StatusCode, r.FailureMessage)
	require.WithinDuration(b.t, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(at), time.Now(), 2*time.Minute)
}

// A file that moves when its window closes comes to the end of the windows that it has read, and goes on with the rest when it opens.
func TestAFileInMotionEndsWithItsWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setupLimited(t, 1000, transfer.Limits{Open: []transfer.TimeWindow{{From: "00:00", To: "00:10"}}}, forDays)
		contacts, offsets := b.contacts(), b.offsets()
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Times: -1, Delay: time.Minute})
		b.local.WriteFile("a.bin", content(1, 60_000))
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
		time.Sleep(time.Hour)
		r := b.row(id)
		require.Equal(t, store.Interrupted, r.State)
		require.NotZero(t, r.BytesTransferred)
		require.Zero(t, r.Failures)
		require.Len(t, contacts(), 1)
		for range 8 {
			time.Sleep(24 * time.Hour)
		}
		require.Equal(t, transfer.TransferTableStatusCompleted, b.row(id).StatusCode)
		require.Len(t, offsets(), 60, "no window moved twice")
		for _, at := range contacts() {
			require.Less(t, at.UTC().Hour()*60+at.UTC().Minute(), 10)
		}
	})
}

// A file that was about to connect when the window closed is given back.
func TestAFileThatConnectsWhileItsWindowClosesIsGivenBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setupLimited(t, 1000, transfer.Limits{Open: []transfer.TimeWindow{{From: "00:00", To: "00:10"}}}, forDays)
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpConnect, Nth: 1, Block: true})
		b.local.WriteFile("a.bin", content(1, 500))
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
		time.Sleep(11 * time.Minute)
		require.Equal(t, store.Interrupted, b.row(id).State)
		requireDoneAt(b, id, 24*time.Hour)
	})
}

// Times in which a partner must not be contacted do not use up the time in which a file is tried again.
func TestClosedHoursDoNotCountForRetries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setupLimited(t, 1000, transfer.Limits{Open: []transfer.TimeWindow{{Days: []time.Weekday{time.Saturday}, From: "00:00", To: "00:30"}}},
			func(c *transfer.Config) {
				forDays(c)
				c.Retry = transfer.RetryPolicy{MaxTime: time.Hour, MaxAttempts: -1, FirstDelay: 10 * time.Minute, MaxDelay: 10 * time.Minute}
			})
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpCreate, Times: -1, Err: transfer.ConnectionLost})
		b.local.WriteFile("a.bin", content(1, 500))
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
		b.await(id)
		require.Equal(t, transfer.TransferTableStatusFailed, b.row(id).StatusCode)
		began := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		require.True(t, time.Since(began) >= 14*24*time.Hour && time.Since(began) < 15*24*time.Hour, "after two half hours, in the third week: %v", time.Since(began))
	})
}

// What a removed file has left behind is swept when the partner may be contacted again.
func TestSweepingWaitsForTheWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setupLimited(t, 1000, transfer.Limits{Open: []transfer.TimeWindow{{From: "00:00", To: "00:10"}}}, forDays)
		contacts := b.contacts()
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Times: -1, Delay: time.Minute})
		b.local.WriteFile("a.bin", content(1, 60_000))
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
		time.Sleep(time.Hour)
		require.NotEmpty(t, b.remote.Partials())
		_, err := b.client.CancelTransfer(t.Context(), &transfer.ControlInput{TransferID: id})
		require.NoError(t, err)
		time.Sleep(12 * time.Hour)
		require.NotEmpty(t, b.remote.Partials())
		require.Len(t, contacts(), 1)
		time.Sleep(11*time.Hour + 5*time.Minute)
		synctest.Wait()
		require.Empty(t, b.remote.Partials())
	})
}

func TestOperationsWaitOutside(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setupLimited(t, 1000, transfer.Limits{Open: []transfer.TimeWindow{{From: "00:00", To: "00:10"}}}, forDays)
		slow := b.partner.Inject(transfertest.Rule{Op: transfertest.OpListDirectory, Times: -1, Delay: 12 * time.Minute})
		end := func() *transfer.DescribeRemoteOperationOutput {
			out, err := b.client.StartDirectoryListing(t.Context(), &transfer.StartDirectoryListingInput{ConnectorID: "acme", RemoteDirectoryPath: "/", OutputDirectoryPath: "lists"})
			require.NoError(t, err)
			time.Sleep(14 * time.Minute)
			o, err := b.client.DescribeRemoteOperation(t.Context(), &transfer.DescribeRemoteOperationInput{OperationID: out.ListingID})
			require.NoError(t, err)
			return o
		}
		for _, what := range []string{"cut off when the window closes", "refused after it"} {
			o := end()
			require.Equal(t, transfer.ConnectionError, o.FailureCode, what)
			require.Equal(t, transfer.OutsideWindow, o.FailureDetail, what)
			require.WithinDuration(t, time.Date(2000, 1, 1, 0, 10, 0, 0, time.UTC), o.FinishedAt, 5*time.Minute, what)
		}
		require.Equal(t, 1, slow.Hits())
	})
}

// restful is a connector that keeps connections.
type restful struct {
	*transfertest.Connector
	rested chan time.Time
}

func (r restful) CloseIdleConnections() { r.rested <- time.Now() }

func TestIdleConnectionsAreClosedWithTheWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rested := make(chan time.Time, 10)
		b := setupLimited(t, 1000, transfer.Limits{Open: []transfer.TimeWindow{{From: "00:00", To: "00:10"}}}, func(c *transfer.Config) {
			c.Connectors["acme"] = restful{c.Connectors["acme"].(*transfertest.Connector), rested}
		})
		b.local.WriteFile("a.bin", content(1, 500))
		b.run2(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
		b.run2(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
		time.Sleep(time.Hour)
		require.Len(t, rested, 1)
		require.Equal(t, "00:10:00", (<-rested).UTC().Format(time.TimeOnly))

		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Times: -1, Delay: 2 * time.Minute})
		time.Sleep(time.Until(time.Date(2000, 1, 2, 0, 9, 0, 0, time.UTC)))
		b.run2(transfer.StartFileTransferInput{SendFilePaths: []string{"a.bin"}})
		synctest.Wait()
		require.Len(t, rested, 1, "once the last file has ended")
		require.Equal(t, "00:11:00", (<-rested).UTC().Format(time.TimeOnly))
	})
}
