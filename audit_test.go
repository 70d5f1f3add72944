package transfer_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

func audited(c *transfer.Config) { c.Audit, c.Name = true, "node-1" }

// trail returns the records that q selects.
func (b *bench) trail(q transfer.AuditQuery) (records []transfer.AuditRecord) {
	b.t.Helper()
	last := int64(0)
	for r, err := range b.client.AuditTrail(b.t.Context(), q) {
		require.NoError(b.t, err)
		require.Greater(b.t, r.Seq, last)
		require.WithinDuration(b.t, time.Now(), r.Time, 24*time.Hour)
		last = r.Seq
		records = append(records, r)
	}
	return records
}

func actionsOf(records []transfer.AuditRecord) (actions []transfer.AuditAction) {
	for _, r := range records {
		actions = append(actions, r.Action)
	}
	return actions
}

func TestAuditTrailOfATransfer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		session := transfer.SessionInfo{Protocol: "sftp", Server: "SSH-2.0-x", User: "alice", HostKey: "SHA256:abc", KeyExchange: "kex", Cipher: "c", MAC: "m"}
		b := setup(t, audited)
		b.partner = transfertest.NewConnector(b.remote, transfertest.ConnectorOptions{Features: transfer.Features{Server: "x", Session: session}})
		require.NoError(t, b.client.Shutdown(t.Context()))
		b.client = b.newClient(audited)
		require.NoError(t, b.client.Start(context.WithoutCancel(t.Context())))
		b.local.WriteFile("/out/0000", content(1, 2500))
		ask := sendAll(2)
		ask.ConnectorID, ask.FollowID, ask.RuleName = "acme", "flow", "daily"
		ask.Metadata = map[string]string{"password": "not kept"}
		out, err := b.client.StartFileTransfer(transfer.WithActor(t.Context(), "alice\n"), &ask)
		require.NoError(t, err)
		_, err = b.client.Wait(t.Context(), out.TransferID)
		require.NoError(t, err)
		b.start(sendAll(1)) // another one

		records := b.trail(transfer.AuditQuery{TransferID: out.TransferID})
		require.Len(t, records, 3)
		started := records[0]
		require.Equal(t, transfer.AuditStartTransfer, started.Action)
		require.Equal(t, "alice ", started.Actor)
		require.Equal(t, "node-1", started.Node)
		require.Equal(t, &transfer.AuditAsked{
			ConnectorID: "acme", Operation: "SEND", Files: 2, Paths: []string{"/out/0000", "/out/0001"}, Directory: "/in", RuleName: "daily", FollowID: "flow",
		}, started.Asked)
		require.Nil(t, started.File)
		for _, row := range b.results(out.TransferID) {
			of := b.trail(transfer.AuditQuery{FileID: row.FileID})
			require.Len(t, of, 1)
			file := of[0].File
			require.Equal(t, transfer.AuditFileFinished, of[0].Action)
			require.Equal(t, out.TransferID, of[0].TransferID)
			require.Equal(t, "node-1", of[0].Node)
			require.Equal(t, row.StatusCode, file.StatusCode)
			require.Equal(t, [3]transfer.Code{row.FailureCode, row.FailureDetail, transfer.Code(row.FailureMessage)}, [3]transfer.Code{file.FailureCode, file.FailureDetail, transfer.Code(file.FailureMessage)})
			require.Equal(t, [3]string{row.FilePath, row.TargetPath, row.SHA256}, [3]string{file.FilePath, file.TargetPath, file.SHA256})
			require.Equal(t, [2]int64{row.BytesTransferred, row.Size}, [2]int64{file.BytesTransferred, file.Size})
			require.Equal(t, [4]string{"acme", "acme", "daily", "flow"}, [4]string{file.ConnectorID, file.Partner, file.RuleName, file.FollowID})
			if row.StatusCode == transfer.TransferTableStatusCompleted {
				require.Equal(t, session, file.Session)
			} else {
				require.Zero(t, file.Session) // what is missing on our side does not bother the partner
			}
		}
	})
}

// TestAuditTrailOfActs does everything that the trail knows.
func TestAuditTrailOfActs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, audited)
		b.put(1)
		ctx := transfer.WithActor(t.Context(), strings.Repeat("ä", 300))
		ask := sendAll(1)
		ask.ConnectorID, ask.StartAt, ask.Metadata = "acme", time.Now().Add(time.Hour), map[string]string{"k": "secret"}
		out, err := b.client.StartFileTransfer(ctx, &ask)
		require.NoError(t, err)
		id := b.results(out.TransferID)[0].FileID
		_, err = b.client.PauseTransfer(ctx, &transfer.ControlInput{TransferID: out.TransferID})
		require.NoError(t, err)
		_, err = b.client.ResumeTransfer(ctx, &transfer.ControlInput{FileIDs: []int64{id}})
		require.NoError(t, err)
		q := b.client.ListTransfers().Transfer(out.TransferID).Status(transfer.StatusToSubmit).Metadata("k", "secret")
		_, err = b.client.CancelTransfer(ctx, &transfer.ControlInput{Files: &q})
		require.NoError(t, err)
		again, err := b.client.RetryTransfer(ctx, &transfer.RetryTransferInput{FileIDs: []int64{id}, ClientToken: "once"})
		require.NoError(t, err)
		_, err = b.client.Wait(ctx, again.Transfers[0].TransferID)
		require.NoError(t, err)
		listing, err := b.client.StartDirectoryListing(ctx, &transfer.StartDirectoryListingInput{ConnectorID: "acme", RemoteDirectoryPath: "/in", OutputDirectoryPath: "/lists"})
		require.NoError(t, err)
		_, err = b.client.StartRemoteMove(ctx, &transfer.StartRemoteMoveInput{ConnectorID: "acme", SourcePath: "/in/0000", TargetPath: "/in/b"})
		require.NoError(t, err)
		_, err = b.client.StartRemoteDelete(ctx, &transfer.StartRemoteDeleteInput{ConnectorID: "acme", DeletePath: "/in/b"})
		require.NoError(t, err)
		synctest.Wait()

		records := b.trail(transfer.AuditQuery{})
		require.Equal(t, []transfer.AuditAction{
			transfer.AuditStartTransfer, transfer.AuditPause, transfer.AuditResume, transfer.AuditCancel, transfer.AuditFileFinished,
			transfer.AuditRetry, transfer.AuditRetry, transfer.AuditFileFinished,
			transfer.AuditRemoteList, transfer.AuditRemoteMove, transfer.AuditRemoteDelete,
		}, actionsOf(records))
		for _, r := range records {
			if r.Action != transfer.AuditFileFinished {
				require.Equal(t, strings.Repeat("ä", 254)+"…", r.Actor)
			}
		}
		require.Equal(t, out.TransferID, records[1].TransferID)
		require.Equal(t, id, records[2].FileID)
		require.JSONEq(t, `{"TransferID":"`+out.TransferID+`","States":"[Queued Waiting]","Metadata":["k"]}`, records[3].Asked.Query)
		require.Equal(t, transfer.Code("CANCELLED"), records[4].File.FailureCode)
		require.Equal(t, "once", records[5].Asked.ClientToken)
		require.Equal(t, again.Transfers[0].TransferID, records[6].TransferID)
		require.Equal(t, out.TransferID, records[6].Asked.RetryOf)
		require.Equal(t, listing.ListingID, records[8].Asked.OperationID)
		require.Equal(t, []string{"/in/0000"}, records[9].Asked.Paths)
		require.Equal(t, "/in/b", records[9].Asked.TargetPath)
		require.Len(t, b.trail(transfer.AuditQuery{TransferID: out.TransferID}), 3)
	})
}

func TestAuditTrailOfConnectors(t *testing.T) {
	t.Parallel()
	client, err := transfer.New(transfer.Config{Audit: true, Protocols: map[string]transfer.Protocol{"sftp": transfertest.NewProtocol(nil)}})
	require.NoError(t, err)
	b := &bench{t: t, client: client}
	out, err := client.CreateConnector(t.Context(), &transfer.CreateConnectorInput{
		URL: "sftp://partner.example", SftpConfig: &transfer.SftpConnectorConfig{UserSecretID: "acme"},
	})
	require.NoError(t, err)
	_, err = client.UpdateConnector(t.Context(), &transfer.UpdateConnectorInput{ConnectorID: out.ConnectorID, URL: "sftp://other.example"})
	require.NoError(t, err)
	_, err = client.DeleteConnector(t.Context(), &transfer.DeleteConnectorInput{ConnectorID: out.ConnectorID})
	require.NoError(t, err)
	records := b.trail(transfer.AuditQuery{})
	require.Equal(t, []transfer.AuditAction{transfer.AuditCreateConnector, transfer.AuditUpdateConnector, transfer.AuditDeleteConnector}, actionsOf(records))
	for _, r := range records {
		require.Equal(t, out.ConnectorID, r.Asked.ConnectorID)
	}
	require.Contains(t, string(records[0].Asked.Definition), "sftp://partner.example")
	require.Contains(t, string(records[1].Asked.Definition), "sftp://other.example")
}

// TestWhatIsRefusedIsNotNoted has passwords where none belongs, of which the trail is never rid, and ids that are none.
func TestWhatIsRefusedIsNotNoted(t *testing.T) {
	t.Parallel()
	client, err := transfer.New(transfer.Config{Audit: true, Protocols: map[string]transfer.Protocol{"sftp": transfertest.NewProtocol(nil)}})
	require.NoError(t, err)
	b := &bench{t: t, client: client}
	in := transfer.CreateConnectorInput{URL: "sftp://a:hunter2@partner.example", SftpConfig: &transfer.SftpConnectorConfig{UserSecretID: "acme"}}
	_, err = client.CreateConnector(t.Context(), &in)
	require.ErrorAs(t, err, new(*transfer.InvalidRequestException))
	in.URL = "sftp://partner.example"
	out, err := client.CreateConnector(t.Context(), &in)
	require.NoError(t, err)
	_, err = client.UpdateConnector(t.Context(), &transfer.UpdateConnectorInput{ConnectorID: out.ConnectorID, URL: "sftp://a:hunter2@partner.example"})
	require.ErrorAs(t, err, new(*transfer.InvalidRequestException))
	_, err = client.UpdateConnector(t.Context(), &transfer.UpdateConnectorInput{ConnectorID: out.ConnectorID, ProtocolConfig: []byte(`{"password":`)})
	require.ErrorAs(t, err, new(*transfer.InvalidRequestException))
	for _, id := range []string{"a\x00b", "\xff", strings.Repeat("x", 1<<20)} {
		_, err = client.CancelTransfer(t.Context(), &transfer.ControlInput{TransferID: id})
		require.ErrorAs(t, err, new(*transfer.InvalidRequestException))
	}
	require.Equal(t, []transfer.AuditAction{transfer.AuditCreateConnector}, actionsOf(b.trail(transfer.AuditQuery{})))
}

// TestAuditTrailOfWhatIsForgotten has the acts by which something is lost.
func TestAuditTrailOfWhatIsForgotten(t *testing.T) {
	t.Parallel()
	client, err := transfer.New(transfer.Config{Audit: true})
	require.NoError(t, err)
	b := &bench{t: t, client: client}
	require.NoError(t, client.ForgetTransferred(t.Context(), &transfer.ForgetTransferredInput{
		ConnectorID: "acme", SendFilePaths: nil, RetrieveFilePaths: slices.Repeat([]string{"/in/a"}, 150),
	}))
	_, err = client.Purge(t.Context(), transfer.Retention{Done: time.Hour})
	require.NoError(t, err)
	require.ErrorAs(t, client.RemoveSink(t.Context(), "old"), new(*transfer.ResourceNotFoundException))
	records := b.trail(transfer.AuditQuery{})
	require.Equal(t, []transfer.AuditAction{transfer.AuditForget, transfer.AuditPurge, transfer.AuditRemoveSink}, actionsOf(records))
	require.Equal(t, &transfer.AuditAsked{ConnectorID: "acme", Operation: "RETRIEVE", Files: 150, Paths: slices.Repeat([]string{"/in/a"}, 100)}, records[0].Asked)
	require.Contains(t, records[1].Asked.Query, "Done:1h0m0s")
	require.Equal(t, "old", records[2].Asked.Sink)
}

// TestNothingIsDoneThatCannotBeNoted takes the trail away.
func TestNothingIsDoneThatCannotBeNoted(t *testing.T) {
	t.Parallel()
	memory := transfer.NewMemory()
	s := store.NewMemory()
	client, err := transfer.New(transfer.Config{
		Audit: true, Storage: memory, Protocols: map[string]transfer.Protocol{"sftp": transfertest.NewProtocol(nil)},
		Connectors: map[string]transfer.Connector{"acme": transfertest.NewConnector(nil, transfertest.ConnectorOptions{})},
		Store: awkward{s, func(call string) error {
			if call == "AppendEvents" {
				return errors.New("the disk is full")
			}
			return nil
		}},
	})
	require.NoError(t, err)
	require.NoError(t, client.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, client.Shutdown(context.WithoutCancel(t.Context()))) })
	created, err := s.CreateTransfer(t.Context(), store.Transfer{ID: "t", ConnectorID: "nobody"}, []store.NewFile{{Direction: store.Send, SourcePath: "/a", TargetPath: "/b"}})
	require.NoError(t, err)
	for name, act := range map[string]func() error{
		"start": func() error {
			_, err := client.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: "acme", SendFilePaths: []string{"/a"}})
			return err
		},
		"pause": func() error {
			_, err := client.PauseTransfer(t.Context(), &transfer.ControlInput{TransferID: created.ID})
			return err
		},
		"cancel": func() error {
			_, err := client.CancelTransfer(t.Context(), &transfer.ControlInput{TransferID: created.ID})
			return err
		},
		"create": func() error {
			_, err := client.CreateConnector(t.Context(), &transfer.CreateConnectorInput{URL: "sftp://a.example", SftpConfig: &transfer.SftpConnectorConfig{UserSecretID: "a"}})
			return err
		},
		"forget": func() error {
			return client.ForgetTransferred(t.Context(), &transfer.ForgetTransferredInput{ConnectorID: "acme", SendFilePaths: []string{"/a"}})
		},
		"purge":       func() error { _, err := client.Purge(t.Context(), transfer.Retention{Done: time.Hour}); return err },
		"remove sink": func() error { return client.RemoveSink(t.Context(), "old") },
		"delete": func() error {
			_, err := client.StartRemoteDelete(t.Context(), &transfer.StartRemoteDeleteInput{ConnectorID: "acme", DeletePath: "/a"})
			return err
		},
	} {
		require.ErrorAs(t, act(), new(*transfer.ServiceUnavailableException), name)
	}
	files, err := s.ListFiles(t.Context(), store.Query{})
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.Equal(t, store.Queued, files[0].State)
	connectors, err := s.ListConnectors(t.Context(), store.ConnectorQuery{})
	require.NoError(t, err)
	require.Empty(t, connectors)
}

func TestAuditTrailIsPurged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := setup(t, audited)
		b.put(1)
		b.run(sendAll(1))
		time.Sleep(time.Hour)
		b.run(sendAll(1))
		require.Len(t, b.trail(transfer.AuditQuery{}), 4)
		require.Len(t, b.trail(transfer.AuditQuery{To: time.Now().Add(-time.Minute)}), 2)
		require.Len(t, b.trail(transfer.AuditQuery{From: time.Now().Add(-time.Minute)}), 2)
		removed, err := b.client.Purge(t.Context(), transfer.Retention{Audit: 30 * time.Minute})
		require.NoError(t, err)
		require.Zero(t, removed)
		require.Len(t, b.trail(transfer.AuditQuery{}), 3) // one of the purge
		_, err = b.client.Purge(t.Context(), transfer.Retention{Audit: -1})
		require.ErrorAs(t, err, new(*transfer.InvalidRequestException))
	})
}
