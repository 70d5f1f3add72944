package transfer_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// subscribe returns a subscription of b's client.
func (b *bench) subscribe(in transfer.SubscribeInput) *transfer.Subscription {
	b.t.Helper()
	sub, err := b.client.Subscribe(in)
	require.NoError(b.t, err)
	b.t.Cleanup(sub.Close)
	return sub
}

// until reads events up to the first of this type.
func until(t *testing.T, sub *transfer.Subscription, last transfer.EventType) (events []transfer.Event) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case e, ok := <-sub.Events():
			require.True(t, ok, "the channel was closed after %v", typesOf(events))
			events = append(events, e)
			if e.Type == last {
				return events
			}
		case <-limit:
			require.Fail(t, "no event", "%s did not come after %v", last, typesOf(events))
		}
	}
}

func typesOf(events []transfer.Event) (types []transfer.EventType) {
	for _, e := range events {
		types = append(types, e.Type)
	}
	return types
}

func TestSubscribe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t, policy(transfer.RetryPolicy{MaxAttempts: 2}))
		b.local.WriteFile("/out/a.csv", content(1, 2500))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 2, Times: 1, Delay: 3 * time.Second})
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpCommit, Nth: 1, Times: 1, Err: &transfer.Error{Op: "commit", Code: transfer.ConnectionLost, Err: errors.New("gone")}})
		sub := b.subscribe(transfer.SubscribeInput{})
		id := b.start(transfer.StartFileTransferInput{
			SendFilePaths: []string{"/out/a.csv"}, RemoteDirectoryPath: "/in", FollowID: "flow", RuleName: "daily", Metadata: map[string]string{"k": "v"},
		})
		events := until(t, sub, transfer.EventTransferFinished)
		require.Subset(t, typesOf(events), []transfer.EventType{
			transfer.EventFileStarted, transfer.EventFileProgress, transfer.EventFileWaiting, transfer.EventFileCompleted, transfer.EventTransferFinished,
		})
		require.Equal(t, transfer.EventFileStarted, events[0].Type)
		seq, ids := int64(0), map[string]bool{}
		for _, e := range events {
			require.Greater(t, e.Seq, seq)
			require.False(t, ids[e.ID], "%v has the id of another event", e)
			seq, ids[e.ID] = e.Seq, true
			require.Equal(t, id, e.TransferID)
			require.Equal(t, "acme", e.ConnectorID)
			require.Equal(t, "flow", e.FollowID)
			require.Equal(t, "daily", e.RuleName)
			require.Equal(t, map[string]string{"k": "v"}, e.Metadata)
			require.Equal(t, "SEND", e.Operation)
		}
		done := events[len(events)-2]
		row := b.row(id)
		rowEvent := row.Event()
		require.Equal(t, transfer.EventFileCompleted, done.Type)
		require.Equal(t, rowEvent.ID, done.ID)
		require.Equal(t, row.SHA256, done.SHA256)
		require.EqualValues(t, 2500, done.BytesTransferred)
		require.Equal(t, transfer.TransferTableStatusCompleted, done.StatusCode)
		end := events[len(events)-1]
		require.Equal(t, 1, end.Files)
		require.Equal(t, 1, end.FilesCompleted)
		require.Zero(t, end.FilesFailed+int(end.FileID))
		require.Zero(t, sub.Lost())
	})
}

func TestSubscribeFilters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t)
		b.local.WriteFile("/out/a", content(1, 10))
		b.local.WriteFile("/out/b", content(2, 10))
		ends := b.subscribe(transfer.SubscribeInput{Types: []transfer.EventType{transfer.EventFileCompleted}})
		others := b.subscribe(transfer.SubscribeInput{ConnectorID: "other"})
		first := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"/out/a"}, RemoteDirectoryPath: "/in"})
		require.Equal(t, first, until(t, ends, transfer.EventFileCompleted)[0].TransferID)
		synctest.Wait()
		only := b.subscribe(transfer.SubscribeInput{TransferID: first})
		require.Len(t, b.run(transfer.StartFileTransferInput{SendFilePaths: []string{"/out/b"}, RemoteDirectoryPath: "/in"}), 1)
		until(t, ends, transfer.EventFileCompleted)
		synctest.Wait()
		require.Empty(t, only.Events())
		require.Empty(t, others.Events())
	})
}

// TestSubscriptionLoses has a reader that does not read: the engine goes on, and the losses show.
func TestSubscriptionLoses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t)
		sub := b.subscribe(transfer.SubscribeInput{Buffer: 1})
		for _, name := range []string{"/out/a", "/out/b", "/out/c"} {
			b.local.WriteFile(name, content(1, 10))
			b.run(transfer.StartFileTransferInput{SendFilePaths: []string{name}, RemoteDirectoryPath: "/in"})
		}
		synctest.Wait()
		require.Len(t, sub.Events(), 1)
		require.EqualValues(t, 8, sub.Lost()) // of three files: started, completed, and their transfers' ends
	})
}

func TestSubscribeTellsOfControl(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t)
		b.local.WriteFile("/out/a", content(1, 10))
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"/out/a"}, RemoteDirectoryPath: "/in", StartAt: time.Now().Add(time.Hour)})
		sub := b.subscribe(transfer.SubscribeInput{})
		_, err := b.client.PauseTransfer(t.Context(), &transfer.ControlInput{TransferID: id})
		require.NoError(t, err)
		until(t, sub, transfer.EventFilePaused)
		_, err = b.client.CancelTransfer(t.Context(), &transfer.ControlInput{TransferID: id})
		require.NoError(t, err)
		events := until(t, sub, transfer.EventTransferFinished)
		require.Equal(t, []transfer.EventType{transfer.EventFileCancelled, transfer.EventTransferFinished}, typesOf(events))
		require.Equal(t, transfer.Code("CANCELLED"), events[0].FailureCode)
		require.Equal(t, 1, events[1].FilesFailed)
		require.Equal(t, transfer.TransferTableStatusFailed, events[1].StatusCode)
	})
}

// TestSubscribeTellsOfARunningFileThatIsCancelled has the worker tell, not the caller.
func TestSubscribeTellsOfARunningFileThatIsCancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := ordered(t)
		b.local.WriteFile("/out/a", content(1, 5000))
		b.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 2, Block: true})
		sub := b.subscribe(transfer.SubscribeInput{})
		id := b.start(transfer.StartFileTransferInput{SendFilePaths: []string{"/out/a"}, RemoteDirectoryPath: "/in"})
		until(t, sub, transfer.EventFileProgress)
		_, err := b.client.CancelTransfer(t.Context(), &transfer.ControlInput{TransferID: id})
		require.NoError(t, err)
		events := until(t, sub, transfer.EventTransferFinished)
		require.Contains(t, typesOf(events), transfer.EventFileCancelled)
	})
}

func TestSubscriptionEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t)
		closed, other := b.subscribe(transfer.SubscribeInput{}), b.subscribe(transfer.SubscribeInput{})
		closed.Close()
		closed.Close()
		_, open := <-closed.Events()
		require.False(t, open)
		require.NoError(t, b.client.Shutdown(t.Context()))
		_, open = <-other.Events()
		require.False(t, open)
		_, err := b.client.Subscribe(transfer.SubscribeInput{})
		require.ErrorAs(t, err, new(*transfer.ServiceUnavailableException))
	})
}

func TestSubscribeRefuses(t *testing.T) {
	t.Parallel()
	client, err := transfer.New(transfer.Config{})
	require.NoError(t, err)
	_, err = client.Subscribe(transfer.SubscribeInput{Types: []transfer.EventType{"file.lost"}, Buffer: -1})
	var wrong *transfer.InvalidRequestException
	require.ErrorAs(t, err, &wrong)
	require.Len(t, wrong.Fields, 2)
	for range 1000 {
		_, err := client.Subscribe(transfer.SubscribeInput{Buffer: 1})
		require.NoError(t, err)
	}
	_, err = client.Subscribe(transfer.SubscribeInput{})
	require.ErrorAs(t, err, new(*transfer.ThrottlingException))
	require.NoError(t, client.Shutdown(t.Context()))
}
