package transfer_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed62b9dc43/transfer"
	"github.com/seed62b9dc43/transfer/store"
	"github.com/seed62b9dc43/transfer/transfertest"
)

// rule has the files of the rule "flow" changed on their way.
func rule(all ...transfer.Transform) func(*transfer.Config) {
	return func(c *transfer.Config) { c.Rules = map[string]transfer.Rule{"flow": {Transforms: all}} }
}

func sendByRule(paths ...string) transfer.StartFileTransferInput {
	return transfer.StartFileTransferInput{SendFilePaths: paths, RemoteDirectoryPath: "in", RuleName: "flow"}
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	require.NoError(t, errors.Join(err, w.Close()))
	return b.Bytes()
}

func gunzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	plain, err := io.ReadAll(r)
	require.NoError(t, err)
	return plain
}

// remoteFile is the only file at the partner.
func (b *bench) remoteFile() []byte {
	b.t.Helper()
	paths := b.remote.Paths()
	require.Len(b.t, paths, 1)
	data, err := b.remote.ReadFile(paths[0])
	require.NoError(b.t, err)
	return data
}

func requireDelivered(t *testing.T, r transfer.ConnectorFileTransferResult, data []byte) {
	t.Helper()
	require.NoError(t, r.Err())
	require.Equal(t, transfer.TransferTableStatusCompleted, r.StatusCode)
	sum := sha256.Sum256(data)
	require.Equal(t, hex.EncodeToString(sum[:]), r.SHA256)
	require.EqualValues(t, len(data), r.Size)
	require.EqualValues(t, len(data), r.BytesTransferred)
}

func TestTransformDelivers(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 700, 999, 1000, 1001, 5000, 60_000} {
		for name, set := range map[string]func(*testing.T, ...func(*transfer.Config)) *bench{"at once": setup, "in order": ordered} {
			t.Run(fmt.Sprintf("gzip %d bytes %s", size, name), func(t *testing.T) {
				t.Parallel()
				b := set(t, rule(transfer.Gzip(0)))
				data := content(uint64(size), size)
				b.local.WriteFile("a.csv", data)
				results := b.run(sendByRule("a.csv"))
				require.Len(t, results, 1)
				requireDelivered(t, results[0], b.remoteFile())
				require.Equal(t, data, gunzipped(t, b.remoteFile()))
				require.Empty(t, b.remote.Partials())
			})
			t.Run(fmt.Sprintf("gunzip %d bytes %s", size, name), func(t *testing.T) {
				t.Parallel()
				b := set(t, rule(transfer.Gunzip(transfer.GunzipOptions{})))
				data := content(uint64(size), size)
				b.local.WriteFile("a.csv.gz", gzipped(t, data))
				results := b.run(sendByRule("a.csv.gz"))
				require.Len(t, results, 1)
				requireDelivered(t, results[0], b.remoteFile())
				require.True(t, bytes.Equal(data, b.remoteFile()))
				require.Empty(t, b.remote.Partials())
			})
		}
	}
}

var _ = context.Background
var _ = time.Now
var _ store.State
var _ transfertest.Op
