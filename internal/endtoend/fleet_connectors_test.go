//go:build unix

package endtoend

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

const hidden = "a password that no store may see"

// dynamic is a fleet whose nodes make connectors of definitions.
type dynamic struct {
	t        *testing.T
	outbox   *transfer.Memory
	partner  *transfertest.Connector
	protocol *transfertest.Protocol
	secrets  string // a directory
}

func (d *dynamic) node(st store.Store, start bool) *transfer.Client {
	d.t.Helper()
	client, err := transfer.New(transfer.Config{
		Storage: d.outbox, Store: st, Protocols: map[string]transfer.Protocol{"sftp": d.protocol}, Secrets: transfer.SecretsDir(d.secrets),
		WindowSize: 64 << 10, PollInterval: 20 * time.Millisecond, ProgressInterval: 20 * time.Millisecond, Lease: fleetPatience,
	})
	require.NoError(d.t, err)
	if start {
		require.NoError(d.t, client.Start(context.WithoutCancel(d.t.Context())))
		d.t.Cleanup(func() { require.NoError(d.t, client.Shutdown(context.Background())) })
	}
	return client
}

func (d *dynamic) send(client *transfer.Client, id string, n int) string {
	d.t.Helper()
	in := &transfer.StartFileTransferInput{ConnectorID: id, RemoteDirectoryPath: "/in"}
	for i := range n {
		path := fmt.Sprintf("/out/%d", i)
		d.outbox.WriteFile(path, make([]byte, 1000+i))
		in.SendFilePaths = append(in.SendFilePaths, path)
	}
	out, err := client.StartFileTransfer(d.t.Context(), in)
	require.NoError(d.t, err)
	return out.TransferID
}

func (d *dynamic) wait(client *transfer.Client, id string) transfer.TransferSummary {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), fleetPatience)
	defer cancel()
	summary, err := client.Wait(ctx, id)
	require.NoError(d.t, err)
	return summary
}

// TestFleetFollowsConnectors: what one node creates, changes and deletes, all nodes work with, and a connector's limit holds
// over all of them.
func TestFleetFollowsConnectors(t *testing.T) {
	t.Parallel()
	for name, make := range queues {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open := make(t)
			d := &dynamic{t: t, outbox: transfer.NewMemory(), secrets: t.TempDir()}
			require.NoError(t, os.WriteFile(filepath.Join(d.secrets, "acme"), []byte(hidden), 0o600))
			d.partner = transfertest.NewConnector(nil, transfertest.ConnectorOptions{})
			d.protocol = transfertest.NewProtocol(d.partner)
			t.Cleanup(func() {
				require.Zero(t, d.protocol.Opened(), "connectors that were not closed")
				require.Empty(t, d.protocol.Violations())
				require.Empty(t, d.partner.Violations())
			})
			d.followed(d.node(open(t), true), d.node(open(t), true), d.node(open(t), false))
		})
	}
}

func (d *dynamic) followed(one, two, submitter *transfer.Client) {
	t := d.t
	created, err := submitter.CreateConnector(t.Context(), &transfer.CreateConnectorInput{
		URL: "sftp://partner", Partner: "first", SftpConfig: &transfer.SftpConnectorConfig{UserSecretID: "acme", MaxConcurrentConnections: 2},
	})
	require.NoError(t, err)
	id := created.ConnectorID
	require.Equal(t, 40, d.wait(submitter, d.send(submitter, id, 40)).Completed)
	require.LessOrEqual(t, d.partner.PeakRemotes(), 2, "the limit over both nodes")
	require.Contains(t, d.protocol.Fetched(), hidden)

	_, err = one.UpdateConnector(t.Context(), &transfer.UpdateConnectorInput{ConnectorID: id, Partner: new("second")})
	require.NoError(t, err)
	second := d.send(two, id, 3)
	require.Equal(t, 3, d.wait(two, second).Completed)
	n, err := submitter.ListTransfers().Partner("second").Count(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, n)

	hold := make(chan struct{})
	moving := d.partner.Inject(transfertest.Rule{Op: transfertest.OpWriteWindow, Hold: hold})
	last := d.send(submitter, id, 6)
	require.Eventually(t, func() bool { return moving.Hits() == 2 }, fleetPatience, 5*time.Millisecond)
	_, err = two.DeleteConnector(t.Context(), &transfer.DeleteConnectorInput{ConnectorID: id})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		n, err := one.ListTransfers().Transfer(last).Status(transfer.StatusInError).Count(t.Context())
		return err == nil && n == 4
	}, fleetPatience, 5*time.Millisecond)
	close(hold)
	require.Equal(t, transfer.TransferSummary{Files: 6, Completed: 2, Failed: 4}, d.wait(one, last))
	results, err := one.ListFileTransferResults(t.Context(), &transfer.ListFileTransferResultsInput{ConnectorID: id, TransferID: last})
	require.NoError(t, err)
	for _, r := range results.FileTransferResults {
		if r.Err() != nil {
			require.Equal(t, transfer.ConnectorDeleted, r.FailureDetail)
		}
	}
	var unknown *transfer.ResourceNotFoundException
	_, err = submitter.StartFileTransfer(t.Context(), &transfer.StartFileTransferInput{ConnectorID: id, SendFilePaths: []string{"/out/0"}})
	require.ErrorAs(t, err, &unknown)
}

// TestNoSecretInTheFile looks into every byte that SQLite has written.
func TestNoSecretInTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "queue.db")
	d := &dynamic{t: t, outbox: transfer.NewMemory(), secrets: t.TempDir()}
	require.NoError(t, os.WriteFile(filepath.Join(d.secrets, "acme"), []byte(hidden), 0o600))
	d.partner = transfertest.NewConnector(nil, transfertest.ConnectorOptions{})
	d.protocol = transfertest.NewProtocol(d.partner)
	client := d.node(openSQLite(t, path), true)
	created, err := client.CreateConnector(t.Context(), &transfer.CreateConnectorInput{
		URL: "sftp://partner", SftpConfig: &transfer.SftpConnectorConfig{UserSecretID: "acme"},
	})
	require.NoError(t, err)
	require.Equal(t, 3, d.wait(client, d.send(client, created.ConnectorID, 3)).Completed)
	require.Contains(t, d.protocol.Fetched(), hidden)
	files, err := filepath.Glob(path + "*")
	require.NoError(t, err)
	seen := false
	for _, name := range files {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		require.False(t, bytes.Contains(content, []byte(hidden)), name)
		seen = seen || bytes.Contains(content, []byte(created.ConnectorID))
	}
	require.True(t, seen, "the connector is there")
}
