package watch

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
)

func sendAll() *StartSelectionInput {
	return &StartSelectionInput{
		Selection: Selection{ConnectorID: "acme", Direction: store.Send, Directory: "/out"},
		Delivery:  Delivery{TargetDirectory: "/in"},
	}
}

func TestSelectionRunsOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.poll = time.Minute
		for i := range 250 {
			s.local.WriteFile(fmt.Sprintf("/out/%d", i), nil)
		}
		asks := s.node("asks", nil)
		in := sendAll()
		in.StartAt = time.Now().Add(time.Hour)
		out, err := asks.StartSelection(t.Context(), in)
		require.NoError(t, err)
		s.node("one", nil).start(s)
		time.Sleep(time.Hour - time.Minute)
		status, err := asks.DescribeSelection(t.Context(), out.SelectionID)
		require.NoError(t, err)
		require.Equal(t, SelectionQueued, status.State)
		require.Empty(t, s.paths())
		time.Sleep(3 * time.Minute)
		require.Len(t, uniq(s.paths()), 250)
		require.Len(t, s.paths(), 250)
		status, err = asks.DescribeSelection(t.Context(), out.SelectionID)
		require.NoError(t, err)
		require.Equal(t, SelectionCompleted, status.State)
		require.Equal(t, 250, status.Found)
		require.EqualValues(t, 250, status.Started)
		require.Len(t, status.TransferIDs, 3)
		require.Empty(t, status.Error)
		n, err := asks.client.ListTransfers().FollowID(out.SelectionID).Count(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 250, n)

		time.Sleep(6 * 24 * time.Hour)
		_, err = asks.DescribeSelection(t.Context(), out.SelectionID)
		require.NoError(t, err)
		time.Sleep(25 * time.Hour)
		var unknown *transfer.ResourceNotFoundException
		_, err = asks.DescribeSelection(t.Context(), out.SelectionID)
		require.ErrorAs(t, err, &unknown)
		require.Len(t, s.paths(), 250)
	})
}

func TestSelectionIsRepeatable(t *testing.T) {
	t.Parallel()
	n := newSite(t).node("one", nil)
	in := sendAll()
	in.SelectionID = "nightly of 2 June"
	for range 2 {
		out, err := n.StartSelection(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, in.SelectionID, out.SelectionID)
	}
	in.Directory = "/other"
	var invalid *transfer.InvalidRequestException
	_, err := n.StartSelection(t.Context(), in)
	require.ErrorAs(t, err, &invalid)
	_, err = n.StartSelection(t.Context(), nil)
	require.ErrorAs(t, err, &invalid)
	require.ErrorContains(t, err, "ConnectorID")
	require.ErrorContains(t, err, "Direction")
}

// Wherever a node crashes, another one goes on, and starts each path once, changed meanwhile or not.
func TestSelectionGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	for nth := 1; nth <= 5; nth++ {
		t.Run(fmt.Sprint(nth), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newSite(t)
				for i := range 5200 { // two plans
					s.local.WriteFile(fmt.Sprintf("/out/%04d", i), nil)
				}
				one := s.node("one", nil)
				out, err := one.StartSelection(t.Context(), sendAll())
				require.NoError(t, err)
				calls := 0
				s.store.hooks(func(d store.Duty) error {
					if calls++; d.Worker == "one" && calls >= nth {
						return errors.New("crashed")
					}
					return nil
				}, nil)
				one.start(s)
				time.Sleep(2 * time.Second)
				one.end()
				require.NoError(t, one.Shutdown(t.Context()))
				s.local.WriteFile("/out/0000", []byte("changed"))
				s.store.hooks(nil, nil)
				s.node("two", nil).start(s)
				time.Sleep(2 * time.Minute)
				require.Len(t, uniq(s.paths()), 5200)
				require.Len(t, s.paths(), 5200)
				status, err := one.DescribeSelection(t.Context(), out.SelectionID)
				require.NoError(t, err)
				require.Equal(t, SelectionCompleted, status.State)
				require.EqualValues(t, 5200, status.Started)
			})
		})
	}
}

func TestSelectionFails(t *testing.T) {
	for _, test := range []struct {
		code transfer.Code
		want SelectionState
	}{
		{transfer.DirectoryNotFound, SelectionFailed},
		{transfer.ConnectionRefused, SelectionWaiting},
	} {
		t.Run(string(test.code), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newSite(t)
				s.poll = 10 * time.Second
				s.onLook = func(context.Context) error { return &transfer.Error{Op: "list", Code: test.code} }
				n := s.node("one", nil).start(s)
				out, err := n.StartSelection(t.Context(), sendAll())
				require.NoError(t, err)
				time.Sleep(time.Hour + 15*time.Second)
				status, err := n.DescribeSelection(t.Context(), out.SelectionID)
				require.NoError(t, err)
				require.Equal(t, test.want, status.State)
				require.Contains(t, status.Error, string(test.code))
				time.Sleep(24 * time.Hour)
				status, err = n.DescribeSelection(t.Context(), out.SelectionID)
				require.NoError(t, err)
				require.Equal(t, SelectionFailed, status.State)
			})
		})
	}
}

// A selection that its connector has vanished from ends with that.
func TestSelectionOfUnknownConnector(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		s.local.WriteFile("/out/a", nil)
		n := s.node("one", nil).start(s)
		in := sendAll()
		in.ConnectorID = "nobody"
		out, err := n.StartSelection(t.Context(), in)
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		status, err := n.DescribeSelection(t.Context(), out.SelectionID)
		require.NoError(t, err)
		require.Equal(t, SelectionFailed, status.State)
		require.Contains(t, status.Error, "nobody")
		require.Zero(t, status.Started)
	})
}

func TestSelectionTakesNoMoreThanMaxFiles(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSite(t)
		for i := range 10 {
			s.local.WriteFile(fmt.Sprintf("/out/%d", i), nil)
		}
		n := s.node("one", nil).start(s)
		in := sendAll()
		in.MaxFiles, in.Order, in.FollowID = 3, ByName, "flow"
		out, err := n.StartSelection(t.Context(), in)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Equal(t, []string{"/out/0", "/out/1", "/out/2"}, s.paths())
		status, err := n.DescribeSelection(t.Context(), out.SelectionID)
		require.NoError(t, err)
		require.EqualValues(t, 3, status.Started)
		require.Equal(t, 10, status.Found)
		n3, err := n.client.ListTransfers().FollowID("flow").Count(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 3, n3)
	})
}
