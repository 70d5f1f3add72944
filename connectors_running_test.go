package transfer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// What is created, changed and deleted by one client is seen by another over the same store.
func TestClientsFollowTheStore(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	second := d.newDynamic()
	require.NoError(t, second.Start(context.WithoutCancel(t.Context())))
	defer func() { require.NoError(t, second.Shutdown(context.Background())) }()
	submit := d.newDynamic(func(c *transfer.Config) { c.Protocols = nil })

	id := d.create(transfer.CreateConnectorInput{Partner: "first"})
	require.Equal(t, 1, d.wait(d.send(submit, id, "a")).Completed)
	require.Equal(t, "first", d.rowOf("in/a").Partner)
	_, err := second.UpdateConnector(t.Context(), &transfer.UpdateConnectorInput{ConnectorID: id, Partner: new("second")})
	require.NoError(t, err)
	require.Equal(t, 1, d.wait(d.send(submit, id, "b")).Completed)
	require.Equal(t, "second", d.rowOf("in/b").Partner)
	_, err = second.DeleteConnector(t.Context(), &transfer.DeleteConnectorInput{ConnectorID: id})
	require.NoError(t, err)
	var unknown *transfer.ResourceNotFoundException
	for _, client := range []*transfer.Client{d.client, second, submit} {
		_, err := client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: id, SendFilePaths: []string{"a"}})
		require.ErrorAs(t, err, &unknown)
	}
}

// An update lets files that move go on with the connector that they have, and closes it after them.
func TestUpdateWhileFilesMove(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	hold, reached := make(chan struct{}), make(chan struct{})
	d.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 1, Times: 1, Hold: hold, Do: func(transfertest.Call) { close(reached) }})
	first := d.send(d.client, d.id, "a")
	<-reached
	d.vault.set("rotated", "another secret")
	_, err := d.client.UpdateConnector(t.Context(), &transfer.UpdateConnectorInput{
		ConnectorID: d.id, SftpConfig: &transfer.SftpConnectorConfig{UserSecretID: "rotated"},
	})
	require.NoError(t, err)
	require.Equal(t, 1, d.wait(d.send(d.client, d.id, "b")).Completed)
	require.Equal(t, []string{theSecret, "another secret"}, d.protocol.Fetched())
	require.Equal(t, 2, d.protocol.Opened(), "the old connector has a file")
	close(hold)
	require.Equal(t, 1, d.wait(first).Completed)
	require.Eventually(t, func() bool { return d.protocol.Opened() == 1 }, 10*time.Second, time.Millisecond)
	require.Equal(t, []string{theSecret, "another secret"}, d.protocol.Fetched(), "the file went on as it had begun")
}

func TestSecretIsFetchedForEachSession(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	require.Equal(t, 1, d.wait(d.send(d.client, d.id, "a")).Completed)
	d.vault.set("acme", "rotated")
	require.Equal(t, 1, d.wait(d.send(d.client, d.id, "b")).Completed)
	require.Equal(t, []string{theSecret, "rotated"}, d.protocol.Fetched())
	require.Equal(t, 1, d.protocol.Opened(), "the connector is the same")
}

// Deleting fails what is queued with a clear code, lets go on what moves, and leaves results readable.
func TestDeleteWhileFilesAreQueued(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	id := d.create(transfer.CreateConnectorInput{SftpConfig: &transfer.SftpConnectorConfig{UserSecretID: "acme", MaxConcurrentConnections: 1}})
	hold, reached := make(chan struct{}), make(chan struct{})
	d.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Nth: 1, Times: 1, Hold: hold, Do: func(transfertest.Call) { close(reached) }})
	transferID := d.send(d.client, id, "a", "b", "c")
	<-reached
	_, err := d.client.DeleteConnector(t.Context(), &transfer.DeleteConnectorInput{ConnectorID: id})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		n, err := d.client.ListTransfers().Transfer(transferID).Status(transfer.StatusInError).Count(t.Context())
		return err == nil && n == 2
	}, 10*time.Second, time.Millisecond)
	close(hold)
	require.Equal(t, transfer.TransferSummary{Files: 3, Completed: 1, Failed: 2}, d.wait(transferID))
	out, err := d.client.ListFileTransferResults(t.Context(), &transfer.ListFileTransferResultsInput{ConnectorID: id, TransferID: transferID})
	require.NoError(t, err)
	for _, r := range out.FileTransferResults[1:] {
		require.Equal(t, transfer.ConnectionError, r.FailureCode)
		require.Equal(t, transfer.ConnectorDeleted, r.FailureDetail)
		require.Contains(t, r.FailureMessage, "the connector was deleted")
		require.ErrorIs(t, r.Err(), transfer.ConnectorDeleted)
		require.False(t, r.Retryable())
	}
	require.Equal(t, 1, d.partner.Calls(transfertest.OpConnect))
	require.Eventually(t, func() bool { return d.protocol.Opened() == 1 }, 10*time.Second, time.Millisecond)
	_, err = d.client.RetryTransfer(t.Context(), &transfer.RetryTransferInput{TransferID: transferID})
	var unknown *transfer.ResourceNotFoundException
	require.ErrorAs(t, err, &unknown)
}

// A file that waits for its next attempt, and one that is resumed, fail too once their connector is gone.
func TestDeleteWhileFilesWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := setupDynamic(t, policy(transfer.RetryPolicy{FirstDelay: time.Hour, MaxDelay: time.Hour}))
		d.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Err: &transfer.Error{Op: "write", Code: transfer.ConnectionLost}})
		waiting := d.send(d.client, d.id, "a")
		synctest.Wait()
		out, err := d.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{
			ConnectorID: d.id, SendFilePaths: []string{"a"}, StartAt: time.Now().Add(time.Hour),
		})
		require.NoError(t, err)
		_, err = d.client.PauseTransfer(t.Context(), &transfer.ControlInput{TransferID: out.TransferID})
		require.NoError(t, err)
		_, err = d.client.DeleteConnector(t.Context(), &transfer.DeleteConnectorInput{ConnectorID: d.id})
		require.NoError(t, err)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.Equal(t, transfer.ConnectorDeleted, d.results1(waiting).FailureDetail)
		_, err = d.client.ResumeTransfer(t.Context(), &transfer.ControlInput{TransferID: out.TransferID})
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Equal(t, transfer.ConnectorDeleted, d.results1(out.TransferID).FailureDetail)
	})
}

// What a failed file has left behind at a partner that is gone is looked for until the connector is, and then no more.
func TestLitterOfADeletedConnector(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := setupDynamic(t, policy(transfer.RetryPolicy{MaxAttempts: 1}))
		lost := &transfer.Error{Op: "write", Code: transfer.ConnectionLost}
		d.partner.Inject(transfertest.Rule{Op: transfertest.OpCommit | transfertest.OpAbort, Err: lost})
		require.Equal(t, 1, d.wait(d.send(d.client, d.id, "a")).Failed)
		litter := func() int {
			t.Helper()
			files, err := d.store.ListFiles(t.Context(), store.Query{Litter: true})
			require.NoError(t, err)
			return len(files)
		}
		time.Sleep(24 * time.Hour)
		require.Equal(t, 1, litter())
		_, err := d.client.DeleteConnector(t.Context(), &transfer.DeleteConnectorInput{ConnectorID: d.id})
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Zero(t, litter())
	})
}

func (d *dynamic) results1(id string) transfer.ConnectorFileTransferResult {
	d.t.Helper()
	p := transfer.NewListFileTransferResultsPaginator(d.client, &transfer.ListFileTransferResultsInput{ConnectorID: d.id, TransferID: id})
	for r, err := range p.All(d.t.Context()) {
		require.NoError(d.t, err)
		return r
	}
	require.Fail(d.t, "no results")
	return transfer.ConnectorFileTransferResult{}
}

// A definition that no client can work with leaves its files queued until one can.
func TestConnectorWithoutProtocol(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	d.vault.set("", theSecret)
	id := d.create(transfer.CreateConnectorInput{URL: "as2://partner.example", ProtocolConfig: json.RawMessage(`{"From":"a"}`)})
	require.NoError(t, d.client.Shutdown(t.Context()))
	poor := d.newDynamic(func(c *transfer.Config) { c.Protocols = map[string]transfer.Protocol{"sftp": d.protocol} })
	require.NoError(t, poor.Start(context.WithoutCancel(t.Context())))
	first := d.send(poor, id, "a")
	require.Equal(t, 1, d.wait(d.send(poor, d.id, "b")).Completed)
	require.Equal(t, store.Queued, d.rowOf("in/a").State)
	require.NoError(t, poor.Shutdown(t.Context()))
	d.client = d.newDynamic()
	require.NoError(t, d.client.Start(context.WithoutCancel(t.Context())))
	require.Equal(t, 1, d.wait(first).Completed)
}

// The store may be away when connectors change.
func TestFollowingOutlivesTheStore(t *testing.T) {
	t.Parallel()
	faulty := transfertest.NewStore(nil)
	d := setupDynamic(t, func(c *transfer.Config) { c.Store = faulty })
	away := faulty.Inject(transfertest.StoreRule{Op: transfertest.OpConnectors, Err: fmt.Errorf("the database is away")})
	var gone *transfer.ServiceUnavailableException
	_, err := d.client.CreateConnector(t.Context(), &transfer.CreateConnectorInput{URL: "sftp://h", SftpConfig: &transfer.SftpConnectorConfig{UserSecretID: "acme"}})
	require.ErrorAs(t, err, &gone)
	_, err = d.client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: d.id, SendFilePaths: []string{"a"}})
	require.ErrorAs(t, err, &gone)
	require.Eventually(t, func() bool { return away.Hits() > 4 }, 10*time.Second, time.Millisecond)
	away.Remove()
	id := d.create(transfer.CreateConnectorInput{})
	require.Equal(t, 1, d.wait(d.send(d.client, id, "a")).Completed)
}

func TestTestConnection(t *testing.T) {
	t.Parallel()
	d := setupDynamic(t)
	test := func() *transfer.TestConnectionOutput {
		t.Helper()
		out, err := d.client.TestConnection(t.Context(), &transfer.TestConnectionInput{ConnectorID: d.id})
		require.NoError(t, err)
		return out
	}
	require.Equal(t, &transfer.TestConnectionOutput{ConnectorID: d.id, Status: "OK", StatusMessage: "Connection succeeded", Server: "transfertest"}, test())
	d.partner.Inject(transfertest.FailNth(transfertest.OpConnect, 1, &transfer.Error{Op: "connect", Path: "h", Code: transfer.HostKeyMismatch, Err: fmt.Errorf("x\ny")}))
	out := test()
	require.Equal(t, "ERROR", out.Status)
	require.Equal(t, transfer.HostKeyMismatch, out.FailureDetail)
	require.Equal(t, "connect h: HOST_KEY_MISMATCH: x y", out.StatusMessage)
	d.vault.set("acme", "")
	d.vault.mu.Lock()
	delete(d.vault.secrets, "acme")
	d.vault.mu.Unlock()
	out = test()
	require.Equal(t, "ERROR", out.Status)
	require.Contains(t, out.StatusMessage, `secret "acme"`)
}

// Nowhere in what is stored, logged and returned is there anything of a secret.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	var log safeBuffer
	d := setupDynamic(t, func(c *transfer.Config) {
		c.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	var seen []any
	note := func(values ...any) { seen = append(seen, values...) }
	note(d.client.DescribeConnector(t.Context(), &transfer.DescribeConnectorInput{ConnectorID: d.id}))
	note(d.client.TestConnection(t.Context(), &transfer.TestConnectionInput{ConnectorID: d.id}))
	note(d.client.ListConnectors(t.Context(), nil))
	d.partner.Inject(transfertest.FailNth(transfertest.OpWriteWindow, 1, &transfer.Error{Op: "write", Code: transfer.PermissionDenied}))
	id := d.send(d.client, d.id, "a", "b")
	d.wait(id)
	note(d.client.ListFileTransferResults(t.Context(), &transfer.ListFileTransferResultsInput{ConnectorID: d.id, TransferID: id}))
	note(d.store.ListConnectors(t.Context(), store.ConnectorQuery{}))
	note(d.store.ListFiles(t.Context(), store.Query{}))
	note(d.store.GetTransfer(t.Context(), id))
	require.Contains(t, d.protocol.Fetched(), theSecret, "it was used")
	text := fmt.Sprintf("%+v", seen)
	for _, v := range seen {
		encoded, err := json.Marshal(v)
		require.NoError(t, err)
		text += string(encoded)
	}
	require.NotContains(t, text, theSecret)
	require.Contains(t, log.String(), d.id)
	require.NotContains(t, log.String(), theSecret)
}

type safeBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
