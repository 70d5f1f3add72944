package watch

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// opens lets the partner be contacted for ten minutes, on Sundays or every day; bubbles begin on a Saturday at midnight.
func (s *site) opens(days ...time.Weekday) {
	limits := transfer.Limits{Open: []transfer.TimeWindow{{Days: days, From: "18:07", To: "18:17"}}}
	s.partner = transfertest.NewConnector(s.remote, transfertest.ConnectorOptions{MaxFiles: 4, Limits: &limits})
}

func inbox(s Schedule) Watch {
	return Watch{
		Selection: Selection{ConnectorID: "acme", Direction: store.Retrieve, Directory: "/ready"},
		Delivery:  Delivery{TargetDirectory: "/in"}, Schedule: s,
	}
}

// A partner that may be contacted for ten minutes a day is looked at in them, however long it was closed before, and
// whatever the schedule.
func TestAShortWindowIsNotMissed(t *testing.T) {
	for i, schedule := range []Schedule{{Every: time.Minute}, {Every: 7 * time.Hour}, {Cron: "0 17 * * *"}} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newSite(t)
				s.poll = 10 * time.Second
				s.opens()
				s.remote.WriteFile("/ready/a", nil)
				n := s.node("one", map[string]Watch{"inbox": inbox(schedule)}).start(s)
				time.Sleep(18 * time.Hour)
				status, err := n.Status(t.Context(), "inbox")
				require.NoError(t, err)
				require.Contains(t, status.LastError, "opens at")
				require.Zero(t, status.Failures)
				require.Empty(t, s.paths())
				time.Sleep(10 * time.Minute)
				require.Equal(t, []string{"/ready/a"}, s.paths())
				status, err = n.Status(t.Context(), "inbox")
				require.NoError(t, err)
				require.Empty(t, status.LastError)
			})
		})
	}
}

// A selection, and a run that was asked for, wait for the partner's day.
func TestSelectionsWaitForTheWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.poll = 10 * time.Second
		s.opens(time.Friday)
		s.remote.WriteFile("/ready/a", nil)
		n := s.node("one", map[string]Watch{"inbox": inbox(Schedule{Cron: "@yearly"})}).start(s)
		out, err := n.StartSelection(t.Context(), &StartSelectionInput{Selection: inbox(Schedule{}).Selection, Delivery: inbox(Schedule{}).Delivery})
		require.NoError(t, err)
		require.NoError(t, n.Trigger(t.Context(), "inbox"))
		time.Sleep(6*24*time.Hour + 5*time.Second) // between two tries
		status, err := n.DescribeSelection(t.Context(), out.SelectionID)
		require.NoError(t, err)
		require.Equal(t, SelectionWaiting, status.State, status.Error)
		time.Sleep(24 * time.Hour)
		status, err = n.DescribeSelection(t.Context(), out.SelectionID)
		require.NoError(t, err)
		require.Equal(t, SelectionCompleted, status.State, status.Error)
		require.Equal(t, []string{"/ready/a", "/ready/a"}, s.paths(), "of the selection, and of the watch")
	})
}

// A window that never opens is not waited for forever.
func TestSelectionsGiveUpOnAClosedPartner(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.poll = time.Minute
		s.onLook = func(context.Context) error { return &transfer.Error{Op: "connect", Code: transfer.OutsideWindow} }
		n := s.node("one", nil).start(s)
		out, err := n.StartSelection(t.Context(), sendAll())
		require.NoError(t, err)
		time.Sleep(7*24*time.Hour + 30*time.Second) // likewise
		status, err := n.DescribeSelection(t.Context(), out.SelectionID)
		require.NoError(t, err)
		require.Equal(t, SelectionWaiting, status.State)
		time.Sleep(25 * time.Hour)
		status, err = n.DescribeSelection(t.Context(), out.SelectionID)
		require.NoError(t, err)
		require.Equal(t, SelectionFailed, status.State)
	})
}
